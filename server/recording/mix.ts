import { execFile, spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import path from 'node:path';
import { publish, writeDurably } from './durable.ts';
import { AAC_FILE, type Chapter, OPUS_FILE } from './recording-record.ts';
import { VOICES_FILE } from './recording-folders.ts';
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

/**
 * Mixes the voices of all parts into `audio.opus` and `audio.m4a`. Whole parts stand where the timeline has them; what a crash cut off is
 * silence. Rejects when ffmpeg fails or is stopped; then there is nothing new.
 */
export async function mix(options: MixOptions): Promise<void> {
	const { ffmpegPath, opusKbps, aacKbps, folder, partFolder, title, timeline, signal } = options;
	const list = path.join(folder, 'mix.ffconcat');
	const chapters = path.join(folder, 'mix.ffmetadata');
	await writeDurably(list, concatList(timeline, (partId) => path.relative(folder, path.join(partFolder(partId), VOICES_FILE))));
	await writeDurably(chapters, metadata(title, timeline.chapters));
	const voices = await voicesIn(options);
	const outputs = { opus: path.join(folder, 'mix.opus'), aac: path.join(folder, 'mix.m4a') };
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
		throw new Error('the first part cannot be read');
	}
	return voices;
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
		child.once('close', (code, killed) => (code === 0 ? resolve() : reject(new Error(`ffmpeg ended with ${code ?? killed}: ${stderr.trim()}`))));
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
