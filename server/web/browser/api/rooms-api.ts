import type { RoomSummary } from '../../../stage/protocol.ts';
import { parseTrusted } from '../sdk/boundary.ts';
import { asProblem, problemOf } from '../sdk/problem.ts';

export type RoomCommand = 'open' | 'start' | 'end';
export type InviteRole = 'host' | 'cohost' | 'speaker' | 'listener';

/** A room as the HTTP API gives it; the members that the pages use. */
export interface RoomResource extends RoomSummary {
	visibility: 'public' | 'private';
	expectedListeners?: number;
	listenerCount: number;
	stage: readonly { number: number; name: string; role: 'host' | 'cohost' | 'speaker'; muted: boolean; connected: boolean }[];
	links: { listen: string; stage: string };
}

export interface NewRoom {
	id?: string;
	title: string;
	description?: string;
	/** RFC 3339. */
	scheduledAt?: string;
	expectedListeners?: number;
	visibility: 'public' | 'private';
}

export interface RoomQuery {
	/** One state, or several with commas between. */
	state?: string;
	order?: 'id' | 'time' | 'latest';
	limit?: number;
	/** `next` of the page before. */
	after?: string | undefined;
}

export interface Readiness {
	status: 'ready' | 'not_ready';
	components: readonly { name: string; ready: boolean; detail?: string }[];
}

/** The part of the HTTP API that pages use. Every call may throw a ProblemError. */
export class RoomsApi {
	readonly #token: string | undefined;

	constructor(token?: string) {
		this.#token = token;
	}

	async list(query: RoomQuery = {}): Promise<{ rooms: RoomResource[]; next?: string }> {
		const parameters = new URLSearchParams(Object.entries(query).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]])));
		return this.#call('GET', `/v1/rooms${parameters.size === 0 ? '' : `?${parameters.toString()}`}`);
	}
	async read(roomId: string): Promise<RoomResource> {
		return this.#call('GET', path(roomId));
	}
	async create(room: NewRoom): Promise<RoomResource> {
		return this.#call('POST', '/v1/rooms', room);
	}
	async command(roomId: string, command: RoomCommand): Promise<void> {
		await this.#call('POST', `${path(roomId)}/${command}`);
	}
	/** Puts off the end of a room that ends by itself. */
	async extend(roomId: string, minutes: number): Promise<void> {
		await this.#call('POST', `${path(roomId)}/extend`, { minutes });
	}
	async remove(roomId: string): Promise<void> {
		await this.#call('DELETE', path(roomId));
	}
	async invite(roomId: string, role: InviteRole, name: string): Promise<{ url: string; expiresAt: string }> {
		return this.#call('POST', `${path(roomId)}/tokens`, { role, name });
	}

	/** Not ready is an answer, not a failure. */
	async readiness(): Promise<Readiness> {
		try {
			const response = await fetch('/readyz', { cache: 'no-store' });
			return parseTrusted<Readiness>(await response.text());
		} catch (error) {
			throw asProblem(error);
		}
	}

	async #call<T>(method: string, url: string, body?: object): Promise<T> {
		try {
			const response = await fetch(url, {
				method,
				headers: {
					accept: 'application/json',
					...(body === undefined ? {} : { 'content-type': 'application/json' }),
					...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				cache: 'no-store',
			});
			if (!response.ok) {
				throw await problemOf(response);
			}
			const text = await response.text();
			return parseTrusted<T>(text === '' ? 'null' : text);
		} catch (error) {
			throw asProblem(error);
		}
	}
}

const path = (roomId: string): string => `/v1/rooms/${encodeURIComponent(roomId)}`;
