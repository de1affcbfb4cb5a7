import { startOf } from './room-times.ts';
import type { Room } from './room.ts';

export interface TimetableQuery {
	/** `latest`: the other way round. Default: soonest first. */
	order?: 'time' | 'latest';
	/** Only rooms that start at this time or later, in milliseconds since the epoch. With either bound, rooms without a time are left out. */
	fromMs?: number;
	/** Only rooms that start before this time. */
	toMs?: number;
	/** Only what comes behind this place; see `placeOf`. The room itself may be gone or elsewhere by now. */
	after?: string;
}

interface Entry {
	readonly id: string;
	/** `NO_TIME` for a room without a time: last. */
	readonly startMs: number;
}

/** Later than every instant, and still a number that goes into text. */
const NO_TIME = Number.MAX_SAFE_INTEGER;
const PLACE = /^(\d{1,16})\.([a-z0-9-]{1,64})$/;

/** The ids of rooms in the order in which they start. A question costs what it is answered with, however many rooms there are. */
export class Timetable {
	readonly #starts = new Map<string, number>();
	/** In order of time, then id. */
	readonly #entries: Entry[] = [];

	set(room: Room): void {
		const startMs = startOf(room) ?? NO_TIME;
		const known = this.#starts.get(room.id);
		if (known === startMs) return;
		if (known !== undefined) this.delete(room.id);
		this.#starts.set(room.id, startMs);
		const entry = { id: room.id, startMs };
		this.#entries.splice(this.#indexOf(entry), 0, entry);
	}

	delete(id: string): void {
		const startMs = this.#starts.get(id);
		if (startMs === undefined) return;
		this.#starts.delete(id);
		this.#entries.splice(this.#indexOf({ id, startMs }), 1);
	}

	*ids({ order = 'time', fromMs, toMs, after }: TimetableQuery): Generator<string> {
		const last = after === undefined ? undefined : entryAt(after);
		let low = fromMs === undefined ? 0 : this.#indexOf({ id: '', startMs: fromMs });
		let high = this.#entries.length;
		if (toMs !== undefined || fromMs !== undefined) high = this.#indexOf({ id: '', startMs: Math.min(toMs ?? NO_TIME, NO_TIME) });
		if (order === 'time') {
			if (last !== undefined) low = Math.max(low, this.#indexOf(last) + (this.#has(last) ? 1 : 0));
			for (let index = low; index < high; index++) yield this.#entries[index]!.id;
		} else {
			if (last !== undefined) high = Math.min(high, this.#indexOf(last));
			for (let index = high - 1; index >= low; index--) yield this.#entries[index]!.id;
		}
	}

	#has({ id, startMs }: Entry): boolean {
		return this.#starts.get(id) === startMs;
	}

	/** Index of the entry, or where it belongs. */
	#indexOf(entry: Entry): number {
		let low = 0;
		let high = this.#entries.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (isBefore(this.#entries[middle]!, entry)) low = middle + 1;
			else high = middle;
		}
		return low;
	}
}

/** Where the room stands in the order, for `after`. */
export const placeOf = (room: Room): string => `${startOf(room) ?? NO_TIME}.${room.id}`;

/** Whether a text is a place at all. */
export const isPlace = (text: string): boolean => PLACE.test(text);

function entryAt(place: string): Entry | undefined {
	const [, startMs = '', id = ''] = PLACE.exec(place) ?? [];
	return id === '' ? undefined : { id, startMs: Number(startMs) };
}

const isBefore = (a: Entry, b: Entry): boolean => a.startMs < b.startMs || (a.startMs === b.startMs && a.id < b.id);
