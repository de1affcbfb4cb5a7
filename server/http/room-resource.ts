import { isCancelled } from '../rooms/room-times.ts';
import { isRecording, type Room } from '../rooms/room.ts';
import type { AppDeps } from './deps.ts';
import type { Links } from './links.ts';
import type { RoomResource } from './schemas.ts';

/** A room as the API shows it. @param withIds whether the reader moderates the stage and so may see participants' ids */
export function roomResource(room: Room, { stages, media }: Pick<AppDeps, 'stages' | 'media'>, links: Links, withIds: boolean): RoomResource {
	return {
		...room,
		recording: isRecording(room),
		...(isCancelled(room) && { cancelled: true as const }),
		listenerCount: media.listenersIn(room.id),
		stage: stages.roster(room.id).map(({ id, number, name, role, kind, muted, connection }) => ({
			...(withIds ? { id } : {}),
			number,
			name,
			role,
			kind,
			muted,
			connected: connection === 'connected',
		})),
		links: { listen: links.listenPage(room.id), stage: links.stagePage(room.id) },
	};
}
