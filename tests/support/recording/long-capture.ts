// What hours of recording leave on disk, written as fast as the disk takes it: real Ogg pages of real Opus frames, and the log beside them.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { opusSilence } from '../../../sfu/egress/opus-silence.ts';
import { OggOpusWriter, type TrackPacket } from '../../../sfu/egress/ogg-opus-writer.ts';
import type { PartLogLine } from '../../../server/recording/part-log.ts';
import { LOG_FILE, VOICES_FILE } from '../../../server/recording/recording-folders.ts';
import { tone } from '../speech/speech.ts';

export const VOICES = 3;
/** One after the other, each with a tone of their own: whoever it is can be told from the sound. */
export const SPEAKERS = [
	{ number: 1, name: 'Ann', hz: 300 }, { number: 2, name: 'Ben', hz: 500 }, { number: 3, name: 'Cleo', hz: 800 }, { number: 4, name: 'Dov', hz: 1_100 }, { number: 5, name: 'Eve & <Co>', hz: 1_500 },
] as const;
export const TURN_MS = 30_000;
/** Of each turn, at its end. */
const PAUSE_MS = 3_000;
export const CAPTION_MS = 10_000;
/** Between the two parts, as after a crash. */
export const GAP_MS = 4_000;
const CHUNK_MS = 1_000;
const FRAME_MS = 20;

/** Who speaks in which turn. */
export const speakerOf = (turn: number): (typeof SPEAKERS)[number] => SPEAKERS[turn % SPEAKERS.length]!;

/**
 * Two parts with a gap between them, the first one cut off in the middle of a page. Times of the whole are those of the wall clock.
 * @param partFolder where a part goes
 * @returns bytes on disk
 */
export async function writeLongCapture(partFolder: (partId: string) => string, startMs: number, totalMs: number): Promise<number> {
	const frames = new Map(await Promise.all(SPEAKERS.map(async ({ number, hz }) => [number, (await tone(hz, 20)).frames] as const)));
	const cutMs = Math.floor((totalMs * 0.4) / CHUNK_MS) * CHUNK_MS;
	const first = writePart(partFolder('part-1'), frames, startMs, 0, cutMs);
	const torn = openSync(path.join(partFolder('part-1'), VOICES_FILE), 'a');
	writeSync(torn, 'OggS\0\0half a page');
	closeSync(torn);
	return first + writePart(partFolder('part-2'), frames, startMs, cutMs + GAP_MS, totalMs);
}

function writePart(folder: string, frames: ReadonlyMap<number, readonly Buffer[]>, startMs: number, fromMs: number, toMs: number): number {
	mkdirSync(folder, { recursive: true });
	const voices = openSync(path.join(folder, VOICES_FILE), 'w');
	const log = openSync(path.join(folder, LOG_FILE), 'w');
	const say = (line: PartLogLine) => writeSync(log, `${JSON.stringify(line)}\n`);
	say({ startMs: startMs + fromMs });
	say({ names: SPEAKERS.map(({ number, name }): [number, string] => [number, name]) });
	const writers = Array.from({ length: VOICES }, (_, index) => new OggOpusWriter(index + 1));
	const heads = writers.map((writer) => writer.headers());
	let bytes = writeSync(voices, Buffer.concat([...heads.map(([head]) => head), ...heads.map(([, tags]) => tags)]));
	for (let atMs = fromMs; atMs < toMs; atMs += CHUNK_MS) {
		const turns: [number, number, number][] = [];
		const pages = writers.map((writer, voice) => {
			const packets: TrackPacket[] = [];
			for (let frameMs = atMs; frameMs < Math.min(toMs, atMs + CHUNK_MS); frameMs += FRAME_MS) {
				const turn = Math.floor(frameMs / TURN_MS);
				const { number } = speakerOf(turn);
				const payload = turn % VOICES === voice && frameMs % TURN_MS < TURN_MS - PAUSE_MS ? frames.get(number)?.[(frameMs / FRAME_MS) % 500] : undefined;
				packets.push(...(payload ? [{ payload, samples: 960 }] : opusSilence(960)));
				if (payload) {
					const last = turns.at(-1);
					if (last?.[0] === number) last[2] = frameMs + FRAME_MS - fromMs;
					else turns.push([number, frameMs - fromMs, frameMs + FRAME_MS - fromMs]);
				}
			}
			return writer.pages(packets);
		});
		bytes += writeSync(voices, Buffer.concat(pages));
		if (atMs % CAPTION_MS === 0) {
			say({ captions: [{ text: `Line ${atMs / CAPTION_MS}`, speaker: speakerOf(Math.floor(atMs / TURN_MS)).name, atMs: startMs + atMs }] });
		}
		say({ untilMs: Math.min(toMs, atMs + CHUNK_MS) - fromMs, ...(turns.length > 0 && { turns }) });
	}
	closeSync(voices);
	closeSync(log);
	return bytes;
}
