import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
	addSequence,
	addTimestamp,
	isNewerSequence,
	isNewerTimestamp,
	sequenceDifference,
	timestampDifference,
} from '../../sfu/rtp/serial-number.ts';

describe('serial numbers', () => {
	test.each([
		[1, 0, 1],
		[0, 65_535, 1],
		[65_535, 0, -1],
		[5, 65_530, 11],
		[32_767, 0, 32_767],
		[32_768, 0, -32_768],
	])('sequence numbers %i and %i differ by %i', (a, b, difference) => {
		expect(sequenceDifference(a, b)).toBe(difference);
		expect(isNewerSequence(a, b)).toBe(difference > 0);
	});

	test.each([
		[960, 0, 960],
		[0, 0xffff_ffff, 1],
		[0xffff_ffff, 0, -1],
		[480, 0xffff_fe20, 960],
		[0x7fff_ffff, 0, 0x7fff_ffff],
	])('timestamp %i and %i differ by %i', (a, b, difference) => {
		expect(timestampDifference(a, b)).toBe(difference);
		expect(isNewerTimestamp(a, b)).toBe(difference > 0);
	});

	test('adding a step and taking the difference gives the step, anywhere in the number space', () => {
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: -32_768, max: 32_767 }), (start, step) => {
				const moved = addSequence(start, step);
				expect(moved).toBeGreaterThanOrEqual(0);
				expect(moved).toBeLessThanOrEqual(0xffff);
				expect(sequenceDifference(moved, start)).toBe(step);
			}),
		);
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (start, step) => {
				const moved = addTimestamp(start, step);
				expect(moved).toBeGreaterThanOrEqual(0);
				expect(moved).toBeLessThanOrEqual(0xffff_ffff);
				expect(timestampDifference(moved, start)).toBe(step);
			}),
		);
	});
});
