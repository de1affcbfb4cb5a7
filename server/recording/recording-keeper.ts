import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { isRecording, type Room } from '../rooms/room.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { DiskSpace } from './disk-space.ts';
import type { Finisher } from './finisher.ts';
import type { RecordingFolders } from './recording-folders.ts';
import type { ProblemCode, RecordingProblems } from './recording-problem.ts';
import type { RecordingRecord } from './recording-record.ts';
import type { RecordingShelf } from './recording-shelf.ts';
import type { RecordingStorage } from './recording-storage.ts';

export interface RecordingKeeperOptions {
	config: Pick<Config['recording'], 'keepDays'>;
	folders: RecordingFolders;
	shelf: Pick<RecordingShelf, 'partsElsewhere'>;
	finisher: Pick<Finisher, 'finish' | 'fetchEarly' | 'fetchMissing'>;
	storage: RecordingStorage | undefined;
	space: Pick<DiskSpace, 'look'>;
	problems: RecordingProblems;
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	rooms: Pick<RoomDirectory, 'get'>;
	/** Whether this recording is being written here. */
	isWriting: (roomId: string, id: string) => boolean;
	/** Whether what is recorded of a room is just being changed. */
	isBusy: (roomId: string) => boolean;
	/** A recording goes on, here or elsewhere. */
	goOn: (roomId: string) => void;
	/** Milliseconds since the epoch. */
	now: () => number;
	log: Logger;
}

/** What is left of crashes, and what waits, is looked at this often. */
const SETTLE_MS = 5_000;
const EXPIRE_MS = 600_000;
const DAY_MS = 86_400_000;

/**
 * Looks after what is on disk: finishes what waits or was cut off, takes in what was missing, deletes what is too old. What fails is
 * tried again with the next look.
 */
export class RecordingKeeper {
	readonly #options: RecordingKeeperOptions;
	readonly #log: Logger;
	readonly #timer: NodeJS.Timeout;
	/** Recordings that are over, and no replay yet. */
	#unfinished: { roomId: string; id: string }[] = [];
	/** Rooms that were deleted while the bucket was away; forgotten with a restart: then their recordings go when they are too old. */
	readonly #gone: Room[] = [];
	#expireAtMs = -Infinity;
	#settling = false;
	#closed = false;

	constructor(options: RecordingKeeperOptions) {
		this.#options = options;
		this.#log = options.log;
		// What is left of a crash is nobody's before the nodes have heard of each other, and that takes less.
		this.#timer = setInterval(() => void this.settle(), SETTLE_MS).unref();
	}

	/** How many recordings wait to become replays, by what hinders them; `none`: their turn comes. */
	get waiting(): Partial<Record<ProblemCode | 'none', number>> {
		const counts: Partial<Record<ProblemCode | 'none', number>> = {};
		for (const { roomId, id } of this.#unfinished) {
			const code = this.#options.problems.of(roomId, id)?.code ?? 'none';
			counts[code] = (counts[code] ?? 0) + 1;
		}
		return counts;
	}

	/** It is over: what there is of it will be a replay. Rejects when that cannot be written; then a later look does it. */
	async stopped(roomId: string, id: string, nodes: readonly string[]): Promise<void> {
		const { folders, finisher, problems, now } = this.#options;
		const record = await folders.get(roomId, id);
		if (record) {
			await folders.put({ ...record, state: 'stopped', nodes: [...new Set([...record.nodes, ...nodes])], endedAt: record.endedAt ?? new Date(now()).toISOString() });
			this.#unfinished.push({ roomId, id });
			problems.forget(roomId, id);
			finisher.finish(roomId, id);
		}
	}

	/** Everything of a room that is gone. */
	async removeAll(room: Room): Promise<void> {
		const { folders, problems } = this.#options;
		for (const record of await folders.list(room.id)) {
			if (record.roomCreatedAt === room.createdAt) {
				await folders.remove(room.id, record.id);
				problems.forget(room.id, record.id);
			}
		}
		await this.#removeStored(room).catch((error: unknown) => {
			this.#gone.push(room);
			this.#log.error({ err: error, room: room.id }, 'recordings of a deleted room could not be deleted from the bucket; it is tried again');
		});
	}

	/** Goes through what is on disk, by itself every few seconds. Never rejects. */
	async settle(): Promise<void> {
		if (this.#settling || this.#closed) {
			return;
		}
		this.#settling = true;
		try {
			await this.#options.space.look().catch(() => undefined); // Whoever writes is told.
			const records = await this.#options.folders.list();
			this.#unfinished = records.filter(({ state }) => state === 'stopped').map(({ roomId, id }) => ({ roomId, id }));
			for (const record of records) {
				await this.#settleOne(record).catch((error: unknown) => this.#log.warn({ err: error, room: record.roomId, recording: record.id }, 'a recording on disk could not be looked after; it is tried again'));
			}
			if (performance.now() >= this.#expireAtMs) {
				this.#expireAtMs = performance.now() + EXPIRE_MS;
				await this.expire();
			}
		} catch (error) {
			this.#log.warn({ err: error }, 'recordings on disk could not be looked through; it is tried again');
		} finally {
			this.#settling = false;
		}
	}

	/** Deletes what is older than the policy allows, wherever it is kept; by itself every ten minutes. Never rejects. */
	async expire(): Promise<void> {
		const { config, folders, now, storage } = this.#options;
		if (this.#closed) {
			return;
		}
		const failures: unknown[] = [];
		const attempt = (work: Promise<void>) => work.catch((error: unknown) => void failures.push(error));
		for (const room of this.#gone.splice(0)) {
			await attempt(
				this.#removeStored(room).catch((error: unknown) => {
					this.#gone.push(room);
					throw error;
				}),
			);
		}
		const before = new Date(now() - config.keepDays * DAY_MS);
		const deleteOld = async (listed: Promise<RecordingRecord[]>): Promise<void> => {
			for (const { roomId, id, state, startedAt, endedAt } of await listed) {
				if (state !== 'capturing' && new Date(endedAt ?? startedAt) < before) {
					await attempt(this.#delete(roomId, id));
				}
			}
		};
		if (config.keepDays > 0) {
			await attempt(deleteOld(folders.list()));
			await attempt(deleteOld(storage?.list({ storedBefore: before }) ?? Promise.resolve([])));
		}
		if (failures.length > 0) {
			this.#log.warn({ err: failures[0], failures: failures.length }, 'old recordings could not be deleted; it is tried again');
		}
	}

	/** Idempotent. */
	close(): void {
		this.#closed = true;
		clearInterval(this.#timer);
	}

	async #delete(roomId: string, id: string): Promise<void> {
		const { folders, storage, problems } = this.#options;
		await folders.remove(roomId, id);
		problems.forget(roomId, id);
		// Where this fails it is found there again, as old as it is.
		await storage?.remove(roomId, id);
		this.#log.info({ room: roomId, recording: id }, 'a recording was deleted: it is older than recordings are kept');
	}

	async #removeStored({ id: roomId, createdAt }: Room): Promise<void> {
		const { storage } = this.#options;
		for (const { id, roomCreatedAt } of (await storage?.list({ roomId })) ?? []) {
			if (roomCreatedAt === createdAt) {
				await storage?.remove(roomId, id);
			}
		}
	}

	async #settleOne(record: RecordingRecord): Promise<void> {
		const { roomId, id, state, missing } = record;
		const { view, rooms, folders, finisher, isWriting, isBusy, goOn } = this.#options;
		if (state === 'stopped') {
			finisher.finish(roomId, id);
		} else if (state === 'capturing' && isWriting(roomId, id)) {
			await finisher.fetchEarly(record);
		} else if (state === 'capturing') {
			const room = rooms.get(roomId);
			if (room && isRecording(room) && room.recording?.id === id) {
				goOn(roomId);
			} else if (!isBusy(roomId) && (await this.#isMine(record))) {
				this.#log.info({ room: roomId, recording: id }, 'a recording that was cut off is finished');
				await this.stopped(roomId, id, room?.recording?.id === id ? room.recording.nodes : []);
			}
		} else if (missing.some((nodeId) => view.nodes().some((node) => node.nodeId === nodeId)) && (await finisher.fetchMissing(record))) {
			await folders.put({ ...record, state: 'stopped' });
			finisher.finish(roomId, id);
		}
	}

	/** Several nodes may hold parts of what nobody stopped: one of them finishes it. */
	async #isMine({ roomId, id }: RecordingRecord): Promise<boolean> {
		const { shelf, view } = this.#options;
		const others = await shelf.partsElsewhere(roomId, id);
		return others.every(({ nodeId, answer }) => answer.state === null || (answer.state === 'capturing' && nodeId > view.nodeId));
	}
}
