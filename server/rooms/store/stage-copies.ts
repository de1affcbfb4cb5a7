import type { Logger } from 'pino';
import type { StageRoster } from '../stage-roster.ts';
import type { DiskRoomStore } from './disk-store.ts';
import { readStoredRoster } from './room-change.ts';

export interface StageCopy {
	epoch: number;
	roster: StageRoster;
}

/** A muted microphone is a new roster: the disk need not hear of each. */
const WRITE_AFTER_MS = 1_000;

/**
 * The latest roster of every room's stage, in memory, and a second later on disk: Redis and every other node have them
 * too, so the disk is asked only after all of those are gone.
 */
export class StageCopies {
	readonly #replica: DiskRoomStore;
	readonly #log: Logger;
	readonly #copies: Map<string, StageCopy>;
	readonly #unwritten = new Set<string>();
	#timer: NodeJS.Timeout | undefined;

	static async open(replica: DiskRoomStore, log: Logger): Promise<StageCopies> {
		const copies = new Map<string, StageCopy>();
		for (const { roomId, epoch, roster: text } of await replica.stages()) {
			const roster = readStoredRoster(text);
			if (roster !== undefined) copies.set(roomId, { epoch, roster });
		}
		return new StageCopies(replica, log, copies);
	}

	private constructor(replica: DiskRoomStore, log: Logger, copies: Map<string, StageCopy>) {
		this.#replica = replica;
		this.#log = log;
		this.#copies = copies;
	}

	get(roomId: string): StageCopy | undefined {
		return this.#copies.get(roomId);
	}

	/** Whether it was news: a higher epoch, or the same and a higher version. */
	put(roomId: string, epoch: number, roster: StageRoster): boolean {
		const before = this.#copies.get(roomId);
		if (before !== undefined && (before.epoch > epoch || (before.epoch === epoch && before.roster.version >= roster.version))) return false;
		this.#copies.set(roomId, { epoch, roster });
		this.#unwritten.add(roomId);
		this.#timer ??= setTimeout(() => void this.write(), WRITE_AFTER_MS).unref();
		return true;
	}

	forget(roomId: string): void {
		this.#copies.delete(roomId);
		this.#unwritten.delete(roomId);
	}

	/** Now. A room that is gone from the replica meanwhile is no error. */
	async write(): Promise<void> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		const roomIds = [...this.#unwritten];
		this.#unwritten.clear();
		for (const roomId of roomIds) {
			const copy = this.#copies.get(roomId);
			if (copy === undefined) continue;
			try {
				await this.#replica.putStage(roomId, copy.epoch, JSON.stringify(copy.roster));
			} catch (error) {
				this.#log.warn({ err: error, room: roomId }, 'the stage of a room could not be written to the disk');
			}
		}
	}
}
