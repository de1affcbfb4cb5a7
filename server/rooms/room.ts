import { type Static, Type } from 'typebox';

/** A room's id as it stands in URLs. */
export const RoomId = Type.String({ pattern: '^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$', description: 'Lower-case letters, digits and inner dashes; 1 to 64 characters' });

/** scheduled → open (doors: people may connect and wait) → live → ended. */
export const RoomState = Type.Union([Type.Literal('scheduled'), Type.Literal('open'), Type.Literal('live'), Type.Literal('ended')]);
export type RoomState = Static<typeof RoomState>;

export const Packing = Type.Union([Type.Literal('auto'), Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)]);
export type Packing = Static<typeof Packing>;

const Instant = Type.String({ format: 'date-time', maxLength: 40, description: 'RFC 3339 date and time with offset' });

/** Checked against what is known of zones when a room is made or changed; `isTimeZone`. */
const TimeZone = Type.String({
	pattern: '^[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}$',
	description: 'IANA name of the time zone in which the event is announced, e.g. `Europe/Berlin`: for show beside the reader’s own. Instants say by themselves when they are.',
});

export const CancelReason = Type.String({ maxLength: 500 });
/** Most minutes by which one request puts off the end. */
export const MAX_EXTENSION_MINUTES = 1_440;

/** What its host may say of a room. */
export const RoomSettings = Type.Object({
	title: Type.String({ minLength: 1, maxLength: 200 }),
	description: Type.Optional(Type.String({ maxLength: 5_000 })),
	scheduledAt: Type.Optional(Instant),
	doorsOpenAt: Type.Optional(Instant),
	/** When it ends by itself, together with `maxDurationMinutes`: the earlier one counts. */
	endsAt: Type.Optional(Instant),
	/** Counted from going live. */
	maxDurationMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_080, description: 'On air for so long at most; then it ends by itself' })),
	timeZone: Type.Optional(TimeZone),
	expectedListeners: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000_000 })),
	maxListeners: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
	/** Virtual streams of the programme; fixed once somebody listens, so it cannot be changed later. */
	voices: Type.Integer({ minimum: 1, maximum: 8 }),
	packingMs: Packing,
	visibility: Type.Union([Type.Literal('public'), Type.Literal('private')]),
	record: Type.Boolean(),
});
export type RoomSettings = Static<typeof RoomSettings>;

/** A recording under way, as every node knows it, so that the next home goes on with it. */
export const RoomRecording = Type.Object({
	id: Type.String({ pattern: '^[a-z0-9]{1,32}$' }),
	startedAt: Type.String({ format: 'date-time' }),
	/** Names of the nodes that hold parts of it. */
	nodes: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 1_000 }),
});
export type RoomRecording = Static<typeof RoomRecording>;

/** A room as it is stored. Instants are UTC, RFC 3339. */
export interface Room extends RoomSettings {
	id: string;
	state: RoomState;
	createdAt: string;
	openedAt?: string;
	startedAt?: string;
	endedAt?: string;
	/** People were warned that it ends by itself at this time. Gone when the end is moved. */
	endingAt?: string;
	/** What was said to those who had been waiting for a room that was cancelled. */
	cancelReason?: string;
	/** Something of it was recorded. */
	recorded?: boolean;
	/** The recording that runs, or ran when the room ended. */
	recording?: RoomRecording;
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

/** Whether what is said in it is kept. */
export const isRecording = ({ recording, state }: Pick<Room, 'recording' | 'state'>): boolean => recording !== undefined && (state === 'open' || state === 'live');
