/** The part of a second's writes that may go out in one burst. */
const BURST_SHARE = 0.09;
/** The part of the budget that listener counts and reactions may use, together. */
const COUNT_SHARE = 0.5;
/** The part of what flows in that snapshots for newcomers may take from the updates of the others. */
const SNAPSHOT_SHARE = 0.5;

/** Tokens that flow in steadily; burst plus one second's inflow is the limit, so no second, wherever it starts, sees more. */
class TokenBucket {
	readonly capacity: number;
	readonly perSecond: number;
	tokens: number;

	constructor(maxPerSecond: number) {
		this.capacity = Math.max(1, maxPerSecond * BURST_SHARE);
		this.perSecond = maxPerSecond - this.capacity;
		this.tokens = this.capacity;
	}

	add(tokens: number): void {
		this.tokens = Math.min(this.capacity, this.tokens + tokens);
	}
}

/**
 * How many events the node may write now: at most `maxPerSecond` in any second, of which counts and
 * reactions use at most half. Snapshots are written at once, whatever the budget says, but are charged to what comes in
 * later; at most half of it, so that people who arrive in a surge never silence those who are there.
 */
export class WriteBudget {
	readonly #all: TokenBucket;
	readonly #counts: TokenBucket;
	#snapshotDebt = 0;
	#refilledAtMs: number;

	/** @throws RangeError below 4 writes a second */
	constructor(maxPerSecond: number, nowMs: number) {
		if (!(maxPerSecond >= 4)) throw new RangeError(`maxWritesPerSecond must be at least 4, not ${maxPerSecond}`);
		this.#all = new TokenBucket(maxPerSecond);
		this.#counts = new TokenBucket(maxPerSecond * COUNT_SHARE);
		this.#refilledAtMs = nowMs;
	}

	refill(nowMs: number): void {
		const elapsedSeconds = Math.max(0, nowMs - this.#refilledAtMs) / 1_000;
		this.#refilledAtMs = nowMs;
		const inflow = elapsedSeconds * this.#all.perSecond;
		const repaid = Math.min(this.#snapshotDebt, inflow * SNAPSHOT_SHARE);
		this.#snapshotDebt -= repaid;
		this.#all.add(inflow - repaid);
		this.#counts.add(elapsedSeconds * this.#counts.perSecond);
	}

	get canWrite(): boolean {
		return this.#all.tokens >= 1;
	}

	get canWriteSum(): boolean {
		return this.#counts.tokens >= 1 && this.canWrite;
	}

	/** @param isSum a count or reactions, which say nothing that cannot wait */
	spend(isSum: boolean): void {
		this.#all.tokens--;
		if (isSum) this.#counts.tokens--;
	}

	/** Older debt than a second's inflow is forgiven: the surge is over by then. */
	chargeSnapshot(): void {
		this.#snapshotDebt = Math.min(this.#snapshotDebt + 1, this.#all.perSecond);
	}
}
