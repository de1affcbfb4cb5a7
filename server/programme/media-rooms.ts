import { DomainError } from '../errors.ts';
import type { Room } from '../rooms/room.ts';
import type { RoomProgramme } from './room-programme.ts';

/** A room's media on this node, and who is on the way into it. */
export interface MediaRoom {
	readonly programme: RoomProgramme;
	packing: Room['packingMs'];
	/** Joins under way. */
	joining: number;
	/** Joins since the last count, and in the second before it: the count is that old. */
	joined: number;
	joinedBefore: number;
}

/** The rooms that have media on this node. */
export class MediaRooms {
	readonly #rooms = new Map<string, MediaRoom>();
	readonly #programmeFor: (room: Room) => RoomProgramme;
	#closed = false;

	/** @param programmeFor makes the media of a room that had none here */
	constructor(programmeFor: (room: Room) => RoomProgramme) {
		this.#programmeFor = programmeFor;
	}

	get isClosed(): boolean {
		return this.#closed;
	}

	get(roomId: string): MediaRoom | undefined {
		return this.#rooms.get(roomId);
	}

	all(): Iterable<MediaRoom> {
		return this.#rooms.values();
	}

	/** The room's media, made if need be. The caller vouches that the room has not ended: nothing would ever take it away again. Throws DomainError `room_ended`, `shutting_down`. */
	open(room: Room): MediaRoom {
		let known = this.#rooms.get(room.id);
		if (!known) {
			if (this.#closed || room.state === 'ended') {
				throw this.over();
			}
			known = { programme: this.#programmeFor(room), packing: room.packingMs, joining: 0, joined: 0, joinedBefore: 0 };
			this.#rooms.set(room.id, known);
		}
		return known;
	}

	/** The media of a room whose doors are open. The caller saw them open; where it is not here, they have closed since. Throws DomainError `room_ended`, `shutting_down`. */
	known(roomId: string): MediaRoom {
		const room = this.#rooms.get(roomId);
		if (!room) {
			throw this.over();
		}
		return room;
	}

	/** Takes a room's media away. */
	remove(roomId: string, reason: string): void {
		this.#rooms.get(roomId)?.programme.close(reason);
		this.#rooms.delete(roomId);
	}

	/** Nothing is made any more. */
	close(): void {
		this.#closed = true;
	}

	/** Why a room has no media here. */
	over(): DomainError {
		return this.#closed
			? new DomainError('shutting_down', 'This server is shutting down; come back in a moment.', { retryAfterSeconds: 5 })
			: new DomainError('room_ended', 'This room has ended.');
	}
}
