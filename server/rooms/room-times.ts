import type { Room } from './room.ts';

const MINUTE_MS = 60_000;

/** When the event of a room begins or began, as far as it is known: milliseconds since the epoch. */
export function startOf({ scheduledAt, doorsOpenAt, startedAt }: Pick<Room, 'scheduledAt' | 'doorsOpenAt' | 'startedAt'>): number | undefined {
	const start = scheduledAt ?? doorsOpenAt ?? startedAt;
	return start === undefined ? undefined : Date.parse(start);
}

type End = Pick<Room, 'endsAt' | 'maxDurationMinutes' | 'startedAt'>;

/** When the room ends by itself, in milliseconds since the epoch. How long it may be on air counts once it is. */
export function endOf({ endsAt, maxDurationMinutes, startedAt }: End): number | undefined {
	const ends = [
		...(endsAt === undefined ? [] : [Date.parse(endsAt)]),
		...(maxDurationMinutes === undefined || startedAt === undefined ? [] : [Date.parse(startedAt) + maxDurationMinutes * MINUTE_MS]),
	];
	return ends.length === 0 ? undefined : Math.min(...ends);
}

/** When the event is to be over by its plan, or was: milliseconds since the epoch. */
export function plannedEndOf(room: Room): number | undefined {
	if (room.endedAt !== undefined && !isCancelled(room)) {
		return Date.parse(room.endedAt);
	}
	const start = startOf(room);
	return endOf({ ...room, ...(room.startedAt === undefined && start !== undefined && { startedAt: new Date(start).toISOString() }) });
}

/** The room was closed without ever having been on air. */
export const isCancelled = ({ state, startedAt }: Pick<Room, 'state' | 'startedAt'>): boolean => state === 'ended' && startedAt === undefined;

/** Whether it is a time zone that this program can show times in. */
export function isTimeZone(name: string): boolean {
	try {
		return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
	} catch {
		return false;
	}
}
