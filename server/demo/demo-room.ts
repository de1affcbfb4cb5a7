import { DomainError } from '../errors.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { Room } from '../rooms/room.ts';

export const DEMO_ROOM_ID = 'demo';

/** A room to try things in, its doors open; one that was ended or removed by hand is made anew at the next start. */
export async function ensureDemoRoom(rooms: RoomDirectory): Promise<Room> {
	const known = rooms.get(DEMO_ROOM_ID);
	if (known?.state === 'ended') {
		await rooms.remove(DEMO_ROOM_ID);
	}
	if (!known || known.state === 'ended') {
		await rooms
			.create({ id: DEMO_ROOM_ID, title: 'Demo room', description: 'A room to try Rostrum in.', packingMs: 'auto', visibility: 'public', record: false })
			.catch((error: unknown) => {
				if (!(error instanceof DomainError && error.code === 'room_exists')) {
					throw error;
				}
			});
	}
	const room = rooms.require(DEMO_ROOM_ID);
	return room.state === 'scheduled' ? rooms.transition(DEMO_ROOM_ID, 'open') : room;
}
