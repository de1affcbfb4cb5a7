import { parseTrusted } from './boundary.ts';
import { Emitter } from './emitter.ts';
import { asProblem, problemOf } from './problem.ts';
import { Servers } from './servers.ts';

export interface GuestEvents {
	changed: { name: string };
}

export interface GuestOptions {
	room: string;
	baseUrl?: string;
	/** Shared with the page's other connections; comes before `baseUrl`. */
	servers?: Servers;
	/** Of a personal link: its holder is nobody's guest, and this is what `token()` gives. */
	token?: string;
	/** Where the token is kept over reloads; default the browser's session storage, where it is allowed. */
	storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
	/** Milliseconds since the epoch. */
	now?: () => number;
}

/** As the server gives it; the members used here. */
interface Pass {
	token: string;
	name: string;
	/** RFC 3339. */
	expiresAt: string;
}

/** A pass this close to its end is not used any more. */
const SPARE_MS = 60_000;
/**
 * Who a listener is to a public room: a token of its own, got when it is needed first (a reaction, a raised hand), with
 * the name the person chose, or without one. Whoever only listens never asks for it.
 */
export class GuestPass extends Emitter<GuestEvents> {
	readonly #options: GuestOptions;
	readonly #servers: Servers;
	#pass: Pass | undefined;
	#asking: Promise<string> | undefined;

	constructor(options: GuestOptions) {
		super();
		this.#options = options;
		this.#servers = options.servers ?? new Servers(options.baseUrl);
		this.#pass = this.#kept();
	}

	/** As chosen; empty: anonymous. */
	get name(): string {
		return this.#pass?.name ?? '';
	}

	/** Whether the person came by a personal link, which says who they are. */
	get personal(): boolean {
		return this.#options.token !== undefined;
	}

	/** The token, if there is one already. */
	get held(): string | undefined {
		return this.#options.token ?? this.#good()?.token;
	}

	/** The token; the first time a pass is asked for. Rejects with ProblemError. */
	token(): Promise<string> {
		const { held } = this;
		if (held !== undefined) {
			return Promise.resolve(held);
		}
		return (this.#asking ??= this.#ask(this.name).finally(() => {
			this.#asking = undefined;
		}));
	}

	/** Another name for the same guest; empty: anonymous. Rejects with ProblemError. */
	async rename(name: string): Promise<void> {
		if (this.#options.token !== undefined) {
			return;
		}
		await this.#asking?.catch(() => undefined);
		await this.#ask(name);
	}

	/** The server takes the pass no longer: the next question gets another one. */
	drop(): void {
		this.#pass = undefined;
		try {
			this.#storage()?.removeItem(this.#key);
		} catch {
			// Nothing was kept, then.
		}
	}

	async #ask(name: string): Promise<string> {
		const before = this.#good();
		try {
			const response = await fetch(new URL(`/v1/rooms/${encodeURIComponent(this.#options.room)}/guests`, this.#servers.cursor().url), {
				method: 'POST',
				headers: { 'content-type': 'application/json', ...(before === undefined ? {} : { authorization: `Bearer ${before.token}` }) },
				body: JSON.stringify(name === '' ? {} : { name }),
				cache: 'no-store',
			});
			if (!response.ok) {
				throw await problemOf(response);
			}
			const { token, name: given, expiresAt } = parseTrusted<Pass>(await response.text());
			this.#keep({ token, name: given, expiresAt });
			return token;
		} catch (error) {
			const problem = asProblem(error);
			if (before !== undefined && problem.status === 401) {
				this.drop();
				return await this.#ask(name);
			}
			throw problem;
		}
	}

	#good(): Pass | undefined {
		const pass = (this.#pass ??= this.#kept());
		return pass !== undefined && Date.parse(pass.expiresAt) - (this.#options.now ?? Date.now)() > SPARE_MS ? pass : undefined;
	}

	#keep(pass: Pass): void {
		const renamed = pass.name !== this.name;
		this.#pass = pass;
		try {
			this.#storage()?.setItem(this.#key, pass.token);
		} catch {
			// Storage is forbidden: the pass lasts as long as the page.
		}
		if (renamed) {
			this.emit('changed', { name: pass.name });
		}
	}

	/** Other parts of the page may have got it. */
	#kept(): Pass | undefined {
		try {
			const token = this.#storage()?.getItem(this.#key) ?? '';
			const { name, exp } = claimsOf(token);
			return typeof exp === 'number' ? { token, name: typeof name === 'string' ? name : '', expiresAt: new Date(exp * 1_000).toISOString() } : undefined;
		} catch {
			return undefined;
		}
	}

	/** A page in somebody else's frame may have none. */
	#storage(): GuestOptions['storage'] {
		return this.#options.storage ?? (typeof sessionStorage === 'undefined' ? undefined : sessionStorage);
	}

	get #key(): string {
		return `rostrum.token.guest.${this.#options.room}`;
	}
}

/** What the token says of itself, for showing only: the server decides by what it has verified. */
const claimsOf = (token: string): { name?: unknown; exp?: unknown } => {
	const base64 = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
	const bytes = Uint8Array.from(atob(base64), (character) => character.codePointAt(0) ?? 0);
	return parseTrusted<{ name?: unknown; exp?: unknown }>(new TextDecoder().decode(bytes));
};
