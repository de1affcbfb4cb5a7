import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { NodeId } from '../../cluster/node-report.ts';
import { RoomId } from '../room.ts';
import type { StageRoster } from '../stage-roster.ts';
import { RoomRecord } from './room-record.ts';

const Count = Type.Integer({ minimum: 0 });
const Subject = Type.String({ maxLength: 1_024 });

const StoredParticipant = Type.Object({
	id: Type.String({ maxLength: 64 }),
	subject: Subject,
	number: Type.Integer({ minimum: 1 }),
	name: Type.String({ maxLength: 1_024 }),
	role: Type.Union([Type.Literal('host'), Type.Literal('cohost'), Type.Literal('speaker')]),
	kind: Type.Union([Type.Literal('browser'), Type.Literal('encoder')]),
	muted: Type.Boolean(),
	connection: Type.Union([Type.Literal('connected'), Type.Literal('reconnecting')]),
	mediaId: Type.Union([Type.String({ maxLength: 256 }), Type.Null()]),
	joinedAt: Type.String({ maxLength: 40 }),
});
const StoredRules = Type.Object({
	locked: Type.Boolean(),
	maxSize: Type.Optional(Type.Integer({ minimum: 1 })),
	order: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 10_000 }),
	standings: Type.Array(
		Type.Object({
			id: Type.String({ maxLength: 64 }),
			role: Type.Union([Type.Literal('host'), Type.Literal('cohost'), Type.Literal('speaker'), Type.Literal('listener')]),
			kind: Type.Union([Type.Literal('floor'), Type.Literal('cap')]),
		}),
		{ maxItems: 10_000 },
	),
});
const StoredHand = Type.Object({
	id: Type.String({ maxLength: 64 }),
	subject: Type.Union([Subject, Type.Null()]),
	name: Type.String({ maxLength: 1_024 }),
	raisedAt: Type.Union([Type.String({ maxLength: 40 }), Type.Null()]),
	invitation: Type.Union([Type.Object({ by: Type.String({ maxLength: 1_024 }), expiresAt: Type.String({ maxLength: 40 }) }), Type.Null()]),
});
/** A roster as it is kept; nodes may run different versions, so unknown members are allowed, and later ones may be missing. */
export const StoredRoster = Type.Object({
	version: Count,
	participants: Type.Array(StoredParticipant, { maxItems: 10_000 }),
	rules: Type.Optional(StoredRules),
	hands: Type.Optional(Type.Array(StoredHand, { maxItems: 100_000 })),
});

export const StoredBan = Type.Object({ roomId: RoomId, subject: Subject, name: Type.String(), bannedBy: Type.String(), bannedAt: Type.String({ maxLength: 40 }) });

/** A change to what all nodes share, as it is published to them. `node` is the one that made it. */
export const RoomChange = Type.Union([
	Type.Object({ kind: Type.Literal('room'), node: NodeId, room: RoomRecord }),
	/** Rooms of this id that were made at this time or before are gone. */
	Type.Object({ kind: Type.Literal('removed'), node: NodeId, roomId: RoomId, createdAtMs: Count }),
	Type.Object({ kind: Type.Literal('stage'), node: NodeId, roomId: RoomId, epoch: Count, roster: StoredRoster }),
	Type.Object({ kind: Type.Literal('ban'), node: NodeId, ban: StoredBan }),
	Type.Object({ kind: Type.Literal('unban'), node: NodeId, roomId: RoomId, subject: Subject }),
	Type.Object({ kind: Type.Literal('number'), node: NodeId, roomId: RoomId, subject: Subject, number: Type.Integer({ minimum: 1 }) }),
	/** A node has written the whole room again: read it, for any of it may be new. */
	Type.Object({ kind: Type.Literal('restored'), node: NodeId, roomId: RoomId }),
]);
export type RoomChange = Static<typeof RoomChange>;

const changes = Compile(RoomChange);
const rosters = Compile(StoredRoster);
const bans = Compile(StoredBan);

const parsed = (text: string): unknown => {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
};

/** Undefined for what is no change: somebody else's message, or one of a later version of the program. */
export function readRoomChange(text: string): RoomChange | undefined {
	const value = parsed(text);
	return changes.Check(value) ? value : undefined;
}

/** A roster as a change carries it. */
export function storedRoster({ version, participants, rules, hands }: StageRoster): Static<typeof StoredRoster> {
	return {
		version,
		participants: [...participants],
		...(rules && { rules: { ...rules, order: [...rules.order], standings: [...rules.standings] } }),
		...(hands && { hands: [...hands] }),
	};
}

/** Undefined for what is no roster. */
export function readStoredRoster(text: string): Static<typeof StoredRoster> | undefined {
	const value = parsed(text);
	return rosters.Check(value) ? value : undefined;
}

/** Undefined for what is no ban. */
export function readStoredBan(text: string): Static<typeof StoredBan> | undefined {
	const value = parsed(text);
	return bans.Check(value) ? value : undefined;
}
