import { describe, expect, it } from 'vitest';
import { fitLine } from '../load/fit.ts';

describe('the line through measured costs', () => {
	it('finds what a listener and what the room costs', () => {
		expect(fitLine([[100, 50], [300, 90], [600, 150]])).toEqual({ slope: expect.closeTo(0.2), fixed: expect.closeTo(30), r2: expect.closeTo(1) });
	});

	it('says how badly it fits', () => {
		const { r2 } = fitLine([[100, 50], [200, 10], [300, 60]]);
		expect(r2).toBeGreaterThan(0);
		expect(r2).toBeLessThan(0.2);
	});

	it('says nothing of a single audience', () => {
		expect(fitLine([[100, 50]]).slope).toBeNaN();
	});
});
