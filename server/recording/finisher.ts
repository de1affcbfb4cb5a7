import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { DiskSpace } from './disk-space.ts';
import { writeDurably } from './durable.ts';
import { mix, mixBytes } from './mix.ts';
import type { RecordingFolders } from './recording-folders.ts';
import { isDiskProblem, type RecordingProblems } from './recording-problem.ts';
import { CAPTIONS_FILE, CHAPTERS_FILE, CHAPTERS_VTT_FILE, REPLAY_FILES, type RecordingRecord } from './recording-record.ts';
import type { RecordingShelf } from './recording-shelf.ts';
import type { RecordingStorage } from './recording-storage.ts';
import { type PlacedPart, type Timeline, timelineOf } from './timeline.ts';
import { captionsVtt, chaptersVtt } from './webvtt.ts';

export interface FinisherOptions {
	config: Pick<Config['recording'], 'ffmpegPath' | 'opusKbps' | 'aacKbps'>;
	nodeId: string;
	folders: RecordingFolders;
	shelf: Pick<RecordingShelf, 'partsElsewhere' | 'fetchParts' | 'dropElsewhere'>;
	storage: RecordingStorage | undefined;
	space: Pick<DiskSpace, 'require'>;
	problems: RecordingProblems;
	/** Why nothing can be mixed here. */
	whyNot: () => string | undefined;
	onReady: (record: RecordingRecord) => void;
	nowMs: () => number;
	log: Logger;
}

const RETRY_MS = 10_000;
const RETRY_MAX_MS = 600_000;
/** Whether there is room again is asked quickly, and somebody who has just made some is waiting. */
const RETRY_DISK_MS = 10_000;

/** Makes replays of what was recorded, one at a time: fetches parts from other nodes, mixes, stores. Tried again until it is done, by the next start at the latest. */
export class Finisher {
	readonly #options: FinisherOptions;
	readonly #log: Logger;
	/** By `<room>/<id>`: when it may be tried again. */
	readonly #failed = new Map<string, { attempts: number; retryAtMs: number }>();
	readonly #waiting = new Set<string>();
	readonly #abort = new AbortController();
	#last: Promise<void> = Promise.resolve();

	constructor(options: FinisherOptions) {
		this.#options = options;
		this.#log = options.log;
	}

	/** A recording that is `stopped` here, and is not at work already. */
	finish(roomId: string, id: string): void {
		const key = `${roomId}/${id}`;
		const { whyNot, nowMs, problems } = this.#options;
		if (this.#abort.signal.aborted || this.#waiting.has(key) || (this.#failed.get(key)?.retryAtMs ?? 0) > nowMs()) {
			return;
		}
		const reason = whyNot();
		if (reason !== undefined) {
			problems.begin(roomId, id, new Error(reason), 'no_ffmpeg');
			return;
		}
		this.#waiting.add(key);
		this.#last = this.#last.then(async () => {
			try {
				await this.#finish(roomId, id);
				this.#failed.delete(key);
				problems.end(roomId, id);
			} catch (error) {
				if (!this.#abort.signal.aborted) {
					const attempts = (this.#failed.get(key)?.attempts ?? 0) + 1;
					const waitMs = isDiskProblem(error) ? RETRY_DISK_MS : Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (attempts - 1));
					this.#failed.set(key, { attempts, retryAtMs: nowMs() + waitMs });
					problems.begin(roomId, id, error, 'mix_failed');
					this.#log.error({ err: error, room: roomId, recording: id, retryInMs: waitMs }, 'a recording could not be finished; it is tried again');
				}
			} finally {
				this.#waiting.delete(key);
			}
		});
	}

	/** Fetches what is missing in a finished recording from nodes that are back; whether there was any. */
	async fetchMissing(record: RecordingRecord): Promise<boolean> {
		const { missing } = await this.#gather(record);
		return missing.length < record.missing.length;
	}

	/** While it is still being recorded here: what other nodes have of it, before they leave for good. */
	async fetchEarly({ roomId, id, nodes, fetched = [] }: RecordingRecord): Promise<void> {
		const { folders, nodeId: self } = this.#options;
		const wanted = nodes.filter((nodeId) => nodeId !== self && !fetched.includes(nodeId));
		if (wanted.length === 0) {
			return;
		}
		const { whole } = await this.#gather({ roomId, id, nodes: wanted, fetched: [] });
		const now = await folders.get(roomId, id);
		if (now && whole.length > 0) {
			await folders.put({ ...now, fetched: [...new Set([...(now.fetched ?? []), ...whole])] });
			this.#log.info({ room: roomId, recording: id, from: whole }, 'parts of a recording have been fetched');
		}
	}

	/** Stops what is at work; it begins anew at the next start. Idempotent. */
	close(): void {
		this.#abort.abort();
	}

	async #finish(roomId: string, id: string): Promise<void> {
		const { folders, storage, onReady } = this.#options;
		const begun = await folders.get(roomId, id);
		if (begun?.state !== 'stopped') {
			return;
		}
		const startedAt = performance.now();
		const { missing, whole } = await this.#gather(begun);
		const timeline = timelineOf(await folders.parts(roomId, id));
		if (timeline.durationMs === 0) {
			await folders.put({ ...begun, missing, state: 'failed', failure: 'nothing was recorded' });
			this.#log.warn({ room: roomId, recording: id }, 'of a recording there is nothing to hear');
			return;
		}
		const mixed = begun.mixedFrom === partsMark(timeline.parts) ? { ...begun, missing } : await this.#mix({ ...begun, missing }, timeline);
		if ((await folders.get(roomId, id)) === undefined) {
			return; // Deleted while it was mixed.
		}
		// Hours of mixing are not to be done again because a bucket is away. Meanwhile it can be heard from here.
		await folders.put(mixed);
		const { durationMs } = mixed;
		const record: RecordingRecord = { ...mixed, state: 'ready' };
		await storage?.store(record, folders.folder(roomId, id), this.#abort.signal);
		if (storage && (await folders.get(roomId, id)) === undefined) {
			await storage.remove(roomId, id); // Deleted while it was stored.
			return;
		}
		await folders.put(record);
		this.#log.info({ room: roomId, recording: id, durationMs, tookMs: Math.round(performance.now() - startedAt), missing }, 'a recording is ready');
		if (missing.length === 0) {
			await this.#tidy(record, whole);
		}
		onReady(record);
	}

	/** Makes its files. What it says of them is not on disk yet. */
	async #mix(begun: RecordingRecord, timeline: Timeline): Promise<RecordingRecord> {
		const { config, folders, space } = this.#options;
		const { roomId, id, title } = begun;
		const folder = folders.folder(roomId, id);
		const { chapters, speakers, cues, durationMs } = timeline;
		await space.require({ bytes: mixBytes(config, durationMs) });
		await mix({ ...config, folder, partFolder: (partId) => folders.partFolder(roomId, id, partId), title, timeline, signal: this.#abort.signal });
		await writeDurably(path.join(folder, CAPTIONS_FILE), captionsVtt(cues));
		await writeDurably(path.join(folder, CHAPTERS_FILE), JSON.stringify({ durationMs, chapters }));
		await writeDurably(path.join(folder, CHAPTERS_VTT_FILE), chaptersVtt(chapters));
		const files: Record<string, number> = {};
		for (const name of Object.keys(REPLAY_FILES)) {
			files[name] = (await stat(path.join(folder, name))).size;
		}
		const { failure: _failure, ...rest } = begun;
		return { ...rest, durationMs, files, captions: cues.length > 0, speakers, chapters, mixedFrom: partsMark(timeline.parts) };
	}

	/** What it was made of is not needed any more. */
	async #tidy({ roomId, id }: RecordingRecord, whole: readonly string[]): Promise<void> {
		const { folders, shelf, storage } = this.#options;
		if (storage) {
			await folders.remove(roomId, id);
		} else {
			await folders.removeParts(roomId, id);
		}
		for (const nodeId of whole) {
			await shelf.dropElsewhere(nodeId, roomId, id).catch((error: unknown) => this.#log.info({ err: error, peer: nodeId }, 'parts of a recording stay on another node for now'));
		}
	}

	/** Parts of all nodes come here. `whole`: those whose parts did; `missing`: those of which that cannot be said. */
	async #gather({ roomId, id, nodes, fetched = [] }: Pick<RecordingRecord, 'roomId' | 'id' | 'nodes' | 'fetched'>): Promise<{ missing: string[]; whole: string[] }> {
		const { nodeId: self, shelf } = this.#options;
		const others = nodes.filter((nodeId) => nodeId !== self);
		if (others.length === 0) {
			return { missing: [], whole: [] };
		}
		const answers = await shelf.partsElsewhere(roomId, id);
		const whole: string[] = [];
		for (const { nodeId, answer } of answers.filter((each) => others.includes(each.nodeId) && !each.answer.writing)) {
			try {
				await shelf.fetchParts(nodeId, roomId, id, answer.parts);
				whole.push(nodeId);
			} catch (error) {
				if (isDiskProblem(error)) {
					throw error; // Not that node's fault: what it has is not missing, there is no place for it.
				}
				this.#log.warn({ err: error, peer: nodeId, room: roomId, recording: id }, 'parts of a recording could not be fetched');
			}
		}
		return { whole, missing: others.filter((nodeId) => !whole.includes(nodeId) && !fetched.includes(nodeId)) };
	}
}

/** Changes with the parts that a recording is made of. */
function partsMark(parts: readonly PlacedPart[]): string {
	const text = parts.map(({ part: { id, durationMs } }) => `${id} ${durationMs}`).join('\n');
	return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
