import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ARRIVALS, dealOut, scheduleOf } from '../load/surge/schedule.ts';
import { seeded } from '../support/seeded.ts';

const schedule = (more: Partial<Parameters<typeof scheduleOf>[0]> = {}) =>
	scheduleOf({ listeners: 100, withinMs: 2_000, arrivals: 'even', waves: 1, waveEveryMs: 10_000, random: seeded(1), ...more });

describe('when listeners want in', () => {
	it('keeps every one of them within the window of a wave, whatever the shape', () => {
		fc.assert(
			fc.property(fc.nat(500), fc.integer({ min: 1, max: 5 }), fc.constantFrom(...ARRIVALS), fc.nat(), (listeners, waves, arrivals, seed) => {
				const times = schedule({ listeners, waves, arrivals, random: seeded(seed) });
				expect(times).toHaveLength(listeners);
				expect(times).toEqual(times.toSorted((a, b) => a - b));
				expect(times.every((atMs) => atMs % 10_000 < 2_000 && atMs < waves * 10_000)).toBe(true);
			}),
		);
	});

	it('spreads them evenly, ever denser, or at random but the same for the same seed', () => {
		const firstHalf = (times: number[]) => times.filter((atMs) => atMs < 1_000).length;
		expect(firstHalf(schedule())).toBe(50);
		expect(firstHalf(schedule({ arrivals: 'ramp' }))).toBe(25);
		expect(schedule({ arrivals: 'jitter', random: seeded(7) })).toEqual(schedule({ arrivals: 'jitter', random: seeded(7) }));
		expect(schedule({ arrivals: 'jitter', random: seeded(7) })).not.toEqual(schedule({ arrivals: 'jitter', random: seeded(8) }));
	});

	it('gives every process its part of every moment', () => {
		const hands = dealOut(schedule(), 3);
		expect(hands.map(({ length }) => length)).toEqual([34, 33, 33]);
		expect(hands.every((times) => times[0]! < 100 && times.at(-1)! > 1_900)).toBe(true);
	});
});
