/** How hard a shard works, as measured over the last second. */
export interface ShardEffort {
	/** The busier one of its two processes, of one core: 0 to 1. */
	cpuRatio: number;
	/** The longest of the last second. */
	eventLoopLagMs?: number;
	/** Given to listeners. */
	packetsPerSecond?: number;
}

/** About what one core sends: 10 µs a packet (see the README's figures). It is exact where a processor's figure is noise. */
const PACKETS_A_CORE = 100_000;
/** From here on a lag is heard: a packet waits for most of a frame's length. */
const HEAVY_LAG_MS = 100;

/** What a shard is short of. */
export type EffortOf = 'processor' | 'packets' | 'lag';

/** A shard's effort in one figure, 0 to 1 and more, and which of its figures that is. */
export function shardEffort({ cpuRatio, eventLoopLagMs = 0, packetsPerSecond = 0 }: ShardEffort): { value: number; of: EffortOf } {
	const packets = packetsPerSecond / PACKETS_A_CORE;
	const lag = eventLoopLagMs / HEAVY_LAG_MS;
	const value = Math.max(cpuRatio, packets, lag);
	return { value, of: value === cpuRatio ? 'processor' : value === packets ? 'packets' : 'lag' };
}

/** Effort above these is one level of pressure each. */
const LEVELS = [0.7, 0.8, 0.9, 0.98] as const;
/** A level is left only when effort has fallen so far below it: figures are a second old and noisy. */
const HYSTERESIS = 0.1;
/** Each level counts as so much of the shard's capacity taken. */
const FILL_A_LEVEL = 0.1;

/**
 * What a shard's effort counts as, in parts of its capacity that are taken: 0 while it has its ease (then listeners
 * alone are the better forecast), 0.1 for each of four levels from 70 % of a core on. Effort is the largest of: processor time of one
 * core; packets a second, of 100,000; event-loop lag, of 100 ms.
 *
 * @param before what this gave last time for the same shard, so that it does not flap; 0 at first
 */
export function shardPressure(shard: ShardEffort, before = 0): number {
	const { value: effort } = shardEffort(shard);
	if (effort < LEVELS[0] - HYSTERESIS) {
		return 0;
	}
	const levelBefore = Math.round(before / FILL_A_LEVEL);
	let level = 0;
	for (const [index, threshold] of LEVELS.entries()) {
		if (effort >= (index < levelBefore ? threshold - HYSTERESIS : threshold)) {
			level = index + 1;
		}
	}
	return level * FILL_A_LEVEL;
}
