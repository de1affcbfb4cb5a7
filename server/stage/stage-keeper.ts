import { DomainError } from '../errors.ts';
import type { StageState } from '../rooms/stage-roster.ts';
import type { StageLog } from './stage-log.ts';
import type { StageStore } from './stage-store.ts';

export interface StageKeeperOptions {
	store: Pick<StageStore, 'saveStage'>;
	/** A later home has written: this node is not the room's home, whether it knows already or not. */
	fenced: (roomId: string, epoch: number) => void;
	log: StageLog;
}

interface Entry {
	state: StageState;
	/** `state` has not been written yet. */
	dirty: boolean;
	writing: Promise<void> | null;
}

/**
 * Writes rosters to the store: one write under way for each room, and after it the newest roster alone. What could not
 * be written stays due, and is tried again with the next change or `flush`.
 */
export class StageKeeper {
	readonly #options: StageKeeperOptions;
	readonly #entries = new Map<string, Entry>();

	constructor(options: StageKeeperOptions) {
		this.#options = options;
	}

	save(roomId: string, state: StageState): void {
		const entry = this.#entries.get(roomId);
		if (entry) {
			entry.state = state;
			entry.dirty = true;
		} else {
			this.#entries.set(roomId, { state, dirty: true, writing: null });
		}
		this.#write(roomId);
	}

	/** Nothing of this room is to be written any more; a write under way is not stopped. */
	drop(roomId: string): void {
		this.#entries.delete(roomId);
	}

	/** Tries again what is due, of one room or of all. Whether everything is written now. */
	async flush(roomId?: string): Promise<boolean> {
		const roomIds = roomId === undefined ? [...this.#entries.keys()] : [roomId];
		await Promise.all(
			roomIds.map(async (id) => {
				this.#write(id);
				await this.#entries.get(id)?.writing;
			}),
		);
		return roomIds.every((id) => !this.#entries.get(id)?.dirty);
	}

	#write(roomId: string): void {
		const entry = this.#entries.get(roomId);
		if (!entry?.dirty || entry.writing) return;
		entry.writing = this.#run(roomId, entry).then(() => {
			entry.writing = null;
		});
	}

	/** Never rejects. */
	async #run(roomId: string, entry: Entry): Promise<void> {
		// Changes of one turn are one write.
		await Promise.resolve();
		while (entry.dirty && this.#entries.get(roomId) === entry) {
			const { epoch, roster } = entry.state;
			entry.dirty = false;
			try {
				await this.#options.store.saveStage(roomId, epoch, roster);
			} catch (error) {
				if (this.#entries.get(roomId) !== entry) return;
				// What has changed meanwhile is a new try, by a new home perhaps.
				if (!entry.dirty) return this.#failed(roomId, entry, epoch, error);
			}
		}
	}

	#failed(roomId: string, entry: Entry, epoch: number, error: unknown): void {
		const { fenced, log } = this.#options;
		const code = error instanceof DomainError ? error.code : undefined;
		if (code === 'not_home') {
			this.#entries.delete(roomId);
			fenced(roomId, epoch);
		} else if (code === 'room_not_found') {
			this.#entries.delete(roomId);
		} else {
			entry.dirty = true;
			log.warn({ room: roomId, epoch, err: error }, 'the stage could not be saved; it is tried again');
		}
	}
}
