import { execFile, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import path from 'node:path';
import { publish, writeDurably } from './durable.ts';
import { AAC_FILE, type Chapter, OPUS_FILE } from './recording-record.ts';
import { VOICES_FILE } from './recording-folders.ts';
import { RecordingError } from './recording-problem.ts';
import type { Timeline } from './timeline.ts';

export interface MixOptions {
	ffmpegPath: string;
	opusKbps: number;
	aacKbps: number;
	/** Where the files go; the parts are below it. */
	folder: string;
	partFolder: (partId: string) => string;
	title: string;
	timeline: Timeline;
	signal: AbortSignal;
}

const SAMPLE_RATE = 48_000;
const CHECK_TIMEOUT_MS = 10_000;
/** Nobody waits for it; whoever listens or speaks comes first. */
const NICENESS = 15;
const MAX_STDERR_CHARACTERS = 2_000;
/** An encoder begins a frame early and ends with a whole one. */
const MAX_OFF_MS = 500;

/** Why this ffmpeg cannot mix recordings, for people; undefined when it can. Never rejects. */
export async function whyNoMix(ffmpegPath: string): Promise<string | undefined> {
	const encoders = await ask(ffmpegPath, ['-hide_banner', '-encoders']);
	if (encoders instanceof Error) {
		const { code } = encoders as NodeJS.ErrnoException;
		return code === 'ENOENT' ? `there is no ${ffmpegPath}` : `${ffmpegPath} cannot be run: ${code ?? encoders.message.split('\n')[0]}`;
	}
	const lacking = ['aac', 'libopus'].filter((name) => !new RegExp(`^ \\S+ ${name} `, 'm').test(encoders));
	return lacking.length === 0 ? undefined : `${ffmpegPath} has no encoder ${lacking.join(', ')}`;
}

/** Names of what the mixer needs beside the parts, and of what is not whole yet; none of it is kept. */
export const MIX_SCRATCH = { list: 'mix.ffconcat', chapters: 'mix.ffmetadata', opus: 'mix.opus', aac: 'mix.m4a' } as const;

/** How much a mix takes on disk at most: what the encoders were asked for, and what the containers, chapters and captions add. */
export function mixBytes({ opusKbps, aacKbps }: Pick<MixOptions, 'opusKbps' | 'aacKbps'>, durationMs: number): number {
	return Math.ceil(durationMs * ((opusKbps + aacKbps) / 8) * 1.1) + 256 * 1024;
}

/**
 * Mixes the voices of all parts into `audio.opus` and `audio.m4a`. Whole parts stand where the timeline has them; what a crash cut off is
 * silence. Rejects with RecordingError when ffmpeg fails or is stopped; then there is nothing new.
 */
export async function mix(options: MixOptions): Promise<void> {
	const { folder } = options;
	try {
		await mixInto(options);
	} finally {
		// Half a mix may be what fills the disk.
		for (const name of Object.values(MIX_SCRATCH)) {
			await rm(path.join(folder, name), { force: true });
		}
	}
}

async function mixInto(options: MixOptions): Promise<void> {
	const { ffmpegPath, opusKbps, aacKbps, folder, partFolder, title, timeline, signal } = options;
	const list = path.join(folder, MIX_SCRATCH.list);
	const chapters = path.join(folder, MIX_SCRATCH.chapters);
	await writeDurably(list, concatList(timeline, (partId) => path.relative(folder, path.join(partFolder(partId), VOICES_FILE))));
	await writeDurably(chapters, metadata(title, timeline.chapters));
	const voices = await voicesIn(options);
	const outputs = { opus: path.join(folder, MIX_SCRATCH.opus), aac: path.join(folder, MIX_SCRATCH.aac) };
	await run(
		ffmpegPath,
		[
			'-nostdin', '-hide_banner', '-loglevel', 'error', '-y', '-threads', '1',
			'-f', 'concat', '-safe', '0', '-i', list, '-f', 'ffmetadata', '-i', chapters,
			'-filter_complex', graph(voices, timeline.durationMs), '-filter_complex_threads', '1',
			'-map', '[opus]', '-map_metadata', '1', '-map_chapters', '1', '-c:a', 'libopus', '-b:a', `${opusKbps}k`, '-application', 'voip', '-ac', '1', '-f', 'ogg', outputs.opus,
			'-map', '[aac]', '-map_metadata', '1', '-map_chapters', '1', '-c:a', 'aac', '-b:a', `${aacKbps}k`, '-ac', '1', '-movflags', '+faststart', '-f', 'mp4', outputs.aac,
		],
		folder,
		signal,
	);
	// The parts go once there is a mix: it had better be whole.
	for (const output of Object.values(outputs)) {
		const lengthMs = await lengthOf(ffmpegPath, output);
		if (lengthMs === undefined || Math.abs(lengthMs - timeline.durationMs) > MAX_OFF_MS) {
			throw new RecordingError('mix_failed', `a mix of ${timeline.durationMs} ms came out as one of ${lengthMs ?? 'unknown'} ms`, { word: 'cut_short' });
		}
	}
	await publish(outputs.opus, path.join(folder, OPUS_FILE));
	await publish(outputs.aac, path.join(folder, AAC_FILE));
}

/** ffmpeg's list of files that follow each other, each for so long (ffmpeg-formats, concat). */
function concatList({ parts }: Timeline, fileOf: (partId: string) => string): string {
	return ['ffconcat version 1.0', ...parts.flatMap(({ part, lengthMs }) => [`file '${fileOf(part.id)}'`, `duration ${(lengthMs / 1_000).toFixed(3)}`]), ''].join('\n');
}

/** Chapters for players that show them (ffmpeg-formats, metadata). */
function metadata(title: string, chapters: readonly Chapter[]): string {
	const escape = (text: string) => text.replaceAll(/[=;#\\\n]/g, (sign) => `\\${sign}`);
	const each = chapters.map(({ startMs, endMs, number, name }) => `[CHAPTER]\nTIMEBASE=1/1000\nSTART=${startMs}\nEND=${endMs}\ntitle=${escape(name === '' ? `#${number}` : name)}\n`);
	return `;FFMETADATA1\ntitle=${escape(title)}\n${each.join('')}`;
}

/** Each voice without holes, all together as loud as they were, not a sample longer or shorter than the timeline. */
function graph(voices: number, durationMs: number): string {
	const whole = Array.from({ length: voices }, (_, index) => `[0:a:${index}]aresample=${SAMPLE_RATE}:async=1000:first_pts=0[v${index}]`);
	const labels = whole.map((_, index) => `[v${index}]`).join('');
	const seconds = (durationMs / 1_000).toFixed(3);
	const together = `${labels}${voices > 1 ? `amix=inputs=${voices}:duration=longest:dropout_transition=0:normalize=0,` : ''}`;
	return `${whole.join(';')};${together}aformat=channel_layouts=mono:sample_rates=${SAMPLE_RATE},alimiter=limit=0.95:level=disabled,apad=whole_dur=${seconds},atrim=end=${seconds},asplit=2[opus][aac]`;
}

/** How many streams the first part has: the number of a room's voices does not change once its doors are open. */
async function voicesIn({ ffmpegPath, partFolder, timeline }: MixOptions): Promise<number> {
	const first = timeline.parts[0];
	if (!first) {
		throw new RangeError('there is nothing to mix');
	}
	// Without an output ffmpeg says what there is, and fails.
	const said = await ask(ffmpegPath, ['-nostdin', '-hide_banner', '-i', path.join(partFolder(first.part.id), VOICES_FILE)], true);
	const voices = typeof said === 'string' ? said.match(/^ +Stream #0:\d+.*Audio: opus/gm)?.length : undefined;
	if (voices === undefined) {
		throw new RecordingError('mix_failed', 'the first part cannot be read');
	}
	return voices;
}

/** Of a file, as its container says; undefined when it does not. */
async function lengthOf(ffmpegPath: string, file: string): Promise<number | undefined> {
	const said = await ask(ffmpegPath, ['-nostdin', '-hide_banner', '-i', file], true);
	const [, hours, minutes, seconds] = (typeof said === 'string' && /^ +Duration: (\d+):(\d\d):(\d\d\.\d+)/m.exec(said)) || [];
	return seconds === undefined ? undefined : (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
}

function run(ffmpegPath: string, args: string[], cwd: string, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const child = spawn(ffmpegPath, args, {
			cwd,
			signal,
			killSignal: 'SIGKILL',
			stdio: ['ignore', 'ignore', 'pipe'],
			env: { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', AV_LOG_FORCE_NOCOLOR: '1' },
		});
		let stderr = '';
		child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString('utf8')).slice(-MAX_STDERR_CHARACTERS)));
		child.once('error', reject);
		child.once('close', (code, killed) => {
			const said = `ffmpeg ended with ${code ?? killed}: ${stderr.trim()}`;
			if (/No space left on device|Disk quota exceeded/.test(stderr)) {
				reject(new RecordingError('disk_full', said, { word: 'ENOSPC' })); // Of the last bytes it says so, and ends with 0.
			} else if (code === 0) {
				resolve();
			} else {
				reject(new RecordingError('mix_failed', said, { word: String(code ?? killed) }));
			}
		});
		try {
			if (child.pid !== undefined) {
				setPriority(child.pid, NICENESS);
			}
		} catch {
			// It has gone already, or this host does not allow it.
		}
	});
}

function ask(ffmpegPath: string, args: string[], fails = false): Promise<string | Error> {
	return new Promise((resolve) => {
		execFile(ffmpegPath, args, { timeout: CHECK_TIMEOUT_MS, maxBuffer: 4 * 1024 * 1024 }, (error, stdout, stderr) => resolve(fails ? stderr : (error ?? stdout)));
	});
}
