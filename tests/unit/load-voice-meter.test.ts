import { describe, expect, it } from 'vitest';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { OwnStalls } from '../load/surge/own-stalls.ts';
import { VoiceMeter } from '../load/surge/voice-meter.ts';

const SPEECH = Buffer.from([0x78, 1, 2, 3, 4, 5]);
const SILENCE = Buffer.from([0x78]);

/** Takes packets of 20 ms at media times and arrival times, both in ms; returns the gaps in front of each. */
function gaps(meter: VoiceMeter, packets: readonly { seq: number; mediaMs: number; atMs: number; silent?: boolean }[]): (number | undefined)[] {
	return packets.map(({ seq, mediaMs, atMs, silent = false }) =>
		meter.take(writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber: seq & 0xffff, timestamp: (mediaMs * 48) >>> 0, ssrc: 7, payload: silent ? SILENCE : SPEECH }), atMs),
	);
}

describe('gaps and losses of a voice', () => {
	it('has gaps of a packet in an undisturbed stream', () => {
		expect(gaps(new VoiceMeter(), [0, 1, 2].map((seq) => ({ seq, mediaMs: seq * 20, atMs: 1_000 + seq * 20 })))).toEqual([0, 20, 20]);
	});

	it('takes no pause of a talker for a gap, however long the keep-alives are apart', () => {
		const pause = [
			{ seq: 0, mediaMs: 0, atMs: 0 },
			{ seq: 1, mediaMs: 20, atMs: 20, silent: true },
			{ seq: 2, mediaMs: 420, atMs: 420, silent: true },
			{ seq: 3, mediaMs: 1_620, atMs: 1_620, silent: true },
			{ seq: 4, mediaMs: 2_000, atMs: 2_000 },
		];
		expect(gaps(new VoiceMeter(), pause)).toEqual([0, 20, 20, 20, 20]);
	});

	it('sees a packet that came late, in speech and in a pause', () => {
		expect(gaps(new VoiceMeter(), [{ seq: 0, mediaMs: 0, atMs: 0 }, { seq: 1, mediaMs: 20, atMs: 270 }])[1]).toBe(270);
		expect(gaps(new VoiceMeter(), [{ seq: 0, mediaMs: 0, atMs: 0, silent: true }, { seq: 1, mediaMs: 400, atMs: 700, silent: true }])[1]).toBe(320);
	});

	it('takes speech that the stream skips without a word for a gap', () => {
		expect(gaps(new VoiceMeter(), [{ seq: 0, mediaMs: 0, atMs: 0 }, { seq: 1, mediaMs: 500, atMs: 500 }])[1]).toBe(500);
	});

	it('counts what is lost, forgives what was overtaken, and goes on over the wrap of sequence numbers', () => {
		const meter = new VoiceMeter();
		gaps(meter, [{ seq: 0xfffe, mediaMs: 0, atMs: 0 }, { seq: 0x1_0001, mediaMs: 60, atMs: 60 }]);
		expect(meter.lost).toBe(2);
		gaps(meter, [{ seq: 0xffff, mediaMs: 20, atMs: 61 }]);
		expect(meter.lost).toBe(1);
		expect(meter.packets).toBe(2);
		gaps(meter, [{ seq: 0x1_0001, mediaMs: 60, atMs: 62 }]);
		expect(meter.lost).toBe(1);
	});

	it('tells audio from keep-alives, and reads who speaks', () => {
		const meter = new VoiceMeter();
		gaps(meter, [{ seq: 0, mediaMs: 0, atMs: 0, silent: true }]);
		expect([meter.hasAudio, meter.audioPackets]).toEqual([false, 0]);
		gaps(meter, [{ seq: 1, mediaMs: 20, atMs: 20 }]);
		expect([meter.hasAudio, meter.audioPackets]).toEqual([true, 1]);
		expect(meter.take(Buffer.from([1, 2, 3]), 40)).toBeUndefined();
	});
});

describe('a generator that stood still', () => {
	it('knows how much of a gap was its own doing', () => {
		let nowMs = 0;
		const stalls = new OwnStalls(() => nowMs);
		for (nowMs = 20; nowMs <= 100; nowMs += 20) stalls.look();
		nowMs = 300; // Nothing looked at the clock from 100 on.
		expect(stalls.within(90, 300)).toBe(180);
		stalls.look();
		nowMs = 320;
		stalls.look();
		expect(stalls.within(90, 320)).toBe(180);
		expect(stalls.within(200, 250)).toBe(50);
		expect(stalls.within(0, 90)).toBe(0);
		stalls.close();
	});
});
