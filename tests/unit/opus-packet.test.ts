import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
	dtxPayload,
	frameSamplesOf,
	isDtxPayload,
	opusDurationSamples,
	packOpusFrames,
	readToc,
	sameCoding,
	splitOpusPacket,
	twentyMsToc,
} from '../../sfu/rtp/opus-packet.ts';

const config = fc.integer({ min: 0, max: 31 });
const toByte = (config: number, stereo: boolean, code: number): number => (config << 3) | (stereo ? 4 : 0) | code;
const frameOf = (length: number, seed: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => (seed + index * 7) & 255));
/** Frame lengths around every edge of the coding: none, one byte, two-byte lengths, the longest. */
const frameLength = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(0, 1, 2, 250, 251, 252, 253, 254, 255, 256, 1023, 1274, 1275));

const lengthBytes = (length: number): Buffer =>
	length < 252 ? Buffer.of(length) : Buffer.of(252 + (length % 4), (length - 252 - (length % 4)) / 4);

/** Padding by the letter of RFC 6716 §3.2.5: any number of bytes as a chain of 255s (254 each) and a last length byte. */
const paddingOf = (bytes: number): { head: Buffer; tail: Buffer } => {
	const full = Math.floor(bytes / 255);
	return { head: Buffer.concat([Buffer.alloc(full, 255), Buffer.of(bytes % 255)]), tail: Buffer.alloc(full * 254 + (bytes % 255), 0) };
};

interface Sample {
	toc: number;
	frames: Buffer[];
	packet: Buffer;
}

/** Every form of packet RFC 6716 allows, put together independently of the code under test. */
const sample: fc.Arbitrary<Sample> = fc
	.record({
		config,
		stereo: fc.boolean(),
		form: fc.constantFrom('code0', 'code1', 'code2', 'cbr', 'vbr'),
		lengths: fc.array(frameLength, { minLength: 1, maxLength: 48 }),
		padding: fc.option(fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 250, max: 800 })), { nil: undefined }),
	})
	.map(({ config, stereo, form, lengths, padding }) => {
		const most = Math.floor(5760 / frameSamplesOf(config << 3));
		const count = form === 'code0' ? 1 : form === 'code1' || form === 'code2' ? 2 : Math.min(lengths.length, most);
		const constant = form === 'code1' || form === 'cbr';
		const frames = Array.from({ length: count }, (_, index) => frameOf(constant ? lengths[0]! : lengths[index % lengths.length]!, index * 31 + config));
		const code = { code0: 0, code1: 1, code2: 2, cbr: 3, vbr: 3 }[form];
		const toc = toByte(config, stereo, code);
		const parts: Buffer[] = [Buffer.of(toc)];
		if (form === 'code2') parts.push(lengthBytes(frames[0]!.length));
		let tail = Buffer.alloc(0);
		if (code === 3) {
			parts.push(Buffer.of(count | (form === 'vbr' ? 0x80 : 0) | (padding === undefined ? 0 : 0x40)));
			if (padding !== undefined) {
				const made = paddingOf(padding);
				parts.push(made.head);
				tail = Buffer.from(made.tail);
			}
			if (form === 'vbr') parts.push(...frames.slice(0, -1).map((frame) => lengthBytes(frame.length)));
		}
		return { toc, frames, packet: Buffer.concat([...parts, ...frames, tail]) };
	});

describe('TOC', () => {
	test('all 32 configurations have the duration of RFC 6716 table 2', () => {
		const silk = [10, 20, 40, 60];
		const expected = [...silk, ...silk, ...silk, 10, 20, 10, 20, ...Array.from({ length: 4 }, () => [2.5, 5, 10, 20]).flat()];
		expect(Array.from({ length: 32 }, (_, index) => frameSamplesOf(index << 3) / 48)).toEqual(expected);
	});

	test('its fields are told apart', () => {
		expect(readToc(0xff)).toEqual({ config: 31, stereo: true, code: 3, frameSamples: 960 });
		expect(readToc(0x0a)).toEqual({ config: 1, stereo: false, code: 2, frameSamples: 960 });
		expect(sameCoding(0x78, 0x7b)).toBe(true);
		expect(sameCoding(0x78, 0x7c)).toBe(false);
		expect(sameCoding(0x78, 0x70)).toBe(false);
	});

	test('the 20 ms form of a configuration keeps mode, bandwidth and channels', () => {
		for (let toc = 0; toc < 256; toc++) {
			const twenty = twentyMsToc(toc);
			expect(frameSamplesOf(twenty)).toBe(960);
			expect(twenty & 4).toBe(toc & 4);
			const group = (value: number) => (value >> 3 < 12 ? value >> 5 : value >> 3 < 16 ? 10 + (value >> 4) : 20 + (value >> 5));
			expect(group(twenty)).toBe(group(toc));
		}
	});
});

describe('splitting and packing', () => {
	test('every form of packet is split into its frames, padding removed', () => {
		fc.assert(
			fc.property(sample, ({ toc, frames, packet }) => {
				expect(splitOpusPacket(packet)).toEqual({ toc, frames, durationSamples: frames.length * frameSamplesOf(toc) });
				expect(opusDurationSamples(packet)).toBe(frames.length * frameSamplesOf(toc));
			}),
			{ numRuns: 1000 },
		);
	});

	test('repacked frames are the same frames, in the shortest form, never longer than they came', () => {
		fc.assert(
			fc.property(sample, fc.integer({ min: 0, max: 20 }), ({ toc, frames, packet }, headroom) => {
				const packed = packOpusFrames(toc, frames, headroom).subarray(headroom);
				const again = splitOpusPacket(packed)!;
				expect(again.frames).toEqual(frames);
				expect(again.toc >> 2).toBe(toc >> 2);
				expect(packed.length).toBeLessThanOrEqual(packet.length);
				const alike = frames.every((frame) => frame.length === frames[0]!.length);
				expect(again.toc & 3).toBe(frames.length > 2 ? 3 : frames.length === 1 ? 0 : alike ? 1 : 2);
				if (frames.length > 2) expect(packed[1]! >> 6).toBe(alike ? 0 : 2);
			}),
			{ numRuns: 1000 },
		);
	});

	test.each<[string, Buffer]>([
		['R1: no byte at all', Buffer.alloc(0)],
		['R2: a frame of 1276 bytes', Buffer.alloc(1277, 0x78)],
		['R2: two frames of 1276 bytes', Buffer.concat([Buffer.of(0x79), Buffer.alloc(2552)])],
		['R2: a second frame of 1276 bytes', Buffer.concat([Buffer.of(0x7a, 1, 9), Buffer.alloc(1276)])],
		['R2: a CBR frame of 1276 bytes', Buffer.concat([Buffer.of(0x7b, 1), Buffer.alloc(1276)])],
		['R2: a last VBR frame of 1276 bytes', Buffer.concat([Buffer.of(0x7b, 0x82, 0), Buffer.alloc(1276)])],
		['R3: code 1 with an odd rest', Buffer.of(0x79, 1, 2, 3)],
		['R4: code 2 without a length', Buffer.of(0x7a)],
		['R4: code 2 with half a length', Buffer.of(0x7a, 252)],
		['R4: code 2 with a frame over the end', Buffer.of(0x7a, 3, 1, 2)],
		['R5: no frame', Buffer.of(0x7b, 0)],
		['R5: more than 120 ms', Buffer.of(0x7b, 7)],
		['R5: more than 48 frames', Buffer.of(toByte(16, false, 3), 49)],
		['R6: code 3 without a frame count', Buffer.of(0x7b)],
		['R6: a rest that does not divide', Buffer.of(0x7b, 2, 1, 2, 3)],
		['R6: padding without its length', Buffer.of(0x7b, 0x41)],
		['R6: padding cut off in its length', Buffer.of(0x7b, 0x41, 255)],
		['R6: padding longer than the rest', Buffer.of(0x7b, 0x41, 3, 0, 0)],
		['R7: lengths cut off', Buffer.of(0x7b, 0x83, 1)],
		['R7: half a two-byte length', Buffer.of(0x7b, 0x82, 253)],
		['R7: frames over the end', Buffer.of(0x7b, 0x82, 5, 1, 2)],
		['R7: padding eats the frames', Buffer.of(0x7b, 0xc2, 2, 1, 9, 0)],
	])('%s is refused', (_, packet) => {
		expect(splitOpusPacket(packet)).toBeUndefined();
		expect(opusDurationSamples(packet)).toBe(0);
	});

	test('random bytes never throw; what is accepted holds at most 120 ms in frames of at most 1275 bytes', () => {
		const random = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array));
		const code3 = fc.tuple(config, fc.uint8Array({ maxLength: 60 })).map(([config, rest]) => Buffer.from([toByte(config, false, 3), ...rest]));
		fc.assert(
			fc.property(fc.oneof(random, code3), (payload) => {
				const split = splitOpusPacket(payload);
				isDtxPayload(payload);
				expect(opusDurationSamples(payload)).toBe(split?.durationSamples ?? 0);
				if (!split) return;
				expect(split.durationSamples).toBeLessThanOrEqual(5760);
				expect(split.frames.every((frame) => frame.length <= 1275)).toBe(true);
				expect(split.frames.reduce((sum, frame) => sum + frame.length, 0)).toBeLessThan(payload.length);
			}),
			{ numRuns: 3000 },
		);
	});

	test('misuse of the packer is refused', () => {
		const frame = Buffer.alloc(10);
		expect(() => packOpusFrames(0x78, [])).toThrow(RangeError);
		expect(() => packOpusFrames(0x78, Array.from({ length: 7 }, () => frame))).toThrow(RangeError);
		expect(() => packOpusFrames(toByte(16, false, 0), Array.from({ length: 49 }, () => frame))).toThrow(RangeError);
		expect(() => packOpusFrames(0x78, [Buffer.alloc(1276)])).toThrow(RangeError);
		expect(packOpusFrames(toByte(16, false, 0), Array.from({ length: 48 }, () => frame))[1]).toBe(48);
	});
});

describe('DTX', () => {
	test.each<[string, Buffer, boolean]>([
		['nothing', Buffer.alloc(0), true],
		['the TOC alone', Buffer.of(0x78), true],
		['two bytes', Buffer.of(0x08, 0), true],
		['six empty frames', Buffer.of(0x7b, 6), true],
		['two frames of one byte', Buffer.of(0x79, 1, 2), true],
		['two frames of two bytes', Buffer.of(0x79, 1, 2, 3, 4), false],
		['code 2, empty and one byte', Buffer.of(0x7a, 0, 1), true],
		['code 2, one byte and empty', Buffer.of(0x7a, 1, 1), true],
		['code 2, one byte each', Buffer.of(0x7a, 1, 1, 1), true],
		['code 2, empty and two bytes', Buffer.of(0x7a, 0, 1, 1), false],
		['code 2, two bytes and empty', Buffer.of(0x7a, 2, 1, 1), false],
		['three frames of one byte', Buffer.of(0x7b, 3, 1, 2, 3), true],
		['VBR, one frame of audio', Buffer.of(0x7b, 0x83, 0, 2, 1, 1), false],
		['an empty frame with 500 bytes of padding', Buffer.concat([Buffer.of(0x7b, 0x41, 255, 246), Buffer.alloc(500)]), true],
		['speech', Buffer.alloc(60, 0x78), false],
		['one frame of two bytes', Buffer.of(0x78, 1, 2), false],
	])('%s: %o', (_, payload, dtx) => {
		expect(isDtxPayload(payload)).toBe(dtx);
	});

	test('agrees with the frames themselves for every form of packet', () => {
		fc.assert(
			fc.property(sample, ({ frames, packet }) => {
				expect(isDtxPayload(packet)).toBe(packet.length <= 2 || frames.every((frame) => frame.length <= 1));
			}),
			{ numRuns: 1000 },
		);
	});

	test('what we send for silence is one empty frame', () => {
		for (let toc = 0; toc < 256; toc++) {
			const payload = dtxPayload(toc);
			expect(payload.length).toBe(1);
			expect(splitOpusPacket(payload)).toEqual({ toc: toc & 0xfc, frames: [Buffer.alloc(0)], durationSamples: frameSamplesOf(toc) });
			expect(isDtxPayload(payload)).toBe(true);
		}
	});
});
