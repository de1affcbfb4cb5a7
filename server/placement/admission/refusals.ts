import type { Clock } from '../../events/clock.ts';
import type { JoinRefusal, RefusalReason } from './join-refusal.ts';
import { SecondCount } from './second-count.ts';
import { TurnedAway } from './turned-away.ts';
import type { Waiting, WaitingLine } from './waiting-line.ts';

/** What other nodes report. */
export interface FleetPace {
	joinsPerSecond: number;
	waiting: number;
}

export interface RefusalsOptions {
	/** Those who wait and are not refused: before whom somebody is who came earlier. */
	line: Pick<WaitingLine<Waiting>, 'size' | 'until'>;
	/** Joins a second that this node holds as things stand. */
	joinsPerSecond: () => number;
	clock: Clock;
	/** 0 to 1. */
	random: () => number;
	/** The other nodes of the cluster, all together. Default: there are none. */
	others?: (() => FleetPace) | undefined;
}

/** Nobody is asked to come back sooner, and those for whom there is no time yet spread over this at least. */
const LEAST_RETRY_MS = 250;
const LEAST_SPREAD_MS: Record<RefusalReason, number> = { full: 10_000, paced: 1_000 };
/** Nobody is asked to wait longer without a word, however many there are. */
const MAX_SPREAD_MS = 60_000;
/** What others report does not change more often. */
const OTHERS_EVERY_MS = 250;

/**
 * Those who are told to come back: each when, spread over the time that the whole fleet needs for all who came before, and how
 * many are still expected. Times of arrival and refusal are in milliseconds since the epoch.
 */
export class Refusals {
	readonly #options: RefusalsOptions;
	readonly #turnedAway = new TurnedAway();
	readonly #lately = new SecondCount();
	readonly #totals = { full: 0, paced: 0 };
	#others: FleetPace = { joinsPerSecond: 0, waiting: 0 };
	#othersAtMs = -Infinity;

	constructor(options: RefusalsOptions) {
		this.#options = options;
	}

	/** Since the start. */
	get totals(): Readonly<Record<RefusalReason, number>> {
		return this.#totals;
	}
	get perSecond(): number {
		return this.#lately.perSecond(this.#options.clock.nowMs());
	}

	/** Those who were told to come back and are still expected. */
	expected(nowMs: number): number {
		return this.#turnedAway.total(nowMs);
	}

	/** Somebody is here again. @param refusedAtMs the last time, as far as that is known */
	cameBack(firstArrivalMs: number, refusedAtMs: number | undefined, nowMs: number): void {
		this.#turnedAway.cameBack(firstArrivalMs, refusedAtMs, nowMs);
	}

	/** Counts somebody as refused, and says what they are to be told. */
	turnAway(reason: RefusalReason, firstArrivalMs: number, nowMs: number): JoinRefusal {
		const { line, clock, joinsPerSecond, random } = this.#options;
		this.#lately.add(clock.nowMs());
		this.#totals[reason]++;
		const others = this.#fleet();
		const known = this.#turnedAway.total(nowMs) + line.size;
		const before = this.#turnedAway.before(firstArrivalMs, nowMs) + line.until(firstArrivalMs);
		// Others tell how many wait with them and not since when: they are taken to have come like ours.
		const ahead = before + Math.round(others.waiting * (known === 0 ? 1 : before / known));
		const perSecond = Math.max(1, joinsPerSecond() + others.joinsPerSecond);
		const spreadMs = Math.min(MAX_SPREAD_MS, Math.max(LEAST_SPREAD_MS[reason], (ahead / perSecond) * 1000));
		this.#turnedAway.remember(firstArrivalMs, nowMs);
		return { reason, retryAfterMs: Math.round(LEAST_RETRY_MS + random() * spreadMs), ahead, firstArrivalMs, refusedAtMs: nowMs };
	}

	#fleet(): FleetPace {
		const { clock, others } = this.#options;
		const nowMs = clock.nowMs();
		if (others && nowMs - this.#othersAtMs >= OTHERS_EVERY_MS) {
			this.#othersAtMs = nowMs;
			this.#others = others();
		}
		return this.#others;
	}
}
