import type { Renewal } from './lease-store.ts';

/**
 * A lease this node took, and how sure it may be that it still has it. Sure while less than a lease's length has gone by
 * since a renewal was asked for that was granted. After that, only if Redis is known to be away: then nobody else can have
 * taken the room either, save one who can reach Redis and sees neither us nor anybody who does.
 */
export class HeldLease {
	readonly roomId: string;
	readonly epoch: number;
	/** Another node, or an earlier run of this one, had the room before. */
	readonly takenOver: boolean;
	/** Whether `gained` was told. */
	announced = false;
	readonly #ttlMs: number;
	/** By this node's monotonic clock. */
	#validUntilMs = Number.NEGATIVE_INFINITY;
	/** By the store's clock: until then nobody else can have taken it, even if the store has lost it. */
	#storeUntilMs = 0;
	/** The store said it knows of no home; by its clock. */
	#missingAtMs: number | undefined;
	#away = false;
	#tainted = false;
	#askedMs: number | undefined;

	constructor(roomId: string, epoch: number, takenOver: boolean, ttlMs: number) {
		this.roomId = roomId;
		this.epoch = epoch;
		this.takenOver = takenOver;
		this.#ttlMs = ttlMs;
	}

	isSure(nowMs: number): boolean {
		return nowMs < this.#validUntilMs || this.#away;
	}

	/** Granted: counts from when it was asked for, not from when the answer came. */
	granted(askedMs: number, storeUntilMs: number, nowMs: number): void {
		this.#validUntilMs = Math.max(this.#validUntilMs, askedMs + this.#ttlMs);
		this.#storeUntilMs = Math.max(this.#storeUntilMs, storeUntilMs);
		this.#missingAtMs = undefined;
		if (nowMs >= this.#validUntilMs) return;
		this.#away = false;
		this.#tainted = false;
	}

	/** This process stood still until now: what it was sure of for Redis' absence, it is not any more. */
	stalled(nowMs: number, asleep: boolean): void {
		if (asleep) this.#validUntilMs = Number.NEGATIVE_INFINITY;
		this.#away = false;
		if (nowMs >= this.#validUntilMs) this.#tainted = true;
	}

	/** The store did not answer, over a time in which this process ran. */
	unanswered(): void {
		this.#away = true;
	}

	/** The store has lost it. Returns false when it is not to be put back: others may have had the room since. */
	missing(storeNowMs: number): boolean {
		this.#missingAtMs = storeNowMs;
		return !this.#tainted;
	}

	/** @param observed whether this node has watched the others, through Redis, long enough to have seen a newer home */
	renewal(observed: boolean): Renewal {
		const reclaim = observed && this.#missingAtMs !== undefined ? this.#missingAtMs + this.#ttlMs : 0;
		return { roomId: this.roomId, epoch: this.epoch, reclaimUntilMs: this.#tainted ? 0 : Math.max(this.#storeUntilMs, reclaim) };
	}

	/** A renewal goes out, unless one is under way that may still be answered. */
	ask(nowMs: number): boolean {
		if (this.#askedMs !== undefined) return false;
		this.#askedMs = nowMs;
		return true;
	}
	/** The renewal asked for then is through. Returns whether it was still waited for. */
	settle(askedMs: number): boolean {
		if (this.#askedMs !== askedMs) return false;
		this.#askedMs = undefined;
		return true;
	}
	get askedMs(): number | undefined {
		return this.#askedMs;
	}
}
