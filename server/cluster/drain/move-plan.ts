/** Why nobody more is asked to move right now. */
export type DrainWaiting = 'no room elsewhere' | 'a room has no home' | 'listeners are slow to go';

/** Listeners of some shards who are asked, a few more at a time, to go elsewhere. */
export interface MovePlan {
	readonly listenersAtStart: number;
	/** Part of them that is to go: 1 for a drain. */
	readonly target: number;
	/** Part of them that has been asked by now; never falls. */
	readonly part: number;
	/** What had been asked when, oldest first; as far back as patience reaches. */
	readonly asked: readonly { atMs: number; part: number }[];
	readonly waiting: DrainWaiting | undefined;
}

export interface MoveFigures {
	nowMs: number;
	/** Since the last step. */
	sinceMs: number;
	/** On the same shards, now. */
	listenersNow: number;
	/** Places for listeners outside these shards, on living shards that do not drain. */
	freeElsewhere: number;
	/** How many such shards there are. */
	shardsElsewhere: number;
	/** Every room with listeners here has a home, so that it can be heard elsewhere. */
	roomsLive: boolean;
	/** By when everybody should have been asked. */
	askedByMs: number;
}

/** The fleet takes so many movers a second whatever its size; with more shards than this needs, so many for each. */
export const MOVES_PER_SECOND = 200;
const MOVES_PER_SHARD_SECOND = 50;
/** A few people are not spread over minutes. */
const LEAST_MOVES_PER_SECOND = 10;
/** A page makes its new session within 2 to 3 s; somebody who is still there after this time will not move. */
export const PATIENCE_MS = 8_000;
/** So long a queue of people who were asked and have not gone yet is normal. */
const QUEUE_SECONDS = 4;
/** Of the places elsewhere; newcomers need some too. */
const USABLE_PLACES = 0.9;

export function startMoving(listenersAtStart: number, target = 1): MovePlan {
	// With nobody there, all have been asked.
	return { listenersAtStart, target, part: listenersAtStart > 0 ? 0 : target, asked: [], waiting: undefined };
}

/**
 * One step: how large a part of the listeners should have been asked by now. Those who were asked first are the same at
 * every step, so a part of those who were there at the start is a part of those who are still to be asked.
 */
export function planMoves(plan: MovePlan, figures: MoveFigures, maxMovesPerSecond?: number): MovePlan {
	const { listenersAtStart, target, part } = plan;
	const { nowMs, sinceMs, listenersNow, freeElsewhere, roomsLive, askedByMs } = figures;
	const asked = plan.asked.filter(({ atMs }) => nowMs - atMs < PATIENCE_MS);
	if (part >= target) {
		return { ...plan, asked, waiting: undefined };
	}
	const most = maxMovesPerSecond ?? Math.max(MOVES_PER_SECOND, MOVES_PER_SHARD_SECOND * figures.shardsElsewhere);
	const left = (target - part) * listenersAtStart;
	const perSecond = Math.min(most, Math.max(LEAST_MOVES_PER_SECOND, (left * 1000) / Math.max(1, askedByMs - nowMs)));
	const queue = queueOf(plan, figures);
	const places = freeElsewhere * USABLE_PLACES - queue;
	const waiting: DrainWaiting | undefined = !roomsLive
		? 'a room has no home'
		: places < 1
			? 'no room elsewhere'
			: queue > Math.max(1, perSecond * QUEUE_SECONDS)
				? 'listeners are slow to go'
				: undefined;
	if (waiting) {
		return { ...plan, asked, waiting };
	}
	// Those who left of themselves meanwhile need not be asked: nobody is counted twice, for `part` is of those at the start.
	const moves = listenersNow === 0 ? left : Math.min(left, places, (perSecond * sinceMs) / 1000);
	const next = Math.min(target, part + moves / listenersAtStart);
	return { ...plan, part: next, asked: [...asked, { atMs: nowMs, part: next - part }], waiting: undefined };
}

/** How many were asked and have not gone yet, without those who will not go at all. */
export function queueOf({ listenersAtStart, part, asked }: MovePlan, { nowMs, listenersNow }: Pick<MoveFigures, 'nowMs' | 'listenersNow'>): number {
	const stillHere = listenersNow - (1 - part) * listenersAtStart;
	const lately = asked.reduce((sum, step) => sum + (nowMs - step.atMs < PATIENCE_MS ? step.part : 0), 0) * listenersAtStart;
	return Math.max(0, Math.min(stillHere, lately));
}
