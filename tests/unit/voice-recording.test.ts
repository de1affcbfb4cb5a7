import { describe, expect, it } from 'vitest';
import { type RecordedChunk, VoiceRecording } from '../../sfu/egress/voice-recording.ts';
import { parseVoicePacket, type VoicePacket } from '../../sfu/rtp/voice-packet.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';

const FRAME_MS = 20;

/** A frame of CELT that says something. */
function packet(sequenceNumber: number, csrc: number): VoicePacket {
	const parsed = parseVoicePacket(writeRtpPacket({ payloadType: 111, sequenceNumber, timestamp: sequenceNumber * 960, ssrc: 1, csrc, marker: false, payload: Buffer.of(31 << 3, 1, 2, 3, 4, 5, 6, 7) }));
	if (!parsed) throw new Error('not a packet');
	return parsed;
}

/** Talks from one moment to another; everybody's clock is the test's. */
function record(spoken: { voice: number; number: number; fromMs: number; toMs: number }[], untilMs: number): RecordedChunk[] {
	const chunks: RecordedChunk[] = [];
	const recording = new VoiceRecording({ voices: 2, startMs: 1_000, onChunk: (chunk) => chunks.push(chunk) });
	recording.setUpstream('link');
	for (let atMs = 0; atMs <= untilMs; atMs += FRAME_MS) {
		for (const { voice, number, fromMs, toMs } of spoken) {
			if (atMs >= fromMs && atMs < toMs) recording.onVoicePacket(voice, packet(atMs / FRAME_MS + 1, number), 1_000 + atMs);
		}
		if (atMs % 100 === 0) recording.tick(1_000 + atMs);
	}
	recording.close(1_000 + untilMs);
	recording.close(1_000 + untilMs + 5_000);
	return chunks;
}

/** Pages of an Ogg file by stream: samples at the end of each (RFC 3533 §6). */
function pagesOf(file: Buffer): { serial: number; samples: number; first: boolean }[] {
	const pages = [];
	for (let at = 0; at < file.length; ) {
		expect(file.toString('latin1', at, at + 4)).toBe('OggS');
		pages.push({ serial: file.readUInt32LE(at + 14), samples: Number(file.readBigUInt64LE(at + 6)), first: (file[at + 5]! & 2) !== 0 });
		const segments = file[at + 26]!;
		at += 27 + segments + file.subarray(at + 27, at + 27 + segments).reduce((sum, bytes) => sum + bytes, 0);
	}
	return pages;
}

describe('recording voices', () => {
	it('hands on whole pages each second, every voice as far as it says', () => {
		const chunks = record([{ voice: 0, number: 7, fromMs: 0, toMs: 2_500 }], 3_500);
		expect(chunks.map(({ untilMs }) => untilMs)).toEqual([400, 1_400, 2_400, 3_500]);
		let file = Buffer.alloc(0);
		for (const { data, untilMs } of chunks) {
			file = Buffer.concat([file, data]);
			for (const serial of [1, 2]) {
				const samples = pagesOf(file).filter((page) => page.serial === serial).at(-1)?.samples ?? 0;
				// A packet is never cut.
				expect(Math.abs(samples / 48 - untilMs)).toBeLessThanOrEqual(20);
			}
		}
		// RFC 3533 §4: heads of all streams before all else.
		expect(pagesOf(file).map(({ first }) => first).lastIndexOf(true)).toBe(1);
	});

	it('tells who spoke, piece by piece, and one breath as one turn', () => {
		const chunks = record([{ voice: 0, number: 7, fromMs: 200, toMs: 500 }, { voice: 0, number: 7, fromMs: 700, toMs: 1_200 }, { voice: 1, number: 9, fromMs: 2_100, toMs: 2_300 }], 4_000);
		const turns = chunks.flatMap((chunk) => chunk.turns);
		expect(turns.filter(([number]) => number === 9)).toEqual([[9, 2_100, 2_300]]);
		const ofSeven = turns.filter(([number]) => number === 7);
		expect(ofSeven[0]?.[1]).toBe(200);
		expect(ofSeven.at(-1)?.[2]).toBe(1_200);
		ofSeven.slice(1).forEach(([, fromMs], index) => expect(fromMs - ofSeven[index]![2]).toBeLessThan(400));
	});

	it('says with its last chunk all that came until its end', () => {
		const chunks = record([{ voice: 0, number: 7, fromMs: 0, toMs: 5_000 }], 1_250);
		expect(chunks.at(-1)?.untilMs).toBe(1_250);
		expect(chunks.flatMap(({ turns }) => turns).at(-1)?.[2]).toBeGreaterThanOrEqual(1_250);
	});
});
