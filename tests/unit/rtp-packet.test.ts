import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RtpPacketView, audioLevelOf, headerExtensionOf, parseRtpPacket, writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import type { RtpPacketFields } from '../../sfu/rtp/rtp-packet.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

const fields: fc.Arbitrary<RtpPacketFields> = fc.record({
	payloadType: fc.integer({ min: 0, max: 127 }),
	marker: fc.boolean(),
	sequenceNumber: u16,
	timestamp: u32,
	ssrc: u32,
	csrc: fc.option(u32, { nil: undefined }),
	payload: bytes(200),
});

/** A packet put together by hand, with any number of CSRCs, an extension block and padding. */
const raw = (options: { csrcs?: number[]; extension?: { profile: number; data: Buffer }; padding?: number; payload?: Buffer }): Buffer => {
	const { csrcs = [], extension, padding = 0, payload = Buffer.of(1, 2, 3) } = options;
	const head = Buffer.alloc(12 + csrcs.length * 4);
	head[0] = 0x80 | (padding > 0 ? 0x20 : 0) | (extension ? 0x10 : 0) | csrcs.length;
	head[1] = 111;
	head.writeUInt16BE(7, 2);
	head.writeUInt32BE(960, 4);
	head.writeUInt32BE(0xdead_beef, 8);
	csrcs.forEach((csrc, index) => head.writeUInt32BE(csrc, 12 + index * 4));
	const parts: Buffer[] = [head];
	if (extension) {
		const words = Math.ceil(extension.data.length / 4);
		const block = Buffer.alloc(4 + words * 4);
		block.writeUInt16BE(extension.profile, 0);
		block.writeUInt16BE(words, 2);
		extension.data.copy(block, 4);
		parts.push(block);
	}
	parts.push(payload);
	if (padding > 0) parts.push(Buffer.alloc(padding - 1), Buffer.of(padding));
	return Buffer.concat(parts);
};

const parsed = (buffer: Buffer): RtpPacketView => {
	const view = parseRtpPacket(buffer);
	if (!view) throw new Error('expected a valid packet');
	return view;
};

const ONE_BYTE = 0xbede;
const TWO_BYTE = 0x1000;

describe('parsing RTP', () => {
	test('what is written is read back', () => {
		fc.assert(
			fc.property(fields, (packet) => {
				const buffer = writeRtpPacket(packet);
				expect(buffer.length).toBe((packet.csrc === undefined ? 12 : 16) + packet.payload.length);
				const { payloadType, marker, sequenceNumber, timestamp, ssrc, firstCsrc, csrcs, payload } = parsed(buffer);
				expect({ payloadType, marker, sequenceNumber, timestamp, ssrc, csrc: firstCsrc, payload }).toEqual(packet);
				expect(csrcs).toEqual(packet.csrc === undefined ? [] : [packet.csrc]);
			}),
		);
	});

	test('CSRCs, extension and padding are told apart from the payload', () => {
		const payload = Buffer.from('opus');
		const view = parsed(raw({ csrcs: [1, 0xffff_fffe, 3], extension: { profile: ONE_BYTE, data: Buffer.of(0x10, 0x85) }, padding: 9, payload }));
		expect(view.csrcs).toEqual([1, 0xffff_fffe, 3]);
		expect(view.payload).toEqual(payload);
		expect(view.ssrc).toBe(0xdead_beef);
		expect(headerExtensionOf(view, 1)).toEqual(Buffer.of(0x85));
	});

	test('a packet of nothing but padding is valid and empty', () => {
		expect(parsed(raw({ payload: Buffer.alloc(0), padding: 200 })).payload.length).toBe(0);
	});

	test('a view can be reused, and then nothing of the former packet is left', () => {
		const view = new RtpPacketView();
		parseRtpPacket(raw({ csrcs: [5], extension: { profile: ONE_BYTE, data: Buffer.of(0x10, 0x85) } }), view);
		expect(parseRtpPacket(raw({}), view)).toBe(view);
		expect(view.csrcs).toEqual([]);
		expect(audioLevelOf(view, 1)).toBeUndefined();
	});

	test.each<[string, Buffer]>([
		['nothing', Buffer.alloc(0)],
		['less than a header', Buffer.concat([Buffer.of(0x80), Buffer.alloc(10)])],
		['another version', Buffer.concat([Buffer.of(0x40), Buffer.alloc(20)])],
		['CSRCs beyond the end', Buffer.concat([Buffer.of(0x8f), Buffer.alloc(30)])],
		['an extension header beyond the end', Buffer.concat([Buffer.of(0x90), Buffer.alloc(13)])],
		['an extension beyond the end', raw({ extension: { profile: ONE_BYTE, data: Buffer.alloc(8) } }).subarray(0, 20)],
		['padding of length 0', Buffer.concat([Buffer.of(0xa0), Buffer.alloc(20)])],
		['padding longer than the payload', Buffer.concat([Buffer.of(0xa0), Buffer.alloc(14), Buffer.of(5)])],
	])('%s is refused', (_, buffer) => {
		expect(parseRtpPacket(buffer)).toBeUndefined();
	});

	test('random bytes never throw, and offsets stay within the packet', () => {
		const almost = fc.tuple(fc.integer({ min: 0x80, max: 0xbf }), bytes(90)).map(([first, rest]) => Buffer.concat([Buffer.of(first), rest]));
		fc.assert(
			fc.property(fc.oneof(bytes(64), almost), fc.integer({ min: 0, max: 255 }), (buffer, id) => {
				const view = parseRtpPacket(buffer);
				if (!view) return;
				expect(view.payloadStart).toBeGreaterThanOrEqual(12);
				expect(view.payloadEnd).toBeGreaterThanOrEqual(view.payloadStart);
				expect(view.payloadEnd).toBeLessThanOrEqual(buffer.length);
				expect(view.csrcs.length).toBe(buffer[0]! & 15);
				headerExtensionOf(view, id);
				audioLevelOf(view, id);
			}),
			{ numRuns: 2000 },
		);
	});
});

describe('header extensions', () => {
	test('any list of elements is found again, in either form, whatever padding lies between', () => {
		const element = (maxId: number, minLength: number, maxLength: number) =>
			fc.record({
				id: fc.integer({ min: 1, max: maxId }),
				data: fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array)),
				padding: fc.integer({ min: 0, max: 3 }),
			});
		const list = (maxId: number, minLength: number, maxLength: number) =>
			fc.uniqueArray(element(maxId, minLength, maxLength), { selector: ({ id }) => id, maxLength: 10 });
		fc.assert(
			fc.property(fc.oneof(list(14, 1, 16).map((l) => [ONE_BYTE, l] as const), list(255, 0, 255).map((l) => [TWO_BYTE + 3, l] as const)), ([profile, elements]) => {
				const data = Buffer.concat(
					elements.flatMap(({ id, data, padding }) => [
						Buffer.alloc(padding),
						profile === ONE_BYTE ? Buffer.of((id << 4) | (data.length - 1)) : Buffer.of(id, data.length),
						data,
					]),
				);
				const view = parsed(raw({ extension: { profile, data } }));
				for (const { id, data } of elements) expect(headerExtensionOf(view, id)).toEqual(data);
				const unused = Array.from({ length: 14 }, (_, index) => index + 1).find((id) => !elements.some((one) => one.id === id));
				if (unused !== undefined) expect(headerExtensionOf(view, unused)).toBeUndefined();
			}),
		);
	});

	test.each<[string, number, Buffer]>([
		['id 15 ends the list', ONE_BYTE, Buffer.of(0xf0, 1, 0x10, 0x85)],
		['id 0 with a length ends the list', ONE_BYTE, Buffer.of(0x01, 0, 0x10, 0x85)],
		['an element over the end of the block', ONE_BYTE, Buffer.of(0, 0, 0x11, 0x85)],
		['a two-byte element over the end of the block', TWO_BYTE, Buffer.of(0, 1, 2, 0x85)],
		['a two-byte element cut off before its length', TWO_BYTE, Buffer.of(0, 0, 0, 1)],
		['another profile', 0x1234, Buffer.of(0x10, 0x85, 0, 0)],
		['an empty level', TWO_BYTE, Buffer.of(1, 0, 0, 0)],
	])('%s: there is no level', (_, profile, data) => {
		expect(audioLevelOf(parsed(raw({ extension: { profile, data } })), 1)).toBeUndefined();
	});

	test.each([
		[0x00, false, 0],
		[0x80, true, 0],
		[0x9e, true, -30],
		[0x7f, false, -127],
	])('level byte %i says speech %s at %i dBov', (byte, voice, levelDbov) => {
		expect(audioLevelOf(parsed(raw({ extension: { profile: ONE_BYTE, data: Buffer.of(0x20, 9, 0x10, byte) } })), 1)).toEqual({ voice, levelDbov });
		expect(audioLevelOf(parsed(raw({ extension: { profile: TWO_BYTE, data: Buffer.of(1, 1, byte) } })), 1)).toEqual({ voice, levelDbov });
	});
});
