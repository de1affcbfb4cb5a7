import { describe, expect, it } from 'vitest';
import { DEFAULT_CALIBRATION } from '../../server/capacity/shard-calibration.ts';
import { arrivalTimes } from '../load/simulation/arrivals.ts';
import { fleetFor } from '../load/simulation/fleet-size.ts';
import { Processors } from '../load/simulation/processors.ts';
import { percentilesOf } from '../load/simulation/report.ts';
import { VirtualTime } from '../load/simulation/virtual-time.ts';
import { seeded } from '../support/seeded.ts';

describe('virtual time', () => {
	it('runs what is due in the order of moments, and within one in the order of scheduling', async () => {
		const time = new VirtualTime();
		const ran: string[] = [];
		for (const [name, atMs] of [['c', 30], ['a', 10], ['b', 20], ['b2', 20], ['late', 31]] as const) time.at(atMs, () => ran.push(`${name}@${time.nowMs()}`));
		time.at(10, () => time.at(10, () => ran.push('same moment')));
		await time.runTo(30);
		expect(ran).toEqual(['a@10', 'same moment', 'b@20', 'b2@20', 'c@30']);
		expect(time.nowMs()).toBe(30);
	});

	it('stands still while real work is under way, and lets its results be worked on first', async () => {
		const time = new VirtualTime();
		const seen: number[] = [];
		time.at(5, () => {
			const work = new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
			void time.hold(work).then(() => {
				seen.push(time.nowMs());
				time.at(time.nowMs(), () => seen.push(time.nowMs()));
			});
		});
		time.at(6, () => seen.push(time.nowMs()));
		await time.runTo(10);
		expect(seen).toEqual([5, 5, 6]);
	});

	it('forgets what was cancelled', async () => {
		const time = new VirtualTime();
		let ran = false;
		time.schedule(() => (ran = true), 5)();
		await time.runTo(10);
		expect(ran).toBe(false);
	});

	it('stands in for the timers of the process until it is taken out', async () => {
		const time = new VirtualTime();
		const realTimeout = globalThis.setTimeout;
		const restore = time.install(() => 0.25);
		const ran: string[] = [];
		let chance = 0;
		try {
			const every = setInterval(() => ran.push(`interval@${performance.now()}`), 10);
			setTimeout(() => clearInterval(every), 25).unref();
			setTimeout((word: string) => ran.push(word), 15, 'once');
			clearTimeout(setTimeout(() => ran.push('never'), 1));
			chance = Math.random();
			await time.runTo(1_000);
		} finally {
			restore();
		}
		expect(ran).toEqual(['interval@10', 'once', 'interval@20']);
		expect(chance).toBe(0.25);
		expect(globalThis.setTimeout).toBe(realTimeout);
		expect(Math.abs(Date.now() - time.epochMs)).toBeGreaterThan(1_000);
	});
});

describe('processors', () => {
	const fleetOf = (cores: number, count: number) => {
		const time = new VirtualTime();
		const processors = new Processors(time, cores);
		return { time, processes: Array.from({ length: count }, () => processors.add()) };
	};

	it('works a line off at the speed of one core', async () => {
		const { time, processes } = fleetOf(4, 1);
		const doneMs: number[] = [];
		for (let job = 0; job < 10; job++) processes[0]!.add(2.5, () => doneMs.push(time.nowMs()));
		await time.runTo(100);
		expect(doneMs.at(0)).toBe(3);
		expect(doneMs.at(-1)).toBe(25);
		expect(processes[0]!.takeEffort(100).cpuRatio).toBeCloseTo(0.25);
	});

	it('shares its cores among those who want more than there is', async () => {
		const { time, processes } = fleetOf(2, 4);
		const doneMs: number[] = [];
		for (const process of processes) process.add(50, () => doneMs.push(time.nowMs()));
		await time.runTo(200);
		for (const atMs of doneMs) expect(Math.abs(atMs - 100)).toBeLessThanOrEqual(2);
	});

	it('gives steady work its turn first, and says how late the rest is', async () => {
		const { time, processes } = fleetOf(1, 1);
		const [process] = processes;
		process!.steadyRatio = 0.5;
		let doneMs = 0;
		process!.add(50, () => (doneMs = time.nowMs()));
		await time.runTo(1_000);
		expect(doneMs).toBe(100);
		process!.add(0, () => undefined);
		await time.runTo(1_001);
		const { cpuRatio, lagMs } = process!.takeEffort(1_001);
		expect(cpuRatio).toBeCloseTo(0.55, 1);
		expect(lagMs).toBeGreaterThan(32);
	});

	it('falls behind with steady work that is more than one core', async () => {
		const { time, processes } = fleetOf(4, 1);
		processes[0]!.steadyRatio = 1.2;
		processes[0]!.add(0.1, () => undefined);
		await time.runTo(1_000);
		expect(processes[0]!.lateMs).toBeGreaterThan(150);
	});
});

describe('arrivals', () => {
	it('all come within the window, in order, with a sharp front and a tail that thins out', () => {
		const times = arrivalTimes(100_000, 60, seeded(1));
		expect(times.length).toBe(100_000);
		expect(times.every((atMs, index) => index === 0 || atMs >= times[index - 1]!)).toBe(true);
		expect(times.at(-1)).toBeLessThanOrEqual(60_000);
		const within = (from: number, to: number) => times.filter((atMs) => atMs >= from * 1_000 && atMs < to * 1_000).length / times.length;
		expect(within(0, 10)).toBeGreaterThan(0.5);
		expect(within(1, 2)).toBeGreaterThan(4 / 60);
		expect(within(50, 60)).toBeGreaterThan(0.005);
		expect(within(40, 50)).toBeGreaterThan(within(50, 60));
	});
});

describe('the size of the fleet', () => {
	const options = { cores: 16, maxListenersPerShard: 5_000, calibration: DEFAULT_CALIBRATION };

	it('is what the capacity rule asks for, and one more', () => {
		const { nodes, capacity, listenerShards } = fleetFor(1_000_000, 60, options);
		expect(listenerShards).toBe(15);
		expect((capacity / nodes) * (nodes - 1)).toBeGreaterThanOrEqual(1_000_000);
		expect((capacity / nodes) * (nodes - 2)).toBeLessThan(1_000_000);
	});

	it('is what it was told to be', () => {
		expect(fleetFor(1_000_000, 60, { ...options, nodes: 7 }).nodes).toBe(7);
	});
});

it('takes percentiles of those who got so far', () => {
	expect(percentilesOf([3_000, Number.NaN, 1_000, 2_000], 1_000)).toEqual({ p50: 2, p95: 3, p99: 3, max: 3 });
	expect(percentilesOf([])).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 });
});
