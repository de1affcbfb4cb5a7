import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Room, RoomId, RoomRecording, RoomSettings, RoomState } from '../room.ts';
import { StoreError } from './store-error.ts';

const Instant = Type.String({ format: 'date-time' });

/** A room as it is kept; unknown members are allowed, so that an older program reads what a newer one of the same version wrote. */
export const RoomRecord = Type.Object({
	...RoomSettings.properties,
	id: RoomId,
	state: RoomState,
	createdAt: Instant,
	openedAt: Type.Optional(Instant),
	startedAt: Type.Optional(Instant),
	endedAt: Type.Optional(Instant),
	endingAt: Type.Optional(Instant),
	cancelReason: Type.Optional(Type.String()),
	recorded: Type.Optional(Type.Boolean()),
	recording: Type.Optional(RoomRecording),
	version: Type.Integer({ minimum: 1 }),
});

const check = Compile(RoomRecord);

/**
 * Checks a room that comes out of a store.
 * @param where names the place for the operator, e.g. `room "launch" in /data/rostrum.db`
 * @throws StoreError `store_damaged`
 */
export function readRoomRecord(value: unknown, where: string): Room {
	if (check.Check(value)) return value satisfies Static<typeof RoomRecord>;
	const error = check.Errors(value)[0];
	throw new StoreError(
		'store_damaged',
		`The record of ${where} is damaged: ${error?.instancePath || 'it'} ${error?.message ?? 'has the wrong shape'}. Restore a backup, or remove that record.`,
	);
}
