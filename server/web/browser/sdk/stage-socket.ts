import type { StageEvent, StageEventName, StageMethod, StageParams, StageResults, StageServerFrame } from '../../../stage/protocol.ts';
import { parseTrusted, trusted } from './boundary.ts';
import { LISTEN_BACKOFF, retryDelayMs, STAGE_BACKOFF } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { asProblem, ProblemError, problemOf } from './problem.ts';
import { elsewhereMayHelp, type ServerCursor, Servers } from './servers.ts';

const SUBPROTOCOL = 'rostrum.stage.v1';
const REQUEST_TIMEOUT_MS = 5_000;
/** From opening the socket to its `welcome`. */
const WELCOME_TIMEOUT_MS = 8_000;
/** Where there are other servers to go to, one that gives no answer is not waited for that long. */
const QUICK_OPEN_MS = 2_000;
/** Of what the server says it sends at least, nothing came for so many times as long. */
const SILENT_PULSES = 2.5;
/** The page itself was held up for longer: what came meanwhile may still wait to be read. */
const HELD_UP_MS = 1_500;

/** Refusals of the handshake after which the same token need not try again. */
const FINAL_STATUS: ReadonlySet<number> = new Set([401, 403, 404, 409, 410]);

/** Why the server will not have this token's owner (again); other close codes are losses, to be healed. */
const FINAL_CLOSE_CODES: ReadonlyMap<number, string> = new Map([
	[1000, 'left'],
	[4400, 'invalid_request'],
	[4401, 'token_invalid'],
	[4403, 'forbidden'],
	[4404, 'room_not_found'],
	[4408, 'replaced'],
	[4409, 'conflict'],
	[4410, 'room_ended'],
	[4430, 'kicked'],
]);

export type StageSocketEvents = { [E in StageEventName]: StageEvent<E> } & {
	/** The socket is gone, or did not open; the next try comes in `retryInMs`. `code` is why, where the server said so. */
	lost: { retryInMs: number; code: string | null };
	/** Over for good. `code` is the server's last word, or what the close code means. */
	ended: { code: string; detail: string };
};

interface Pending {
	resolve: (result: never) => void;
	reject: (problem: ProblemError) => void;
	timer: ReturnType<typeof setTimeout>;
}

export interface StageSocketOptions {
	room: string;
	token: string;
	baseUrl?: string;
	random: () => number;
}

/** The stage's WebSocket: requests with answers, events, and its own way back after a loss. */
export class StageSocket extends Emitter<StageSocketEvents> {
	readonly #options: StageSocketOptions;
	readonly #pending = new Map<number, Pending>();
	#socket: WebSocket | undefined;
	#ready = false;
	#closed = false;
	#nextId = 1;
	#attempt = 0;
	readonly #servers: Servers;
	readonly #server: ServerCursor;
	#silentAfterMs = 0;
	#silenceTimer: ReturnType<typeof setTimeout> | undefined;
	#graceMs = 10_000;
	#lostAtMs = 0;
	#bye: StageEvent<'bye'> | undefined;
	#retryTimer: ReturnType<typeof setTimeout> | undefined;
	#welcomeTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(options: StageSocketOptions) {
		super();
		this.#options = options;
		this.#servers = new Servers(options.baseUrl, options.random);
		this.#server = this.#servers.cursor();
	}

	/** Welcomed, so that requests make sense. */
	get ready(): boolean {
		return this.#ready;
	}

	open(): void {
		if (this.#closed || this.#socket !== undefined) {
			return;
		}
		clearTimeout(this.#retryTimer);
		const url = this.#url();
		url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
		url.searchParams.set('access_token', this.#options.token);
		const socket = new WebSocket(url, [SUBPROTOCOL]);
		this.#socket = socket;
		this.#bye = undefined;
		socket.addEventListener('message', ({ data }) => {
			if (this.#socket === socket && typeof data === 'string') {
				this.#frame(data);
				this.#watchSilence();
			}
		});
		socket.addEventListener('open', () => {
			if (this.#socket === socket) {
				this.#welcomeWithin(WELCOME_TIMEOUT_MS);
			}
		});
		socket.addEventListener('close', ({ code, reason }) => {
			if (this.#socket === socket) {
				this.#gone(code, reason);
			}
		});
		this.#welcomeWithin(this.#server.alone ? WELCOME_TIMEOUT_MS : QUICK_OPEN_MS);
	}

	/**
	 * Gives up on this socket, not on the stage: opens another. For when the network changed or nothing is answered.
	 * @param unreachable by now it is known that this server does not answer
	 */
	drop(unreachable = false): void {
		const socket = this.#socket;
		if (socket !== undefined) {
			this.#gone(1006, '', unreachable);
			socket.close();
		}
	}

	/** Tries again now if it was waiting to. */
	hurry(): void {
		if (this.#socket === undefined && !this.#closed) {
			this.open();
		}
	}

	/**
	 * @throws ProblemError: the server's refusal, `timeout` or `not_connected`
	 */
	request<M extends StageMethod>(method: M, params: StageParams<M>, timeoutMs = REQUEST_TIMEOUT_MS): Promise<StageResults[M]> {
		const socket = this.#socket;
		if (socket === undefined || !this.#ready) {
			return Promise.reject(new ProblemError({ status: 0, code: 'not_connected', title: 'The stage is not connected' }));
		}
		const id = this.#nextId++;
		return new Promise<StageResults[M]>((resolve, reject) => {
			const timer = setTimeout(() => {
				this.#pending.delete(id);
				reject(new ProblemError({ status: 0, code: 'timeout', title: 'The stage does not answer' }));
				// A live server answers within milliseconds: whatever this is, a new socket is the cure.
				if (this.#socket === socket) {
					this.drop();
				}
			}, timeoutMs);
			this.#pending.set(id, { resolve, reject, timer });
			socket.send(JSON.stringify({ id, method, params }));
		});
	}

	close(): void {
		if (this.#closed) {
			return;
		}
		this.#closed = true;
		clearTimeout(this.#retryTimer);
		const socket = this.#socket;
		this.#clear();
		socket?.close(1000);
	}

	#url(): URL {
		return new URL(`/v1/rooms/${encodeURIComponent(this.#options.room)}/stage`, this.#server.url);
	}

	#welcomeWithin(ms: number): void {
		clearTimeout(this.#welcomeTimer);
		this.#welcomeTimer = setTimeout(() => this.drop(true), ms);
	}

	/** A host that vanishes closes no socket: nothing comes any more, and that is all. */
	#watchSilence(): void {
		clearTimeout(this.#silenceTimer);
		if (this.#socket === undefined || this.#silentAfterMs === 0) {
			return;
		}
		const dueAtMs = performance.now() + this.#silentAfterMs;
		this.#silenceTimer = setTimeout(() => {
			if (performance.now() - dueAtMs > HELD_UP_MS) {
				this.#watchSilence();
			} else {
				this.drop(true);
			}
		}, this.#silentAfterMs);
	}

	/**
	 * Why the handshake failed: a page is told nothing but 1006, so the same GET asks again without `Upgrade`.
	 * It passes the same checks and answers 400 if they all pass.
	 */
	async #whyRefused(): Promise<ProblemError | null> {
		try {
			const response = await fetch(this.#url(), {
				headers: { authorization: `Bearer ${this.#options.token}` },
				cache: 'no-store',
				signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
			});
			return response.ok || response.status === 400 ? null : await problemOf(response);
		} catch (error) {
			return asProblem(error);
		}
	}

	#frame(data: string): void {
		// The server's frames follow the shared protocol types; a broken one is a loss like any other.
		let frame: StageServerFrame;
		try {
			frame = parseTrusted<StageServerFrame>(data);
		} catch {
			this.drop();
			return;
		}
		if ('id' in frame) {
			const pending = this.#pending.get(frame.id);
			this.#pending.delete(frame.id);
			clearTimeout(pending?.timer);
			if ('error' in frame) {
				const { code, title, detail } = frame.error;
				pending?.reject(new ProblemError({ status: 400, code, title, detail }));
			} else {
				pending?.resolve(trusted<never>(frame.result));
			}
			return;
		}
		if (frame.event === 'welcome') {
			clearTimeout(this.#welcomeTimer);
			this.#ready = true;
			this.#attempt = 0;
			this.#graceMs = frame.data.reconnectGraceMs;
			this.#server.reached();
			// Both may be missing from a server that is older than this page.
			this.#silentAfterMs = (trusted<{ pulseEveryMs?: number }>(frame.data).pulseEveryMs ?? 0) * SILENT_PULSES;
			this.#servers.learn(trusted<{ alternates?: string[] }>(frame.data).alternates ?? [], this.#server.url);
		} else if (frame.event === 'bye') {
			this.#bye = frame.data;
			if (!frame.data.reconnect) {
				// For good: whatever follows need not wait for the other side to close.
				const socket = this.#socket;
				this.#gone(1006, '');
				socket?.close(1000);
				return;
			}
		}
		// Event name and data belong together by the frame's type, which a generic emit cannot follow.
		this.emit(frame.event, trusted<never>(frame.data));
	}

	#gone(code: number, reason: string, unreachable = false): void {
		const wasReady = this.#ready;
		const bye = this.#bye;
		this.#clear();
		if (this.#closed) {
			return;
		}
		const final = bye === undefined ? FINAL_CLOSE_CODES.get(code) : bye.reconnect ? undefined : bye.code;
		if (final !== undefined) {
			this.#closed = true;
			this.emit('ended', { code: final, detail: bye?.detail ?? reason });
			return;
		}
		if (wasReady) {
			this.#lostAtMs = performance.now();
			// A home that moved leaves a server that leads to the new one; one that shuts down leaves nothing.
			this.#retry(null, unreachable || bye?.code === 'shutting_down', bye?.code);
		} else if (unreachable) {
			// Asking it why would take as long again.
			this.#retry(null, true);
		} else {
			void this.#whyRefused().then((problem) => {
				if (this.#closed || this.#socket !== undefined) {
					return;
				}
				if (problem !== null && FINAL_STATUS.has(problem.status)) {
					this.#closed = true;
					this.emit('ended', { code: problem.code, detail: problem.message });
				} else {
					this.#retry(problem, problem !== null && elsewhereMayHelp(problem));
				}
			});
		}
	}

	#retry(problem: ProblemError | null, elsewhere: boolean, code: string | null = problem?.code ?? null): void {
		// While the place on stage is kept every second counts; afterwards there is no hurry.
		const policy = performance.now() - this.#lostAtMs < this.#graceMs ? STAGE_BACKOFF : LISTEN_BACKOFF;
		const everywhere = !elsewhere || this.#server.unreachable();
		const retryInMs = retryDelayMs(everywhere ? this.#attempt++ : 0, this.#options.random, policy, problem?.retryAfterMs);
		clearTimeout(this.#retryTimer);
		this.#retryTimer = setTimeout(() => this.open(), retryInMs);
		this.emit('lost', { retryInMs, code });
	}

	#clear(): void {
		clearTimeout(this.#welcomeTimer);
		clearTimeout(this.#silenceTimer);
		this.#silentAfterMs = 0;
		this.#socket = undefined;
		this.#ready = false;
		for (const { reject, timer } of this.#pending.values()) {
			clearTimeout(timer);
			reject(new ProblemError({ status: 0, code: 'not_connected', title: 'The stage is not connected' }));
		}
		this.#pending.clear();
	}
}
