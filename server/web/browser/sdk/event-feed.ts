import type { RoomSummary } from '../../../stage/protocol.ts';
import { parseTrusted, trusted } from './boundary.ts';
import { LISTEN_BACKOFF, retryDelayMs } from './backoff.ts';
import type { CaptionLine } from './captions.ts';
import { Emitter } from './emitter.ts';
import { asProblem, ProblemError, problemOf } from './problem.ts';
import type { MovePortions } from './move-plan.ts';
import { elsewhereMayHelp, type ServerCursor, Servers } from './servers.ts';
import type { ReactionCounts } from './reactions.ts';
import { type ServerEvent, SseParser } from './sse-parser.ts';

/** One line of the roster as listeners see it. */
export interface PublicSpeaker {
	/** The CSRC of the speaker's packets. */
	number: number;
	name: string;
	role: 'host' | 'cohost' | 'speaker';
	muted: boolean;
	connected: boolean;
}

/** A host asks one to come on stage. */
export interface Invitation {
	/** The host's name. */
	readonly by: string;
	/** ISO 8601. */
	readonly expiresAt: string;
}

export interface FeedEvents {
	room: RoomSummary;
	stage: { speakers: readonly PublicSpeaker[] };
	listeners: { count: number };
	/** The last lines, of each language. */
	captions: { items: readonly CaptionLine[]; version: number };
	reactions: ReactionCounts;
	/** For this person alone: a host asks one onto the stage, or not any more. Only with a token. */
	invitation: { invitation: Invitation | null };
	/** Which part of each shard's listeners is to be elsewhere: for `ListenSession.move`. */
	move: MovePortions;
	/** The node goes away; the feed comes back by itself if `reconnect`. */
	bye: { reason: string; reconnect: boolean; retryMs: number };
	/** Whether the stream is there. Nothing that sounds depends on it. */
	connection: { connected: boolean };
	/** The server will never give this stream (no such room, no right): the feed has stopped. */
	refused: { problem: ProblemError };
}

export interface FeedOptions {
	room: string;
	baseUrl?: string;
	/** Shared with the `ListenSession`, which learns of other servers; comes before `baseUrl`. */
	servers?: Servers;
	token?: string;
	random?: () => number;
}

/** Heartbeats come every 15 s, later when very many listen; silence beyond this is a dead connection. */
const SILENCE_MS = 75_000;
/** Until an answer comes. */
const ANSWER_MS = 10_000;
const FINAL = new Set([400, 401, 403, 404, 410]);

/**
 * A room's state, roster and listener count. Reads the stream with fetch rather than EventSource: that one
 * reconnects a whole crowd in the same second, cannot send a token but in the address, hides the status
 * of a refusal, and does not notice a dead connection.
 */
export class EventFeed extends Emitter<FeedEvents> {
	readonly #options: FeedOptions;
	readonly #random: () => number;
	readonly #server: ServerCursor;
	/** Got after the feed was made; comes before the one in the options. */
	#guestToken: string | undefined;
	#lastEventId = '';
	#attempt = 0;
	#moves: MovePortions = {};
	#running: AbortController | undefined;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#silence: ReturnType<typeof setTimeout> | undefined;
	/** The stream that runs, or ran last, was there at all. */
	#answered = false;

	constructor(options: FeedOptions) {
		super();
		this.#options = options;
		this.#random = options.random ?? Math.random;
		this.#server = (options.servers ?? new Servers(options.baseUrl, this.#random)).cursor();
	}

	start(): void {
		if (this.#running === undefined && this.#timer === undefined) {
			void this.#run();
		}
	}

	/**
	 * Follows as this guest from now on, so that what is for them alone comes, too. A pass that the server does not take
	 * (any more) is forgotten: the room is still everybody's to follow.
	 */
	identify(guestToken: string): void {
		if (this.#options.token !== undefined || guestToken === this.#guestToken) {
			return;
		}
		this.#guestToken = guestToken;
		if (this.#running !== undefined) {
			// Goes on where the stream before has ended; nobody needs to see a break.
			this.#stopReading();
			void this.#run();
		}
	}

	close(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#stopReading();
	}

	async #run(): Promise<void> {
		this.#timer = undefined;
		const running = new AbortController();
		this.#running = running;
		let retryAfterMs: number | null | undefined;
		let everywhere = true;
		try {
			retryAfterMs = await this.#read(running.signal);
		} catch (error) {
			const problem = asProblem(error);
			retryAfterMs = problem.retryAfterMs;
			if (this.#running === running && problem.status === 401 && this.#guestToken !== undefined) {
				this.#guestToken = undefined;
				this.#stopReading();
				void this.#run();
				return;
			}
			if (this.#running === running && FINAL.has(problem.status)) {
				this.#stopReading();
				this.emit('refused', { problem });
				return;
			}
			// A stream that breaks is no sign that its server is gone.
			everywhere = this.#answered || !elsewhereMayHelp(problem) || this.#server.unreachable();
		}
		if (this.#running === running) {
			this.#stopReading();
			this.emit('connection', { connected: false });
			// Nobody says so any more; the next stream does, if it still holds: it is not to think that it was said already.
			if (Object.keys(this.#moves).length > 0) {
				this.#lastEventId = '';
			}
			this.#setMoves({});
			if (retryAfterMs === null) {
				return;
			}
			this.#timer = setTimeout(() => void this.#run(), retryDelayMs(everywhere ? this.#attempt++ : 0, this.#random, LISTEN_BACKOFF, retryAfterMs));
		}
	}

	/** @returns null: stay away for good; else how long to stay away once the stream has ended, if the server said so */
	async #read(signal: AbortSignal): Promise<number | null | undefined> {
		const { room, token = this.#guestToken } = this.#options;
		this.#answered = false;
		this.#expectMore(ANSWER_MS);
		const response = await fetch(new URL(`/v1/rooms/${encodeURIComponent(room)}/events`, this.#server.url), {
			headers: {
				accept: 'text/event-stream',
				...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
				...(this.#lastEventId === '' ? {} : { 'last-event-id': this.#lastEventId }),
			},
			cache: 'no-store',
			signal,
		});
		if (!response.ok) {
			throw await problemOf(response);
		}
		if (response.body === null || !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
			throw new ProblemError({ status: 0, code: 'not_a_stream', title: 'The answer is not an event stream' });
		}
		this.#answered = true;
		this.#server.reached();
		const parser = new SseParser(this.#lastEventId);
		const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
		let retryMs: number | null | undefined;
		this.emit('connection', { connected: true });
		for (;;) {
			this.#expectMore();
			const { done, value } = await reader.read();
			if (done) {
				return retryMs;
			}
			for (const event of parser.push(value)) {
				this.#attempt = 0;
				this.#lastEventId = event.id;
				const bye = this.#deliver(event);
				if (bye !== undefined) {
					if (bye.reconnect) {
						// It goes away: whichever comes next is the better choice, and without another this is the same one.
						this.#server.unreachable();
					}
					retryMs = bye.reconnect ? bye.retryMs : null;
				}
			}
		}
	}

	#deliver({ type, data }: ServerEvent): FeedEvents['bye'] | undefined {
		let body: unknown;
		try {
			body = parseTrusted<unknown>(data);
		} catch {
			return undefined;
		}
		// The server validated what it sends; a page that is older than the server ignores what it does not know.
		switch (type) {
			case 'room':
				this.emit('room', trusted<FeedEvents['room']>(body));
				return undefined;
			case 'stage':
				this.emit('stage', trusted<FeedEvents['stage']>(body));
				return undefined;
			case 'listeners':
				this.emit('listeners', trusted<FeedEvents['listeners']>(body));
				return undefined;
			case 'captions':
				this.emit('captions', trusted<FeedEvents['captions']>(body));
				return undefined;
			case 'reactions':
				this.emit('reactions', trusted<FeedEvents['reactions']>(body));
				return undefined;
			case 'invitation':
				this.emit('invitation', trusted<FeedEvents['invitation']>(body));
				return undefined;
			case 'move':
				this.#setMoves(trusted<MovePortions>(body));
				return undefined;
			case 'bye': {
				const bye = trusted<FeedEvents['bye']>(body);
				this.emit('bye', bye);
				return bye;
			}
			default:
				return undefined;
		}
	}

	#setMoves(moves: MovePortions): void {
		const changed = Object.keys(moves).length > 0 || Object.keys(this.#moves).length > 0;
		this.#moves = moves;
		if (changed) {
			this.emit('move', moves);
		}
	}

	#expectMore(withinMs = SILENCE_MS): void {
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => {
			const silent = this.#running;
			silent?.abort();
		}, withinMs);
	}

	#stopReading(): void {
		clearTimeout(this.#silence);
		this.#running?.abort();
		this.#running = undefined;
	}
}
