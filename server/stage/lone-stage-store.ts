import type { EventEmitter } from 'node:events';
import type { RoomDirectoryEvents } from '../rooms/room-directory.ts';
import type { StageRoster, StageState } from '../rooms/stage-roster.ts';
import type { DiskRoomStore } from '../rooms/store/disk-store.ts';
import { readStoredRoster } from '../rooms/store/room-change.ts';
import type { StageStore } from './stage-store.ts';

export interface LoneStageStoreOptions {
	replica: Pick<DiskRoomStore, 'stages' | 'putStage'>;
	rooms: Pick<EventEmitter<RoomDirectoryEvents>, 'on'>;
	schedule: (ms: number, task: () => void) => () => void;
}

/** Each write waits for the disk, and holds up everything else meanwhile: fifty people who come back at once are a few writes. */
const WRITE_EVERY_MS = 250;

/**
 * Stages of a node without others, in its own database, so that locks, roles, hands and places outlive the process.
 * Whoever saves faster than this writes is made to wait, and brings the latest then.
 */
export class LoneStageStore implements StageStore {
	readonly #replica: LoneStageStoreOptions['replica'];
	readonly #schedule: LoneStageStoreOptions['schedule'];
	readonly #states: Map<string, StageState>;
	/** Rooms that were written a moment ago, and when that moment is over. */
	readonly #pauses = new Map<string, { over: Promise<void>; end: () => void }>();
	#closed = false;

	static async open(options: LoneStageStoreOptions): Promise<LoneStageStore> {
		const states = new Map<string, StageState>();
		for (const { roomId, epoch, roster: text } of await options.replica.stages()) {
			const roster = readStoredRoster(text);
			if (roster) states.set(roomId, { epoch, roster });
		}
		return new LoneStageStore(options, states);
	}

	private constructor({ replica, rooms, schedule }: LoneStageStoreOptions, states: Map<string, StageState>) {
		this.#replica = replica;
		this.#schedule = schedule;
		this.#states = states;
		rooms.on('removed', ({ id }) => this.#states.delete(id));
	}

	/** Rooms of which something is kept. */
	get roomIds(): string[] {
		return [...this.#states.keys()];
	}

	async saveStage(roomId: string, epoch: number, roster: StageRoster): Promise<void> {
		await this.#pauses.get(roomId)?.over;
		await this.#replica.putStage(roomId, epoch, JSON.stringify(roster));
		this.#states.set(roomId, { epoch, roster });
		if (!this.#closed) this.#pause(roomId);
	}

	async loadStage(roomId: string): Promise<StageState | undefined> {
		return this.#states.get(roomId);
	}

	/** Nobody is made to wait any more. Idempotent. */
	close(): void {
		this.#closed = true;
		for (const { end } of this.#pauses.values()) end();
	}

	#pause(roomId: string): void {
		if (this.#pauses.has(roomId)) return;
		const { promise, resolve } = Promise.withResolvers<void>();
		const cancel = this.#schedule(WRITE_EVERY_MS, () => pause.end());
		const pause = {
			over: promise,
			end: () => {
				cancel();
				if (this.#pauses.get(roomId) === pause) this.#pauses.delete(roomId);
				resolve();
			},
		};
		this.#pauses.set(roomId, pause);
	}
}
