// What goes over HTTP, each thing declared once: checked where it enters, and the source of /openapi.json.
import { type Static, type TSchema, Type } from 'typebox';
import { DOMAIN_ERRORS, type DomainErrorCode } from '../errors.ts';
import { HTTP_ONLY_PROBLEMS, type ProblemCode } from './problem.ts';
import { CancelReason, MAX_EXTENSION_MINUTES, Packing, RoomId, RoomSettings, RoomState } from '../rooms/room.ts';

const strict = { additionalProperties: false } as const;
const visible = RoomSettings.properties;

/** Registered with Fastify under their `$id`, so that the document names them once under `components`. */
export const ProblemSchema = Type.Object(
	{
		type: Type.String({ description: 'Leads to the explanation of `code`' }),
		title: Type.String(),
		status: Type.Integer({ minimum: 400, maximum: 599 }),
		detail: Type.String({ description: 'What was wrong this time, for people' }),
		instance: Type.String({ description: 'Path of the request' }),
		code: Type.Unsafe<ProblemCode>(Type.Enum([...Object.keys(DOMAIN_ERRORS), ...Object.keys(HTTP_ONLY_PROBLEMS)], { description: 'Stable; programs decide by it' })),
		retryable: Type.Boolean({ description: 'Whether the same request may succeed later; Retry-After says when' }),
		reason: Type.Optional(Type.String({ description: 'A finer code below `code`: what about the token or the offer was wrong' })),
		retryAfterMs: Type.Optional(Type.Integer({ minimum: 0, description: 'Retry-After, exactly' })),
		queue: Type.Optional(
			Type.Object(
				{
					ahead: Type.Integer({ minimum: 0, description: 'How many are known to wait who came before' }),
					place: Type.Optional(Type.String({ description: 'To be sent back as `?place=` with the next attempt, so that waiting counts; good for 15 minutes' })),
				},
				{ description: 'With `no_capacity` of a join' },
			),
		),
		overflow: Type.Optional(Type.Object({ hls: Type.String({ description: 'Path of a playlist' }) }, { description: 'With `no_capacity` of a join: where to hear the room meanwhile' })),
		errors: Type.Optional(
			Type.Array(Type.Object({ in: Type.String(), member: Type.String({ description: 'JSON pointer' }), message: Type.String() }), {
				description: 'With `invalid_request`: each member that failed',
			}),
		),
	},
	{ $id: 'Problem', title: 'Problem', description: 'RFC 9457 problem; may have further members by code' },
);

export const StageMember = Type.Object(
	{
		id: Type.Optional(Type.String({ description: 'For hosts, co-hosts and admins only' })),
		number: Type.Integer({ minimum: 1, description: 'The CSRC of this person’s packets' }),
		name: Type.String(),
		role: Type.Enum(['host', 'cohost', 'speaker']),
		kind: Type.Enum(['browser', 'encoder']),
		muted: Type.Boolean(),
		connected: Type.Boolean({ description: 'False while a lost connection’s place is kept' }),
	},
	strict,
);

export const RoomResource = Type.Object(
	{
		id: RoomId,
		...visible,
		state: RoomState,
		createdAt: Type.String({ format: 'date-time' }),
		openedAt: Type.Optional(Type.String({ format: 'date-time' })),
		startedAt: Type.Optional(Type.String({ format: 'date-time' })),
		endedAt: Type.Optional(Type.String({ format: 'date-time' })),
		endingAt: Type.Optional(Type.String({ format: 'date-time', description: 'People were told that it ends by itself at this time; gone when that is put off' })),
		cancelled: Type.Optional(Type.Literal(true, { description: 'It ended without ever having been on air' })),
		cancelReason: Type.Optional(CancelReason),
		recording: Type.Boolean({ description: 'What is said is being kept' }),
		version: Type.Integer({ minimum: 0, description: 'Grows with every change' }),
		listenerCount: Type.Integer({ minimum: 0 }),
		stage: Type.Array(StageMember),
		links: Type.Object({ listen: Type.String({ format: 'uri' }), stage: Type.String({ format: 'uri' }) }, strict),
	},
	{ $id: 'Room', title: 'Room', ...strict },
);
export type RoomResource = Static<typeof RoomResource>;

export const RoomPage = Type.Object(
	{ rooms: Type.Array(Type.Ref('Room')), next: Type.Optional(Type.String({ description: 'Pass as `after` for the next page; absent on the last one' })) },
	strict,
);

export const NewRoom = Type.Object(
	{
		id: Type.Optional(RoomId),
		title: visible.title,
		description: visible.description,
		scheduledAt: visible.scheduledAt,
		doorsOpenAt: visible.doorsOpenAt,
		endsAt: visible.endsAt,
		maxDurationMinutes: visible.maxDurationMinutes,
		timeZone: visible.timeZone,
		expectedListeners: visible.expectedListeners,
		maxListeners: visible.maxListeners,
		voices: Type.Optional(visible.voices),
		packingMs: Type.Optional(Packing),
		visibility: Type.Optional(visible.visibility),
		record: Type.Optional(visible.record),
	},
	strict,
);
export type NewRoom = Static<typeof NewRoom>;

const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** JSON merge patch (RFC 7396) of the settings: what is absent stays, null removes. */
export const RoomPatch = Type.Object(
	{
		title: Type.Optional(visible.title),
		description: orNull(Type.String({ maxLength: 5_000 })),
		scheduledAt: orNull(visible.scheduledAt),
		doorsOpenAt: orNull(visible.doorsOpenAt),
		endsAt: orNull(visible.endsAt),
		maxDurationMinutes: orNull(visible.maxDurationMinutes),
		timeZone: orNull(visible.timeZone),
		expectedListeners: orNull(visible.expectedListeners),
		maxListeners: orNull(visible.maxListeners),
		voices: Type.Optional(visible.voices),
		packingMs: Type.Optional(Packing),
		visibility: Type.Optional(visible.visibility),
		record: Type.Optional(visible.record),
	},
	{ ...strict, minProperties: 1 },
);
export type RoomPatch = Static<typeof RoomPatch>;

export const RoomParams = Type.Object({ room: RoomId });
export const ParticipantParams = Type.Object({ room: RoomId, participant: Type.String({ minLength: 1, maxLength: 64 }) });
/** Any text: what is not one of our session ids is simply not found. */
export const SessionParams = Type.Object({ session: Type.String({ minLength: 1, maxLength: 100 }) });

export const NoQuery = Type.Object({}, strict);
export const ListQuery = Type.Object(
	{
		limit: Type.Integer({ minimum: 1, maximum: 100, default: 50 }),
		after: Type.Optional(Type.String({ maxLength: 100, pattern: '^[a-z0-9.-]+$', description: '`next` of the page before' })),
		state: Type.Optional(
			Type.String({ pattern: '^(scheduled|open|live|ended)(,(scheduled|open|live|ended)){0,3}$', description: 'One state, or several with commas between' }),
		),
		order: Type.Optional(
			Type.Enum(['id', 'time', 'latest'], {
				description: '`time`: soonest start first (`scheduledAt`, else `doorsOpenAt`, else when it went live), rooms without one last; `latest`: the other way round. Default: `id`, or `time` with `from` or `to`',
			}),
		),
		from: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'Only rooms that start then or later (in a URL the + of an offset is %2B)' })),
		to: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'Only rooms that start before' })),
	},
	strict,
);

export const NewCancellation = Type.Union([Type.Null(), Type.Object({ reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500, pattern: '\\S', description: 'Shown to those who come, and to those who wait' })) }, strict)]);
export const NewExtension = Type.Object({ minutes: Type.Integer({ minimum: 1, maximum: MAX_EXTENSION_MINUTES }) }, strict);
export const ListenQuery = Type.Object(
	{
		packing: Type.Optional(
			Type.Union([Type.Literal(20), Type.Literal(40), Type.Literal(60), Type.Literal(120)], {
				description: 'Milliseconds of speech per packet, for receivers that cannot take what the room uses',
			}),
		),
		place: Type.Optional(Type.String({ maxLength: 200, description: 'The place in the queue that an earlier refusal gave (`queue.place`); one that does not count is ignored' })),
		handoff: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024, description: 'A ticket from the Location of a 307; good once, for 30 s' })),
	},
	strict,
);
/** For clients that cannot set headers: calendars, pictures. */
const accessToken = Type.Optional(Type.String({ minLength: 1, maxLength: 8_192, description: 'The token, where Authorization cannot be set' }));
export const QueryToken = Type.Object({ access_token: accessToken }, strict);
export const CardQuery = Type.Object(
	{ access_token: accessToken, v: Type.Optional(Type.String({ maxLength: 40, description: 'Of no meaning to the server: another one makes caches ask again' })) },
	strict,
);
export const EventsQuery = Type.Object(
	{
		access_token: Type.Optional(Type.String({ minLength: 1, maxLength: 8_192, description: 'The token, where Authorization cannot be set' })),
		lastEventId: Type.Optional(Type.String({ maxLength: 100, description: 'As the Last-Event-ID header, for clients that cannot set it on a first request' })),
	},
	strict,
);

/** For requests that say everything by their path; an empty object is accepted for clients that always send one. */
export const NoBody = Type.Union([Type.Null(), Type.Object({}, strict)]);

export const NewToken = Type.Object(
	{
		role: Type.Enum(['host', 'cohost', 'speaker', 'listener']),
		name: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S', description: 'Shown to everybody in the room' }),
		subject: Type.Optional(
			Type.String({ minLength: 1, maxLength: 200, pattern: '^[\\x21-\\x7e]+$', description: 'Who this is for good: places on stage and bans go by it. Made up when absent.' }),
		),
		expiresIn: Type.Optional(Type.Integer({ minimum: 1, maximum: 366 * 86_400, description: 'Seconds' })),
	},
	strict,
);

export const IssuedToken = Type.Object(
	{
		token: Type.String(),
		url: Type.String({ format: 'uri', description: 'The page for this role, with the token in the fragment, which no server or log sees' }),
		expiresAt: Type.String({ format: 'date-time' }),
		tokenId: Type.String({ description: 'By which this one token can be revoked' }),
		subject: Type.String({ description: 'By which all tokens of this person can be revoked' }),
	},
	strict,
);

export const KeyParams = Type.Object({ kid: Type.String({ minLength: 1, maxLength: 100 }) });
export const KeyList = Type.Object(
	{
		keys: Type.Array(
			Type.Object({ kid: Type.String(), createdAt: Type.String({ format: 'date-time' }), signing: Type.Boolean({ description: 'Whether tokens are signed with it now' }) }, strict),
		),
		retired: Type.Array(Type.Object({ kid: Type.String(), retiredAt: Type.String({ format: 'date-time' }) }, strict)),
	},
	strict,
);
export const NewKey = Type.Object({ kid: Type.String({ description: 'Id of the key that signs from now on' }) }, strict);

export const Health = Type.Object({ status: Type.Literal('ok') }, strict);
export const Readiness = Type.Object(
	{
		status: Type.Enum(['ready', 'not_ready']),
		components: Type.Array(Type.Object({ name: Type.String(), ready: Type.Boolean(), detail: Type.Optional(Type.String()) }, strict)),
	},
	strict,
);
export const Jwks = Type.Object({ keys: Type.Array(Type.Object({ kty: Type.String(), kid: Type.Optional(Type.String()), alg: Type.Optional(Type.String()) })) });

/** A response of another type than JSON. */
export function media(contentType: string, description: string, headers?: Record<string, TSchema>): TSchema {
	return Type.Unsafe<unknown>({ description, ...(headers ? { headers } : {}), content: { [contentType]: { schema: Type.String() } } });
}

/** A response without body. */
export function empty(description: string, headers?: Record<string, TSchema>): TSchema {
	return Type.Unsafe<unknown>({ type: 'null', description, ...(headers ? { headers } : {}) });
}

/**
 * Problem responses by status for the codes that a route can answer with; every route may fail with 400 and 500.
 */
export function problems(...codes: DomainErrorCode[]): Record<number, TSchema> {
	const byStatus = new Map<number, DomainErrorCode[]>();
	for (const code of ['invalid_request', ...codes, 'internal_error'] as const) {
		const { status } = DOMAIN_ERRORS[code];
		byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
	}
	const responses: Record<number, TSchema> = {};
	for (const [status, listed] of byStatus) {
		responses[status] = Type.Unsafe<unknown>({
			description: listed.map((code) => `\`${code}\`: ${DOMAIN_ERRORS[code].title}`).join('; '),
			content: { 'application/problem+json': { schema: Type.Ref('Problem') } },
		});
	}
	return responses;
}

/** What every route that looks at tokens may answer. */
export const TOKEN_PROBLEMS = ['token_required', 'token_invalid', 'token_revoked', 'forbidden'] as const satisfies DomainErrorCode[];

/** What every route that a room's home answers may answer, in a cluster. */
export const HOME_PROBLEMS = ['home_unavailable', 'not_home', 'store_unavailable'] as const satisfies DomainErrorCode[];

const NodeName = Type.String({ pattern: '^[a-z0-9-]{1,32}$' });
const Count = Type.Integer({ minimum: 0 });
const ShardIndex = Type.Integer({ minimum: 0, maximum: 9_999 });

export const NodeParams = Type.Object({ node: NodeName });
export const NewDrain = Type.Union([
	Type.Null(),
	Type.Object(
		{
			shard: Type.Optional(Type.Integer({ minimum: 0, maximum: 9_999, description: 'One shard; absent: the whole node' })),
			deadlineMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000, description: 'After this, sessions that did not move are ended' })),
		},
		strict,
	),
]);
export const EndOfDrain = Type.Union([Type.Null(), Type.Object({ shard: Type.Optional(ShardIndex) }, strict)]);

export const Drain = Type.Object(
	{
		state: Type.Enum(['active', 'draining', 'drained']),
		shard: Type.Optional(ShardIndex),
		listenersAtStart: Count,
		listenersNow: Count,
		homesLeft: Type.Integer({ minimum: 0, description: 'Rooms that live there still; of a stage shard: whose origin is there' }),
		moving: Type.Number({ minimum: 0, maximum: 1, description: 'Part of the listeners that has been asked to move' }),
		startedAt: Type.Optional(Type.String({ format: 'date-time' })),
		deadlineAt: Type.Optional(Type.String({ format: 'date-time' })),
		waiting: Type.Optional(Type.Enum(['no room elsewhere', 'a room has no home', 'listeners are slow to go'], { description: 'Why nobody more is asked to move right now' })),
	},
	strict,
);

const LinkStart = Type.Object({ node: NodeName, shard: Type.Union([ShardIndex, Type.Literal('origin')]) }, strict);
export const Link = Type.Object(
	{
		room: Type.String(),
		link: Type.String(),
		node: NodeName,
		shard: ShardIndex,
		upstream: Type.Union([Type.Null(), LinkStart], { description: 'Where it begins; null for one that has just been replaced' }),
		packets: Count,
		lost: Type.Integer({ minimum: 0, description: 'Packets known to be lost on the way' }),
		lossRatio: Type.Number({ minimum: 0, maximum: 1, description: 'Lost ones, of all that were sent since the link began' }),
		jitterMs: Type.Number({ description: 'RFC 3550 §6.4.1, the worst stream’s' }),
		lagMs: Type.Number({ description: 'How much later than the fastest packet of the last minute the latest ones came' }),
		silentMs: Type.Number({ description: 'Since anything came' }),
	},
	strict,
);

const ShardPressure = Type.Object(
	{
		level: Type.Integer({ minimum: 0, maximum: 4, description: '0: none; 1 to 3: its packing floor’s step; 4: nothing is left to pack, and it is pressed still' }),
		packingFloorMs: Type.Enum([20, 40, 60, 120], { description: 'Packets of rooms with packing `auto` carry at least so much there; 20: as the rooms ask for' }),
		reason: Type.Union([Type.Null(), Type.Enum(['processor', 'packets', 'lag', 'calm', 'trial'])], {
			description: 'Why it changed last: what was short; `calm`: it is sure to do with less; `trial`: it may do with less',
		}),
		since: Type.Union([Type.Null(), Type.String()], { description: 'When it changed last' }),
	},
	{ ...strict, description: 'How it gives way; of listener shards' },
);

export const NodeResource = Type.Object(
	{
		id: NodeName,
		self: Type.Boolean({ description: 'The node that answers' }),
		incarnation: Type.String({ description: 'Another one after each start' }),
		startedAt: Type.String(),
		internalUrl: Type.String(),
		publicUrl: Type.Optional(Type.String()),
		region: Type.Optional(Type.String()),
		draining: Type.Boolean(),
		redis: Type.Boolean({ description: 'Whether Redis answers it' }),
		eventCadence: Type.Integer({ minimum: 1, maximum: 4, description: 'Counts are told so many times less often than usual, since it is under pressure' }),
		listeners: Count,
		maxListeners: Type.Integer({ minimum: 0, description: 'On shards that live and do not drain' }),
		shards: Type.Array(
			Type.Object(
				{
					index: Count,
					role: Type.Enum(['stage', 'listener']),
					alive: Type.Boolean(),
					draining: Type.Boolean(),
					listeners: Count,
					joining: Count,
					maxListeners: Count,
					load: Type.Number({ description: 'As placement sees it: 0 empty, 1 full, more where it works harder than its listeners explain' }),
					cpuRatio: Type.Number({ description: 'The busier one of its processes, of one core' }),
					eventLoopLagMs: Type.Number(),
					packetsPerSecond: Type.Number(),
					moving: Type.Number({ description: 'Part of its listeners that is asked to go elsewhere' }),
					pressure: Type.Optional(ShardPressure),
				},
				strict,
			),
		),
		rooms: Type.Record(Type.String(), Count, { description: 'Room → listeners on this node' }),
		homes: Type.Record(Type.String(), Type.Object({ epoch: Count }, strict), { description: 'Rooms that live on this node' }),
		links: Type.Optional(Type.Array(Link, { description: 'Links that end on this node; of the node that answers only' })),
		drains: Type.Optional(Type.Array(Drain, { description: 'The node’s state, and that of shards that are drained by themselves; of the node that answers only' })),
	},
	strict,
);
export const NodeList = Type.Object({ nodes: Type.Array(NodeResource) }, strict);

export const Rebalance = Type.Object(
	{
		meanFill: Type.Number({ minimum: 0, description: 'Filled part of the capacity of all nodes that do not drain' }),
		moves: Type.Array(
			Type.Object({ node: NodeName, listeners: Count, asked: Type.Integer({ minimum: 0, description: '0 where the node could not be asked, or is at it already' }) }, strict),
		),
	},
	strict,
);

export const RoomPlacement = Type.Object(
	{
		room: RoomId,
		home: Type.Union([Type.Null(), Type.Object({ node: NodeName, epoch: Count }, strict)], { description: 'Null while the room lives nowhere' }),
		originShard: Type.Union([Type.Null(), ShardIndex]),
		listeners: Type.Record(NodeName, Count, { description: 'Node → its listeners of this room, as it last reported; nodes without are left out' }),
		depth: Type.Integer({ minimum: 0, description: 'Links between the origin and the edge that is furthest away' }),
		edges: Type.Array(
			Type.Object(
				{
					node: NodeName,
					shard: ShardIndex,
					upstream: Type.Union([Type.Null(), LinkStart], { description: 'Null: it has lost its upstream' }),
					depth: Type.Union([Type.Null(), Type.Integer({ minimum: 1 })], { description: 'Links to the origin; null: none leads there' }),
					children: Count,
				},
				strict,
			),
			{ description: 'The fan-out tree, each edge after its upstream' },
		),
		links: Type.Array(Link),
	},
	strict,
);
