import { type BackoffPolicy, LISTEN_BACKOFF, PLACE_BACKOFF, retryDelayMs } from './backoff.ts';
import { DueTimer } from './due-timer.ts';
import { isFull, PlaceInQueue, type QueueInfo } from './place-in-queue.ts';
import type { ProblemError } from './problem.ts';
import { elsewhereMayHelp, type ServerCursor, type Servers } from './servers.ts';

const DOORS_RETRY_MS = 10_000;
/** Everybody who waits at the doors knows when they open. */
const DOORS_SPREAD_MS = 5_000;
/** However long a server asks to stay away, people who wait for a place see that something happens. */
const LONGEST_ASKED_MS = 600_000;
/** With other servers to go to, one that gives no answer is not waited for long; twice as long with each further try. */
const QUICK_POST_MS = 1_500;
const POST_TIMEOUT_MS = 10_000;
/** Playing this long without a loss makes the next loss a first one again. */
const STABLE_MS = 10_000;
const RETRYABLE = new Set([0, 408, 425, 429, 500, 502, 503, 504]);

export interface ListenAttemptsOptions {
	room: string;
	servers: Servers;
	packingMs?: number;
	random: () => number;
}

/** When, where and with which place in the queue a listener asks for a session: waits grow and are bounded, and it never gives up. */
export class ListenAttempts {
	readonly #options: ListenAttemptsOptions;
	readonly #server: ServerCursor;
	readonly #place: PlaceInQueue;
	readonly #timer: DueTimer;
	#failures = 0;
	#refusals = 0;
	#quickTries = 0;
	#seatedAtMs = 0;
	/** A hand-off to another server failed since there was a session last. */
	#handOffFailed = false;

	/** @param onDue the moment has come; never called before something was refused or lost */
	constructor(options: ListenAttemptsOptions, onDue: () => void) {
		this.#options = options;
		this.#server = options.servers.cursor();
		this.#place = new PlaceInQueue(options.room);
		this.#timer = new DueTimer(onDue);
	}

	/** Of the server to ask. */
	get serverUrl(): string {
		return this.#server.url;
	}
	/** What to post to. */
	get url(): string {
		const { room, packingMs } = this.#options;
		const url = new URL(`/v1/rooms/${encodeURIComponent(room)}/listen`, this.serverUrl);
		if (packingMs !== undefined) {
			url.searchParams.set('packing', String(packingMs));
		}
		if (this.#place.stamp !== undefined) {
			url.searchParams.set('place', this.#place.stamp);
		}
		return url.href;
	}
	/** Who waits, too, as the server told with its last refusal. */
	get queue(): QueueInfo | null {
		return this.#place.info;
	}
	/** Whether there will be a next one by itself. */
	get pending(): boolean {
		return this.#timer.pending;
	}
	get leftMs(): number | null {
		return this.#timer.leftMs;
	}
	get overdue(): boolean {
		return this.#timer.overdue;
	}

	/** @param patient nothing is lost by waiting */
	postTimeoutMs(patient: boolean): number {
		return patient || this.#server.alone ? POST_TIMEOUT_MS : Math.min(POST_TIMEOUT_MS, QUICK_POST_MS * 2 ** this.#quickTries++);
	}

	/** A session was given. @param alternates other servers that the answer tells of */
	answered(alternates: readonly string[]): void {
		this.#server.reached();
		this.#options.servers.learn(alternates, this.#server.url);
	}

	/** A session took over. */
	seated(): void {
		this.#seatedAtMs = performance.now();
		this.#handOffFailed = false;
		this.#quickTries = 0;
		this.#refusals = 0;
		this.#place.seated();
	}

	/** The session flows. */
	flows(nowMs: number): void {
		if (!this.pending && nowMs - this.#seatedAtMs > STABLE_MS) {
			this.#failures = 0;
		}
	}

	/** What sounded is gone. @returns how long until the next try */
	lost(): number {
		return this.#in(this.#delayMs(this.#failures++, LISTEN_BACKOFF));
	}

	/** Whether to ask again without waiting: the ticket to another server was no good, once. */
	forgives({ code }: ProblemError): boolean {
		const forgiven = code === 'handoff_invalid' && !this.#handOffFailed;
		this.#handOffFailed ||= forgiven;
		return forgiven;
	}

	/** @returns how long until the next try; undefined: it would be no use */
	refused(problem: ProblemError): number | undefined {
		const { code, status, retryAfterMs } = problem;
		this.#place.refused(problem);
		if (code === 'room_not_open') {
			return this.#in((retryAfterMs ?? DOORS_RETRY_MS) + this.#options.random() * DOORS_SPREAD_MS);
		}
		if (isFull(problem)) {
			return this.#in(this.#delayMs(this.#refusals++, PLACE_BACKOFF, Math.min(LONGEST_ASKED_MS, retryAfterMs ?? 0)));
		}
		if (RETRYABLE.has(status) || code === 'handoff_invalid') {
			const everywhere = !elsewhereMayHelp(problem) || this.#server.unreachable();
			return this.#in(this.#delayMs(everywhere ? this.#failures++ : 0, LISTEN_BACKOFF, retryAfterMs));
		}
		return undefined;
	}

	/** If there is one to come, it comes within this time instead, at a random moment. */
	soon(spreadMs: number): void {
		if (this.pending) {
			this.#in(this.#options.random() * spreadMs);
		}
	}

	/** The next one is under way, or not wanted any more. */
	cancel(): void {
		this.#timer.clear();
	}

	/** As before the first one. */
	reset(): void {
		this.cancel();
		this.#failures = 0;
		this.#refusals = 0;
		this.#quickTries = 0;
		this.#handOffFailed = false;
	}

	#delayMs(attempt: number, policy: BackoffPolicy, retryAfterMs?: number): number {
		return retryDelayMs(attempt, this.#options.random, policy, retryAfterMs);
	}

	#in(delayMs: number): number {
		this.#timer.set(delayMs);
		return delayMs;
	}
}
