import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JoinUnderWay, ShardPace } from '../../server/placement/admission/shard-pace.ts';
import { SimulatedShard } from '../support/simulated-shard.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

function setUp(shardOptions: { workMs: number; latencyMs?: number; afterMs?: number }, maxUnderWay = 32) {
	const clock = new VirtualClock();
	const pace = new ShardPace({ maxUnderWay, nowMs: () => clock.nowMs() });
	const shard = new SimulatedShard({ clock, ...shardOptions });
	const run = { pace, shard, clock, joined: 0, storm: false, mostUnderWay: 0 };
	let wake: (() => void) | undefined;
	const fill = (): void => {
		while (run.storm && pace.hasRoom) {
			const join = pace.begin();
			run.mostUnderWay = Math.max(run.mostUnderWay, pace.underWay);
			join.asked();
			shard.join(() => {
				join.done('joined');
				run.joined++;
				fill();
			});
		}
		const atMs = run.storm ? pace.nextAtMs : undefined;
		wake?.();
		wake = atMs === undefined ? undefined : clock.schedule(fill, Math.max(0.1, atMs - clock.nowMs()));
	};
	/** As many people at the door as can be let in. */
	const storm = (seconds: number, strains = true): number => {
		const before = run.joined;
		run.storm = true;
		for (let second = 0; second < seconds; second++) {
			fill();
			clock.advance(1_000);
			if (strains) pace.strain(shard.strain());
		}
		run.storm = false;
		return (run.joined - before) / seconds;
	};
	const idle = (seconds: number) => {
		for (let second = 0; second < seconds; second++) {
			clock.advance(1_000);
			pace.strain(shard.strain());
		}
	};
	return Object.assign(run, { run: storm, idle });
}

describe('the pace of a shard', () => {
	it('is a careful estimate while nothing is known', () => {
		expect(setUp({ workMs: 2 }).pace.perSecond).toBe(150);
	});

	it.each([1, 2, 4, 8])('keeps a shard that takes %d ms a join busy, and little work waiting in it', (workMs) => {
		const test = setUp({ workMs }, 128);
		test.run(3, false);
		test.shard.mostWaitingMs = 0;
		const perSecond = test.run(5, false);
		expect(perSecond).toBeGreaterThan(0.9 * (1000 / workMs));
		expect(test.shard.mostWaitingMs).toBeLessThanOrEqual(30 + workMs);
		expect(test.pace.perSecond).toBeGreaterThan(0.85 * (1000 / workMs));
		expect(test.pace.perSecond).toBeLessThan(1.15 * (1000 / workMs));
	});

	it('takes no more at once than it is allowed, however fast the shard is', () => {
		const test = setUp({ workMs: 0.1 }, 12);
		test.run(3);
		expect(test.mostUnderWay).toBe(12);
	});

	it('gives a shard that is slow by itself, not by crowding, what it can take', () => {
		const test = setUp({ workMs: 1, latencyMs: 60 });
		test.idle(1);
		// One by one at first, as on a quiet day.
		for (let i = 0; i < 5; i++) {
			const join = test.pace.begin();
			join.asked();
			test.shard.join(() => join.done('joined'));
			test.clock.advance(200);
		}
		expect(test.run(6)).toBeGreaterThan(250);
	});

	it('never stops for one that is slower than it should be', () => {
		const test = setUp({ workMs: 400 });
		expect(test.run(20, false)).toBeGreaterThan(2);
		expect(test.shard.mostInside).toBeLessThanOrEqual(8);
		expect(test.pace.limit).toBeLessThanOrEqual(2);
		expect(test.pace.perSecond).toBeLessThan(4);
	});

	it('knows within two seconds that a shard hangs, although it hears nothing of it', () => {
		const test = setUp({ workMs: 4 });
		test.run(2);
		test.shard.hangs = true;
		const before = test.joined;
		test.run(2, false);
		expect(test.joined - before).toBeLessThanOrEqual(1); // The one that it was at.
		expect(test.pace.perSecond).toBeLessThan(10);
		expect(test.pace.hasRoom).toBe(false);
	});

	it('starts anew when the shard died, and counts none of those who were on their way', () => {
		const test = setUp({ workMs: 4 });
		const old: JoinUnderWay[] = [];
		while (test.pace.hasRoom) old.push(test.pace.begin());
		test.pace.died();
		expect([test.pace.underWay, test.pace.hasRoom, test.pace.perSecond]).toEqual([0, true, 150]);
		for (const join of old) join.done('failed');
		expect([test.pace.underWay, test.pace.limit]).toEqual([0, 8]);
		expect(test.run(3)).toBeGreaterThan(200);
	});

	it('takes fewer when the shard itself says that it is strained by what follows a join, and more again when it is not', () => {
		const test = setUp({ workMs: 1, afterMs: 9 });
		test.run(20);
		test.shard.mostWaitingMs = 0;
		// 10 ms of work a join in all: a hundred a second are all there can ever be.
		const perSecond = test.run(10);
		expect(perSecond).toBeGreaterThan(50);
		expect(perSecond).toBeLessThanOrEqual(105);
		test.shard.afterMs = 0;
		test.idle(20);
		expect(test.run(5)).toBeGreaterThan(500);
	});

	it('is not held to fewer at once by others who use its processor', () => {
		// 1 ms of work, and 100 ms of waiting for a processor with each join: the shard itself says that it hardly works.
		const { pace, clock } = setUp({ workMs: 1 });
		let joined = 0;
		for (let second = 0; second < 30; second++) {
			for (let step = 0; step < 10; step++) {
				const joins: JoinUnderWay[] = [];
				while (pace.hasRoom && pace.underWay < 32) joins.push(pace.begin());
				for (const join of joins) join.asked();
				clock.advance(100);
				for (const join of joins) join.done('joined');
				joined += second >= 10 ? joins.length : 0;
			}
			pace.strain({ cpuRatio: 0.2, eventLoopLagMs: 120 });
		}
		expect(joined / 20).toBeGreaterThanOrEqual(160);
	});

	it('begins with half when listeners alone strain the shard', () => {
		const { pace } = setUp({ workMs: 1 });
		for (let second = 0; second < 10; second++) pace.strain({ cpuRatio: 0.99, eventLoopLagMs: 20 });
		expect(pace.perSecond).toBe(75);
		expect(pace.hasRoom).toBe(false);
		expect(pace.nextAtMs).toBeCloseTo(1000 / 75, 3);
	});

	it('forgets, when it is quiet, that it was slow', () => {
		const test = setUp({ workMs: 400 });
		test.run(10, false);
		test.shard.workMs = 3;
		test.idle(30);
		expect(test.pace.perSecond).toBeGreaterThan(100);
		expect(test.run(5)).toBeGreaterThan(250);
	});

	it('takes what the caller did wrong for no fault of the shard, and a timeout for one', () => {
		const { pace } = setUp({ workMs: 1 });
		for (let i = 0; i < 100; i++) pace.begin().done('refused');
		expect(pace.limit).toBe(8);
		pace.begin().done('failed');
		expect(pace.limit).toBe(4);
	});

	it('converges from anywhere to anything, never starves and never overshoots', () => {
		const workMs = fc.double({ min: 0.3, max: 60, noNaN: true });
		fc.assert(
			fc.property(fc.array(workMs, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 64 }), fc.double({ min: 0.1, max: 5, noNaN: true }), (phases, maxUnderWay, latencyMs) => {
				const test = setUp({ workMs: 1, latencyMs }, maxUnderWay);
				for (const phase of phases) {
					test.shard.workMs = phase;
					test.run(4, false); // To get used to it.
					test.shard.mostWaitingMs = 0;
					const perSecond = test.run(3, false);
					const most = Math.min(1000 / phase, (maxUnderWay * 1000) / (phase + latencyMs));
					expect(perSecond).toBeGreaterThan(Math.min(0.75 * most, most - 1));
					// A join or two beyond the target: one more is always tried.
					expect(test.shard.mostWaitingMs).toBeLessThanOrEqual(30 + 3 * phase);
					expect(test.mostUnderWay).toBeLessThanOrEqual(maxUnderWay);
					expect(test.pace.perSecond).toBeGreaterThan(0.7 * perSecond);
					expect(test.pace.perSecond).toBeLessThan(1.4 * perSecond + 1);
				}
			}),
			{ numRuns: 40 },
		);
	});
});
