export interface ShardPaceOptions {
	/** Joins under way at once, at most; how many it really is follows from how fast they are answered. */
	maxUnderWay: number;
	/** Milliseconds, never going back. */
	nowMs: () => number;
}

/** What a shard says of its last second, as far as it counts here (see `ShardStats`). */
export interface ShardStrain {
	/** The busier one of its two processes, of one core: 0 to 1. */
	cpuRatio: number;
	/** The longest of the last second. */
	eventLoopLagMs: number;
}

/**
 * How a join ended: answered, refused for what the caller sent (which says nothing about the shard), or failed for the
 * shard's own reasons.
 */
export type JoinOutcome = 'joined' | 'refused' | 'failed';

/** A join that counts as under way. */
export interface JoinUnderWay {
	/** The shard has been asked: what comes before (an edge to be opened) is no measure of how it bears joins. */
	asked(): void;
	/** Idempotent. */
	done(outcome: JoinOutcome): void;
}

/** So much join work may wait in a shard: half a packet at 60 ms, which nobody hears. */
const TARGET_MS = 30;
/** Where a join that has the shard for itself takes longer than that, so many times as long. */
const ALONE_FACTOR = 1.5;
/** Below this part of the target one more at once is tried. */
const EASE = 0.9;
const FIRST_LIMIT = 8;
/**
 * So many at once are some 15 ms of work. Where they take longer while the shard does not even use its processor, it is not for
 * each other that they wait, but for processors that others use: fewer at once would not be served sooner.
 */
const IDLE_LIMIT = 16;
/** A shard of which nothing is known yet: about a third of what one core bears. */
const CAREFUL_PER_SECOND = 150;
/** What is measured is folded into the average after so long, with this time constant. */
const FOLD_MS = 100;
const AVERAGE_MS = 500;

/** From here on those who listen hear it: a packet of 60 ms comes so late that the next one meets it. */
const STRAINED = { lagMs: 80, cpuRatio: 0.95 };
/** Below this part of a core it is others who keep a late shard from its processor. */
const OWN_DOING_RATIO = 0.6;
const AT_EASE = { lagMs: 40, cpuRatio: 0.85 };
/** Multiplicative decrease and increase of the rate, each second. */
const RATE_DOWN = 0.8;
const RATE_UP = 1.25;
/** A shard that is never asked never shows that it is well again. */
const LEAST_PER_SECOND = 40;
/** So much of the rate may come at once. */
const BURST_S = 0.05;

/**
 * The pace at which one listener shard takes joins. Two bounds, both adapting (as TCP's and the published adaptive concurrency
 * limits do): how many are under way, so that the work that waits in the shard stays below 30 ms however fast
 * or slow it is; and, once its processes say that they are strained, how many begin in a second. Joins cost a shard work
 * after their answer too (the DTLS handshake), which only the second bound sees. Pure: no timers; time comes in from outside.
 */
export class ShardPace {
	readonly #maxUnderWay: number;
	readonly #nowMs: () => number;
	/** Grows with each death of the shard: what was under way then no longer counts. */
	#life = 0;
	#underWay = 0;
	#limit: number;
	/** How long a join takes that has the shard for itself. */
	#aloneMs = 0;
	/** Of about one round of joins under way. */
	#round = { joins: 0, tookMs: 0, full: false, shrunk: false };
	#measuredPerSecond = CAREFUL_PER_SECOND;
	/** Time in which as many were under way as may be, and what was done in it. */
	#fullSinceMs: number | undefined;
	#fullMs = 0;
	#doneWhileFull = 0;
	/** Since the last word of the shard's strain. */
	#begun = 0;
	#strained = false;
	/** It has taken joins for a second and was not busy with them. */
	#idle = false;
	#rate = Infinity;
	#tokens = 0;
	#tokensAtMs = 0;

	constructor({ maxUnderWay, nowMs }: ShardPaceOptions) {
		this.#maxUnderWay = maxUnderWay;
		this.#nowMs = nowMs;
		this.#limit = Math.min(FIRST_LIMIT, maxUnderWay);
	}

	get underWay(): number {
		return this.#underWay;
	}
	/** Joins it takes at once, as things stand. */
	get limit(): number {
		return Math.floor(this.#limit);
	}
	/** Joins a second it holds as things stand: measured while it had all it takes, a careful estimate before that. */
	get perSecond(): number {
		this.#measureFull();
		return Math.max(1, Math.min(this.#measuredPerSecond, this.#rate));
	}
	/** Whether one more may begin now. */
	get hasRoom(): boolean {
		return this.#underWay < this.limit && (this.#rate === Infinity || this.#refill() >= 1);
	}
	/** When `hasRoom` will be true by the passing of time alone; undefined while it waits for joins to end. */
	get nextAtMs(): number | undefined {
		if (this.#underWay >= this.limit || this.#rate === Infinity) {
			return undefined;
		}
		const missing = Math.max(0, 1 - this.#refill());
		return this.#nowMs() + (missing * 1000) / this.#rate;
	}

	/** A join begins. The caller has asked `hasRoom`. */
	begin(): JoinUnderWay {
		this.#measureFull();
		const life = this.#life;
		const alone = this.#underWay++ === 0;
		this.#begun++;
		if (this.#rate !== Infinity) {
			this.#tokens = this.#refill() - 1;
		}
		let askedAtMs = this.#nowMs();
		this.#markFull(askedAtMs);
		let isOver = false;
		return {
			asked: () => {
				askedAtMs = this.#nowMs();
				if (life === this.#life && this.#fullSinceMs !== undefined) {
					this.#fullSinceMs = askedAtMs;
				}
			},
			done: (outcome) => {
				if (isOver) {
					return;
				}
				isOver = true;
				if (life === this.#life) {
					this.#end(outcome, this.#nowMs() - askedAtMs, alone && this.#underWay === 1);
				}
			},
		};
	}

	/** Once a second: how the shard fares. */
	strain({ cpuRatio, eventLoopLagMs }: ShardStrain): void {
		const begun = this.#begun;
		this.#begun = 0;
		this.#measureFull();
		this.#idle = begun > 0 && cpuRatio < OWN_DOING_RATIO;
		if (this.#idle) {
			this.#limit = Math.max(this.#limit, Math.min(IDLE_LIMIT, this.#maxUnderWay));
		}
		this.#strained = cpuRatio > STRAINED.cpuRatio || (eventLoopLagMs > STRAINED.lagMs && cpuRatio > OWN_DOING_RATIO);
		if (this.#strained) {
			// Where no joins came it is the listeners who strain it: it starts with half of what it could, and sees.
			const next = begun > 0 ? Math.min(this.#rate, begun) * RATE_DOWN : Math.min(this.#rate, this.#measuredPerSecond / 2);
			this.#setRate(Math.max(LEAST_PER_SECOND, next));
			return;
		}
		if (begun > this.#measuredPerSecond) {
			this.#measuredPerSecond = begun;
		} else if (begun === 0 && this.#underWay === 0 && this.#measuredPerSecond < CAREFUL_PER_SECOND) {
			// Slow once is not slow for ever.
			this.#measuredPerSecond += (CAREFUL_PER_SECOND - this.#measuredPerSecond) / 10;
		}
		if (this.#rate !== Infinity && cpuRatio < AT_EASE.cpuRatio && eventLoopLagMs < AT_EASE.lagMs) {
			const next = this.#rate * RATE_UP + 5;
			this.#setRate(next > 2 * Math.max(this.#measuredPerSecond, CAREFUL_PER_SECOND) ? Infinity : next);
		}
	}

	/** It died with all that was on it; another takes its place, of which nothing is known. */
	died(): void {
		this.#life++;
		this.#underWay = 0;
		this.#limit = Math.min(FIRST_LIMIT, this.#maxUnderWay);
		this.#aloneMs = 0;
		this.#newRound();
		this.#measuredPerSecond = CAREFUL_PER_SECOND;
		this.#fullSinceMs = undefined;
		this.#fullMs = 0;
		this.#doneWhileFull = 0;
		this.#begun = 0;
		this.#strained = false;
		this.#idle = false;
		this.#rate = Infinity;
	}

	#end(outcome: JoinOutcome, tookMs: number, alone: boolean): void {
		this.#measureFull();
		if (this.#fullSinceMs !== undefined) {
			this.#doneWhileFull++;
			this.#round.full = true;
		}
		this.#underWay--;
		if (outcome === 'failed') {
			this.#shrink(0.5);
		} else if (outcome === 'joined') {
			if (alone) {
				this.#aloneMs += (this.#aloneMs === 0 ? 1 : 0.2) * (tookMs - this.#aloneMs);
			}
			this.#learn(tookMs);
		}
		this.#markFull(this.#nowMs());
	}

	/** After each round of joins: fewer at once where they waited too long for each other, one more where there was ease. */
	#learn(tookMs: number): void {
		const round = this.#round;
		round.joins++;
		round.tookMs += tookMs;
		if (round.joins < this.limit) {
			return;
		}
		const meanMs = round.tookMs / round.joins;
		// Alone none would take longer than in a crowd: so a shard that gets faster under load is found out, too.
		this.#aloneMs = Math.min(this.#aloneMs, meanMs);
		const targetMs = Math.max(TARGET_MS, ALONE_FACTOR * this.#aloneMs);
		if (meanMs > targetMs) {
			this.#shrink(Math.max(0.5, targetMs / meanMs), this.#idle ? IDLE_LIMIT : 1);
		} else if (round.full && !round.shrunk && meanMs < EASE * targetMs) {
			this.#limit = Math.min(this.#maxUnderWay, this.#limit + 1);
		}
		this.#newRound();
	}

	/** Once a round at most: all that were under way together tell of the same jam. */
	#shrink(factor: number, least = 1): void {
		if (!this.#round.shrunk) {
			this.#limit = Math.max(Math.min(least, this.#limit), this.#limit * factor);
		}
		this.#newRound();
		this.#round.shrunk = true;
	}

	#newRound(): void {
		this.#round = { joins: 0, tookMs: 0, full: false, shrunk: false };
	}

	#markFull(nowMs: number): void {
		this.#fullSinceMs = this.#underWay >= this.limit ? nowMs : undefined;
	}

	/** Also while nothing comes back: a shard that hangs is soon known to hold nothing. */
	#measureFull(): void {
		const nowMs = this.#nowMs();
		if (this.#fullSinceMs !== undefined) {
			this.#fullMs += nowMs - this.#fullSinceMs;
			this.#fullSinceMs = nowMs;
		}
		if (this.#fullMs >= FOLD_MS) {
			const perSecond = (this.#doneWhileFull * 1000) / this.#fullMs;
			this.#measuredPerSecond += (1 - Math.exp(-this.#fullMs / AVERAGE_MS)) * (perSecond - this.#measuredPerSecond);
			this.#fullMs = 0;
			this.#doneWhileFull = 0;
		}
	}

	#setRate(rate: number): void {
		if (this.#rate === Infinity) {
			this.#tokens = 0;
			this.#tokensAtMs = this.#nowMs();
		} else {
			this.#refill();
		}
		this.#rate = rate;
	}

	#refill(): number {
		const nowMs = this.#nowMs();
		const burst = Math.max(1, this.#rate * BURST_S);
		this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#tokensAtMs) * this.#rate) / 1000);
		this.#tokensAtMs = nowMs;
		return this.#tokens;
	}
}
