import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerHandlers, PeerRequestName, PeerParams, PeerResult, Peers } from '../cluster/peer-protocol.ts';
import { LOG_FILE, type RecordingFolders, VOICES_FILE } from './recording-folders.ts';
import type { RecordingRecord, RecordingState } from './recording-record.ts';
import type { RecordingStorage } from './recording-storage.ts';

export interface RecordingShelfOptions {
	folders: RecordingFolders;
	/** Of a room, on this node, with what hinders them. */
	records: (roomId: string) => Promise<RecordingRecord[]>;
	/** Undefined: finished recordings stay on the disks of the nodes that finished them. */
	storage: RecordingStorage | undefined;
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	peers: Peers;
	/** Whether a room is being recorded here, to the last write. */
	isWriting: (roomId: string) => boolean;
	log: Logger;
}

/** A recording, and what has it: this node's disk, the storage that all nodes share, or another node's disk. */
export interface FoundRecording {
	record: RecordingRecord;
	at: 'disk' | 'storage' | { nodeId: string };
}

/** What could be found. */
export interface FoundRecordings {
	/** The latest first. */
	found: FoundRecording[];
	/** The storage did not answer: there may be more. */
	partial: boolean;
}

const ASK_TIMEOUT_MS = 1_500;
/** In one answer, before base64. */
const PIECE_BYTES = 512 * 1024;
/** What is further on is the better copy, where several nodes have one. */
const PROGRESS: readonly RecordingState[] = ['failed', 'capturing', 'stopped', 'ready'];

/** All recordings there are, wherever they are. */
export class RecordingShelf {
	readonly #options: RecordingShelfOptions;

	constructor(options: RecordingShelfOptions) {
		this.#options = options;
	}

	/** Of a room. Nodes that do not answer are left out. Rejects when the storage fails and nothing is found elsewhere. */
	async list(room: { id: string; createdAt: string }): Promise<FoundRecordings> {
		const { storage, log } = this.#options;
		const [near, stored] = await Promise.all([
			this.#listNodes(room),
			(storage?.list({ roomId: room.id }) ?? Promise.resolve([])).catch((error: unknown) => {
				log.warn({ err: error, room: room.id }, 'the bucket of recordings does not answer');
				return error instanceof Error ? error : new Error('the bucket does not answer', { cause: error });
			}),
		]);
		if (stored instanceof Error) {
			if (near.length === 0) {
				throw stored;
			}
			return { found: near, partial: true };
		}
		return { found: bestOf(room, [...stored.map((record): FoundRecording => ({ record, at: 'storage' })), ...near]), partial: false };
	}

	/** From the nearest place where it is ready; undefined when there is none. Rejects when the storage fails and no node has it. */
	async find(room: { id: string; createdAt: string }, id: string): Promise<FoundRecording | undefined> {
		const { folders, storage } = this.#options;
		const own = (record: RecordingRecord | undefined): record is RecordingRecord => record?.roomCreatedAt === room.createdAt;
		const here = await folders.get(room.id, id);
		if (own(here) && here.state === 'ready' && !storage) {
			return { record: here, at: 'disk' };
		}
		const stored = await storage?.get(room.id, id).catch((error: unknown) => ({ away: error }));
		const away = stored !== undefined && 'away' in stored;
		if (!away && own(stored)) {
			return { record: stored, at: 'storage' };
		}
		const near = (await this.#listNodes(room)).find(({ record }) => record.id === id);
		if (away && !near) {
			throw stored.away;
		}
		return near;
	}

	/** Everywhere. Whether there was one. */
	async remove(roomId: string, id: string): Promise<boolean> {
		const { folders, storage } = this.#options;
		const [here, stored, elsewhere] = await Promise.all([folders.remove(roomId, id), storage?.remove(roomId, id) ?? false, this.#askAll('removeRecording', { roomId, id })]);
		return here || stored || elsewhere.some(({ answer }) => answer.removed);
	}

	/** What other nodes have of a recording (`state` is null for nothing); those that do not answer are left out. */
	partsElsewhere(roomId: string, id: string): Promise<{ nodeId: string; answer: PeerResult<'recordingParts'> }[]> {
		return this.#askAll('recordingParts', { roomId, id });
	}

	/** Copies the parts that a node has to this one's disk, beside its own. Rejects when that fails, and can be tried again. */
	async fetchParts(nodeId: string, roomId: string, id: string, parts: PeerResult<'recordingParts'>['parts']): Promise<void> {
		const { folders, peers } = this.#options;
		for (const { id: part } of parts) {
			const folder = folders.partFolder(roomId, id, part);
			await mkdir(folder, { recursive: true, mode: 0o700 });
			// The log last: without it there is no part.
			for (const file of [VOICES_FILE, LOG_FILE] as const) {
				const handle = await open(path.join(folder, `${file}.new`), 'w', 0o600);
				try {
					for (let offset = 0; ; ) {
						const { data } = await peers.request(nodeId, 'readRecordingPart', { roomId, id, part, file, offset }, { timeoutMs: 10_000 });
						const bytes = Buffer.from(data, 'base64');
						if (bytes.length === 0) {
							break;
						}
						await handle.appendFile(bytes);
						offset += bytes.length;
					}
					await handle.sync();
				} catch (error) {
					await rm(path.join(folder, `${file}.new`), { force: true });
					throw error;
				} finally {
					await handle.close();
				}
				await rename(path.join(folder, `${file}.new`), path.join(folder, file));
			}
		}
	}

	/** It is whole here: what another node has of it is not needed any more. */
	async dropElsewhere(nodeId: string, roomId: string, id: string): Promise<void> {
		await this.#options.peers.request(nodeId, 'removeRecording', { roomId, id }, { timeoutMs: ASK_TIMEOUT_MS });
	}

	/** What other nodes may ask. */
	readonly handlers: Pick<PeerHandlers, 'listRecordings' | 'recordingParts' | 'readRecordingPart' | 'removeRecording'> = {
		listRecordings: async ({ roomId }) => ({ recordings: await this.#options.records(roomId) }),
		recordingParts: async ({ roomId, id }) => {
			const { folders } = this.#options;
			const record = await folders.get(roomId, id);
			const parts = [];
			for (const partId of record ? await folders.partIds(roomId, id) : []) {
				const folder = folders.partFolder(roomId, id, partId);
				const bytes = async (file: string) => (await stat(path.join(folder, file)).catch(() => undefined))?.size ?? 0;
				parts.push({ id: partId, bytes: { [VOICES_FILE]: await bytes(VOICES_FILE), [LOG_FILE]: await bytes(LOG_FILE) } as Record<'voices.ogg' | 'log.jsonl', number> });
			}
			return { state: record?.state ?? null, writing: this.#options.isWriting(roomId), parts };
		},
		readRecordingPart: async ({ roomId, id, part, file, offset }) => {
			const handle = await open(path.join(this.#options.folders.partFolder(roomId, id, part), file), 'r');
			try {
				const { buffer, bytesRead } = await handle.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, offset);
				return { data: buffer.subarray(0, bytesRead).toString('base64') };
			} finally {
				await handle.close();
			}
		},
		removeRecording: async ({ roomId, id }) => ({ removed: await this.#options.folders.remove(roomId, id) }),
	};

	/** Of a room, on this node's disk and those of others, the latest first. */
	async #listNodes(room: { id: string; createdAt: string }): Promise<FoundRecording[]> {
		const [here, elsewhere] = await Promise.all([this.#options.records(room.id), this.#askAll('listRecordings', { roomId: room.id })]);
		return bestOf(room, [
			...here.map((record): FoundRecording => ({ record, at: 'disk' })),
			...elsewhere.flatMap(({ nodeId, answer }) => answer.recordings.map((record): FoundRecording => ({ record, at: { nodeId } }))),
		]);
	}

	async #askAll<N extends PeerRequestName>(name: N, params: PeerParams<N>): Promise<{ nodeId: string; answer: PeerResult<N> }[]> {
		const { view, peers, log } = this.#options;
		const others = view.nodes().filter(({ nodeId }) => nodeId !== view.nodeId);
		const answers = await Promise.all(
			others.map(async ({ nodeId }) => {
				try {
					return { nodeId, answer: await peers.request(nodeId, name, params, { timeoutMs: ASK_TIMEOUT_MS }) };
				} catch (error) {
					log.info({ err: error, peer: nodeId }, 'a node could not be asked for its recordings');
					return undefined;
				}
			}),
		);
		return answers.filter((answer) => answer !== undefined);
	}
}

/** Each recording of a room once, the latest first. */
function bestOf(room: { createdAt: string }, all: readonly FoundRecording[]): FoundRecording[] {
	const best = new Map<string, FoundRecording>();
	for (const each of all) {
		const known = best.get(each.record.id);
		if (each.record.roomCreatedAt === room.createdAt && (!known || isBetter(each.record, known.record))) {
			best.set(each.record.id, each);
		}
	}
	return [...best.values()].toSorted((a, b) => (a.record.startedAt < b.record.startedAt ? 1 : -1));
}

function isBetter(a: RecordingRecord, b: RecordingRecord): boolean {
	const further = PROGRESS.indexOf(a.state) - PROGRESS.indexOf(b.state);
	return further === 0 ? a.durationMs > b.durationMs : further > 0;
}
