import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addSequence, addTimestamp, timestampDifference } from '../../sfu/rtp/serial-number.ts';
import { StreamRewriter } from '../../sfu/rtp/stream-rewriter.ts';

const FRAME = 960;
const rewriter = (firstSequenceNumber = 0, firstTimestamp = 0) => new StreamRewriter({ firstSequenceNumber, firstTimestamp, startMs: 0 });

describe('one source', () => {
	test('its stream goes on without a gap across 2^16 and 2^32', () => {
		const stream = rewriter(0xfffe, 0xffff_ffff - 2 * FRAME);
		const out = Array.from({ length: 6 }, (_, index) => ({
			...stream.rewrite(addSequence(0xfffd, index), addTimestamp(0xffff_f000, index * FRAME), FRAME, index * 20),
		}));
		expect(out.map((header) => header.sequenceNumber)).toEqual([0xfffe, 0xffff, 0, 1, 2, 3]);
		expect(out.map((header) => header.timestamp)).toEqual([0, 1, 2, 3, 4, 5].map((index) => addTimestamp(0xffff_ffff - 2 * FRAME, index * FRAME)));
		expect(out.map((header) => header.marker)).toEqual([true, false, false, false, false, false]);
	});

	test('loss leaves a hole in the timestamps and none in the sequence numbers', () => {
		const stream = rewriter();
		stream.rewrite(10, 5000, FRAME, 0);
		expect(stream.rewrite(13, 5000 + 3 * FRAME, FRAME, 60)).toEqual({ sequenceNumber: 1, timestamp: 3 * FRAME, marker: false });
	});

	test('late and duplicate packets are refused', () => {
		const stream = rewriter();
		stream.rewrite(0xffff, 0, FRAME, 0);
		stream.rewrite(1, 2 * FRAME, FRAME, 40);
		expect(stream.rewrite(0, FRAME, FRAME, 41)).toBeUndefined();
		expect(stream.rewrite(1, 2 * FRAME, FRAME, 42)).toBeUndefined();
		expect(stream.rewrite(2, 3 * FRAME, FRAME, 60)?.sequenceNumber).toBe(2);
	});

	test('jitter of arrival does not show: the source paces itself', () => {
		const stream = rewriter();
		const arrivals = [0, 45, 46, 61, 130, 131];
		expect(arrivals.map((nowMs, index) => stream.rewrite(index, index * FRAME, FRAME, nowMs)?.timestamp)).toEqual([0, 1, 2, 3, 4, 5].map((n) => n * FRAME));
	});

	test('a restart in numbering is believed at the second packet', () => {
		const stream = rewriter();
		stream.rewrite(1000, 0, FRAME, 0);
		expect(stream.rewrite(40_000, 777_777_777, FRAME, 20)).toBeUndefined();
		expect(stream.rewrite(40_001, 777_778_737, FRAME, 40)).toEqual({ sequenceNumber: 1, timestamp: 40 * 48, marker: true });
		expect(stream.rewrite(40_002, 777_779_697, FRAME, 60)).toEqual({ sequenceNumber: 2, timestamp: 60 * 48, marker: false });
	});

	test.each([
		['forward', 48 * 1000],
		['back', -48 * 10_000],
		['half the number space away', 2 ** 31],
	])('timestamps that jump %s are anchored anew at the wall clock', (_, jump) => {
		const stream = rewriter();
		stream.rewrite(0, 10_000, FRAME, 0);
		expect(stream.rewrite(1, addTimestamp(10_000 + FRAME, jump), FRAME, 25)).toEqual({ sequenceNumber: 1, timestamp: 25 * 48, marker: true });
		expect(stream.rewrite(2, addTimestamp(10_000 + 2 * FRAME, jump), FRAME, 40)).toEqual({ sequenceNumber: 2, timestamp: 25 * 48 + FRAME, marker: false });
	});

	test('a source whose timestamps stood still while time passed is anchored anew', () => {
		const stream = rewriter();
		stream.rewrite(0, 0, FRAME, 0);
		expect(stream.rewrite(1, FRAME, FRAME, 5000)).toEqual({ sequenceNumber: 1, timestamp: 5000 * 48, marker: true });
	});

	test('timestamps that are too close are pushed apart', () => {
		const stream = rewriter();
		expect([0, 480, 960, 960].map((timestamp, index) => stream.rewrite(index, timestamp, FRAME, index * 20)?.timestamp)).toEqual([0, 960, 1920, 2880]);
	});
});

describe('switches and silences', () => {
	test('a switch takes up the wall clock, or follows what was sent at once', () => {
		const stream = rewriter();
		stream.rewrite(0, 123, FRAME, 0);
		stream.switchSource();
		expect(stream.rewrite(9, 99_999, FRAME, 5)).toEqual({ sequenceNumber: 1, timestamp: FRAME, marker: true });
		stream.switchSource();
		expect(stream.rewrite(7, 0, FRAME, 1000)).toEqual({ sequenceNumber: 2, timestamp: 48_000, marker: true });
	});

	test('the same source after a switch may number as it likes', () => {
		const stream = rewriter();
		stream.rewrite(100, 5000, FRAME, 0);
		stream.switchSource();
		expect(stream.rewrite(90, 3, FRAME, 400)).toEqual({ sequenceNumber: 1, timestamp: 400 * 48, marker: true });
		expect(stream.rewrite(90, 3, FRAME, 401)).toBeUndefined();
	});

	test('keep-alives follow the wall clock, and a source that goes on keeps its own pacing', () => {
		const stream = rewriter();
		stream.rewrite(0, 0, FRAME, 0);
		expect(stream.insert(FRAME, 100)).toEqual({ sequenceNumber: 1, timestamp: 4800, marker: false });
		expect(stream.insert(FRAME, 101)).toEqual({ sequenceNumber: 2, timestamp: 4800 + FRAME, marker: false });
		expect(stream.rewrite(10, 10 * FRAME, FRAME, 205)).toEqual({ sequenceNumber: 3, timestamp: 10 * FRAME, marker: true });
	});

	test('a packet held back behind a keep-alive is sent after it, at the wall clock', () => {
		const stream = rewriter();
		stream.rewrite(0, 0, FRAME, 0);
		stream.insert(FRAME, 300);
		expect(stream.rewrite(1, FRAME, FRAME, 350)).toEqual({ sequenceNumber: 2, timestamp: 350 * 48, marker: true });
	});

	test('what is skipped is closed up', () => {
		const stream = rewriter();
		stream.rewrite(0, 0, FRAME, 0);
		expect(stream.leadSamples(0)).toBe(FRAME);
		expect(stream.accept(1)).toBe(true);
		stream.skip(FRAME);
		expect(stream.rewrite(2, 2 * FRAME, FRAME, 40)).toEqual({ sequenceNumber: 1, timestamp: FRAME, marker: false });
		expect(stream.leadSamples(40)).toBe(0);
	});
});

type Step =
	| { kind: 'packet'; source: number; lost: number; wait: number; timestampJump: number; samples: number }
	| { kind: 'old'; source: number; back: number }
	| { kind: 'keep-alive'; wait: number };

const duration = fc.constantFrom(120, 480, 960, 1920, 2880, 5760);
const step: fc.Arbitrary<Step> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			kind: fc.constant('packet' as const),
			source: fc.integer({ min: 0, max: 2 }),
			lost: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 1, max: 30 }) }),
			wait: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 4000 })),
			timestampJump: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -(2 ** 31), max: 2 ** 31 }) }),
			samples: duration,
		}),
	},
	{
		weight: 2,
		arbitrary: fc.record({ kind: fc.constant('old' as const), source: fc.integer({ min: 0, max: 2 }), back: fc.integer({ min: 0, max: 50 }) }),
	},
	{ weight: 2, arbitrary: fc.record({ kind: fc.constant('keep-alive' as const), wait: fc.integer({ min: 0, max: 500 }) }) },
);

describe('any order of switches, loss, duplication, reordering, jumps and keep-alives', () => {
	test('gives gapless sequence numbers, and timestamps that never overlap', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 0, max: 0xffff }),
				fc.integer({ min: 0, max: 0xffff_ffff }),
				fc.array(fc.record({ sequence: fc.integer({ min: 0, max: 0xffff }), timestamp: fc.integer({ min: 0, max: 0xffff_ffff }) }), {
					minLength: 3,
					maxLength: 3,
				}),
				fc.array(step, { maxLength: 120 }),
				(firstSequenceNumber, firstTimestamp, sources, steps) => {
					const stream = rewriter(firstSequenceNumber, firstTimestamp);
					let expectedSequence = firstSequenceNumber;
					let end = firstTimestamp;
					let current = -1;
					let nowMs = 0;
					let silent = true;
					for (const one of steps) {
						let header;
						let samples = FRAME;
						if (one.kind === 'keep-alive') {
							nowMs += one.wait;
							header = stream.insert(FRAME, nowMs);
							silent = true;
							expect(header.marker).toBe(false);
							// Time has passed for silence as the clock says, unless the stream is ahead of it.
							const wall = addTimestamp(firstTimestamp, nowMs * 48);
							expect(timestampDifference(header.timestamp, wall)).toBeGreaterThanOrEqual(0);
						} else {
							const source = sources[one.source]!;
							const switched = current !== one.source;
							if (one.kind === 'old' && switched) continue;
							if (switched) stream.switchSource();
							current = one.source;
							if (one.kind === 'old') {
								// Nothing older than what this source sent since the switch may come through.
								expect(stream.rewrite(addSequence(source.sequence, -one.back), source.timestamp, FRAME, nowMs)).toBeUndefined();
								continue;
							}
							nowMs += one.wait;
							({ samples } = one);
							source.sequence = addSequence(source.sequence, 1 + one.lost);
							source.timestamp = addTimestamp(source.timestamp, (1 + one.lost) * samples + one.timestampJump);
							header = stream.rewrite(source.sequence, source.timestamp, samples, nowMs);
							expect(header).toBeDefined();
							if (!header) return;
							if (switched || silent) expect(header.marker).toBe(true);
							silent = false;
						}
						expect(header.sequenceNumber).toBe(expectedSequence);
						expect(header.timestamp).toBe(header.timestamp >>> 0);
						expect(timestampDifference(header.timestamp, end)).toBeGreaterThanOrEqual(0);
						expectedSequence = addSequence(expectedSequence, 1);
						end = addTimestamp(header.timestamp, samples);
					}
				},
			),
			{ numRuns: 1000 },
		);
	});

	test('while one source sends in its own time, every timestamp step is the source’s own', () => {
		fc.assert(
			fc.property(
				fc.integer({ min: 0, max: 0xffff_ffff }),
				fc.integer({ min: 0, max: 0xffff_ffff }),
				fc.array(fc.record({ lost: fc.integer({ min: 0, max: 3 }), jitterMs: fc.integer({ min: 0, max: 80 }) }), { minLength: 2, maxLength: 200 }),
				(firstTimestamp, sourceTimestamp, packets) => {
					const stream = rewriter(0, firstTimestamp);
					let sequence = 0;
					let index = 0;
					let offset: number | undefined;
					for (const { lost, jitterMs } of packets) {
						index += 1 + lost;
						sequence = addSequence(sequence, 1 + lost);
						const timestamp = addTimestamp(sourceTimestamp, index * FRAME);
						const header = stream.rewrite(sequence, timestamp, FRAME, index * 20 + jitterMs)!;
						offset ??= timestampDifference(header.timestamp, timestamp);
						expect(timestampDifference(header.timestamp, timestamp)).toBe(offset);
					}
				},
			),
		);
	});
});
