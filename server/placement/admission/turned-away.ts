/** A place in the queue is good for so long; see `QueuePlaces`. */
const KEPT_S = 900;
/** Everybody is asked to come back within 60 s; who has not after this, and up to once more, has given up. */
const GENERATION_MS = 90_000;
/** A place in the queue says when its holder was turned away last to so much. */
const REFUSED_STEP_MS = 5_000;

/**
 * How many were turned away in the last minutes and are still expected, by the second of their first arrival: counts, not
 * a list, so that a storm of any size takes the same 7 KB. Whoever comes back is taken off and, if it is in vain,
 * counted again; who does not come back is forgotten after 90 to 180 s.
 */
export class TurnedAway {
	readonly #fresh = new Int32Array(KEPT_S);
	readonly #stale = new Int32Array(KEPT_S);
	#total = 0;
	/** The latest second it knows of: those before it, `KEPT_S` of them, are in the books. */
	#latestS = 0;
	#generation = 0;

	/** @param nowMs milliseconds since the epoch, as everywhere here */
	remember(firstArrivalMs: number, nowMs: number): void {
		this.#count(1, firstArrivalMs, nowMs, nowMs);
	}

	/** Somebody who was turned away is here again. @param refusedAtMs the last time, as far as that is known */
	cameBack(firstArrivalMs: number, refusedAtMs: number | undefined, nowMs: number): void {
		const before = this.#total;
		this.#count(-1, firstArrivalMs, refusedAtMs ?? nowMs, nowMs);
		if (refusedAtMs === undefined && this.#total === before) {
			this.#count(-1, firstArrivalMs, nowMs - GENERATION_MS, nowMs);
		}
	}

	/** All that are still expected. */
	total(nowMs: number): number {
		this.#advance(nowMs);
		return this.#total;
	}

	/** Those of them who came first before that time, or in the same second. */
	before(firstArrivalMs: number, nowMs: number): number {
		this.#advance(nowMs);
		const untilS = Math.floor(firstArrivalMs / 1000);
		// From the nearer end: newcomers are the many.
		let later = 0;
		for (let second = this.#latestS; second > untilS && second > this.#latestS - KEPT_S; second--) {
			const place = second % KEPT_S;
			later += (this.#fresh[place] ?? 0) + (this.#stale[place] ?? 0);
		}
		return this.#total - later;
	}

	#count(by: 1 | -1, firstArrivalMs: number, refusedAtMs: number, nowMs: number): void {
		const place = this.#placeOf(firstArrivalMs, nowMs);
		const known = firstArrivalMs + Math.floor((refusedAtMs - firstArrivalMs) / REFUSED_STEP_MS) * REFUSED_STEP_MS;
		const generation = Math.min(Math.floor(known / GENERATION_MS), this.#generation);
		const book = generation === this.#generation ? this.#fresh : generation === this.#generation - 1 ? this.#stale : undefined;
		// Who was turned away by another node is in no book here.
		if (place !== undefined && book && (book[place] ?? 0) + by >= 0) {
			book[place] = (book[place] ?? 0) + by;
			this.#total += by;
		}
	}

	#placeOf(firstArrivalMs: number, nowMs: number): number | undefined {
		this.#advance(nowMs);
		const second = Math.min(Math.floor(firstArrivalMs / 1000), this.#latestS);
		return second > this.#latestS - KEPT_S && second >= 0 ? second % KEPT_S : undefined;
	}

	#advance(nowMs: number): void {
		const nowS = Math.floor(nowMs / 1000);
		for (let second = Math.max(this.#latestS + 1, nowS - KEPT_S + 1); second <= nowS; second++) {
			const place = second % KEPT_S;
			this.#total -= (this.#fresh[place] ?? 0) + (this.#stale[place] ?? 0);
			this.#fresh[place] = 0;
			this.#stale[place] = 0;
		}
		this.#latestS = Math.max(this.#latestS, nowS);
		for (const generation = Math.floor(nowMs / GENERATION_MS); this.#generation < generation; ) {
			this.#generation = Math.max(this.#generation + 1, generation - 1);
			for (const count of this.#stale) {
				this.#total -= count;
			}
			this.#stale.set(this.#fresh);
			this.#fresh.fill(0);
		}
	}
}
