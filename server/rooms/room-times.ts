import type { Room } from './room.ts';

/** When the event of a room begins or began, as far as it is known: milliseconds since the epoch. */
export function startOf({ scheduledAt, doorsOpenAt, startedAt }: Room): number | undefined {
	const start = scheduledAt ?? doorsOpenAt ?? startedAt;
	return start === undefined ? undefined : Date.parse(start);
}

/** The room was closed without ever having been on air. */
export const isCancelled = ({ state, startedAt }: Room): boolean => state === 'ended' && startedAt === undefined;
