import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { opusPacketsOf } from './ogg-packets.ts';

const run = promisify(execFile);
const CACHE = path.resolve(import.meta.dirname, '../../.out/speech');
/** Raises the keys of the cache when the way of making it changes. */
const RECIPE = 1;

export const FRAME_MS = 20;
export const SAMPLE_RATE = 48_000;
const FRAME_SAMPLES = (SAMPLE_RATE * FRAME_MS) / 1_000;

/** Two people nobody could take for one another, and a steady sound. */
export type VoiceName = 'alto' | 'bass';
const ESPEAK: Record<VoiceName, readonly string[]> = {
	alto: ['-v', 'en-us+f4', '-p', '75', '-s', '165', '-a', '170'],
	bass: ['-v', 'en-gb+m3', '-p', '15', '-s', '150', '-a', '170'],
};

/** Audio as a speaker's client would send it. All arrays have one entry for each 20 ms. */
export interface SpokenAudio {
	/** Opus packets, one frame of 20 ms each, mono. */
	readonly frames: readonly Buffer[];
	/** RMS of each frame, 0 … -127 dBov (RFC 6464). */
	readonly levelsDbov: readonly number[];
	/** Mono, 48 kHz. */
	readonly pcm: Int16Array;
	/** WAV file with the same, for a browser's fake microphone. */
	readonly wavPath: string;
}

const LONG_TEXT =
	'Good evening, everybody, and welcome. We are very glad that so many of you have come tonight. ' +
	'Tomorrow morning at nine the doors will open, and whoever wants to help is welcome to come along. ' +
	'There will be tea, there will be bread, and there will be plenty of work for every pair of hands. ' +
	'Please tell your neighbours, please bring an umbrella, and above all please be there on time.';

/** About 20 s of somebody talking. */
export const longSpeech = (voice: VoiceName): Promise<SpokenAudio> => speech(LONG_TEXT, voice);

/** Synthetic speech (espeak-ng) as Opus (ffmpeg with libopus); both must be installed. Cached on disk. */
export function speech(text: string, voice: VoiceName): Promise<SpokenAudio> {
	return cached(['speech', voice, text], (wav) => run('espeak-ng', [...ESPEAK[voice], '-w', wav, text]));
}

/**
 * About 20 s of somebody who never pauses: speech over a hum, every frame loud and no two alike. The director may leave
 * out quiet frames after a stall of the network (or of a busy machine); of this it leaves out nothing.
 */
export function relentlessSpeech(voice: VoiceName): Promise<SpokenAudio> {
	return cached(['relentless', voice, LONG_TEXT], async (wav) => {
		const { wavPath } = await longSpeech(voice);
		const hum = `sine=frequency=110:sample_rate=${SAMPLE_RATE}`;
		await run('ffmpeg', ['-v', 'error', '-i', wavPath, '-f', 'lavfi', '-i', hum, '-filter_complex', 'amix=inputs=2:duration=first', '-y', wav]);
	});
}

/** A steady sine, about -20 dBov, so that every frame is loud. */
export function tone(hz: number, seconds: number): Promise<SpokenAudio> {
	return cached(['tone', String(hz), String(seconds)], (wav) =>
		run('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', `sine=frequency=${hz}:duration=${seconds}:sample_rate=${SAMPLE_RATE}`, '-y', wav]),
	);
}

const inMemory = new Map<string, Promise<SpokenAudio>>();

function cached(key: readonly string[], make: (wavPath: string) => Promise<unknown>): Promise<SpokenAudio> {
	const hash = createHash('sha256').update(JSON.stringify([RECIPE, ...key])).digest('hex').slice(0, 16);
	let audio = inMemory.get(hash);
	if (!audio) {
		audio = load(path.join(CACHE, hash), make);
		audio.catch(() => inMemory.delete(hash));
		inMemory.set(hash, audio);
	}
	return audio;
}

async function load(base: string, make: (wavPath: string) => Promise<unknown>): Promise<SpokenAudio> {
	const wavPath = `${base}.wav`;
	let ogg: Buffer;
	try {
		ogg = await readFile(`${base}.ogg`); // Written last, so that the WAV is there too.
	} catch {
		await mkdir(CACHE, { recursive: true });
		ogg = await encode(base, wavPath, make);
	}
	const pcm = pcmOf(await readFile(wavPath));
	const frames = opusPacketsOf(ogg);
	return { frames, pcm, wavPath, levelsDbov: frames.map((_, index) => levelDbov(pcm.subarray(index * FRAME_SAMPLES, (index + 1) * FRAME_SAMPLES))) };
}

/** Test processes may do this side by side: each works on files of its own and renames them into place. */
async function encode(base: string, wavPath: string, make: (wavPath: string) => Promise<unknown>): Promise<Buffer> {
	const own = `${base}.${randomUUID()}`;
	try {
		await make(`${own}.raw.wav`);
		await run('ffmpeg', ['-v', 'error', '-i', `${own}.raw.wav`, '-ac', '1', '-ar', String(SAMPLE_RATE), '-c:a', 'pcm_s16le', '-y', `${own}.wav`]);
		const opus = ['-c:a', 'libopus', '-application', 'voip', '-frame_duration', String(FRAME_MS), '-b:a', '32k', '-vbr', 'on'];
		await run('ffmpeg', ['-v', 'error', '-i', `${own}.wav`, ...opus, '-y', `${own}.ogg`]);
		await rename(`${own}.wav`, wavPath);
		await rename(`${own}.ogg`, `${base}.ogg`);
		return await readFile(`${base}.ogg`);
	} finally {
		await Promise.all(['.raw.wav', '.wav', '.ogg'].map((end) => rm(own + end, { force: true })));
	}
}

/** Samples of a WAV file (RIFF, 16 bit): whatever is in its `data` chunk. */
function pcmOf(wav: Buffer): Int16Array {
	for (let chunk = 12; chunk + 8 <= wav.length; ) {
		const bytes = wav.readUInt32LE(chunk + 4);
		if (wav.toString('latin1', chunk, chunk + 4) === 'data') {
			const data = wav.subarray(chunk + 8, chunk + 8 + bytes);
			return Int16Array.from({ length: data.length >> 1 }, (_, index) => data.readInt16LE(index * 2));
		}
		chunk += 8 + bytes + (bytes & 1);
	}
	throw new RangeError('a WAV file without data');
}

function levelDbov(samples: Int16Array): number {
	let sum = 0;
	for (const sample of samples) {
		sum += sample * sample;
	}
	const rms = Math.sqrt(sum / Math.max(1, samples.length)) / 32_768;
	return rms === 0 ? -127 : Math.max(-127, Math.min(0, Math.round(20 * Math.log10(rms))));
}
