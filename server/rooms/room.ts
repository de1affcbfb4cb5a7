import { type Static, Type } from 'typebox';

/** A room's id as it stands in URLs. */
export const RoomId = Type.String({ pattern: '^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$', description: 'Lower-case letters, digits and inner dashes; 1 to 64 characters' });

/** scheduled → open (doors: people may connect and wait) → live → ended. */
export const RoomState = Type.Union([Type.Literal('scheduled'), Type.Literal('open'), Type.Literal('live'), Type.Literal('ended')]);
export type RoomState = Static<typeof RoomState>;

export const Packing = Type.Union([Type.Literal('auto'), Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)]);
export type Packing = Static<typeof Packing>;

const Instant = Type.String({ format: 'date-time', maxLength: 40, description: 'RFC 3339 date and time with offset' });

/** What its host may say of a room. */
export const RoomSettings = Type.Object({
	title: Type.String({ minLength: 1, maxLength: 200 }),
	description: Type.Optional(Type.String({ maxLength: 5_000 })),
	scheduledAt: Type.Optional(Instant),
	doorsOpenAt: Type.Optional(Instant),
	expectedListeners: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000_000 })),
	maxListeners: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
	/** Virtual streams of the programme; fixed once somebody listens, so it cannot be changed later. */
	voices: Type.Integer({ minimum: 1, maximum: 8 }),
	packingMs: Packing,
	visibility: Type.Union([Type.Literal('public'), Type.Literal('private')]),
	record: Type.Boolean(),
});
export type RoomSettings = Static<typeof RoomSettings>;

/** A room as it is stored. Instants are UTC, RFC 3339. */
export interface Room extends RoomSettings {
	id: string;
	state: RoomState;
	createdAt: string;
	openedAt?: string;
	startedAt?: string;
	endedAt?: string;
	/** Grows with every change; resumes event streams and guards concurrent writes. */
	version: number;
}

export type StageRole = 'host' | 'cohost' | 'speaker';

/** One person (or encoder) on a room's stage. */
export interface Participant {
	/** Stable for a (room, subject), so that a reconnecting speaker keeps it. */
	id: string;
	/** The token's subject; bans go by it. Never shown to listeners. */
	subject: string;
	/** 1, 2, 3 … in the order of first arrival; never reused in a room. It is the CSRC of the person's packets. */
	number: number;
	name: string;
	role: StageRole;
	kind: 'browser' | 'encoder';
	muted: boolean;
	/** `reconnecting`: the signalling socket is lost, and the place on stage is kept for the grace period. */
	connection: 'connected' | 'reconnecting';
	/** Changes whenever the person's media starts anew; null while none flows. Others consume by it. */
	mediaId: string | null;
	joinedAt: string;
}
