import { EventEmitter } from 'node:events';
import { DomainError } from '../errors.ts';
import type { Room, RoomRecording, RoomState } from './room.ts';
import { cancelledRoom, extendedRoom, type NewRoom, newRoom, patchedRoom, type RoomCommand, type RoomPatch, transitionedRoom, warnedRoom } from './room-transitions.ts';
import type { RoomStore } from './store/room-store.ts';
import { Timetable, type TimetableQuery } from './timetable.ts';

export interface RoomDirectoryEvents {
	/** A room was made (`before` undefined) or changed; it is stored already. */
	changed: [room: Room, before: Room | undefined];
	/** The room as it last was. */
	removed: [room: Room];
}

export interface RoomDirectoryOptions {
	store: RoomStore;
	now: () => Date;
	/** A valid room id; see `readableRoomId`. */
	randomId: () => string;
	defaults: { voices: number };
}

interface RoomFilter {
	limit: number;
	states?: readonly RoomState[];
	visibility?: Room['visibility'];
}

/** Which rooms `list` gives: in order of id, after the id `after`. */
export interface RoomQuery extends RoomFilter {
	after?: string;
}

/** Which rooms `listByTime` gives. */
export type TimedRoomQuery = RoomFilter & TimetableQuery;

const LOAD_PAGE = 500;
const ID_ATTEMPTS = 5;

/**
 * Every room of this node, in memory: reads are synchronous and never wait for the store. A change is
 * stored first, then visible, then announced; changes to one room happen one after the other.
 * Rooms are frozen: a change gives a new object.
 */
export class RoomDirectory extends EventEmitter<RoomDirectoryEvents> {
	readonly #store: RoomStore;
	readonly #now: () => Date;
	readonly #randomId: () => string;
	readonly #voices: number;
	readonly #rooms = new Map<string, Room>();
	/** All ids in order, so that a page needs no sorting. */
	#ids: string[] = [];
	readonly #timetable = new Timetable();
	/** The last change under way, by room. */
	readonly #queues = new Map<string, Promise<unknown>>();

	private constructor(options: RoomDirectoryOptions) {
		super();
		this.#store = options.store;
		this.#now = options.now;
		this.#randomId = options.randomId;
		this.#voices = options.defaults.voices;
	}

	/** Loads every room; rejects with what the store rejects with. */
	static async create(options: RoomDirectoryOptions): Promise<RoomDirectory> {
		const directory = new RoomDirectory(options);
		let after: string | undefined;
		for (;;) {
			const page = await options.store.listRooms(after === undefined ? { limit: LOAD_PAGE } : { after, limit: LOAD_PAGE });
			for (const room of page) {
				directory.#rooms.set(room.id, Object.freeze(room));
				directory.#timetable.set(room);
			}
			after = page.at(-1)?.id;
			if (page.length < LOAD_PAGE) break;
		}
		directory.#ids = [...directory.#rooms.keys()].toSorted(byId);
		return directory;
	}

	get size(): number {
		return this.#rooms.size;
	}

	get(id: string): Room | undefined {
		return this.#rooms.get(id);
	}

	/** @throws DomainError `room_not_found` */
	require(id: string): Room {
		const room = this.#rooms.get(id);
		if (room === undefined) throw new DomainError('room_not_found', 'There is no room with this id.');
		return room;
	}

	list(query: RoomQuery): Room[] {
		const found: Room[] = [];
		for (let index = query.after === undefined ? 0 : this.#indexAfter(query.after); index < this.#ids.length && found.length < query.limit; index++) {
			const room = this.#rooms.get(this.#ids[index]!)!;
			if (fits(room, query)) found.push(room);
		}
		return found;
	}

	/** In order of their start, then id; rooms without one come last. */
	listByTime(query: TimedRoomQuery): Room[] {
		const found: Room[] = [];
		if (query.limit <= 0) return found;
		for (const id of this.#timetable.ids(query)) {
			const room = this.#rooms.get(id);
			if (room !== undefined && fits(room, query) && found.push(room) === query.limit) break;
		}
		return found;
	}

	/** Rejects with `room_exists`, `invalid_request`. */
	async create(input: NewRoom): Promise<Room> {
		if (input.id !== undefined) return this.#insert(input, input.id);
		for (let attempt = 1; ; attempt++) {
			try {
				return await this.#insert(input, this.#randomId());
			} catch (error) {
				const taken = error instanceof DomainError && error.code === 'room_exists';
				if (!taken || attempt === ID_ATTEMPTS) throw error;
			}
		}
	}

	/** Rejects with `room_not_found`, `room_ended`, `wrong_room_state`, `invalid_request`. */
	update(id: string, patch: RoomPatch): Promise<Room> {
		return this.#change(id, (room) => patchedRoom(room, patch, this.#now()));
	}

	/** Done already: no error and no change. Rejects with `room_not_found`, `wrong_room_state`. */
	cancel(id: string, reason?: string): Promise<Room> {
		return this.#change(id, (room) => cancelledRoom(room, reason, this.#now()));
	}

	/** Rejects with `room_not_found`, `room_ended`, `wrong_room_state`. */
	extend(id: string, minutes: number): Promise<Room> {
		return this.#change(id, (room) => extendedRoom(room, minutes));
	}

	/** Lets everybody know when the room ends by itself. @param still as for `transition` */
	warnOfEnd(id: string, still: (room: Room) => boolean): Promise<Room> {
		return this.#change(id, (room) => (still(room) ? warnedRoom(room) : room));
	}

	/**
	 * Already there: no error and no change. Rejects with `room_not_found`, `room_ended`, `wrong_room_state`.
	 * @param still asked when the command's turn comes; false: nothing is changed
	 */
	transition(id: string, command: RoomCommand, still: (room: Room) => boolean = () => true): Promise<Room> {
		return this.#change(id, (room) => (still(room) ? transitionedRoom(room, command, this.#now()) : room));
	}

	/** Begins, goes on with (on another node) or ends (undefined) its recording. Rejects with `room_not_found`. */
	setRecording(id: string, next: (room: Room) => RoomRecording | undefined): Promise<Room> {
		return this.#change(id, (room) => {
			const recording = next(room);
			if (recording === room.recording) return room;
			const { recording: _before, ...rest } = room;
			return { ...rest, ...(recording && { recording, recorded: true }), version: room.version + 1 };
		});
	}

	/** With its bans and numbers, in whatever state it is. Rejects with `room_not_found`. */
	remove(id: string): Promise<void> {
		return this.#serially(id, async () => {
			const room = this.require(id);
			await this.#store.removeRoom(id);
			this.#forget(room);
		});
	}

	/** A room as another node has stored it; taken if it is newer than what is known here. Says whether it was. */
	take(room: Room): boolean {
		const known = this.#rooms.get(room.id);
		if (known !== undefined && known.version >= room.version) return false;
		this.#adopt(room);
		return true;
	}

	/** A room that another node has removed. */
	drop(id: string): void {
		const room = this.#rooms.get(id);
		if (room !== undefined) this.#forget(room);
	}

	#insert(input: NewRoom, id: string): Promise<Room> {
		return this.#serially(id, async () => {
			const room = newRoom(input, { id, voices: this.#voices, at: this.#now() });
			if (this.#rooms.has(id)) throw new DomainError('room_exists', 'A room with this id exists already.');
			await this.#store.createRoom(room);
			return this.#adopt(room);
		});
	}

	#change(id: string, next: (room: Room) => Room): Promise<Room> {
		return this.#serially(id, async () => {
			const before = this.require(id);
			const room = next(before);
			if (room === before) return before;
			try {
				await this.#store.updateRoom(room);
			} catch (error) {
				await this.#reconcile(before, error);
				throw error;
			}
			// While it was stored, another node may have gone further, or removed it: what was heard since stands.
			const heard = this.#rooms.get(id);
			return heard === before ? this.#adopt(room) : room;
		});
	}

	/** The store holds another version than memory does: what is stored is the truth, or no change could ever pass again. */
	async #reconcile(before: Room, error: unknown): Promise<void> {
		if (!(error instanceof DomainError) || (error.code !== 'precondition_failed' && error.code !== 'room_not_found')) return;
		const stored = await this.#store.getRoom(before.id);
		if (stored === undefined) this.#forget(before);
		else if (stored.version !== before.version) this.#adopt(stored);
	}

	#adopt(room: Room): Room {
		const before = this.#rooms.get(room.id);
		this.#rooms.set(room.id, Object.freeze(room));
		this.#timetable.set(room);
		if (before === undefined) this.#ids.splice(this.#indexAfter(room.id), 0, room.id);
		this.emit('changed', room, before);
		return room;
	}

	#forget(room: Room): void {
		if (this.#rooms.get(room.id)?.createdAt !== room.createdAt) return; // Another node was faster, and may have made it anew.
		this.#rooms.delete(room.id);
		this.#timetable.delete(room.id);
		this.#ids.splice(this.#indexAfter(room.id) - 1, 1);
		this.emit('removed', room);
	}

	/** Index of the first id that is greater. */
	#indexAfter(id: string): number {
		let low = 0;
		let high = this.#ids.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#ids[middle]! <= id) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	#serially<T>(id: string, work: () => Promise<T>): Promise<T> {
		const previous = this.#queues.get(id) ?? Promise.resolve();
		const result = previous.then(work, work);
		this.#queues.set(id, result);
		const settled = (): void => {
			if (this.#queues.get(id) === result) this.#queues.delete(id);
		};
		result.then(settled, settled);
		return result;
	}
}

const fits = (room: Room, { states, visibility }: RoomFilter): boolean =>
	(states === undefined || states.includes(room.state)) && (visibility === undefined || room.visibility === visibility);

/** Byte order, as every store lists; never the locale's. */
function byId(a: string, b: string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}
