import type { Room } from '../../server/rooms/room.ts';

/** A stored room, scheduled and of version 1 unless told otherwise. */
export function aRoom(changes: Partial<Room> = {}): Room {
	return {
		id: 'launch',
		title: 'The announcement',
		voices: 3,
		packingMs: 'auto',
		visibility: 'public',
		record: false,
		state: 'scheduled',
		createdAt: '2026-05-24T20:00:00.000Z',
		version: 1,
		...changes,
	};
}
