import type { Role } from '../../auth/roles.ts';

/** Every address that the API hands out, made from where people reach the server. */
export class Links {
	readonly #publicUrl: () => string;
	#base = '';
	#path = '';

	/** @param publicUrl with or without a path, without a slash at its end; the same for good once listening */
	constructor(publicUrl: () => string) {
		this.#publicUrl = publicUrl;
	}

	listenPage(roomId: string): string {
		return `${this.#current()}/r/${roomId}`;
	}

	stagePage(roomId: string): string {
		return `${this.#current()}/r/${roomId}/stage`;
	}

	/**
	 * The page that a role uses, with its token in the fragment: a fragment is sent to no server, so it stands in no
	 * log and no Referer.
	 */
	pageFor(role: Role, roomId: string, token: string): string {
		return `${role === 'listener' ? this.listenPage(roomId) : this.stagePage(roomId)}#token=${encodeURIComponent(token)}`;
	}

	/** Relative to the host, so that it holds behind any proxy; with the path of a server that has one. */
	session(sessionId: string): string {
		this.#current();
		return `${this.#path}/v1/sessions/${sessionId}`;
	}

	#current(): string {
		const base = this.#publicUrl();
		if (base !== this.#base) {
			this.#base = base;
			this.#path = new URL(base).pathname.replace(/\/$/, '');
		}
		return base;
	}
}
