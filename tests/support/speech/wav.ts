import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';

const CACHE = path.resolve(import.meta.dirname, '../../.out/speech');

export interface WavOptions {
	voice: 'alto' | 'bass';
	text: string;
	/** Silence before and after, so that people who loop it take turns. */
	leadMs?: number;
	tailMs?: number;
}

const ESPEAK = {
	alto: ['-v', 'en-us+f4', '-p', '75', '-s', '165', '-a', '170'],
	bass: ['-v', 'en-gb+m3', '-p', '15', '-s', '150', '-a', '170'],
} as const;

/** A WAV file (48 kHz, mono) of somebody talking, for Chromium's fake microphone and for encoders. Kept between runs. */
export function speechWav({ voice, text, leadMs = 0, tailMs = 0 }: WavOptions): string {
	const name = createHash('sha256').update(JSON.stringify([voice, text, leadMs, tailMs])).digest('hex').slice(0, 16);
	const file = path.join(CACHE, `${voice}-${name}.wav`);
	if (!existsSync(file)) {
		mkdirSync(CACHE, { recursive: true });
		const raw = `${file}.${process.pid}.raw.wav`;
		const made = `${file}.${process.pid}.wav`;
		execFileSync('espeak-ng', [...ESPEAK[voice], '-w', raw, text]);
		execFileSync('sox', [raw, '-r', '48000', '-c', '1', '-b', '16', made, 'pad', String(leadMs / 1_000), String(tailMs / 1_000)]);
		renameSync(made, file);
	}
	return file;
}

export const CANDIDATE_TEXT =
	'Good evening everybody. I am standing here tonight because this town deserves better roads, better schools, and a library that opens on Sundays.';
export const HOST_TEXT = 'Thank you for coming. Before we begin, let me welcome our candidate, and everyone who is listening from home this evening.';
