import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { syncFolder, writeDurably } from './durable.ts';
import { type RecordedPart, readPartLog } from './part-log.ts';
import { readRecordingRecord, RECORD_FILE, type RecordingRecord } from './recording-record.ts';

export const VOICES_FILE = 'voices.ogg';
export const LOG_FILE = 'log.jsonl';
const PARTS = 'parts';
/** What folders are called; anything else in a path is not ours. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?$/;

/** Recordings in the data folder: `<room>/<recording>/`, with the record, the finished files and, below `parts/`, what they are made of. */
export class RecordingFolders {
	readonly #root: string;

	constructor(root: string) {
		this.#root = root;
	}

	/** @throws RangeError for names that are no folder's of ours */
	folder(roomId: string, id: string): string {
		return path.join(this.#root, named(roomId), named(id));
	}

	partFolder(roomId: string, id: string, partId: string): string {
		return path.join(this.folder(roomId, id), PARTS, named(partId));
	}

	/** Of one room or all, in no order. */
	async list(roomId?: string): Promise<RecordingRecord[]> {
		const rooms = roomId === undefined ? await foldersIn(this.#root) : [named(roomId)];
		const records: RecordingRecord[] = [];
		for (const room of rooms) {
			for (const id of await foldersIn(path.join(this.#root, room))) {
				const record = await this.get(room, id);
				if (record) {
					records.push(record);
				}
			}
		}
		return records;
	}

	async get(roomId: string, id: string): Promise<RecordingRecord | undefined> {
		const text = await readFile(path.join(this.folder(roomId, id), RECORD_FILE), 'utf8').catch(nothingThere);
		return text === undefined ? undefined : readRecordingRecord(text);
	}

	async put(record: RecordingRecord): Promise<void> {
		const folder = this.folder(record.roomId, record.id);
		await mkdir(folder, { recursive: true, mode: 0o700 });
		await writeDurably(path.join(folder, RECORD_FILE), JSON.stringify(record));
		await syncFolder(path.dirname(folder));
	}

	async parts(roomId: string, id: string): Promise<RecordedPart[]> {
		const parts: RecordedPart[] = [];
		for (const partId of await this.partIds(roomId, id)) {
			const log = await readFile(path.join(this.partFolder(roomId, id, partId), LOG_FILE), 'utf8').catch(nothingThere);
			const part = log === undefined ? undefined : readPartLog(partId, log);
			if (part) {
				parts.push(part);
			}
		}
		return parts;
	}

	partIds(roomId: string, id: string): Promise<string[]> {
		return foldersIn(path.join(this.folder(roomId, id), PARTS));
	}

	async removeParts(roomId: string, id: string): Promise<void> {
		await rm(path.join(this.folder(roomId, id), PARTS), { recursive: true, force: true });
	}

	/** Whether there was one. */
	async remove(roomId: string, id: string): Promise<boolean> {
		const folder = this.folder(roomId, id);
		const there = (await readdir(folder).catch(nothingThere)) !== undefined;
		// Without its record it is nothing, even if the rest is not gone when the power goes.
		await rm(path.join(folder, RECORD_FILE), { force: true });
		await rm(folder, { recursive: true, force: true });
		return there;
	}
}

function named(name: string): string {
	if (!NAME.test(name)) {
		throw new RangeError('not the name of a recording');
	}
	return name;
}

async function foldersIn(folder: string): Promise<string[]> {
	const entries = (await readdir(folder, { withFileTypes: true }).catch(nothingThere)) ?? [];
	return entries.filter((entry) => entry.isDirectory() && NAME.test(entry.name)).map(({ name }) => name);
}

function nothingThere(error: unknown): undefined {
	if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
		throw error;
	}
}
