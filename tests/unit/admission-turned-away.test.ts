import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TurnedAway } from '../../server/placement/admission/turned-away.ts';
import { type Waiting, WaitingLine } from '../../server/placement/admission/waiting-line.ts';

const T0 = Date.parse('2026-05-24T20:00:00.000Z');

describe('the count of those turned away', () => {
	it('knows how many came before', () => {
		const away = new TurnedAway();
		for (const afterMs of [0, 100, 5_000, 5_100, 9_000]) away.remember(T0 + afterMs, T0 + 10_000);
		expect([0, 4_999, 5_000, 8_000, 20_000].map((afterMs) => away.before(T0 + afterMs, T0 + 20_000))).toEqual([2, 2, 4, 4, 5]);
	});

	it('takes those off who come back, and none twice', () => {
		const away = new TurnedAway();
		away.remember(T0, T0);
		away.cameBack(T0, T0, T0 + 1_000);
		away.cameBack(T0, T0, T0 + 1_000);
		away.cameBack(T0 - 5_000, T0, T0 + 1_000); // Turned away by another node.
		expect(away.total(T0 + 1_000)).toBe(0);
	});

	it('forgets within three minutes who does not come back, but not who does', () => {
		const away = new TurnedAway();
		for (let person = 0; person < 100; person++) away.remember(T0, T0);
		for (let afterMs = 30_000; afterMs <= 600_000; afterMs += 30_000) {
			for (let person = 0; person < 40; person++) {
				away.cameBack(T0, T0 + afterMs - 30_000, T0 + afterMs);
				away.remember(T0, T0 + afterMs);
			}
			if (afterMs < 90_000) expect(away.total(T0 + afterMs)).toBe(100);
			if (afterMs >= 180_000) expect(away.total(T0 + afterMs)).toBe(40);
		}
		expect(away.total(T0 + 600_000 + 180_000)).toBe(0);
	});

	it('is never negative and never more than were remembered, in whatever order things happen', () => {
		const step = fc.record({ what: fc.constantFrom('remember', 'cameBack', 'wait'), agoS: fc.integer({ min: -5, max: 1_200 }), waitMs: fc.integer({ min: 0, max: 100_000 }) });
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
				const away = new TurnedAway();
				let nowMs = T0;
				let remembered = 0;
				for (const { what, agoS, waitMs } of steps) {
					if (what === 'wait') nowMs += waitMs;
					else if (what === 'remember') {
						away.remember(nowMs - agoS * 1_000, nowMs);
						remembered++;
					} else away.cameBack(nowMs - agoS * 1_000, nowMs - waitMs, nowMs);
					const total = away.total(nowMs);
					expect(total).toBeGreaterThanOrEqual(0);
					expect(total).toBeLessThanOrEqual(remembered);
					const half = away.before(nowMs - 450_000, nowMs);
					expect(half).toBeGreaterThanOrEqual(0);
					expect(half).toBeLessThanOrEqual(total);
					expect(away.before(nowMs, nowMs)).toBe(total);
				}
			}),
		);
	});
});

describe('the line', () => {
	it('is as a sorted list would be', () => {
		const step = fc.oneof(
			{ weight: 5, arbitrary: fc.record({ do: fc.constant('add' as const), atMs: fc.integer({ min: 0, max: 30 }) }) },
			{ weight: 4, arbitrary: fc.record({ do: fc.constantFrom('serve' as const, 'trim' as const, 'leave' as const), at: fc.nat() }) },
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
				const line = new WaitingLine<Waiting & { id: number }>();
				let list: (Waiting & { id: number })[] = [];
				let id = 0;
				for (const now of steps) {
					if (now.do === 'add') {
						const one = { id: id++, firstArrivalMs: now.atMs, isOver: false };
						line.add(one);
						list = [...list, one].toSorted((a, b) => a.firstArrivalMs - b.firstArrivalMs || a.id - b.id);
					} else {
						const one = now.do === 'serve' ? line.oldest : now.do === 'trim' ? line.youngest : list[now.at % Math.max(1, list.length)];
						if (one) line.leave(one);
						list = list.filter((each) => each !== one);
					}
					expect([line.size, line.oldest, line.youngest]).toEqual([list.length, list[0], list.at(-1)]);
				}
			}),
		);
	});

	it('stays small when thousands pass through it', () => {
		const line = new WaitingLine<Waiting>();
		for (let i = 0; i < 5_000; i++) {
			line.add({ firstArrivalMs: i, isOver: false });
			if (i >= 10) line.leave(line.oldest!);
		}
		expect([line.size, line.oldest?.firstArrivalMs, line.until(4_995)]).toEqual([10, 4_990, 6]);
	});
});
