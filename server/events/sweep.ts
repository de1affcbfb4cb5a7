import type { RoomAudience, Subscriber } from './room-audience.ts';

/** What is written, most urgent first. */
export const EVENT_KINDS = ['bye', 'room', 'stage', 'move', 'caption', 'count', 'reaction', 'heartbeat'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/**
 * One kind of news on its way through one audience. A change costs O(1): it restarts the round from
 * where it stands, so whoever has waited longest is next, and nobody is visited twice before all were.
 */
export class Sweep {
	readonly kind: EventKind;
	readonly audience: RoomAudience;
	/** In the hub's queue of its kind. */
	queued = false;
	/** One full round is over while news is still going out: others' turn. */
	roundDone = false;
	#cursor = 0;
	/** Visits left until everybody has been visited since the last change. */
	#remaining = 0;
	/** Visits left in this round. */
	#roundLeft = 0;
	#sinceMs = 0;
	/** The first change since this round began; whoever is left after the round waits since then. */
	#nextSinceMs: number | undefined;

	constructor(kind: EventKind, audience: RoomAudience) {
		this.kind = kind;
		this.audience = audience;
	}

	get pending(): boolean {
		return this.#remaining > 0;
	}

	/** Since when the subscriber who waits longest has been waiting (an upper bound of its wait). */
	get sinceMs(): number {
		return this.#sinceMs;
	}

	/** There is news for everybody. */
	restart(nowMs: number): void {
		if (this.#remaining === 0) {
			this.#sinceMs = nowMs;
			this.#nextSinceMs = undefined;
			this.#roundLeft = this.audience.subscribers.length;
		} else this.#nextSinceMs ??= nowMs;
		this.#remaining = this.audience.subscribers.length;
	}

	/** Somebody may have been passed over (came back, or moved in the list): visit everybody, without it being news. */
	revisit(nowMs: number): void {
		if (this.#remaining === 0) this.restart(nowMs);
		else this.#remaining = this.audience.subscribers.length;
	}

	/** Somebody joined at the end of the list: one visit more, or somebody else would miss theirs. */
	grew(): void {
		if (this.#remaining === 0) return;
		this.#remaining++;
		this.#roundLeft++;
	}

	/** The next subscriber who lacks this news and can take it; undefined: all have it. */
	next(nowMs: number): Subscriber | undefined {
		const { subscribers } = this.audience;
		while (this.#remaining > 0 && subscribers.length > 0) {
			if (this.#cursor >= subscribers.length) this.#cursor = 0;
			const subscriber = subscribers[this.#cursor++]!;
			this.#remaining--;
			this.#roundLeft--;
			if (this.#roundLeft <= 0 && this.#remaining > 0) this.#endRound();
			if (subscriber.blockedSinceMs === undefined && this.audience.isDue(subscriber, this.kind, nowMs)) return subscriber;
		}
		this.#remaining = 0;
		return undefined;
	}

	#endRound(): void {
		this.#roundLeft = this.audience.subscribers.length;
		this.roundDone = true;
		if (this.#nextSinceMs === undefined) return;
		this.#sinceMs = this.#nextSinceMs;
		this.#nextSinceMs = undefined;
	}
}
