import type { Clock } from './clock.ts';
import type { Subscriber } from './room-audience.ts';
import { EVENT_KINDS, type EventKind, type Sweep } from './sweep.ts';
import { WriteBudget } from './write-budget.ts';

export interface PacerOptions {
	clock: Clock;
	maxWritesPerSecond: number;
	/** Called at the start of each turn. @returns how soon the next one is wanted even if nothing is left to write, in ms; undefined: not at all */
	beforeTurn: (nowMs: number) => number | undefined;
	/** Writes one event to one subscriber. */
	deliver: (subscriber: Subscriber, kind: EventKind, nowMs: number) => void;
}

/** Between two turns while there is something to write. */
export const TURN_MS = 50;
/** Changes that come in a bunch go out together. */
const COALESCE_MS = 10;
/** Every so many writes, news of lower urgency that has waited for `OVERDUE_MS` comes first: a storm delays it, and no more. */
const OVERDUE_TURN = 4;
const OVERDUE_MS = 5_000;

/**
 * Decides who is written to next, and when: the most urgent kind first; within a kind one round through
 * an audience after another, so that every stream of every room has the same share; one timer for all.
 */
export class Pacer {
	readonly #options: PacerOptions;
	readonly #clock: Clock;
	readonly #budget: WriteBudget;
	/** Sweeps with news to bring, by kind, in turn. */
	readonly #queues: Record<EventKind, Sweep[]> = { bye: [], room: [], stage: [], move: [], caption: [], count: [], reaction: [], heartbeat: [] };
	#turn = 0;
	#timer: { atMs: number; cancel: () => void } | undefined;
	#closed = false;

	constructor(options: PacerOptions) {
		this.#options = options;
		this.#clock = options.clock;
		this.#budget = new WriteBudget(options.maxWritesPerSecond, options.clock.nowMs());
	}

	/** How long the subscriber who waits longest for news has been waiting. */
	get lagMs(): number {
		const nowMs = this.#clock.nowMs();
		let lagMs = 0;
		for (const kind of EVENT_KINDS) {
			if (kind !== 'heartbeat') for (const sweep of this.#queues[kind]) if (sweep.pending) lagMs = Math.max(lagMs, nowMs - sweep.sinceMs);
		}
		return lagMs;
	}

	/** There is news for the whole audience. */
	start(sweep: Sweep): void {
		sweep.restart(this.#clock.nowMs());
		this.#enqueue(sweep);
	}

	/** Somebody in the audience may have been passed over. */
	revisit(sweep: Sweep): void {
		sweep.revisit(this.#clock.nowMs());
		this.#enqueue(sweep);
	}

	chargeSnapshot(): void {
		this.#budget.chargeSnapshot();
	}

	/** The next turn is at most so far away; nothing changes if it is nearer already. */
	wake(delayMs: number = COALESCE_MS): void {
		if (this.#closed) return;
		const atMs = this.#clock.nowMs() + delayMs;
		if (this.#timer !== undefined) {
			if (this.#timer.atMs <= atMs) return;
			this.#timer.cancel();
		}
		this.#timer = { atMs, cancel: this.#clock.schedule(this.#run, delayMs) };
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
		this.#timer = undefined;
		for (const kind of EVENT_KINDS) this.#queues[kind].length = 0;
	}

	#enqueue(sweep: Sweep): void {
		if (!sweep.queued) {
			sweep.queued = true;
			this.#queues[sweep.kind].push(sweep);
		}
		this.wake();
	}

	readonly #run = (): void => {
		this.#timer = undefined;
		const nowMs = this.#clock.nowMs();
		this.#budget.refill(nowMs);
		const nextInMs = this.#options.beforeTurn(nowMs);
		while (this.#budget.canWrite) {
			const sweep = this.#next(nowMs);
			if (sweep === undefined) break;
			this.#step(sweep, nowMs);
		}
		if (EVENT_KINDS.some((kind) => this.#queues[kind].length > 0)) this.wake(TURN_MS);
		else if (nextInMs !== undefined) this.wake(nextInMs);
	};

	#step(sweep: Sweep, nowMs: number): void {
		const subscriber = sweep.next(nowMs);
		// It was at the head. Finished, it leaves; after a full round the next one's turn has come.
		const queue = this.#queues[sweep.kind];
		if (!sweep.pending) {
			queue.shift();
			sweep.queued = false;
		} else if (sweep.roundDone) {
			queue.shift();
			queue.push(sweep);
		}
		sweep.roundDone = false;
		if (subscriber === undefined) return;
		this.#budget.spend(isSum(sweep.kind));
		this.#options.deliver(subscriber, sweep.kind, nowMs);
	}

	#next(nowMs: number): Sweep | undefined {
		const overdueFirst = ++this.#turn % OVERDUE_TURN === 0;
		let urgent: Sweep | undefined;
		let overdue: Sweep | undefined;
		for (const kind of EVENT_KINDS) {
			const head = this.#queues[kind][0];
			if (head === undefined || (isSum(kind) && !this.#budget.canWriteSum)) continue;
			if (!overdueFirst) return head;
			urgent ??= head;
			if (nowMs - head.sinceMs >= OVERDUE_MS && (overdue === undefined || head.sinceMs < overdue.sinceMs)) overdue = head;
		}
		return overdue ?? urgent;
	}
}

/** Sums are news of low value: together they have a part of the budget and no more. */
const isSum = (kind: EventKind): boolean => kind === 'count' || kind === 'reaction';
