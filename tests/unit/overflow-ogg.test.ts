import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OggOpusWriter, type TrackPacket } from '../../sfu/egress/ogg-opus-writer.ts';
import { opusSilence } from '../../sfu/egress/opus-silence.ts';
import { VoiceTrack } from '../../sfu/egress/voice-track.ts';
import { opusDurationSamples } from '../../sfu/rtp/opus-packet.ts';
import { writeRtpPacket } from '../../sfu/rtp/rtp-packet.ts';
import { parseVoicePacket, type VoicePacket } from '../../sfu/rtp/voice-packet.ts';
import { oggPackets } from '../support/speech/ogg-packets.ts';
import { speech } from '../support/speech/speech.ts';

const FRAME = 960;

/** What ffmpeg makes of an Ogg stream: 48 kHz, one channel; it refuses pages with a wrong checksum. */
async function decodeOgg(ogg: Buffer): Promise<{ pcm: Int16Array; stderr: string }> {
	const child = spawn('ffmpeg', ['-v', 'warning', '-xerror', '-err_detect', 'explode', '-f', 'ogg', '-i', 'pipe:0', '-f', 's16le', '-ac', '1', 'pipe:1'], { stdio: 'pipe' });
	let stderr = '';
	const chunks: Buffer[] = [];
	child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
	child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
	child.stdin.end(ogg);
	await once(child, 'close');
	const bytes = Buffer.concat(chunks);
	return { pcm: Int16Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readInt16LE(index * 2)), stderr };
}

describe('the Ogg writer', () => {
	it('writes what ffmpeg plays, sample for sample as long', async () => {
		const { frames, pcm } = await speech('Ogg is a container, and this is in it.', 'alto');
		const writer = new OggOpusWriter(7);
		const packets = frames.map((payload) => ({ payload, samples: FRAME }));
		const ogg = Buffer.concat([writer.header(), writer.pages(packets.slice(0, 1)), writer.pages(packets.slice(1, 40)), writer.pages(packets.slice(40)), writer.end()]);
		const decoded = await decodeOgg(ogg);
		expect(decoded.stderr).toBe('');
		expect(decoded.pcm.length).toBe(frames.length * FRAME);
		const energy = (of: Int16Array) => of.reduce((sum, sample) => sum + sample ** 2, 0);
		expect(energy(decoded.pcm) / energy(pcm)).toBeGreaterThan(0.8);
	});

	it('gives every packet back to a reader, whatever their sizes, in pages of at most 255 segments', () => {
		fc.assert(
			fc.property(fc.array(fc.array(fc.integer({ min: 1, max: 4_000 }), { maxLength: 300 }), { maxLength: 4 }), (batches) => {
				const writer = new OggOpusWriter(1);
				const packets = batches.map((sizes) => sizes.map((bytes): TrackPacket => ({ payload: Buffer.alloc(bytes, bytes & 0xff), samples: FRAME })));
				const ogg = Buffer.concat([writer.header(), ...packets.map((batch) => writer.pages(batch)), writer.end()]);
				expect(oggPackets(ogg).slice(2)).toEqual(packets.flat().map(({ payload }) => payload));
			}),
			{ numRuns: 40 },
		);
	});

	it('refuses a packet that no page holds', () => {
		expect(() => new OggOpusWriter(1).pages([{ payload: Buffer.alloc(65_025), samples: FRAME }])).toThrow(RangeError);
	});
});

describe('Opus silence', () => {
	it('lasts as long as asked, and is silent', async () => {
		const packets = [0, 120, 240, 960, 1_080, 9_720].flatMap((samples) => {
			const made = opusSilence(samples);
			expect(made.reduce((sum, packet) => sum + packet.samples, 0)).toBe(samples);
			return made;
		});
		for (const { payload, samples } of packets) {
			expect(opusDurationSamples(payload)).toBe(samples);
		}
		const writer = new OggOpusWriter(1);
		const { pcm, stderr } = await decodeOgg(Buffer.concat([writer.header(), writer.pages(packets), writer.end()]));
		expect(stderr).toBe('');
		expect(pcm.length).toBe(packets.reduce((sum, { samples }) => sum + samples, 0));
		expect(pcm.every((sample) => sample === 0)).toBe(true);
	});

	it('is made of whole 2.5 ms', () => {
		expect(() => opusSilence(121)).toThrow(RangeError);
	});
});

const AUDIO = Buffer.from([15 << 3, 1, 2, 3, 4]);

function packet(sequenceNumber: number, timestamp: number, { dtx = false, mark = 0 } = {}): VoicePacket {
	const payload = dtx ? Buffer.of(15 << 3) : Buffer.from([...AUDIO, mark]);
	return parseVoicePacket(writeRtpPacket({ payloadType: 111, marker: false, sequenceNumber: sequenceNumber & 0xffff, timestamp: timestamp >>> 0, ssrc: 1, payload }))!;
}

const lengthOf = (packets: readonly TrackPacket[]) => packets.reduce((sum, { samples }) => sum + samples, 0);
const isAudio = ({ payload }: TrackPacket) => payload.length > 3;
const marksOf = (packets: readonly TrackPacket[]) => packets.filter(isAudio).map(({ payload }) => payload.at(-1));
/** Where audio stands in what was read. */
function places(packets: readonly TrackPacket[]): number[] {
	let at = 0;
	return packets.flatMap((each) => {
		const here = at;
		at += each.samples;
		return isAudio(each) ? [here] : [];
	});
}

describe('the track of a voice', () => {
	it('puts packets where the clock has them, and silence between', () => {
		const track = new VoiceTrack(0);
		track.onPacket(packet(1, 5_000), 100);
		track.onPacket(packet(2, 5_960), 120);
		track.onPacket(packet(3, 5_960 + 48 * 400, { dtx: true }), 520);
		track.onPacket(packet(4, 99_000), 1_000);
		const read = track.read(48 * 1_200);
		expect(lengthOf(read)).toBe(48 * 1_200);
		expect(places(read)).toEqual([48 * 100, 48 * 120, 48 * 1_000]);
	});

	it('is equally long whatever came or did not come: no voice holds up the mix', () => {
		fc.assert(
			fc.property(
				fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 300 }), skip: fc.integer({ min: 0, max: 3 }), dtx: fc.boolean(), jump: fc.boolean() }), { maxLength: 80 }),
				fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 }),
				(events, steps) => {
					const track = new VoiceTrack(0);
					let nowMs = 0;
					let sequenceNumber = 60_000;
					let timestamp = 4_294_000_000;
					let readMs = 0;
					let read = 0;
					let step = 0;
					for (const { waitMs, skip, dtx, jump } of events) {
						nowMs += waitMs;
						sequenceNumber += 1 + skip + (jump ? 20_000 : 0);
						timestamp += FRAME * (1 + skip) + (jump ? 1_000_000 : 0);
						track.onPacket(packet(sequenceNumber, timestamp, { dtx }), nowMs);
						readMs = Math.max(readMs, Math.min(nowMs, readMs + (steps[step++ % steps.length] ?? 1)));
						read += lengthOf(track.read(48 * readMs));
						// Whole packets, so at most one packet more, and silence in whole 2.5 ms, so at most that much less.
						expect(read - 48 * readMs).toBeLessThan(FRAME);
						expect(read - 48 * readMs).toBeGreaterThan(-120);
					}
				},
			),
		);
	});

	it('loses nothing of a burst that comes too late for its time', () => {
		const track = new VoiceTrack(0);
		track.onPacket(packet(1, 0, { mark: 1 }), 0);
		const before = track.read(48 * 500);
		// The machine stood still for half a second, and here is all of it.
		for (let index = 2; index <= 26; index++) {
			track.onPacket(packet(index, (index - 1) * FRAME, { mark: index }), 520);
		}
		const after = track.read(48 * 1_500);
		expect(marksOf([...before, ...after])).toEqual(Array.from({ length: 26 }, (_, index) => index + 1));
		expect(lengthOf([...before, ...after])).toBe(48 * 1_500);
	});

	it('goes on over another link, whose numbers are others', () => {
		const track = new VoiceTrack(0);
		track.setUpstream('a');
		track.onPacket(packet(1, 1_000, { mark: 1 }), 0);
		track.onPacket(packet(2, 1_960, { mark: 2 }), 20);
		track.setUpstream('b');
		track.onPacket(packet(40_000, 3_000_000_000, { mark: 3 }), 40);
		track.setUpstream('b');
		track.onPacket(packet(40_001, 3_000_000_960, { mark: 4 }), 60);
		const read = track.read(48 * 200);
		expect(marksOf(read)).toEqual([1, 2, 3, 4]);
		expect(places(read)).toEqual([0, 960, 1_920, 2_880]);
	});

	it('can be read again from anywhere that was not forgotten', () => {
		const track = new VoiceTrack(0);
		for (let index = 0; index < 50; index++) {
			track.onPacket(packet(index, index * FRAME, { mark: index }), index * 20);
		}
		expect(marksOf(track.read(48 * 1_000))).toHaveLength(50);
		track.forget(20 * FRAME);
		track.rewind(25 * FRAME);
		const again = track.read(48 * 1_000);
		expect(marksOf(again)).toEqual(Array.from({ length: 25 }, (_, index) => 25 + index));
		track.rewind(0);
		const all = track.read(48 * 1_000);
		expect(marksOf(all)[0]).toBe(20);
		expect(lengthOf(all)).toBe(48_000);
	});
});
