import { EventEmitter } from 'node:events';
import { type Caption, captionOf, type NewCaption } from './caption.ts';

export interface CaptionLogEvents {
	/** A final line was written, at the room's home, which is this node. Copies of other nodes' lines are not announced. */
	caption: [roomId: string, caption: Caption];
}

export interface CaptionLogOptions {
	/** Milliseconds since the epoch. */
	now: () => number;
	/** Per room; default 5,000. The oldest go first. */
	maxLines?: number;
	/** Of all lines of a room together; default 512 K. */
	maxCharacters?: number;
	/** Default 500; the one without news for longest goes first. */
	maxRooms?: number;
}

interface RoomCaptions {
	/** Final lines, oldest first. */
	lines: Caption[];
	characters: number;
	/** First guesses, by speaker and language; each until its final line, or the next guess. */
	guesses: Map<string, Caption>;
	lastId: number;
}

/**
 * Ids of one epoch: a home that comes later gives higher ones, whatever it knows of the earlier. Epochs come from the
 * clock (some 6e10): their product must stay below 2^53, or ids would fall together.
 */
const IDS_PER_EPOCH = 2 ** 16;
/** What readers are told: so many of each language, and of so many languages. */
const SHOWN_LINES = 3;
const SHOWN_LANGUAGES = 4;

/** What was said in words, by room: the home writes, every node that follows has a copy, and the replay reads it. Bounded. */
export class CaptionLog extends EventEmitter<CaptionLogEvents> {
	readonly #now: () => number;
	readonly #maxLines: number;
	readonly #maxCharacters: number;
	readonly #maxRooms: number;
	readonly #rooms = new Map<string, RoomCaptions>();

	constructor({ now, maxLines = 5_000, maxCharacters = 512 * 1024, maxRooms = 500 }: CaptionLogOptions) {
		super();
		this.#now = now;
		this.#maxLines = maxLines;
		this.#maxCharacters = maxCharacters;
		this.#maxRooms = maxRooms;
	}

	/** At the room's home. @param epoch of this home */
	write(roomId: string, epoch: number, line: NewCaption): Caption {
		const room = this.#touch(roomId);
		const caption = captionOf(line, Math.max(room.lastId, epoch * IDS_PER_EPOCH) + 1, this.#now());
		room.lastId = caption.id;
		const key = keyOf(caption);
		room.guesses.delete(key);
		if (caption.final) this.#add(room, [caption]);
		else room.guesses.set(key, caption);
		// A crowd of speakers' names must not be a crowd of guesses.
		for (const oldest of room.guesses.keys()) {
			if (room.guesses.size <= SHOWN_LINES * SHOWN_LANGUAGES) break;
			room.guesses.delete(oldest);
		}
		if (caption.final) this.emit('caption', roomId, caption);
		return caption;
	}

	/** Final lines, oldest first. */
	of(roomId: string): Caption[] {
		return [...(this.#rooms.get(roomId)?.lines ?? [])];
	}

	/** Final lines with ids above this one. */
	after(roomId: string, id: number): Caption[] {
		const lines = this.#rooms.get(roomId)?.lines ?? [];
		let first = lines.length;
		while (first > 0 && (lines[first - 1]?.id ?? 0) > id) first--;
		return lines.slice(first);
	}

	guesses(roomId: string): Caption[] {
		return [...(this.#rooms.get(roomId)?.guesses.values() ?? [])];
	}

	/** Of the last final line; 0 without any. */
	lastIdOf(roomId: string): number {
		return this.#rooms.get(roomId)?.lines.at(-1)?.id ?? 0;
	}

	/** What readers see: the last lines of each of the languages in use, in order. */
	shown(roomId: string): Caption[] {
		const room = this.#rooms.get(roomId);
		if (room === undefined) return [];
		const byLanguage = new Map<string, Caption[]>();
		const take = (caption: Caption): void => {
			const language = caption.language ?? '';
			const taken = byLanguage.get(language) ?? [];
			if (taken.length >= SHOWN_LINES || (taken.length === 0 && byLanguage.size >= SHOWN_LANGUAGES)) return;
			taken.push(caption);
			byLanguage.set(language, taken);
		};
		for (const guess of [...room.guesses.values()].toReversed()) take(guess);
		// No room has so many speakers that the last lines of a language in use are further back.
		for (let index = room.lines.length - 1; index >= Math.max(0, room.lines.length - 60); index--) take(room.lines[index]!);
		return [...byLanguage.values()].flat().toSorted((a, b) => a.id - b.id);
	}

	/** What another node has of the room. @param guesses absent: those known here stay @returns whether anything was new */
	merge(roomId: string, lines: readonly Caption[], guesses?: readonly Caption[]): boolean {
		if (lines.length === 0 && (guesses ?? []).length === 0 && !this.#rooms.has(roomId)) return false;
		const room = this.#touch(roomId);
		const before = `${room.lines.length} ${room.lines.at(-1)?.id} ${[...room.guesses.values()].map(({ id }) => id).join(' ')}`;
		this.#add(room, lines);
		if (guesses !== undefined) room.guesses = new Map(guesses.map((guess) => [keyOf(guess), guess]));
		room.lastId = Math.max(room.lastId, room.lines.at(-1)?.id ?? 0, ...(guesses ?? []).map(({ id }) => id));
		return before !== `${room.lines.length} ${room.lines.at(-1)?.id} ${[...room.guesses.values()].map(({ id }) => id).join(' ')}`;
	}

	forget(roomId: string): void {
		this.#rooms.delete(roomId);
	}

	#add(room: RoomCaptions, lines: readonly Caption[]): void {
		const last = room.lines.at(-1)?.id ?? 0;
		const inOrder = lines.every(({ id }, index) => id > (index === 0 ? last : (lines[index - 1]?.id ?? 0)));
		if (inOrder) room.lines.push(...lines);
		else room.lines = [...new Map([...room.lines, ...lines].map((line) => [line.id, line])).values()].toSorted((a, b) => a.id - b.id);
		room.characters = inOrder ? room.characters + sizeOf(lines) : sizeOf(room.lines);
		let surplus = Math.max(0, room.lines.length - this.#maxLines);
		for (let index = 0; index < room.lines.length; index++) {
			if (index >= surplus && room.characters <= this.#maxCharacters) break;
			room.characters -= room.lines[index]!.text.length;
			surplus = Math.max(surplus, index + 1);
		}
		if (surplus > 0) room.lines.splice(0, surplus);
	}

	/** Rooms with news stand last. */
	#touch(roomId: string): RoomCaptions {
		const room = this.#rooms.get(roomId) ?? { lines: [], characters: 0, guesses: new Map(), lastId: 0 };
		this.#rooms.delete(roomId);
		this.#rooms.set(roomId, room);
		for (const oldest of this.#rooms.keys()) {
			if (this.#rooms.size <= this.#maxRooms) break;
			this.#rooms.delete(oldest);
		}
		return room;
	}
}

const keyOf = ({ speaker = '', language = '' }: Caption): string => `${language}\n${speaker}`;

const sizeOf = (lines: readonly Caption[]): number => lines.reduce((sum, { text }) => sum + text.length, 0);
