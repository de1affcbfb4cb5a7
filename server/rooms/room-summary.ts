import type { RoomSummary } from '../stage/protocol.ts';
import { isCancelled } from './room-times.ts';
import { isRecording, type Room } from './room.ts';

/** What listeners and speakers are told of a room: nothing about its limits or expectations. */
export function roomSummary(room: Room): RoomSummary {
	const { id, title, description, state, scheduledAt, doorsOpenAt, startedAt, endedAt, endingAt, cancelReason, timeZone, voices, version } = room;
	return {
		id,
		title,
		...(description !== undefined && { description }),
		state,
		...(scheduledAt !== undefined && { scheduledAt }),
		...(doorsOpenAt !== undefined && { doorsOpenAt }),
		...(startedAt !== undefined && { startedAt }),
		...(endedAt !== undefined && { endedAt }),
		...(endingAt !== undefined && { endingAt }),
		...(timeZone !== undefined && { timeZone }),
		...(isCancelled(room) && { cancelled: true }),
		...(cancelReason !== undefined && { cancelReason }),
		...(isRecording(room) && { recording: true }),
		...(room.recorded === true && { recorded: true }),
		voices,
		version,
	};
}
