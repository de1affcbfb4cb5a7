// The stage WebSocket's messages, each declared once: validated where they enter, the source of the
// documentation, and the types that the browser SDK compiles against.
import { type Static, type TSchema, Type } from 'typebox';

/** Subprotocol name; a client that offers none is taken as speaking this one. */
export const STAGE_SUBPROTOCOL = 'rostrum.stage.v1';
/** Larger frames close the socket with 1009. */
export const MAX_FRAME_BYTES = 64 * 1024;

const Id = Type.String({ minLength: 1, maxLength: 64 });
// mediasoup-client's own structures: bounded here, and checked in full by the sfu before a worker sees them.
const DtlsParameters = Type.Object({
	role: Type.Optional(Type.Union([Type.Literal('auto'), Type.Literal('client'), Type.Literal('server')])),
	fingerprints: Type.Array(
		Type.Object({
			algorithm: Type.Union([Type.Literal('sha-1'), Type.Literal('sha-224'), Type.Literal('sha-256'), Type.Literal('sha-384'), Type.Literal('sha-512')]),
			value: Type.String({ pattern: '^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}$' }),
		}),
		{ minItems: 1, maxItems: 8 },
	),
});
const FeedbackList = Type.Array(Type.Object({ type: Type.String({ maxLength: 32 }), parameter: Type.Optional(Type.String({ maxLength: 32 })) }), { maxItems: 16 });
const CodecParameters = Type.Record(Type.String({ maxLength: 64 }), Type.Union([Type.String({ maxLength: 128 }), Type.Number(), Type.Null()]));
const RtpParameters = Type.Object({
	mid: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,16}$' })),
	msid: Type.Optional(Type.String({ maxLength: 256 })),
	codecs: Type.Array(
		Type.Object({
			mimeType: Type.String({ pattern: '^audio/[A-Za-z0-9._-]{1,32}$' }),
			payloadType: Type.Integer({ minimum: 0, maximum: 127 }),
			clockRate: Type.Integer({ minimum: 8_000, maximum: 192_000 }),
			channels: Type.Optional(Type.Integer({ minimum: 1, maximum: 2 })),
			parameters: Type.Optional(CodecParameters),
			rtcpFeedback: Type.Optional(FeedbackList),
		}),
		{ minItems: 1, maxItems: 8 },
	),
	headerExtensions: Type.Optional(
		Type.Array(
			Type.Object({
				uri: Type.String({ maxLength: 128 }),
				id: Type.Integer({ minimum: 1, maximum: 14 }),
				encrypt: Type.Optional(Type.Boolean()),
				parameters: Type.Optional(CodecParameters),
			}),
			{ maxItems: 16 },
		),
	),
	encodings: Type.Optional(
		Type.Array(
			Type.Object({
				ssrc: Type.Optional(Type.Integer({ minimum: 1, maximum: 0xffffffff })),
				dtx: Type.Optional(Type.Boolean()),
				maxBitrate: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000_000 })),
			}),
			{ minItems: 1, maxItems: 1 },
		),
	),
	rtcp: Type.Optional(
		Type.Object({
			cname: Type.Optional(Type.String({ maxLength: 128 })),
			reducedSize: Type.Optional(Type.Boolean()),
			mux: Type.Optional(Type.Boolean()),
		}),
	),
});
const RtpCapabilities = Type.Object({
	codecs: Type.Optional(
		Type.Array(
			Type.Object({
				kind: Type.String({ maxLength: 8 }),
				mimeType: Type.String({ maxLength: 64 }),
				preferredPayloadType: Type.Optional(Type.Integer({ minimum: 0, maximum: 127 })),
				clockRate: Type.Integer({ minimum: 1, maximum: 192_000 }),
				channels: Type.Optional(Type.Integer({ minimum: 1, maximum: 8 })),
				parameters: Type.Optional(CodecParameters),
				rtcpFeedback: Type.Optional(FeedbackList),
			}),
			{ maxItems: 64 },
		),
	),
	headerExtensions: Type.Optional(
		Type.Array(
			Type.Object({
				kind: Type.String({ maxLength: 8 }),
				uri: Type.String({ maxLength: 128 }),
				preferredId: Type.Integer({ minimum: 1, maximum: 255 }),
				preferredEncrypt: Type.Optional(Type.Boolean()),
				direction: Type.Optional(Type.String({ maxLength: 16 })),
			}),
			{ maxItems: 64 },
		),
	),
});

/** Most hands in one answer of `hands.list`. */
export const MAX_HANDS_PAGE = 200;
/** Hands in a `hands` event: the head of the queue. */
export const HANDS_SHOWN = 50;
/** Greatest stage that can be asked for; the configuration may allow less. */
export const MAX_STAGE_SIZE = 500;

const Nothing = Type.Object({}, { additionalProperties: false });
const strict = <T extends Record<string, TSchema>>(properties: T) => Type.Object(properties, { additionalProperties: false });

/** Client → server, by method. */
export const STAGE_REQUESTS = {
	'transport.create': strict({ direction: Type.Union([Type.Literal('send'), Type.Literal('recv')]) }),
	'transport.connect': strict({ transportId: Id, dtlsParameters: DtlsParameters }),
	'transport.restartIce': strict({ transportId: Id }),
	/** Starts (or replaces) the speaker's microphone. */
	produce: strict({ transportId: Id, rtpParameters: RtpParameters }),
	/** Asks for what is needed to hear another speaker at 20 ms. */
	consume: strict({ participantId: Id, rtpCapabilities: RtpCapabilities }),
	mute: Nothing,
	unmute: Nothing,
	/** Leaves the stage for good; the server answers and closes with 1000. */
	leave: Nothing,
	/** Hosts: doors, live, ended. */
	'room.command': strict({ command: Type.Union([Type.Literal('open'), Type.Literal('start'), Type.Literal('end')]) }),
	/** Hosts and co-hosts: mutes somebody else. Only the person can unmute. */
	'participant.mute': strict({ participantId: Id }),
	'participant.muteAll': Nothing,
	'participant.kick': strict({ participantId: Id }),
	/** Takes the person off the stage and out of the room, until a host or an admin undoes it. */
	'participant.ban': strict({ participantId: Id }),
	/** Asks somebody who listens to come on stage; they accept or decline. */
	'participant.invite': strict({ participantId: Id }),
	/** Somebody whose hand is up comes on stage at once; a speaker becomes a co-host; a host may hand over (`host`) and is a co-host then. Default: one step. */
	'participant.promote': strict({
		participantId: Id,
		role: Type.Optional(Type.Union([Type.Literal('speaker'), Type.Literal('cohost'), Type.Literal('host')])),
	}),
	/** Co-host → speaker → listener. Default: one step. */
	'participant.demote': strict({ participantId: Id, role: Type.Optional(Type.Union([Type.Literal('speaker'), Type.Literal('listener')])) }),
	/** Asks somebody to unmute: they get `unmuteRequested` and unmute themselves, or do not. */
	'participant.unmute': strict({ participantId: Id }),
	/** Lowers somebody's hand, or takes an invitation back. */
	'hand.lower': strict({ participantId: Id }),
	/** The queue of hands in order, `limit` (default 50) after the hand of `after`. */
	'hands.list': strict({ limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_HANDS_PAGE })), after: Type.Optional(Id) }),
	/** Locked: nobody new comes on stage. `order`: who is shown first; whoever it does not name comes after them. */
	'stage.set': strict({
		locked: Type.Optional(Type.Boolean()),
		maxSize: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_STAGE_SIZE })),
		order: Type.Optional(Type.Array(Id, { maxItems: MAX_STAGE_SIZE })),
	}),
} as const satisfies Record<string, TSchema>;

export type StageMethod = keyof typeof STAGE_REQUESTS;
export type StageParams<M extends StageMethod> = Static<(typeof STAGE_REQUESTS)[M]>;

/** Greatest id of a request. */
export const MAX_REQUEST_ID = 0x7fffffff;

/** The frame around a request; `params` is checked against the method's own schema. */
export const StageRequestFrame = Type.Object(
	{ id: Type.Integer({ minimum: 0, maximum: MAX_REQUEST_ID }), method: Type.String({ maxLength: 40 }), params: Type.Optional(Type.Unknown()) },
	{ additionalProperties: false },
);

/** One line of the roster as people on stage see it. */
export const RosterEntry = Type.Object({
	id: Id,
	number: Type.Integer({ minimum: 1 }),
	name: Type.String(),
	role: Type.Union([Type.Literal('host'), Type.Literal('cohost'), Type.Literal('speaker')]),
	kind: Type.Union([Type.Literal('browser'), Type.Literal('encoder')]),
	muted: Type.Boolean(),
	connection: Type.Union([Type.Literal('connected'), Type.Literal('reconnecting')]),
	/** Changes when the person's media starts anew; consume again then. Null: nothing to consume. */
	mediaId: Type.Union([Type.String(), Type.Null()]),
});
export type RosterEntry = Static<typeof RosterEntry>;

/** One raised hand, or one open invitation, as hosts see it. */
export const HandEntry = Type.Object({
	id: Id,
	name: Type.String(),
	/** When the hand was raised, or the invitation made: ISO 8601. */
	raisedAt: Type.String(),
	/** Asked to come on stage and not answered yet. */
	invited: Type.Boolean(),
	/** False: never raised a hand, but was invited. */
	raised: Type.Boolean(),
});
export type HandEntry = Static<typeof HandEntry>;

/** The queue of hands as hosts see it, in order. `total` counts those that are not listed, too. */
export const HandsPage = Type.Object({ hands: Type.Array(HandEntry), total: Type.Integer(), version: Type.Integer() });
export type HandsPage = Static<typeof HandsPage>;

/** What is set for the stage as a whole. */
const stageSettings = {
	/** Nobody new comes on stage. */
	locked: Type.Boolean(),
	/** People on stage at once, at most. */
	maxSize: Type.Integer(),
	/** The room is being recorded: shown to everybody, before they join. */
	recording: Type.Boolean(),
};
export const StageSettings = Type.Object(stageSettings);
export type StageSettings = Static<typeof StageSettings>;

/** The part of a room that pages show. */
export const RoomSummary = Type.Object({
	id: Type.String(),
	title: Type.String(),
	description: Type.Optional(Type.String()),
	state: Type.Union([Type.Literal('scheduled'), Type.Literal('open'), Type.Literal('live'), Type.Literal('ended')]),
	scheduledAt: Type.Optional(Type.String()),
	doorsOpenAt: Type.Optional(Type.String()),
	startedAt: Type.Optional(Type.String()),
	endedAt: Type.Optional(Type.String()),
	/** It ends by itself at this time: there from the warning on, until it is put off. */
	endingAt: Type.Optional(Type.String()),
	/** IANA name of the zone in which the event was announced. */
	timeZone: Type.Optional(Type.String()),
	/** It ended without ever having been on air. */
	cancelled: Type.Optional(Type.Boolean()),
	cancelReason: Type.Optional(Type.String()),
	/** What is said is being kept. */
	recording: Type.Optional(Type.Boolean()),
	/** Something of it was: there is a replay, or will be. */
	recorded: Type.Optional(Type.Boolean()),
	voices: Type.Integer(),
	version: Type.Integer(),
});
export type RoomSummary = Static<typeof RoomSummary>;

export const IceServer = Type.Object({
	urls: Type.Array(Type.String()),
	username: Type.Optional(Type.String()),
	credential: Type.Optional(Type.String()),
});

/** What a request is answered with, by method. Transport and RTP structures are mediasoup's. */
export interface StageResults {
	'transport.create': { id: string; iceParameters: unknown; iceCandidates: unknown[]; dtlsParameters: unknown };
	'transport.connect': Record<string, never>;
	'transport.restartIce': { iceParameters: unknown };
	produce: { producerId: string };
	consume: { consumerId: string; producerId: string; rtpParameters: unknown };
	mute: Record<string, never>;
	unmute: Record<string, never>;
	leave: Record<string, never>;
	'room.command': { room: RoomSummary };
	'participant.mute': Record<string, never>;
	'participant.muteAll': Record<string, never>;
	'participant.kick': Record<string, never>;
	'participant.ban': Record<string, never>;
	'participant.invite': Record<string, never>;
	'participant.promote': Record<string, never>;
	'participant.demote': Record<string, never>;
	'participant.unmute': Record<string, never>;
	'hand.lower': Record<string, never>;
	'hands.list': HandsPage;
	'stage.set': { stage: StageSettings };
}

/** Server → client, by event. State, never differences: a frame that is missed is healed by the next. */
export const STAGE_EVENTS = {
	/** First frame of every socket. */
	welcome: Type.Object({
		participantId: Id,
		number: Type.Integer(),
		name: Type.String(),
		role: RosterEntry.properties.role,
		/** The place on stage was kept since an earlier socket; its transports may still work. */
		resumed: Type.Boolean(),
		/** False while the media server is starting again; wait for `media`. */
		mediaReady: Type.Boolean(),
		rtpCapabilities: Type.Union([RtpCapabilities, Type.Null()]),
		iceServers: Type.Array(IceServer),
		reconnectGraceMs: Type.Integer(),
		/** Something comes at least this often, if only a `pulse`: much more silence than that is a dead connection. */
		pulseEveryMs: Type.Integer(),
		/** Base URLs of other nodes that lead to this stage just as well, for when this one is gone. */
		alternates: Type.Array(Type.String()),
		room: RoomSummary,
		roster: Type.Array(RosterEntry),
		...stageSettings,
		listenerCount: Type.Integer(),
	}),
	room: Type.Object({ room: RoomSummary }),
	/** The roster in the order in which hosts want it shown. */
	stage: Type.Object({ roster: Type.Array(RosterEntry), ...stageSettings }),
	/** Hosts and co-hosts: the head of the queue of hands; at most twice a second. */
	hands: HandsPage,
	/** What you may do now: your role on this stage changed. */
	role: Type.Object({ role: RosterEntry.properties.role }),
	listeners: Type.Object({ count: Type.Integer() }),
	/** Who has a voice now; `voice` is its index, `number` the roster number. */
	talkers: Type.Object({ talkers: Type.Array(Type.Object({ number: Type.Integer(), voice: Type.Integer() })), dominant: Type.Union([Type.Integer(), Type.Null()]) }),
	/** The media server went away (`ready: false`) or is there again (`ready: true`): make both transports anew and produce again. */
	media: Type.Object({ ready: Type.Boolean(), rtpCapabilities: Type.Union([RtpCapabilities, Type.Null()]) }),
	/** Nothing but a sign of life. */
	pulse: Type.Object({}),
	/** Somebody with the right to do so muted you. */
	muted: Type.Object({ by: Type.String() }),
	/** A host or co-host asks you to unmute: a microphone is opened by its owner alone. */
	unmuteRequested: Type.Object({ by: Type.String() }),
	/** The server is about to close the socket; `reconnect` says whether to come back. */
	bye: Type.Object({ code: Type.String(), detail: Type.String(), reconnect: Type.Boolean() }),
} as const satisfies Record<string, TSchema>;

export type StageEventName = keyof typeof STAGE_EVENTS;
export type StageEvent<E extends StageEventName> = Static<(typeof STAGE_EVENTS)[E]>;

/** Every frame the server sends. */
export type StageServerFrame =
	| { id: number; result: unknown }
	| { id: number; error: { code: string; title: string; detail: string; retryable: boolean } }
	| { [E in StageEventName]: { event: E; data: StageEvent<E> } }[StageEventName];
