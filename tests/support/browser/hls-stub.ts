import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Page, Request } from 'playwright-core';

const SEGMENT_SECONDS = 1;
const WINDOW = 6;

/** A live HLS stream made beforehand: segments of one second appear as time goes on. */
export class HlsStub {
	readonly requests: Request[] = [];
	/** Answers 503 from now on. */
	away = false;
	readonly #files: ReadonlyMap<string, Buffer>;
	readonly #segments: readonly string[];
	readonly #beganAtMs = Date.now();

	/** @param source an input of ffmpeg's, e.g. a WAV file, or `sine=…` with `-f lavfi` before it */
	static async of(source: readonly string[]): Promise<HlsStub> {
		const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-hls-'));
		try {
			const form = ['-f', 'hls', '-hls_time', String(SEGMENT_SECONDS), '-hls_segment_type', 'fmp4', '-hls_list_size', '0', '-hls_segment_filename', path.join(folder, 's%04d.m4s')];
			await promisify(execFile)('ffmpeg', ['-v', 'error', ...source, '-ac', '1', '-ar', '48000', '-c:a', 'aac', '-b:a', '64k', ...form, path.join(folder, 'all.m3u8')]);
			return new HlsStub(new Map(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name))])));
		} finally {
			rmSync(folder, { recursive: true });
		}
	}

	private constructor(files: ReadonlyMap<string, Buffer>) {
		this.#files = files;
		this.#segments = [...files.keys()].filter((name) => name.endsWith('.m4s')).toSorted();
	}

	/** Stands in for the server's own stream on this page. */
	async serve(page: Page): Promise<void> {
		await page.route('**/hls/**', async (route) => {
			this.requests.push(route.request());
			const name = path.basename(new URL(route.request().url()).pathname);
			if (this.away) {
				await route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ code: 'overflow_unavailable', title: 'away' }) });
			} else if (name.endsWith('.m3u8')) {
				await route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: name === 'index.m3u8' ? MASTER : this.#playlist() });
			} else {
				await route.fulfill({ contentType: 'audio/mp4', body: this.#files.get(name) ?? Buffer.alloc(0) });
			}
		});
	}

	#playlist(): string {
		const newest = Math.min(this.#segments.length, WINDOW + Math.floor((Date.now() - this.#beganAtMs) / (1_000 * SEGMENT_SECONDS)));
		const oldest = Math.max(0, newest - WINDOW);
		return [
			'#EXTM3U', '#EXT-X-VERSION:7', `#EXT-X-TARGETDURATION:${SEGMENT_SECONDS + 1}`, `#EXT-X-MEDIA-SEQUENCE:${oldest}`, '#EXT-X-MAP:URI="init.mp4"',
			...this.#segments.slice(oldest, newest).flatMap((name) => [`#EXTINF:${SEGMENT_SECONDS},`, name]),
			'',
		].join('\n');
	}
}

const MASTER = ['#EXTM3U', '#EXT-X-STREAM-INF:BANDWIDTH=70000,CODECS="mp4a.40.2"', 'live.m3u8', ''].join('\n');
