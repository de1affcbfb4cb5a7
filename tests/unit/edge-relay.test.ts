import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { edgeKindKey, edgeKindOf, RELAY_KIND } from '../../sfu/edge/edge-kind.ts';
import { EdgeVoice, parseVoicePacket } from '../../sfu/edge/edge-voice.ts';
import { packOpusFrames, opusDurationSamples } from '../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket, writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { addSequence, addTimestamp, timestampDifference } from '../../sfu/rtp/serial-number.ts';

const FRAME = 960;
const TOC = 0x78;

interface Out {
	atMs: number;
	sequenceNumber: number;
	timestamp: number;
	durationSamples: number;
	marker: boolean;
	csrc: number | undefined;
	payload: Buffer;
}

/** A voice of a relay; what must hold of any stream is checked as it leaves. */
function relay() {
	const out: Out[] = [];
	const clock = { nowMs: 0 };
	const voice = new EdgeVoice({
		ssrc: 77,
		payloadType: 111,
		packingMs: 'as-it-comes',
		nowMs: 0,
		emit: (packet) => {
			const view = parseRtpPacket(packet);
			if (!view) throw new Error('not RTP');
			expect([view.ssrc, view.payloadType]).toEqual([77, 111]);
			const durationSamples = opusDurationSamples(view.buffer, view.payloadStart, view.payloadEnd);
			const last = out.at(-1);
			if (last) {
				expect(view.sequenceNumber).toBe(addSequence(last.sequenceNumber, 1));
				expect(timestampDifference(view.timestamp, addTimestamp(last.timestamp, last.durationSamples))).toBeGreaterThanOrEqual(0);
			}
			out.push({ atMs: clock.nowMs, sequenceNumber: view.sequenceNumber, timestamp: view.timestamp, durationSamples, marker: view.marker, csrc: view.firstCsrc, payload: Buffer.from(view.payload) });
		},
	});
	const take = (packet: { sequenceNumber: number; timestamp: number; payload: Buffer; csrc?: number; marker?: boolean }) => {
		const parsed = parseVoicePacket(writeRtpPacket({ payloadType: 111, marker: false, ssrc: 5, ...packet }));
		if (!parsed) throw new Error('the test made a malformed packet');
		voice.onUpstreamPacket(parsed, clock.nowMs);
	};
	return { voice, out, clock, take };
}

const speech = (index: number) => Buffer.from([TOC, index & 255, index >> 8, 9]);

describe('a voice of a relay', () => {
	it('sends everything on at once, and byte for byte', () => {
		const payload = fc.oneof(
			fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from([TOC, ...bytes])),
			// The forms of nothing, several frames in one, padding.
			fc.constantFrom(Buffer.of(TOC), Buffer.from([0xf8, 0xff, 0xfe]), packOpusFrames(TOC, [Buffer.of(1), Buffer.of(2, 3), Buffer.of(4)], 0), Buffer.from([TOC | 3, 0x41, 2, 8, 0, 0])),
		);
		fc.assert(
			fc.property(fc.array(fc.record({ payload, csrc: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }), marker: fc.boolean() }), { maxLength: 60 }), (packets) => {
				const { out, clock, take } = relay();
				let timestamp = 4_000_000_000;
				for (const [index, { payload: bytes, csrc, marker }] of packets.entries()) {
					const before = out.length;
					take({ sequenceNumber: (65_530 + index) & 0xffff, timestamp, payload: bytes, marker, ...(csrc === undefined ? {} : { csrc }) });
					expect(out.length).toBe(before + 1);
					expect(out.at(-1)).toMatchObject({ payload: bytes, csrc });
					// The first packet begins something whatever it says; of all others the marker is the speaker's.
					expect(out.at(-1)?.marker).toBe(marker || index === 0);
					const samples = opusDurationSamples(bytes, 0, bytes.length);
					timestamp = (timestamp + samples) >>> 0;
					clock.nowMs += samples / 48;
				}
			}),
		);
	});

	it('keeps the distance of timestamps, silences and losses among them', () => {
		const { out, clock, take } = relay();
		const offsets = [0, 1, 2, 5, 6, 26, 46, 47].map((frames) => frames * FRAME);
		for (const [index, offset] of offsets.entries()) {
			clock.nowMs = offset / 48;
			take({ sequenceNumber: 10 + index, timestamp: 123 + offset, payload: index > 4 && index < 7 ? Buffer.of(TOC) : speech(index) });
		}
		expect(out.map(({ timestamp }) => timestampDifference(timestamp, out[0]?.timestamp ?? 0))).toEqual(offsets);
	});

	it('shows nothing of another upstream but the time that passed: numbers and timestamps run on', () => {
		const { voice, out, clock, take } = relay();
		voice.setUpstream('one');
		for (let index = 0; index < 50; index++) {
			take({ sequenceNumber: index, timestamp: index * FRAME, payload: speech(index), csrc: 3 });
			clock.nowMs += 20;
		}
		// The old link is silent for a while before there is another; ticks as on a listener shard.
		for (const untilMs = clock.nowMs + 2_500; clock.nowMs < untilMs; clock.nowMs += 100) voice.tick(clock.nowMs);
		const bridged = out.slice(50);
		expect(bridged.length).toBeGreaterThan(8);
		expect(bridged.every(({ payload, csrc, marker }) => payload.equals(Buffer.of(TOC)) && csrc === undefined && !marker)).toBe(true);
		voice.setUpstream('two');
		const resumedAt = out.length;
		for (let index = 0; index < 50; index++) {
			take({ sequenceNumber: 40_000 + index, timestamp: 3_000_000_000 + index * FRAME, payload: speech(500 + index), csrc: 3 });
			clock.nowMs += 20;
		}
		expect(out.slice(resumedAt).map(({ payload }) => payload)).toEqual(Array.from({ length: 50 }, (_, index) => speech(500 + index)));
		expect(out[resumedAt]?.marker).toBe(true);
		// Timestamps tell the wall clock's time, to a frame.
		for (const { atMs, timestamp } of out) expect(Math.abs(timestampDifference(timestamp, out[0]?.timestamp ?? 0) / 48 - atMs)).toBeLessThanOrEqual(20);
	});

	it('drops what comes late or twice, as any edge does', () => {
		const { out, take } = relay();
		for (const sequenceNumber of [1, 2, 4, 3, 4, 5]) take({ sequenceNumber, timestamp: sequenceNumber * FRAME, payload: speech(sequenceNumber) });
		expect(out.map(({ payload }) => payload)).toEqual([1, 2, 4, 5].map(speech));
	});

	it('has no packing to change', () => {
		const { voice, out, clock, take } = relay();
		voice.setPackingMs(120);
		take({ sequenceNumber: 1, timestamp: 1, payload: speech(1) });
		expect(out).toHaveLength(1);
		clock.nowMs = 200;
		voice.tick(200);
		expect(out).toHaveLength(1);
		expect(voice.nextTickDueMs).toBeGreaterThan(400);
	});
});

describe('the kind of a relay', () => {
	it('is shared with no client, not even with one that asks for the same', () => {
		expect(edgeKindKey(edgeKindOf(RELAY_KIND.payloadType, 20, 20))).not.toBe(edgeKindKey(RELAY_KIND));
	});
});
