import { decode, readPlaylist, type ReadPlaylist } from './hls-ear.ts';

interface RecordedSegment {
	msn: number;
	map: string;
	startMs: number;
	durationMs: number;
	bytes: Buffer;
}

/** Sound with its place in time. */
export interface RecordedRun {
	/** Of the epoch. */
	startMs: number;
	endMs: number;
	pcm: Int16Array;
}

/** Follows a stream as players of low latency do, with blocking reloads, and keeps every segment. */
export class HlsRecorder {
	readonly segments: RecordedSegment[] = [];
	/** Wrong with what was seen: a number with two contents, numbers that fall. */
	readonly flaws: string[] = [];
	latest: ReadPlaylist | undefined;
	readonly #base: string;
	readonly #maps = new Map<string, Buffer>();
	readonly #over: Promise<void>;
	/** When a playlist with something new came last; the longest pause between two. */
	#newsAtMs = performance.now();
	longestPauseMs = 0;
	#closed = false;

	/** @param base address of the folder, with a slash at its end; may change, as when a player is sent to another node */
	constructor(base: string) {
		this.#base = base;
		this.#over = this.#follow();
	}

	get endMs(): number {
		const last = this.segments.at(-1);
		return last ? last.startMs + last.durationMs : 0;
	}

	/** Resolves when it holds. */
	async until(what: string, holds: () => boolean, timeoutMs = 15_000): Promise<void> {
		const deadline = performance.now() + timeoutMs;
		while (!holds()) {
			if (performance.now() > deadline) {
				throw new Error(`waited ${timeoutMs} ms for ${what}; the playlist is\n${this.latest?.text}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}

	/** What was heard, decoded: a run for each encoder. */
	async runs(): Promise<RecordedRun[]> {
		const runs: RecordedRun[] = [];
		for (const [map, segments] of Map.groupBy(this.segments, (segment) => segment.map)) {
			const [first] = segments;
			const last = segments.at(-1);
			const init = this.#maps.get(map);
			if (first && last && init) {
				const pcm = await decode(Buffer.concat([init, ...segments.map(({ bytes }) => bytes)]));
				runs.push({ startMs: first.startMs, endMs: last.startMs + last.durationMs, pcm });
			}
		}
		return runs.toSorted((a, b) => a.startMs - b.startMs);
	}

	/** Resolves when it has ended. */
	async close(): Promise<void> {
		this.#closed = true;
		await this.#over;
	}

	async #follow(): Promise<void> {
		while (!this.#closed && this.latest?.ended !== true) {
			const last = this.latest;
			const next = last ? last.mediaSequence + last.segments.length : undefined;
			// Whole segments: what is asked for comes when it is complete.
			const response = await fetch(`${this.#base}live.m3u8${next === undefined ? '' : `?_HLS_msn=${next}`}`).catch(() => undefined);
			if (response?.status !== 200) {
				// As a player does when the network is away: it asks again, for the plain playlist.
				this.latest = last && { ...last, mediaSequence: Number.NaN };
				await response?.arrayBuffer();
				await new Promise((resolve) => setTimeout(resolve, 250));
				if (last) {
					await this.#take(await this.#plain());
				}
				continue;
			}
			await this.#take(readPlaylist(await response.text()));
		}
	}

	async #plain(): Promise<ReadPlaylist | undefined> {
		const response = await fetch(`${this.#base}live.m3u8`).catch(() => undefined);
		return response?.status === 200 ? readPlaylist(await response.text()) : undefined;
	}

	async #take(playlist: ReadPlaylist | undefined): Promise<void> {
		if (!playlist) {
			return;
		}
		this.latest = playlist;
		const known = this.segments.at(-1)?.msn ?? -1;
		for (const segment of playlist.segments) {
			const before = this.segments.find(({ msn }) => msn === segment.msn);
			if (before && (before.map !== segment.map || before.startMs !== segment.startMs)) {
				this.flaws.push(`segment ${segment.msn} was ${before.map} and is ${segment.map}`);
			}
			if (!before && segment.msn <= known) {
				this.flaws.push(`segment ${segment.msn} comes after ${known}`);
			}
			if (!before) {
				await this.#fetch(segment);
			}
		}
	}

	async #fetch({ msn, uri, map, startMs, durationMs }: ReadPlaylist['segments'][number]): Promise<void> {
		const [init, bytes] = await Promise.all([this.#maps.get(map) ?? this.#bytes(map), this.#bytes(uri)]);
		if (!init || !bytes) {
			this.flaws.push(`${uri} is in the playlist and cannot be had`);
			return;
		}
		this.#maps.set(map, init);
		this.segments.push({ msn, map, startMs, durationMs, bytes });
		const nowMs = performance.now();
		this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - this.#newsAtMs);
		this.#newsAtMs = nowMs;
	}

	async #bytes(uri: string): Promise<Buffer | undefined> {
		const response = await fetch(`${this.#base}${uri}`).catch(() => undefined);
		return response?.status === 200 ? Buffer.from(await response.arrayBuffer()) : undefined;
	}
}
