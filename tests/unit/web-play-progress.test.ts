import { describe, expect, it } from 'vitest';
import { PlayProgress } from '../../server/web/browser/sdk/play-progress.ts';

describe('whether something plays', () => {
	const from = (position: number) => new PlayProgress(position, 10_000);

	it.each([
		['goes on at the pace of time', 250, 0.25, 'heard'],
		['catches up', 250, 0.275, 'heard'],
		['has just begun', 250, 0.01, 'heard'],
		['is told of roughly, by a browser that looks at it seldom', 250, 0.7, 'heard'],
		['was looked at late, as in a hidden page', 1_000, 1.1, 'heard'],
		['was looked at much too late', 60_000, 60, 'heard'],
		['went to the live edge', 250, 4.1, 'jumped'],
		['went to the live edge of a page that was busy', 1_000, 4.1, 'jumped'],
		['was put back', 250, -1, 'jumped'],
		['stands', 250, 0, 'still'],
		['stands, and was looked at late', 5_000, 0, 'still'],
	])('%s', (_what, afterMs, step, is) => {
		expect(from(3).look(3 + step, 10_000 + afterMs)).toBe(is);
	});

	it('is told of each look by itself', () => {
		const progress = from(0);
		expect([
			progress.look(0, 10_250), progress.look(4.1, 10_500), progress.look(4.3, 10_750), progress.look(5.5, 11_800), progress.look(5.5, 12_050),
		]).toEqual(['still', 'jumped', 'heard', 'heard', 'still']);
	});
});
