import { DomainError } from '../../errors.ts';
import type { Room } from '../../rooms/room.ts';
import { FREE_SEAT, type Seat } from './seat-block.ts';

/** Keeps rooms within `maxListeners`. `RoomSeats` does it for a cluster, `LoneSeats` for a node that is alone. */
export interface Seating {
	/**
	 * A seat for a listener who is about to join; at once where that is possible. To be released when they are counted as joining.
	 * Rejects or throws DomainError `no_capacity` with `reason: 'room_full'`, or `seats_unknown` while the room's home cannot be asked.
	 */
	take(room: Room): Seat | Promise<Seat>;
	roomChanged(room: Pick<Room, 'id' | 'state' | 'maxListeners' | 'version'>): void;
	/** Once a second. */
	tick(): void;
	close(): void;
}

/** @param roomId → listeners and those who are joining */
export type InUse = (roomId: string) => number;

/** Every listener is here: they are counted, and that is all. */
export class LoneSeats implements Seating {
	readonly #inUse: InUse;

	constructor(inUse: InUse) {
		this.#inUse = inUse;
	}

	take({ id, maxListeners }: Room): Seat {
		if (maxListeners !== undefined && this.#inUse(id) >= maxListeners) {
			throw roomFull();
		}
		return FREE_SEAT;
	}

	roomChanged(): void {}
	tick(): void {}
	close(): void {}
}

export const roomFull = () => new DomainError('no_capacity', 'This room has as many listeners as its host allows.', { retryAfterSeconds: 10, extra: { reason: 'room_full' } });
