import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SAMPLE_RATE = 48_000;

/** A media playlist as this reader, which shares nothing with the writer, understands it. */
export interface ReadPlaylist {
	text: string;
	mediaSequence: number;
	discontinuitySequence: number;
	ended: boolean;
	segments: { msn: number; uri: string; durationMs: number; startMs: number; map: string; discontinuity: boolean }[];
	/** Those of the segment that is not complete, too. */
	parts: { uri: string; durationMs: number }[];
	hint: string | undefined;
}

/** @throws Error for what RFC 8216 does not allow */
export function readPlaylist(text: string): ReadPlaylist {
	const lines = text.split('\n').filter((line) => line !== '');
	if (lines[0] !== '#EXTM3U') {
		throw new Error(`not a playlist: ${text.slice(0, 100)}`);
	}
	const tag = (name: string) => lines.find((line) => line.startsWith(`#${name}:`))?.slice(name.length + 2);
	const targetSeconds = Number(tag('EXT-X-TARGETDURATION'));
	const partTarget = Number(/PART-TARGET=([\d.]+)/.exec(tag('EXT-X-PART-INF') ?? '')?.[1]);
	const read: ReadPlaylist = {
		text,
		mediaSequence: Number(tag('EXT-X-MEDIA-SEQUENCE')),
		discontinuitySequence: Number(tag('EXT-X-DISCONTINUITY-SEQUENCE')),
		ended: lines.includes('#EXT-X-ENDLIST'),
		segments: [],
		parts: [],
		hint: /#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/.exec(text)?.[1],
	};
	let map = '';
	let durationMs = 0;
	let startMs = Number.NaN;
	let discontinuity = false;
	for (const line of lines) {
		const uri = /URI="([^"]+)"/.exec(line)?.[1] ?? '';
		if (line.startsWith('#EXT-X-MAP:')) {
			map = uri;
		} else if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) {
			startMs = Date.parse(line.slice(25));
		} else if (line === '#EXT-X-DISCONTINUITY') {
			discontinuity = true;
		} else if (line.startsWith('#EXTINF:')) {
			durationMs = Number.parseFloat(line.slice(8)) * 1_000;
		} else if (line.startsWith('#EXT-X-PART:')) {
			const partMs = Number(/DURATION=([\d.]+)/.exec(line)?.[1]) * 1_000;
			if (!(partMs > 0 && partMs <= partTarget * 1_000 + 0.5)) {
				throw new Error(`a part of ${partMs} ms with a target of ${partTarget} s`);
			}
			read.parts.push({ uri, durationMs: partMs });
		} else if (!line.startsWith('#')) {
			if (map === '' || Math.round(durationMs / 1_000) > targetSeconds) {
				throw new Error(`a segment without a map, or longer than the target: ${line}`);
			}
			read.segments.push({ msn: read.mediaSequence + read.segments.length, uri: line, durationMs, startMs, map, discontinuity });
			discontinuity = false;
		}
	}
	return read;
}

/** Decodes an initialisation segment with what follows it: mono, 48 kHz. */
export async function decode(bytes: Buffer): Promise<Int16Array> {
	const child = spawn('ffmpeg', ['-v', 'error', '-f', 'mp4', '-i', 'pipe:0', '-f', 's16le', '-ac', '1', '-ar', String(SAMPLE_RATE), 'pipe:1'], { stdio: ['pipe', 'pipe', 'inherit'] });
	child.stdin.on('error', () => undefined);
	child.stdin.end(bytes);
	const chunks: Buffer[] = [];
	child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
	await once(child, 'close');
	return pcmOf(Buffer.concat(chunks));
}

/** A player that knows nothing of us: ffmpeg opens the address and plays. */
export class HlsPlayer {
	readonly #child: ChildProcess;
	readonly #startedAtMs = performance.now();
	#pcm: Buffer = Buffer.alloc(0);
	/** When how much had been played. */
	readonly #arrivals: { bytes: number; atMs: number }[] = [];
	stderr = '';

	constructor(url: string) {
		this.#child = spawn('ffmpeg', ['-v', 'warning', '-nostdin', '-i', url, '-f', 's16le', '-ac', '1', '-ar', String(SAMPLE_RATE), 'pipe:1'], { stdio: ['ignore', 'pipe', 'pipe'] });
		this.#child.stdout?.on('data', (chunk: Buffer) => {
			this.#pcm = Buffer.concat([this.#pcm, chunk]);
			this.#arrivals.push({ bytes: this.#pcm.length, atMs: performance.now() });
		});
		this.#child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
	}

	get pcm(): Int16Array {
		return pcmOf(this.#pcm);
	}
	get playing(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}
	/** When this sample came out; `performance.now()`. */
	playedAtMs(sample: number): number {
		return this.#arrivals.find(({ bytes }) => bytes > sample * 2)?.atMs ?? Number.NaN;
	}
	/** From its start to its first sound. */
	get firstSampleMs(): number {
		return (this.#arrivals[0]?.atMs ?? Number.NaN) - this.#startedAtMs;
	}

	/** The first sample that is louder than silence, from there on. */
	firstLoud(from = 0): number {
		const { pcm } = this;
		for (let at = from; at < pcm.length; at++) {
			if (Math.abs(pcm[at] ?? 0) > 1_000) {
				return at;
			}
		}
		return -1;
	}

	/** Its own end: the stream has ended. */
	async ended(): Promise<void> {
		if (this.playing) {
			await once(this.#child, 'close');
		}
	}

	close(): void {
		this.#child.kill('SIGKILL');
	}
}

/** What ffprobe says of the stream at an address. */
export async function probe(url: string): Promise<{ codec_name: string; profile: string; channels: number; sample_rate: string }> {
	const { stdout } = await run('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', url]);
	const { streams } = JSON.parse(stdout) as { streams: { codec_name: string; profile: string; channels: number; sample_rate: string }[] };
	if (!streams[0] || streams.length !== 1) {
		throw new Error(`${streams.length} streams`);
	}
	return streams[0];
}

const FRAME_SAMPLES = 960;

/** What is less loud than this nobody hears, and the director does not send it. */
export const SILENCE = 70;

/** Loudness of each 20 ms, `SILENCE` to 127. */
export function envelopeOf(pcm: Int16Array): number[] {
	return Array.from({ length: Math.floor(pcm.length / FRAME_SAMPLES) }, (_, frame) => {
		let sum = 0;
		for (let at = frame * FRAME_SAMPLES; at < (frame + 1) * FRAME_SAMPLES; at++) {
			sum += (pcm[at] ?? 0) ** 2;
		}
		const rms = Math.sqrt(sum / FRAME_SAMPLES) / 32_768;
		return rms === 0 ? SILENCE : Math.max(SILENCE, 127 + 20 * Math.log10(rms));
	});
}

/** Where `piece` lies in `whole`, and how alike they are there (Pearson, -1 to 1). */
export function findIn(whole: readonly number[], piece: readonly number[]): { at: number; likeness: number } {
	let best = { at: -1, likeness: -1 };
	for (let at = 0; at + piece.length <= whole.length; at++) {
		const likeness = correlation(whole.slice(at, at + piece.length), piece);
		if (likeness > best.likeness) {
			best = { at, likeness };
		}
	}
	return best;
}

export function correlation(a: readonly number[], b: readonly number[]): number {
	const mean = (of: readonly number[]) => of.reduce((sum, each) => sum + each, 0) / of.length;
	const meanA = mean(a);
	const meanB = mean(b);
	let ab = 0;
	let aa = 0;
	let bb = 0;
	for (let index = 0; index < a.length; index++) {
		const da = (a[index] ?? 0) - meanA;
		const db = (b[index] ?? 0) - meanB;
		ab += da * db;
		aa += da * da;
		bb += db * db;
	}
	return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

/** Whole periods of all frequencies that are multiples of 10 Hz: then they do not leak into one another. */
const PIECE_SAMPLES = SAMPLE_RATE / 10;

/**
 * How strong a frequency is, 0 to 1 (Goertzel): the mean over pieces of 100 ms, so that one skip of a few milliseconds,
 * behind which the tone goes on in another phase, costs one piece and does not cancel the whole.
 */
export function strengthOf(pcm: Int16Array, hz: number): number {
	const pieces = Math.max(1, Math.floor(pcm.length / PIECE_SAMPLES));
	const strengths = Array.from({ length: pieces }, (_, piece) => strengthOfPiece(pcm.subarray(piece * PIECE_SAMPLES, (piece + 1) * PIECE_SAMPLES), hz));
	return strengths.reduce((sum, strength) => sum + strength, 0) / pieces;
}

function strengthOfPiece(pcm: Int16Array, hz: number): number {
	const turn = 2 * Math.cos((2 * Math.PI * hz) / SAMPLE_RATE);
	let before = 0;
	let last = 0;
	for (const sample of pcm) {
		[before, last] = [last, sample / 32_768 + turn * last - before];
	}
	return (2 * Math.sqrt(Math.max(0, last * last + before * before - turn * last * before))) / pcm.length;
}

const pcmOf = (bytes: Buffer): Int16Array => Int16Array.from({ length: bytes.length >> 1 }, (_, index) => bytes.readInt16LE(index * 2));
