import { readFileSync } from 'node:fs';

/** USER_HZ: what proc(5) counts processor time in; 100 on every Linux that runs Node. */
const TICK_US = 10_000;
const PAGE_BYTES = 4_096;

/** Processor time of a process, all its threads, user and system, in µs; NaN once it is gone. */
export function cpuUs(pid: number): number {
	try {
		const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)\s*/s, '').split(' ');
		return (Number(fields[11]) + Number(fields[12])) * TICK_US;
	} catch {
		return Number.NaN;
	}
}

/** Resident memory of a process. */
export function rssBytes(pid: number): number {
	try {
		return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
	} catch {
		return Number.NaN;
	}
}

/** Busy and whole time of all processors together, in ticks: for how busy the machine was between two calls. */
export function machineTicks(): { busy: number; all: number } {
	const fields = (readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '').trim().split(/\s+/).slice(1, 9).map(Number);
	const all = fields.reduce((sum, ticks) => sum + ticks, 0);
	return { all, busy: all - (fields[3] ?? 0) - (fields[4] ?? 0) };
}
