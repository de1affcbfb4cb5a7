import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Packer } from '../../sfu/edge/packer.ts';
import type { VoiceFrames } from '../../sfu/edge/packer.ts';
import { frameSamplesOf, isDtxPayload, packOpusFrames, splitOpusPacket } from '../../sfu/rtp/opus-packet.ts';
import { addTimestamp } from '../../sfu/rtp/serial-number.ts';

const TOC = 0x78;

interface Out {
	toc: number;
	frames: Buffer[];
	timestamp: number;
	csrc: number | undefined;
	durationSamples: number;
	marker: boolean;
	dtx: boolean;
}

const voice = (timestamp: number, frames: Buffer[], options: { toc?: number; csrc?: number | undefined; marker?: boolean } = {}): VoiceFrames => {
	const { toc = TOC, marker = false } = options;
	const payload = packOpusFrames(toc, frames);
	return {
		timestamp,
		marker,
		csrc: 'csrc' in options ? options.csrc : 7,
		toc: payload[0]!,
		payload,
		frames,
		durationSamples: frames.length * frameSamplesOf(toc),
		dtx: isDtxPayload(payload),
	};
};

const speech = (seed: number): Buffer => Buffer.from([seed & 255, 1, 2, 3, seed >> 8]);
const dtx = (timestamp: number, options: { csrc?: number | undefined; marker?: boolean } = {}): VoiceFrames => voice(timestamp, [Buffer.alloc(0)], options);

const collect = (packingMs: number, headroomBytes = 16) => {
	const out: Out[] = [];
	const packer = new Packer({ packingMs, headroomBytes }, ({ buffer, timestamp, csrc, durationSamples, marker, dtx }) => {
		const split = splitOpusPacket(buffer.subarray(headroomBytes));
		if (!split) throw new Error('the packer made a malformed packet');
		expect(split.durationSamples).toBe(durationSamples);
		out.push({ toc: split.toc, frames: split.frames.map((frame) => Buffer.from(frame)), timestamp, csrc, durationSamples, marker, dtx });
	});
	return { packer, out };
};
const timestamps = (out: Out[]): number[] => out.map(({ timestamp }) => timestamp);
const durationsMs = (out: Out[]): number[] => out.map(({ durationSamples }) => durationSamples / 48);

describe('packing', () => {
	test.each([
		[20, 1],
		[40, 2],
		[60, 3],
		[120, 6],
	])('%i ms holds %i frames of 20 ms, at the first one’s timestamp', (packingMs, count) => {
		const { packer, out } = collect(packingMs);
		for (let index = 0; index < 12; index++) packer.add(voice(addTimestamp(0xffff_f000, index * 960), [speech(index)], { marker: index === 0 }), index * 20);
		expect(out.map(({ frames }) => frames.length)).toEqual(Array.from({ length: 12 / count }, () => count));
		expect(timestamps(out)).toEqual(Array.from({ length: 12 / count }, (_, index) => addTimestamp(0xffff_f000, index * count * 960)));
		expect(out.flatMap(({ frames }) => frames)).toEqual(Array.from({ length: 12 }, (_, index) => speech(index)));
		expect(out.map(({ marker }) => marker)).toEqual(out.map((_, index) => index === 0));
		expect(out.every(({ csrc }) => csrc === 7)).toBe(true);
	});

	test('20 ms at a packing of 20 passes through byte by byte', () => {
		const passed: Buffer[] = [];
		const packer = new Packer({ packingMs: 20 }, ({ buffer }) => passed.push(buffer));
		const packet = voice(0, [speech(1), speech(2)], { toc: 14 << 3 });
		packer.add(packet, 0);
		expect(passed).toEqual([packet.payload]);
		expect(passed[0]).not.toBe(packet.payload);
	});

	test('RTP and Opus padding is not passed on', () => {
		const { packer, out } = collect(20);
		const payload = Buffer.from([TOC | 3, 0x41, 5, 1, 2, 3, 0, 0, 0, 0, 0]);
		packer.add({ ...voice(0, [Buffer.of(1, 2, 3)]), toc: TOC | 3, payload }, 0);
		expect(out).toEqual([expect.objectContaining({ toc: TOC, frames: [Buffer.of(1, 2, 3)] })]);
	});

	test.each<[string, VoiceFrames]>([
		['another configuration', voice(960, [speech(2)], { toc: 0x48 })],
		['stereo', voice(960, [speech(2)], { toc: TOC | 4 })],
		['a gap', voice(1920, [speech(2)])],
		['a step back', voice(0, [speech(2)])],
		['another speaker', voice(960, [speech(2)], { csrc: 8 })],
		['no speaker', voice(960, [speech(2)], { csrc: undefined })],
		['the start of a talk spurt', voice(960, [speech(2)], { marker: true })],
	])('%s begins a new packet', (_, next) => {
		const { packer, out } = collect(60);
		packer.add(voice(0, [speech(1)]), 0);
		packer.add(next, 20);
		expect(out).toEqual([expect.objectContaining({ frames: [speech(1)], timestamp: 0 })]);
		packer.flush();
		expect(out[1]).toEqual(expect.objectContaining({ frames: [speech(2)], timestamp: next.timestamp, csrc: next.csrc, marker: next.marker }));
	});

	test('a longer packet is split, for a receiver that takes no more', () => {
		const { packer, out } = collect(20);
		packer.add(voice(480, [1, 2, 3, 4, 5, 6].map(speech), { marker: true }), 0);
		expect(durationsMs(out)).toEqual([20, 20, 20, 20, 20, 20]);
		expect(timestamps(out)).toEqual([0, 1, 2, 3, 4, 5].map((index) => 480 + index * 960));
		expect(out.map(({ marker }) => marker)).toEqual([true, false, false, false, false, false]);
	});

	test('a single frame longer than the packing goes out alone', () => {
		const { packer, out } = collect(20);
		packer.add(voice(0, [speech(1), speech(2)], { toc: 3 << 3 }), 0);
		expect(durationsMs(out)).toEqual([60, 60]);
	});

	test('frames that do not fill the packing exactly do not wait for one that cannot come', () => {
		const { packer, out } = collect(60);
		packer.add(voice(0, [speech(1)], { toc: 2 << 3 }), 0);
		expect(durationsMs(out)).toEqual([40]);
	});

	test('frames that wait too long are sent', () => {
		const { packer, out } = collect(60);
		expect(packer.dueMs).toBe(Infinity);
		packer.add(voice(0, [speech(1)]), 1000);
		packer.add(voice(960, [speech(2)]), 1020);
		packer.flushIfDue(1080);
		expect(out).toEqual([]);
		packer.flushIfDue(1081);
		expect(out).toEqual([expect.objectContaining({ frames: [speech(1), speech(2)], timestamp: 0 })]);
		expect(packer.dueMs).toBe(Infinity);
		packer.flushIfDue(5000);
		expect(out.length).toBe(1);
	});

	test('a new packing holds at once, without loss', () => {
		const { packer, out } = collect(120);
		for (let index = 0; index < 5; index++) packer.add(voice(index * 960, [speech(index)], { marker: index === 0 }), index * 20);
		packer.setPackingMs(40);
		expect(durationsMs(out)).toEqual([40, 40]);
		packer.add(voice(5 * 960, [speech(5)]), 100);
		expect(durationsMs(out)).toEqual([40, 40, 40]);
		expect(out.flatMap(({ frames }) => frames)).toEqual([0, 1, 2, 3, 4, 5].map(speech));
		expect(timestamps(out)).toEqual([0, 1920, 3840]);
		expect(out.map(({ marker }) => marker)).toEqual([true, false, false]);
	});

	test.each([0, 5, 121, 20.5, Number.NaN])('a packing of %d is refused', (packingMs) => {
		expect(() => new Packer({ packingMs }, () => undefined)).toThrow(RangeError);
		expect(() => collect(20).packer.setPackingMs(packingMs)).toThrow(RangeError);
	});
});

describe('silence', () => {
	test('DTX sends what waits, and goes out alone as one byte', () => {
		const { packer, out } = collect(60);
		packer.add(voice(0, [speech(1)]), 0);
		packer.add(dtx(960), 20);
		expect(out.map(({ dtx }) => dtx)).toEqual([false, true]);
		expect(out[1]).toEqual(expect.objectContaining({ toc: TOC, frames: [Buffer.alloc(0)], timestamp: 960, durationSamples: 960 }));
	});

	test.each([
		[20, [0, 960, 1920, 2880, 3840, 23_040]],
		[40, [0, 1920, 3840, 23_040]],
		[60, [0, 2880, 23_040]],
		[120, [0, 23_040]],
	])('at %i ms a train of DTX is thinned to one a packing', (packingMs, expected) => {
		const { packer, out } = collect(packingMs);
		for (const timestamp of [0, 960, 1920, 2880, 3840, 23_040]) packer.add(dtx(timestamp, { csrc: undefined }), timestamp / 48);
		expect(timestamps(out)).toEqual(expected);
	});

	test('in a silence that lasts, packets thin out to the pace asked for, and speech brings the train back', () => {
		const out: number[] = [];
		const packer = new Packer({ packingMs: 60, silenceEveryMs: () => 1_200 }, ({ timestamp, dtx: silent }) => {
			if (silent) out.push(timestamp / 48);
		});
		const silence = (fromMs: number) => {
			for (const atMs of [0, 20, 40, 60, 80, ...Array.from({ length: 12 }, (_, i) => 480 + 400 * i)]) packer.add(dtx((fromMs + atMs) * 48, { csrc: undefined }), fromMs + atMs);
		};
		silence(0);
		// One a packing of the train, then two more of it at the pace of what comes, then each third.
		expect(out).toEqual([0, 60, 480, 880, 1_280, 2_480, 3_680, 4_880]);
		packer.add(voice(6_000 * 48, [Buffer.from([1, 2, 3])], { csrc: undefined }), 6_000);
		out.length = 0;
		silence(6_020);
		expect(out.slice(0, 3)).toEqual([6_020, 6_080, 6_500]);
	});

	test('the first DTX after speech, of another speaker or of a new spurt always goes out', () => {
		const { packer, out } = collect(120);
		packer.add(dtx(0), 0);
		packer.add(voice(960, [speech(1)]), 20);
		packer.add(dtx(1920), 40);
		packer.add(dtx(2880, { csrc: undefined }), 60);
		packer.add(dtx(3840, { csrc: undefined, marker: true }), 80);
		expect(timestamps(out)).toEqual([0, 960, 1920, 2880, 3840]);
	});
});

describe('any voice', () => {
	const packet = fc.record({
		config: fc.integer({ min: 0, max: 31 }),
		stereo: fc.boolean(),
		lengths: fc.array(fc.oneof(fc.integer({ min: 2, max: 60 }), fc.constantFrom(251, 252, 255, 256, 1275)), { minLength: 1, maxLength: 6 }),
		same: fc.boolean(),
		gap: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }) }),
		csrc: fc.constantFrom(1, 1, 1, 2, undefined),
		marker: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
		packingMs: fc.option(fc.constantFrom(20, 40, 60, 120), { nil: undefined, freq: 8 }),
	});

	test('what comes out holds the same frames at the same timestamps, of the same speakers, within the packing', () => {
		fc.assert(
			fc.property(
				fc.constantFrom(20, 40, 60, 120),
				fc.integer({ min: 0, max: 0xffff_ffff }),
				fc.integer({ min: 0, max: 31 }),
				fc.array(packet, { maxLength: 30 }),
				(packingMs, start, firstConfig, packets) => {
					const { packer, out } = collect(packingMs);
					const expected: { frame: Buffer; timestamp: number; csrc: number | undefined; coding: number }[] = [];
					const spurts: number[] = [];
					let timestamp = start;
					let config = firstConfig;
					let largestMs: number = packingMs;
					packets.forEach((one, index) => {
						if (!one.same) ({ config } = one);
						const coding = (config << 1) | (one.stereo && !one.same ? 1 : 0);
						const toc = coding << 2;
						const samples = frameSamplesOf(toc);
						timestamp = addTimestamp(timestamp, one.gap);
						const frames = one.lengths
							.slice(0, Math.floor(5760 / samples))
							.map((length, at) => Buffer.from(Array.from({ length }, (_, byte) => (index * 17 + at * 5 + byte) & 255)));
						if (one.marker) spurts.push(timestamp);
						packer.add(voice(timestamp, frames, { toc, csrc: one.csrc, marker: one.marker }), index * 20);
						for (const frame of frames) {
							expected.push({ frame, timestamp, csrc: one.csrc, coding });
							timestamp = addTimestamp(timestamp, samples);
						}
						if (one.packingMs !== undefined) {
							packer.setPackingMs(one.packingMs);
							largestMs = Math.max(largestMs, one.packingMs);
						}
					});
					packer.flush();
					const got = out.flatMap((one) =>
						one.frames.map((frame, index) => ({
							frame,
							timestamp: addTimestamp(one.timestamp, index * frameSamplesOf(one.toc)),
							csrc: one.csrc,
							coding: one.toc >> 2,
						})),
					);
					expect(got).toEqual(expected);
					expect(out.filter(({ marker }) => marker).map(({ timestamp }) => timestamp)).toEqual(spurts);
					for (const { durationSamples, frames } of out) {
						expect(frames.length === 1 || durationSamples <= largestMs * 48).toBe(true);
					}
				},
			),
			{ numRuns: 500 },
		);
	});
});
