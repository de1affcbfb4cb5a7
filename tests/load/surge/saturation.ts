import { distributionOf } from './distribution.ts';
import type { Tick } from './messages.ts';

export interface SaturationInput {
	ticks: readonly Tick[];
	/** How late each listener began, against when it wanted in. */
	latenessMs: readonly number[];
	/** Of all processors while people came in; undefined: not to be known here. */
	machineBusy: number | undefined;
	/** Of all processors, by the generator's processes in the same time. */
	ownShare: number;
	/** Whether the server is on this machine, as far as its address says. */
	sameMachine: boolean;
}

export interface GeneratorFigures {
	saturated: boolean;
	/** Why, in plain words; or what to keep in mind. */
	why: string[];
	/** Cores, all processes together, at their busiest. */
	cpu: number;
	/** Of the main thread of the process that had the least left. */
	loopUtilization: number;
	/** 99th percentile in the worst half second of the worst process. */
	lagMs: number;
	latenessP99Ms: number;
	machineBusy: number | null;
	/** Of all processors. */
	ownShare: number;
}

const LAG_MS = 150;
const LATENESS_MS = 100;
const UTILIZATION = 0.95;
const BUSY = 0.95;

/**
 * Whether the figures say more of this program than of the server. It is the limit when its people begin late, when its
 * event loops lag or have nothing left, or when the machine is full and most of that is its own doing.
 */
export function judgeSaturation({ ticks, latenessMs, machineBusy, ownShare, sameMachine }: SaturationInput): GeneratorFigures {
	const lagMs = Math.max(0, ...ticks.map(({ loopLagP99Ms }) => loopLagP99Ms));
	const loopUtilization = Math.max(0, ...ticks.map((tick) => tick.loopUtilization));
	const latenessP99Ms = distributionOf(latenessMs).p99 ?? 0;
	const limits: string[] = [];
	if (latenessP99Ms > LATENESS_MS) {
		limits.push(`1 in 100 listeners began ${Math.round(latenessP99Ms)} ms late: the generator did not get round to them`);
	}
	if (lagMs > LAG_MS) {
		limits.push(`a generator process stood still for ${Math.round(lagMs)} ms: what it measured is that much too slow`);
	}
	const full = machineBusy !== undefined && machineBusy > BUSY;
	if (loopUtilization > UTILIZATION) {
		const advice = full ? '' : ': use more --generators, or more machines';
		limits.push(`a generator process had no time left (${Math.round(loopUtilization * 100)} % of its main thread)${advice}`);
	}
	const remarks: string[] = [];
	if (full) {
		const text = `all processors of this machine were busy (${Math.round(machineBusy * 100)} %), ${Math.round(ownShare * 100)} % with the generator itself`;
		if (!sameMachine || ownShare > machineBusy / 2) limits.push(text);
		else remarks.push(`${text}: server and generator would do better apart, and with nothing else beside them`);
	}
	return {
		saturated: limits.length > 0,
		why: [...limits, ...remarks],
		cpu: round(busiestCpu(ticks)),
		loopUtilization: round(loopUtilization),
		lagMs: Math.round(lagMs),
		latenessP99Ms: Math.round(latenessP99Ms),
		machineBusy: machineBusy === undefined ? null : round(machineBusy),
		ownShare: round(ownShare),
	};
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Of all processes together, each with the last it has said. */
function busiestCpu(ticks: readonly Tick[]): number {
	const last = new Map<number, number>();
	let most = 0;
	for (const { source, cpuRatio } of ticks.toSorted((a, b) => a.atMs - b.atMs)) {
		last.set(source, cpuRatio);
		most = Math.max(most, [...last.values()].reduce((sum, value) => sum + value, 0));
	}
	return most;
}
