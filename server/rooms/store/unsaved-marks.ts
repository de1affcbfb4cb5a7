import type { DiskRoomStore } from './disk-store.ts';

const PREFIX = 'unsaved:';

/** Rooms that were changed here while Redis was away, with the epoch that gave the right to. Marks are on disk before the change is. */
export class UnsavedMarks {
	readonly #replica: DiskRoomStore;
	readonly #marks: Map<string, number>;

	static async open(replica: DiskRoomStore): Promise<UnsavedMarks> {
		const marks = (await replica.values(PREFIX)).map(({ key, value }): [string, number] => [key.slice(PREFIX.length), Number(value)]);
		return new UnsavedMarks(replica, new Map(marks));
	}

	private constructor(replica: DiskRoomStore, marks: Map<string, number>) {
		this.#replica = replica;
		this.#marks = marks;
	}

	get roomIds(): string[] {
		return [...this.#marks.keys()];
	}

	/** The epoch of the latest change; undefined: everything is in Redis. */
	epochOf(roomId: string): number | undefined {
		return this.#marks.get(roomId);
	}

	async mark(roomId: string, epoch: number): Promise<void> {
		if (this.#marks.get(roomId) === epoch) return;
		await this.#replica.setValue(PREFIX + roomId, String(epoch));
		this.#marks.set(roomId, epoch);
	}

	async clear(roomId: string): Promise<void> {
		if (!this.#marks.delete(roomId)) return;
		await this.#replica.removeValue(PREFIX + roomId);
	}
}
