import { LISTEN_BACKOFF, retryDelayMs } from './backoff.ts';
import { trusted } from './boundary.ts';
import { Emitter } from './emitter.ts';
import type { Invitation } from './event-feed.ts';
import { asProblem, type ProblemError, problemOf } from './problem.ts';
import { elsewhereMayHelp, Servers, type ServerCursor } from './servers.ts';

/** What the server says of a listener's hand, and of what came of it. */
export interface Hand {
	/** Another one whenever anything below has changed. */
	readonly version: number;
	readonly raised: boolean;
	/** Place in the queue, from 1; null without a raised hand. */
	readonly position: number | null;
	/** Raised hands in the room. */
	readonly total: number;
	/** A host asks one to come on stage. */
	readonly invitation: Invitation | null;
	/** One is on stage by now, on whichever page or device. */
	readonly onStage: boolean;
	/** The way there, once the invitation was accepted or the raised hand was taken up. */
	readonly stage: { readonly token: string; readonly url: string } | null;
}

export interface HandEvents {
	hand: Hand;
	/** The server will not have this person's hand (any more): `banned`, `room_ended`, … It is not asked again. */
	refused: { problem: ProblemError };
}

export interface HandOptions {
	room: string;
	token: string;
	/** Shared with the `ListenSession`; comes before `baseUrl`. */
	servers?: Servers;
	baseUrl?: string;
	random?: () => number;
	fetch?: typeof fetch;
}

/** How long the server may keep a question. A node between may wait 8 s for the answer's head. */
const WAIT_SECONDS = 6;
const ANSWER_MS = (WAIT_SECONDS + 4) * 1_000;
/** A queue that moves with every moment is not looked at more often. */
const LOOK_EVERY_MS = 200;
const FINAL = new Set([400, 401, 403, 404, 410]);

/** Whether there is anything to wait for. */
const open = ({ raised, invitation, stage }: Hand): boolean => (raised || invitation !== null) && stage === null;

/**
 * A listener's hand: raises and lowers it, answers invitations, and learns what becomes of it by asking the
 * server for as long as there is anything to learn. Nobody else is told, and while the hand is down nothing is asked:
 * the room's stream (`EventFeed`, event `invitation`) says when it is time to `look`.
 */
export class HandSession extends Emitter<HandEvents> {
	readonly #options: HandOptions;
	readonly #random: () => number;
	readonly #fetch: typeof fetch;
	readonly #server: ServerCursor;
	#hand: Hand | null = null;
	#looking: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#attempt = 0;
	#closed = false;

	constructor(options: HandOptions) {
		super();
		this.#options = options;
		this.#random = options.random ?? Math.random;
		this.#fetch = options.fetch ?? ((...request) => fetch(...request));
		this.#server = (options.servers ?? new Servers(options.baseUrl, this.#random)).cursor();
	}

	/** Null until the server has said anything. */
	get hand(): Hand | null {
		return this.#hand;
	}

	/** @throws ProblemError: `hands_full`, `forbidden`, `banned`, `room_ended`, … as all that follow */
	raise(): Promise<Hand> {
		return this.#say('hand', { raised: true });
	}
	lower(): Promise<Hand> {
		return this.#say('hand', { raised: false });
	}
	/** Answers an invitation. Accepted: `stage` is in what comes back. */
	answer(accept: boolean): Promise<Hand> {
		return this.#say('invitation', { accept });
	}

	/** Asks how things stand, e.g. after a reload, and goes on asking if there is anything to wait for. Failures are tried again. */
	look(): void {
		this.#stopLooking();
		void this.#look();
	}

	close(): void {
		this.#closed = true;
		this.#stopLooking();
	}

	async #say(what: 'hand' | 'invitation', body: object): Promise<Hand> {
		// Whatever an earlier question is answered with would be older than this.
		this.#stopLooking();
		try {
			const hand = await this.#ask('POST', what, AbortSignal.timeout(ANSWER_MS), body);
			this.#learned(hand);
			return hand;
		} catch (error) {
			// What was the case before still is.
			if (this.#hand !== null && open(this.#hand)) {
				this.#lookAfter(LOOK_EVERY_MS);
			}
			throw asProblem(error);
		}
	}

	async #look(): Promise<void> {
		if (this.#closed) {
			return;
		}
		const looking = new AbortController();
		this.#looking = looking;
		const known = this.#hand;
		const query = known === null ? '' : `?wait=${WAIT_SECONDS}&version=${known.version}`;
		try {
			const hand = await this.#ask('GET', `hand${query}`, AbortSignal.any([looking.signal, AbortSignal.timeout(ANSWER_MS)]));
			if (this.#looking === looking) {
				this.#attempt = 0;
				this.#learned(hand);
			}
		} catch (error) {
			if (this.#looking === looking) {
				this.#failed(asProblem(error));
			}
		}
	}

	#failed(problem: ProblemError): void {
		this.#stopLooking();
		if (FINAL.has(problem.status)) {
			this.emit('refused', { problem });
			return;
		}
		const everywhere = !elsewhereMayHelp(problem) || this.#server.unreachable();
		this.#lookAfter(retryDelayMs(everywhere ? this.#attempt++ : 0, this.#random, LISTEN_BACKOFF, problem.retryAfterMs));
	}

	#learned(hand: Hand): void {
		this.#stopLooking();
		if (this.#closed) {
			return;
		}
		const changed = this.#hand?.version !== hand.version;
		this.#hand = hand;
		if (open(hand)) {
			this.#lookAfter(LOOK_EVERY_MS);
		}
		if (changed) {
			this.emit('hand', hand);
		}
	}

	#lookAfter(ms: number): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => void this.#look(), ms);
	}

	#stopLooking(): void {
		clearTimeout(this.#timer);
		this.#looking?.abort();
		this.#looking = undefined;
	}

	async #ask(method: string, what: string, signal: AbortSignal, body?: object): Promise<Hand> {
		const response = await this.#fetch(new URL(`/v1/rooms/${encodeURIComponent(this.#options.room)}/${what}`, this.#server.url), {
			method,
			headers: {
				accept: 'application/json',
				authorization: `Bearer ${this.#options.token}`,
				...(body === undefined ? {} : { 'content-type': 'application/json' }),
			},
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
			cache: 'no-store',
			signal,
		});
		if (!response.ok) {
			throw await problemOf(response);
		}
		this.#server.reached();
		return trusted<Hand>(await response.json());
	}
}
