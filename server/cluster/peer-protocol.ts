// What nodes ask of each other, over HTTP on the internal port. One table: names, shapes of what comes in (validated
// where it enters), types of what goes back. `PeerServer` and `PeerClient` carry it.
import { type Static, type TSchema, Type } from 'typebox';
import type { LinkedVoice, LinkEndpoint } from '../../sfu/contract/media-types.ts';
import type { LinkStats } from '../../sfu/contract/shard-protocol.ts';
import type { AuditEntry } from '../audit/audit-entry.ts';
import type { WebhookDelivery } from '../webhooks/webhook-schemas.ts';
import type { Room } from '../rooms/room.ts';
import type { StageRoster } from '../rooms/stage-roster.ts';
import type { Ban } from '../rooms/store/room-store.ts';
import { ShardCalibration } from '../capacity/shard-calibration.ts';
import type { Check } from '../preflight/check.ts';
import { ProbeTarget } from '../preflight/probe-target.ts';
import { CopyEchoes, type EchoResults, FollowEchoes } from '../audience/echo-protocol.ts';
import type { Report } from '../audience/report.ts';
import { RecordingId, type RecordingRecord } from '../recording/recording-record.ts';
import { NodeId, NodeReport } from './node-report.ts';

const RoomRef = { roomId: Type.String({ minLength: 1, maxLength: 64 }) };
const ShardIndex = Type.Integer({ minimum: 0, maximum: 9_999 });
/** A room's edge: which shard of which node. */
export const EdgeRef = Type.Object({ nodeId: NodeId, shard: ShardIndex });
export type EdgeRef = Static<typeof EdgeRef>;
/** Where a link begins: the origin at the home, or another edge that relays. */
export const UpstreamRef = Type.Object({ nodeId: NodeId, shard: Type.Union([ShardIndex, Type.Literal('origin')]) });
export type UpstreamRef = Static<typeof UpstreamRef>;

const Endpoint = Type.Object({
	ip: Type.String({ minLength: 2, maxLength: 253 }),
	port: Type.Integer({ minimum: 1, maximum: 65_535 }),
	srtpParameters: Type.Optional(Type.Object({ cryptoSuite: Type.String({ maxLength: 64 }), keyBase64: Type.String({ maxLength: 256 }) })),
});
const Seats = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const LinkId = Type.String({ minLength: 8, maxLength: 64 });
const Digest = Type.String({ pattern: '^[\\w-]{22}$' });

/** Where a copy of a room's overflow stream stands; see `Position` in server/overflow. */
const OverflowPosition = Type.Object({
	msn: Type.Integer({ minimum: 0 }),
	part: Type.Integer({ minimum: 0 }),
	generation: Type.String({ pattern: '^[a-z0-9]{1,32}$' }),
	discontinuity: Type.Integer({ minimum: 0 }),
	endMs: Type.Number({ minimum: 0 }),
});

const RecordingRef = { ...RoomRef, id: RecordingId };

/** Everything of one room that must survive its home. */
export interface RoomState {
	room: Room;
	epoch: number;
	roster: StageRoster;
	bans: Ban[];
	/** Subject → number in the roster. */
	numbers: Record<string, number>;
}

export const PEER_REQUESTS = {
	/** Who is there, and which rooms it is home of: asked before a home that went quiet is taken over. */
	ping: Type.Object({}),
	/** A heartbeat past Redis, when it does not answer the sender. The receiver passes it on to Redis if it can reach it. */
	heartbeat: Type.Object({ report: NodeReport }),
	/** What is known of a room here; asked of its home. */
	roomState: Type.Object(RoomRef),
	/** To the home: which upstream should this edge link to? `avoid` names those it cannot use; a node without shard is avoided whole. */
	findUpstream: Type.Object({
		...RoomRef,
		edge: EdgeRef,
		avoid: Type.Array(Type.Object({ nodeId: NodeId, shard: Type.Optional(Type.Union([ShardIndex, Type.Literal('origin')])) }), { maxItems: 256 }),
		/** Passed on by a node that reaches the home where the asking one does not: once, and no further. */
		via: Type.Optional(Type.Boolean()),
	}),
	/** From the home: what these edges are linked to is gone or has moved: find another upstream now. Without edges: the sender is the room's home since this epoch, and its origin is there. */
	relink: Type.Object({ ...RoomRef, epoch: Type.Integer({ minimum: 0 }), edges: Type.Optional(Type.Array(EdgeRef, { maxItems: 10_000 })) }),
	/** Move this many listeners to other nodes, at the usual pace. */
	shed: Type.Object({ listeners: Type.Integer({ minimum: 0, maximum: 10_000_000 }) }),
	/** Receiving ends of the room's links on that node. */
	roomLinks: Type.Object(RoomRef),
	/** To the home: this edge is closed. */
	detachEdge: Type.Object({ ...RoomRef, edge: EdgeRef }),
	/** To the upstream's node: make the sending half of a link. */
	openDownstream: Type.Object({ ...RoomRef, linkId: LinkId, upstream: UpstreamRef, child: EdgeRef, remote: Endpoint }),
	closeDownstream: Type.Object({ ...RoomRef, linkId: LinkId, upstream: UpstreamRef }),
	/** Every few seconds to each upstream's node: links in use; those that are not renewed are closed there. Unknown ones come back. */
	renewLinks: Type.Object({ links: Type.Array(Type.Object({ ...RoomRef, linkId: LinkId }), { maxItems: 100_000 }) }),
	/** Every few seconds to each home: edges that are attached to its tree; unknown ones come back, to be attached anew. */
	renewEdges: Type.Object({ edges: Type.Array(Type.Object({ ...RoomRef, edge: EdgeRef, upstream: UpstreamRef }), { maxItems: 100_000 }) }),
	/** Make an edge of this room here although nobody listens, for others to link to. */
	openRelay: Type.Object(RoomRef),
	/** To the home: what has come of the room's overflow stream since that; the answer waits until something has. Without it, or when it is not known there: all there is. */
	followOverflow: Type.Object({ ...RoomRef, after: Type.Optional(OverflowPosition) }),
	/** Recordings of a room that are on that node's disk. */
	listRecordings: Type.Object(RoomRef),
	/** What that node has of a recording that was made on several. */
	recordingParts: Type.Object(RecordingRef),
	/** A piece of it, from that byte on. */
	readRecordingPart: Type.Object({
		...RecordingRef, part: Type.String({ pattern: '^[a-z0-9-]{1,100}$' }), file: Type.Union([Type.Literal('voices.ogg'), Type.Literal('log.jsonl')]),
		offset: Type.Integer({ minimum: 0 }),
	}),
	/** Delete what is there of a recording: it is not wanted any more, or whole elsewhere. */
	removeRecording: Type.Object(RecordingRef),
	/** The home is leaving: take the room over now. */
	takeHome: Type.Object(RoomRef),
	/**
	 * To the home: the sender may fill `holds` seats of the room, and listeners wait for more. Numbers of an incarnation only
	 * grow; a lower one than was heard is out of date. Rejects with `not_home` also when it is.
	 */
	seats: Type.Object({
		...RoomRef, epoch: Seats, incarnation: Type.String({ minLength: 8, maxLength: 64 }), seq: Seats,
		holds: Seats, waiting: Seats,
		/** Wanted besides, for those who will come. */
		extra: Seats,
	}),
	/** From the home: how many seats do you hold? `giveBack`: all that nobody has taken; `over`: and all that come free. */
	heldSeats: Type.Object({ ...RoomRef, epoch: Seats, roomVersion: Seats, giveBack: Type.Boolean(), over: Type.Boolean() }),
	/** End what is open with a token of this person, or with this token: see SessionOwners. Digests, not names. */
	endSessions: Type.Object({
		subject: Type.Optional(Digest),
		token: Type.Optional(Digest),
		roomId: Type.Optional(RoomRef.roomId),
		issuedBy: Type.Optional(Type.Integer()),
		reason: Type.Enum(['token_revoked', 'banned']),
	}),
	/** Records of a kind that the sender has and the receiver may not: see SharedRecords. */
	putRecords: Type.Object({
		kind: Type.String({ pattern: '^[a-z-]{1,32}$' }),
		records: Type.Array(
			Type.Object({ id: Type.String({ minLength: 1, maxLength: 200 }), version: Type.Integer({ minimum: 1 }), untilMs: Type.Integer({ minimum: 0 }), sealed: Type.String({ maxLength: 65_536 }) }),
			{ maxItems: 1_000 },
		),
	}),
	/** The newest entries of that node's audit log that fit, newest first. */
	auditEntries: Type.Object({
		limit: Type.Integer({ minimum: 1, maximum: 1_000 }),
		room: Type.Optional(RoomRef.roomId),
		action: Type.Optional(Type.String({ maxLength: 64 })),
		subject: Type.Optional(Type.String({ maxLength: 256 })),
		after: Type.Optional(Type.String({ maxLength: 128 })),
	}),
	/** Deliveries of a webhook in that node's outbox, newest first. */
	webhookDeliveries: Type.Object({
		webhook: Type.String({ maxLength: 64 }),
		limit: Type.Integer({ minimum: 1, maximum: 1_000 }),
		state: Type.Optional(Type.Enum(['pending', 'delivered', 'dead'])),
		after: Type.Optional(Type.String({ maxLength: 128 })),
	}),
	/** Try that delivery again now. */
	retryDelivery: Type.Object({ webhook: Type.String({ maxLength: 64 }), delivery: Type.String({ maxLength: 128 }) }),
	/** To the home: reactions and captions. */
	followEchoes: FollowEchoes,
	copyEchoes: CopyEchoes,
	/** What listeners have reported there, the latest first; all before that moment. */
	reports: Type.Object({ limit: Type.Integer({ minimum: 1, maximum: 1_000 }), before: Type.Optional(Type.String({ maxLength: 40 })), roomId: Type.Optional(Type.String({ maxLength: 64 })) }),
	/** Before an event: open what other nodes are to reach, for a moment. */
	preflightOpen: Type.Object({ openMs: Type.Integer({ minimum: 1, maximum: 60_000 }) }),
	/** Look at yourself, and at what those others have opened. `listeners`: this node's share of the expected audience. */
	preflightCheck: Type.Object({
		listeners: Type.Optional(Type.Integer({ minimum: 0 })),
		targets: Type.Array(ProbeTarget, { maxItems: 64 }),
	}),
	/** Find out what a listener costs there, unless it is the same machine as the one whose figures come along. */
	calibrate: Type.Object({ known: Type.Optional(Type.Object({ hostId: Type.String({ maxLength: 128 }), signature: Type.String({ maxLength: 512 }), calibration: ShardCalibration })) }),
} as const satisfies Record<string, TSchema>;

/** A machine's figures, and what tells it from others. */
export interface MachineCalibration {
	/** The same for all nodes of one host. */
	hostId: string;
	signature: string;
	calibration: ShardCalibration;
}

/** A link as the node at its receiving end knows it; where it begins is not known when it has just been replaced. */
export type EndOfLink = LinkStats & { shard: number; upstream?: UpstreamRef | undefined };

export interface PeerResults {
	ping: { nodeId: string; incarnation: string; homes: Record<string, number> };
	heartbeat: { report: NodeReport; passedOn: boolean };
	roomState: RoomState;
	findUpstream: { upstream: UpstreamRef; epoch: number };
	relink: Record<string, never>;
	/** How many are asked to go. */
	shed: { listeners: number };
	roomLinks: { links: EndOfLink[] };
	detachEdge: Record<string, never>;
	openDownstream: LinkEndpoint & { voices: LinkedVoice[] };
	closeDownstream: Record<string, never>;
	renewLinks: { unknown: { roomId: string; linkId: string }[] };
	renewEdges: { unknown: { roomId: string; edge: EdgeRef }[] };
	openRelay: { edge: EdgeRef };
	/** Bytes are base64. */
	followOverflow: {
		generations: { id: string; discontinuity: number; init: string }[];
		parts: { msn: number; part: number; generation: string; startMs: number; durationMs: number; data: string }[];
		ended: boolean;
	};
	listRecordings: { recordings: RecordingRecord[] };
	/** `state` is null when there is nothing; `writing`: it is not all on disk yet. */
	recordingParts: { state: RecordingRecord['state'] | null; writing: boolean; parts: { id: string; bytes: Record<'voices.ogg' | 'log.jsonl', number> }[] };
	/** Base64; nothing at its end. */
	readRecordingPart: { data: string };
	/** Whether there was one. */
	removeRecording: { removed: boolean };
	takeHome: { epoch: number };
	/** How many the sender may fill from now on. `over`: the limit was lowered below what nodes hold, so those that come free go back. */
	seats: { granted: number; over: boolean };
	heldSeats: { incarnation: string; seq: number; holds: number };
	endSessions: { ended: number };
	putRecords: Record<string, never>;
	auditEntries: { entries: AuditEntry[] };
	webhookDeliveries: { deliveries: WebhookDelivery[] };
	retryDelivery: WebhookDelivery;
	followEchoes: EchoResults['followEchoes'];
	copyEchoes: EchoResults['copyEchoes'];
	reports: { reports: Report[] };
	/** `nowMs`: the node's time of day. `calibrated`: it has figures of its own machine. */
	preflightOpen: { nowMs: number; hostId: string; calibrated: boolean; target: ProbeTarget };
	/** `clockAheadMs`: of Redis; absent when that could not be told. */
	preflightCheck: { checks: Check[]; clockAheadMs?: number };
	calibrate: MachineCalibration;
}

export type PeerRequestName = keyof typeof PEER_REQUESTS;
export type PeerParams<N extends PeerRequestName> = Static<(typeof PEER_REQUESTS)[N]>;
export type PeerResult<N extends PeerRequestName> = PeerResults[N];
/** Rejections are DomainErrors; their code and detail reach the asking node as a DomainError again. */
export type PeerHandlers = { [N in PeerRequestName]: (params: PeerParams<N>, from: string) => Promise<PeerResult<N>> };

/** The asking side. */
export interface Peers {
	/** Rejects with a DomainError: the peer's own, or `peer_unreachable` when it does not answer in time. */
	request<N extends PeerRequestName>(nodeId: string, name: N, params: PeerParams<N>, options?: { timeoutMs?: number }): Promise<PeerResult<N>>;
}
