// Which rooms live here. `HomeLeases` implements it over Redis, `LoneNode` for a node without Redis: there every room does.
import type { EventEmitter } from 'node:events';
import type { RoomHome } from './cluster-view.ts';

export interface HomesEvents {
	/** This node is the room's home from now on. Emitted after the lease is held; `takenOver` when another node had it before. */
	gained: [roomId: string, epoch: number, takenOver: boolean];
	/** It is not any more: whatever it still does for the room is to stop. */
	lost: [roomId: string, epoch: number, reason: 'released' | 'fenced' | 'shutting down'];
}

export interface Homes extends EventEmitter<HomesEvents> {
	/** This node's epoch if it is the room's home, else undefined. From memory. */
	epochOf(roomId: string): number | undefined;
	/** Rooms that live here. */
	readonly rooms: readonly string[];
	/**
	 * The room's home; this node becomes it when there is none. Single-flight for each room.
	 * Rejects with DomainError `home_unavailable` while that cannot be told (Redis away and no living home known).
	 */
	ensure(roomId: string): Promise<RoomHome>;
	/** Gives the room up, politely: whoever claims it next need not wait for the lease to run out. */
	release(roomId: string): Promise<void>;
}
