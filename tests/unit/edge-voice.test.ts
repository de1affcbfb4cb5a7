import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EdgeVoice, parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { isDtxPayload, splitOpusPacket } from '../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket, writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { addSequence, addTimestamp, timestampDifference } from '../../sfu/rtp/serial-number.ts';

const TOC = 0x78;
const FRAME = 960;

interface Out {
	sequenceNumber: number;
	timestamp: number;
	marker: boolean;
	csrc: number | undefined;
	frames: Buffer[];
	dtx: boolean;
	atMs: number;
}

/** An edge voice whose output is read back, checked for what holds always: own SSRC and payload type, no gap, no overlap. */
const edge = (packingMs: number, random = () => 0) => {
	const out: Out[] = [];
	const clock = { nowMs: 0 };
	let endTimestamp: number | undefined;
	const voice = new EdgeVoice({
		ssrc: 0xabcd_ef01,
		payloadType: 109,
		packingMs,
		nowMs: 0,
		random,
		emit: (packet) => {
			const view = parseRtpPacket(packet);
			const split = view && splitOpusPacket(view.payload);
			if (!view || !split) throw new Error('the edge voice sent a malformed packet');
			expect([view.ssrc, view.payloadType]).toEqual([0xabcd_ef01, 109]);
			const { sequenceNumber, timestamp, marker, firstCsrc: csrc } = view;
			const last = out.at(-1);
			if (last) expect(sequenceNumber).toBe(addSequence(last.sequenceNumber, 1));
			if (endTimestamp !== undefined) expect(timestampDifference(timestamp, endTimestamp)).toBeGreaterThanOrEqual(0);
			endTimestamp = addTimestamp(timestamp, split.durationSamples);
			out.push({ sequenceNumber, timestamp, marker, csrc, frames: split.frames, dtx: isDtxPayload(view.payload), atMs: clock.nowMs });
		},
	});
	return { voice, out, clock };
};

const upstream = (sequenceNumber: number, timestamp: number, frame: Buffer, options: { csrc?: number; marker?: boolean } = {}) => {
	const { csrc = 7, marker = false } = options;
	const packet = parseVoicePacket(
		writeRtpPacket({ payloadType: 111, marker, sequenceNumber, timestamp, ssrc: 1, csrc, payload: Buffer.concat([Buffer.of(TOC), frame]) }),
	);
	if (!packet) throw new Error('expected a valid packet');
	return packet;
};
const speech = (seed: number): Buffer => Buffer.from([seed & 255, 1, 2, seed >> 8]);
const audio = (out: Out[]): Out[] => out.filter(({ dtx }) => !dtx);

describe('parsing a voice packet', () => {
	test('gives header, payload and frames', () => {
		const { sequenceNumber, timestamp, csrc, marker, frames, durationSamples, dtx } = upstream(5, 960, speech(3), { csrc: 9, marker: true });
		expect({ sequenceNumber, timestamp, csrc, marker, frames, durationSamples, dtx }).toEqual({
			sequenceNumber: 5,
			timestamp: 960,
			csrc: 9,
			marker: true,
			frames: [speech(3)],
			durationSamples: FRAME,
			dtx: false,
		});
	});

	test('refuses what is not RTP or not Opus, and never throws', () => {
		expect(parseVoicePacket(Buffer.alloc(12))).toBeUndefined();
		expect(parseVoicePacket(writeRtpPacket({ payloadType: 1, marker: false, sequenceNumber: 1, timestamp: 1, ssrc: 1, payload: Buffer.alloc(0) }))).toBeUndefined();
		expect(parseVoicePacket(writeRtpPacket({ payloadType: 1, marker: false, sequenceNumber: 1, timestamp: 1, ssrc: 1, payload: Buffer.of(0x7b, 0) }))).toBeUndefined();
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, likely) => {
				const buffer = Buffer.from(bytes);
				if (likely && buffer.length > 0) buffer[0] = 0x80 | (buffer[0]! & 0x3f);
				const packet = parseVoicePacket(buffer);
				if (packet) expect(packet.frames.length).toBeGreaterThan(0);
			}),
			{ numRuns: 2000 },
		);
	});
});

describe('edge voice', () => {
	test('packs the upstream to 60 ms under its own identity, with the speaker as CSRC', () => {
		const { voice, out } = edge(60);
		voice.setUpstream('link-1');
		for (let index = 0; index < 6; index++) voice.onUpstreamPacket(upstream(100 + index, 5000 + index * FRAME, speech(index), { marker: index === 0 }), index * 20);
		expect(out.map(({ frames }) => frames)).toEqual([[0, 1, 2].map(speech), [3, 4, 5].map(speech)]);
		expect(timestampDifference(out[1]!.timestamp, out[0]!.timestamp)).toBe(3 * FRAME);
		expect(out.map(({ marker, csrc }) => [marker, csrc])).toEqual([[true, 7], [false, 7]]);
	});

	test('several edges share one parsed packet and do not disturb each other', () => {
		const edges = [edge(20), edge(40), edge(60), edge(120)];
		for (let index = 0; index < 6; index++) {
			const packet = upstream(index, index * FRAME, speech(index));
			for (const { voice } of edges) voice.onUpstreamPacket(packet, index * 20);
		}
		for (const { out } of edges) expect(out.flatMap(({ frames }) => frames)).toEqual([0, 1, 2, 3, 4, 5].map(speech));
		expect(edges.map(({ out }) => out.length)).toEqual([6, 3, 2, 1]);
	});

	test('late and duplicate packets are dropped and counted; loss stays a hole of its own length', () => {
		const { voice, out } = edge(20);
		for (const index of [0, 1, 4, 3, 4, 5]) voice.onUpstreamPacket(upstream(index, index * FRAME, speech(index)), index * 20);
		expect(out.map(({ timestamp }) => timestamp - out[0]!.timestamp)).toEqual([0, 1, 4, 5].map((index) => index * FRAME));
		expect(voice.stats).toEqual({ packetsIn: 6, packetsOut: 4, late: 2, keepAlives: 0 });
	});

	test('a replaced upstream continues the stream: what waited goes out, then the new one with a marker', () => {
		const { voice, out } = edge(60);
		voice.setUpstream('old');
		voice.onUpstreamPacket(upstream(1, 0, speech(1)), 0);
		voice.onUpstreamPacket(upstream(2, FRAME, speech(2)), 20);
		voice.setUpstream('new');
		voice.setUpstream('new');
		for (let index = 0; index < 3; index++) voice.onUpstreamPacket(upstream(40_000 + index, 0xfff_0000 + index * FRAME, speech(10 + index)), 100 + index * 20);
		expect(out.map(({ frames }) => frames)).toEqual([[1, 2].map(speech), [10, 11, 12].map(speech)]);
		expect(out.map(({ marker }) => marker)).toEqual([true, true]);
		expect(timestampDifference(out[1]!.timestamp, out[0]!.timestamp)).toBeGreaterThanOrEqual(100 * 48);
	});

	test('a packing set in the middle of a packet loses nothing', () => {
		const { voice, out } = edge(120);
		for (let index = 0; index < 4; index++) voice.onUpstreamPacket(upstream(index, index * FRAME, speech(index)), index * 20);
		voice.setPackingMs(20);
		voice.onUpstreamPacket(upstream(4, 4 * FRAME, speech(4)), 80);
		expect(out.map(({ frames }) => frames)).toEqual([0, 1, 2, 3, 4].map((index) => [speech(index)]));
	});

	test('without an upstream it sends DTX without a CSRC at once and every 400 ms, at the wall clock', () => {
		const { voice, out, clock } = edge(60);
		for (; clock.nowMs <= 1000; clock.nowMs += 20) voice.tick(clock.nowMs);
		expect(out.map(({ atMs, timestamp, dtx, csrc, marker }) => ({ atMs, timestamp, dtx, csrc, marker }))).toEqual(
			[0, 400, 800].map((atMs) => ({ atMs, timestamp: atMs * 48, dtx: true, csrc: undefined, marker: false })),
		);
	});

	test('an upstream that dies in mid-packet: its frames go out, then keep-alives from 500 ms on until it is back', () => {
		const { voice, out, clock } = edge(60);
		voice.setUpstream('old');
		voice.onUpstreamPacket(upstream(1, 0, speech(1)), 0);
		for (clock.nowMs = 10; clock.nowMs < 1400; clock.nowMs += 10) {
			expect(voice.nextTickDueMs).toBeGreaterThanOrEqual(clock.nowMs - 10);
			voice.tick(clock.nowMs);
		}
		expect(out.map(({ atMs, dtx }) => [atMs, dtx])).toEqual([
			[90, false],
			[500, true],
			[900, true],
			[1300, true],
		]);
		voice.setUpstream('new');
		voice.setPackingMs(20);
		voice.onUpstreamPacket(upstream(9, 77, speech(2)), clock.nowMs);
		expect(out.at(-1)).toEqual(expect.objectContaining({ marker: true, dtx: false, frames: [speech(2)], timestamp: 1400 * 48 }));
	});

	test('after a long pause sequence numbers count for nothing: the first packet is sent', () => {
		const { voice, out } = edge(20);
		voice.onUpstreamPacket(upstream(100, 0, speech(1)), 0);
		voice.onUpstreamPacket(upstream(95, 48 * 600_000, speech(2)), 600_000);
		expect(audio(out).map(({ frames, timestamp }) => [frames, timestamp])).toEqual([
			[[speech(1)], 0],
			[[speech(2)], addTimestamp(0, 600_000 * 48)],
		]);
	});

	const event = fc.oneof(
		{ weight: 12, arbitrary: fc.record({ kind: fc.constant('packet' as const), lost: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 3), marker: fc.constantFrom(false, false, false, true), dtx: fc.constantFrom(false, false, false, true), csrc: fc.constantFrom(1, 1, 1, 2) }) },
		{ weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const), back: fc.integer({ min: 0, max: 20 }) }) },
		{ weight: 1, arbitrary: fc.record({ kind: fc.constant('relink' as const), sequence: fc.integer({ min: 0, max: 0xffff }), timestamp: fc.integer({ min: 0, max: 0xffff_ffff }) }) },
		{ weight: 1, arbitrary: fc.record({ kind: fc.constant('packing' as const), packingMs: fc.constantFrom(20, 40, 60, 120) }) },
		{ weight: 1, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 3000 }) }) },
	);

	test('any upstream, with loss, repetition, relinks, pauses and changes of packing: every frame once, in order, of its own speaker', () => {
		fc.assert(
			fc.property(fc.double({ min: 0, max: 0.999_999_999, noNaN: true }), fc.array(event, { maxLength: 150 }), (start, events) => {
				const { voice, out, clock } = edge(60, () => start);
				const sent: { frame: Buffer; csrc: number }[] = [];
				let sequence = 65_500;
				let timestamp = 0xffff_0000;
				let link = 0;
				let seed = 0;
				let fresh = true;
				let heardAtMs = 0;
				const pass = (ms: number): void => {
					for (const until = clock.nowMs + ms; clock.nowMs < until; ) {
						clock.nowMs = Math.min(until, clock.nowMs + 20);
						voice.tick(clock.nowMs);
					}
				};
				voice.setUpstream(link);
				for (const one of events) {
					switch (one.kind) {
						case 'packet': {
							pass(20 * (1 + one.lost));
							sequence = addSequence(sequence, 1 + one.lost);
							timestamp = addTimestamp(timestamp, (1 + one.lost) * FRAME);
							const frame = one.dtx ? Buffer.alloc(0) : speech(++seed);
							voice.onUpstreamPacket(upstream(sequence, timestamp, frame, one), clock.nowMs);
							if (!one.dtx) sent.push({ frame, csrc: one.csrc });
							fresh = false;
							heardAtMs = clock.nowMs;
							break;
						}
						case 'again':
							// After two seconds of nothing, numbers mean nothing either.
							if (fresh || clock.nowMs - heardAtMs > 2000) break;
							voice.onUpstreamPacket(upstream(addSequence(sequence, -one.back), addTimestamp(timestamp, -one.back * FRAME), speech(0xffff)), clock.nowMs);
							heardAtMs = clock.nowMs;
							break;
						case 'relink':
							({ sequence, timestamp } = one);
							fresh = true;
							voice.setUpstream(++link);
							break;
						case 'packing':
							voice.setPackingMs(one.packingMs);
							break;
						case 'pause':
							pass(one.ms);
							timestamp = addTimestamp(timestamp, one.ms * 48);
							break;
					}
				}
				pass(200);
				expect(audio(out).flatMap(({ frames, csrc }) => frames.map((frame) => ({ frame, csrc })))).toEqual(sent);
			}),
			{ numRuns: 300 },
		);
	});
});
