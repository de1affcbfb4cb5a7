import type { FleetSize } from './fleet-size.ts';
import type { Series } from './series.ts';

export interface Percentiles {
	p50: number;
	p95: number;
	p99: number;
	max: number;
}

/** One fault and those who came back after it. Seconds since the fault. */
export interface Wave {
	name: string;
	/** Since the first arrival. */
	atSecond: number;
	/** Whose session it ended. */
	affected: number;
	/** Of those: when they heard by WebRTC again. */
	hearAgainSeconds: Percentiles;
	lastHeardSeconds: number;
	/** Of those: how many did not come back in the time the simulation gave them. */
	lost: number;
	/** Longest time in which the programme did not reach some edges with listeners, whose sessions go on. */
	silentEdgesSeconds: number;
	/** Most listeners on such edges. */
	silentListeners: number;
	maxOverMeanAfter: number;
	peakPostsPerSecond: number;
	refused: number;
}

export interface SimulationReport {
	scenario: string;
	listeners: number;
	withinSeconds: number;
	seed: number;
	entry: string;
	/** Who hears neither by WebRTC nor by HLS at the end. */
	lost: number;
	/** Part of the audience that heard HLS for a while or to the end, before the first fault; and at the end. */
	overflowShare: number;
	overflowShareAtEnd: number;
	hlsSeconds: Percentiles;
	/** Fullest listener shard over the mean when the surge was through. `atCap`: it was full. */
	maxOverMean: number;
	/** The worst of those after each wave: a shard that has just died makes all others fuller than the mean. */
	maxOverMeanAfterWaves: number;
	/** Worst second of all in which a shard had 100 listeners or more on average. */
	maxOverMeanEver: number;
	atCap: boolean;
	/** Busiest second, with commands within scripts, and the mean. */
	redisCommandsPerSecond: number;
	redis: { executedMeanPerSecond: number; sentMaxPerSecond: number; sentMeanPerSecond: number };
	homeMessagesPerSecond: { max: number; mean: number };
	/** From the first arrival until the last one first heard the room: by WebRTC where there is a place for everybody, else by HLS. */
	lastHeardSeconds: number;
	/** The same, counted from the end of the arrival window. */
	lastHeardAfterWindowSeconds: number;
	/** From coming to hearing, of the one who waited longest: by any way, and by WebRTC. */
	longestWaitSeconds: number;
	longestWaitForWebrtcSeconds: number;
	/** From coming to hearing by WebRTC. */
	admittedAfterSeconds: Percentiles;
	/** Since the first arrival: when so many per cent of the audience were admitted. */
	admittedAtSecond: { p50: number; p95: number; p99: number; max: number };
	abandonedSessions: number;
	peak: { arrivalsPerSecond: number; joinsPerSecond: number; postsPerSecond: number; workerRatio: number; lagMs: number };
	treeDepth: number;
	waves: Wave[];
	fleet: FleetSize & { maxListenersPerShard: number };
	calibration: unknown;
	wallSeconds: number;
	rssBytes: number;
	series: Series;
}

export function percentilesOf(values: ArrayLike<number>, unit = 1): Percentiles {
	const sorted = Float64Array.from(values).filter((value) => !Number.isNaN(value)).toSorted();
	const at = (part: number) => (sorted.length === 0 ? 0 : rounded((sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? 0) / unit));
	return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export const rounded = (value: number, digits = 3) => Math.round(value * 10 ** digits) / 10 ** digits;
