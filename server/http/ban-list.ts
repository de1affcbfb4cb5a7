import type { RoomStore } from '../rooms/store/room-store.ts';

interface Entry {
	subjects: ReadonlySet<string>;
	loadedAtMs: number;
}

/** Bans older than this are read anew, in the background: no join waits for it twice. */
const REFRESH_AFTER_MS = 2_000;
const MAX_ROOMS = 10_000;

/**
 * Bans as joins look at them: a room's bans are read once and kept, so that a surge of joins with tokens does not
 * become a surge on the store. Bans made here count at once, those made elsewhere after two seconds. When the
 * store cannot be read, what was read last stays; a room never read before has no bans then: joins go on.
 */
export class BanList {
	readonly #store: Pick<RoomStore, 'listBans'>;
	readonly #now: () => number;
	readonly #onError: (error: unknown, roomId: string) => void;
	readonly #rooms = new Map<string, Entry>();
	readonly #loading = new Map<string, Promise<Entry | undefined>>();

	/** @param now milliseconds since the epoch */
	constructor(store: Pick<RoomStore, 'listBans'>, now: () => number, onError: (error: unknown, roomId: string) => void) {
		this.#store = store;
		this.#now = now;
		this.#onError = onError;
	}

	async has(roomId: string, subject: string): Promise<boolean> {
		let entry = this.#rooms.get(roomId);
		if (!entry) entry = await this.#load(roomId);
		else if (this.#now() - entry.loadedAtMs >= REFRESH_AFTER_MS) void this.#load(roomId);
		return entry?.subjects.has(subject) ?? false;
	}

	/** The room's bans changed here: the next question reads them. */
	forget(roomId: string): void {
		this.#rooms.delete(roomId);
		// What is being read now may lack the change, so the next question must not join it.
		this.#loading.delete(roomId);
	}

	#load(roomId: string): Promise<Entry | undefined> {
		const running = this.#loading.get(roomId);
		if (running) return running;
		const load = this.#read(roomId).then(
			(entry) => {
				if (this.#loading.get(roomId) === load) {
					this.#loading.delete(roomId);
					this.#keep(roomId, entry);
				}
				return entry;
			},
			(error: unknown) => {
				this.#onError(error, roomId);
				if (this.#loading.get(roomId) === load) this.#loading.delete(roomId);
				return this.#rooms.get(roomId);
			},
		);
		this.#loading.set(roomId, load);
		return load;
	}

	async #read(roomId: string): Promise<Entry> {
		const bans = await this.#store.listBans(roomId);
		return { subjects: new Set(bans.map((ban) => ban.subject)), loadedAtMs: this.#now() };
	}

	#keep(roomId: string, entry: Entry): void {
		this.#rooms.delete(roomId);
		this.#rooms.set(roomId, entry);
		if (this.#rooms.size > MAX_ROOMS) {
			const oldest = this.#rooms.keys().next();
			if (!oldest.done) this.#rooms.delete(oldest.value);
		}
	}
}
