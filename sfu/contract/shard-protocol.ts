// What the node process asks of a shard, and what a shard tells it. Both sides compile against this
// one table; `ShardChannel` carries it over child-process IPC.
import type {
	DtlsParameters,
	IceCandidate,
	IceParameters,
	LinkedVoice,
	LinkEndpoint,
	PackingMs,
	RtpCapabilities,
	RtpParameters,
	ShardRole,
	Talker,
	TransportParameters,
} from './media-types.ts';
import type { OwnerMatch, SessionOwner } from './session-owner.ts';

/** Everything a shard needs to start work; a spare shard is told only when it replaces a dead one. */
export interface ShardAssignment {
	/** Index of the shard on its node: it names the shard's port, and begins its session ids. */
	index: number;
	role: ShardRole;
	/** 0: any that is nobody’s, for runs with nobody. */
	mediaPort: number;
	/** Addresses the WebRtcServer listens on, with what clients are told instead. */
	listenAddresses: { ip: string; announcedAddress?: string }[];
	linkPortMin: number;
	linkPortMax: number;
	iceConsentTimeoutSeconds: number;
	/** A session whose transport has not connected by then is closed. */
	connectTimeoutMs: number;
	maxListeners: number;
	/** Transports that a listener shard makes ahead of a crowd, for all its rooms together; none when absent. */
	spareTransports?: number;
	/** Where ends of links that leave the host listen, and what other hosts are told instead; loopback alone when absent. */
	linkAddress?: { ip: string; announcedAddress?: string };
	/** Links that begin at one origin or one relaying edge. */
	maxDownstreams: number;
	/** A shard whose node says nothing for so long ends its sessions, so that people go where somebody sees to them; never when absent. */
	nodeSilenceMs?: number;
}

/** What a shard's two processes have used so far. */
export interface CalibrationUsage {
	nodeCpuUs: number;
	workerCpuUs: number;
	nodeRssBytes: number;
	workerRssBytes: number;
}

/** One stretch of speech to synthetic receivers. */
export interface CalibrationPhase {
	packingMs: PackingMs;
	seconds: number;
	packets: number;
	nodeCpuUs: number;
	workerCpuUs: number;
}

/** What came of a rehearsal of joins. */
export interface RehearsalResult {
	/** Made and closed again. */
	joins: number;
	/** Ended early, for somebody real came: no more of it is wanted. */
	yielded: boolean;
}

/** A way to ask a shard's media port from outside whether it is there: ICE credentials that it answers to for a while. */
export interface MediaProbe {
	iceParameters: IceParameters;
	iceCandidates: IceCandidate[];
}

interface RoomRef {
	roomId: string;
}
interface SpeakerRef extends RoomRef {
	participantId: string;
}
interface LinkRef extends RoomRef {
	/** Chosen by the edge's node; the same on both ends. */
	linkId: string;
}

/** WHEP and WHIP: the answer to an offer. */
export interface SessionAnswer {
	sdp: string;
	/** Changes with each ICE restart; the HTTP layer's ETag. */
	etag: string;
}

/** Answer to a trickle PATCH: nothing to say, or a fragment with new ICE parameters after a restart. */
export interface SessionPatchResult {
	etag: string;
	fragment?: string;
}

/** Requests: name → [parameters, result]. Every one may fail with an `SfuError`. */
export interface ShardRequests {
	'shard.assign': [ShardAssignment, Record<string, never>];
	/** A sign of life of the node; see `nodeSilenceMs`. */
	'shard.ping': [Record<string, never>, Record<string, never>];
	/** Closes every session politely; the process ends by itself afterwards. */
	'shard.close': [{ reason: string }, Record<string, never>];

	/** Makes the media port answer STUN requests with these credentials for `openMs`: see server/preflight. */
	'shard.probe': [{ openMs: number }, MediaProbe];

	/** So many joins of nobody, so that code is compiled and heaps have grown when a crowd comes. Ends early when somebody real comes. */
	'shard.rehearse': [{ joins: number }, RehearsalResult];

	// A synthetic run that finds out what this machine holds; in a shard of its own, which carries nobody.
	'calibration.usage': [Record<string, never>, CalibrationUsage];
	/** One talker to so many receivers, `phaseMs` at each packing. */
	'calibration.packets': [{ receivers: number; packings: PackingMs[]; phaseMs: number }, { phases: CalibrationPhase[] }];

	// The stage: origin router and speakers. Stage shards only.
	/** `packingMs`: of the voices on links; as spoken when absent. */
	'origin.open': [RoomRef & { voices: number; onAir: boolean; packingMs?: PackingMs }, { rtpCapabilities: RtpCapabilities }];
	'origin.setPacking': [RoomRef & { packingMs: PackingMs }, Record<string, never>];
	'origin.setOnAir': [RoomRef & { onAir: boolean }, Record<string, never>];
	'origin.close': [RoomRef, Record<string, never>];
	'speaker.add': [SpeakerRef & { number: number }, Record<string, never>];
	'speaker.remove': [SpeakerRef, Record<string, never>];
	/** Makes a transport; one that the speaker had for the same direction is closed. */
	'speaker.createTransport': [SpeakerRef & { direction: 'send' | 'recv' }, TransportParameters];
	'speaker.connectTransport': [SpeakerRef & { transportId: string; dtlsParameters: DtlsParameters }, Record<string, never>];
	'speaker.restartIce': [SpeakerRef & { transportId: string }, { iceParameters: IceParameters }];
	'speaker.produce': [SpeakerRef & { transportId: string; rtpParameters: RtpParameters }, { producerId: string }];
	'speaker.setMuted': [SpeakerRef & { muted: boolean }, Record<string, never>];
	/** What `participantId` needs to hear `ofParticipantId` at 20 ms. */
	'speaker.consume': [
		SpeakerRef & { ofParticipantId: string; rtpCapabilities: RtpCapabilities },
		{ consumerId: string; producerId: string; rtpParameters: RtpParameters },
	];
	/** WHIP: the speaker's whole media in one exchange. */
	'speaker.publish': [SpeakerRef & { sessionId: string; offer: string; owner?: SessionOwner }, SessionAnswer];

	// Links. `upstream.*` on the side that receives (the edge), `downstream.*` on the side that sends (on a stage shard
	// the origin, on a listener shard the room's edge, which relays). The upstream side speaks first. SRTP where
	// `remote` carries keys. `link_full` when `maxDownstreams` begin there already.
	'upstream.create': [LinkRef & { srtp: boolean }, LinkEndpoint];
	'upstream.connect': [LinkRef & { remote: LinkEndpoint; voices: LinkedVoice[] }, Record<string, never>];
	'upstream.close': [LinkRef, Record<string, never>];
	'downstream.create': [LinkRef & { remote: LinkEndpoint }, LinkEndpoint & { voices: LinkedVoice[] }];
	'downstream.close': [LinkRef, Record<string, never>];

	// Edges and listeners. Listener shards only.
	'edge.open': [RoomRef & { voices: number; packingMs: PackingMs; expectedListeners?: number }, Record<string, never>];
	'edge.setPacking': [RoomRef & { packingMs: PackingMs }, Record<string, never>];
	'edge.close': [RoomRef & { reason: string }, Record<string, never>];
	/** `listeners` and `roomListeners` are this shard's counts with the new one, fresher than its statistics. */
	'listener.join': [
		RoomRef & { sessionId: string; offer: string; packingMs?: PackingMs; owner?: SessionOwner },
		SessionAnswer & { listeners: number; roomListeners: number },
	];

	/**
	 * Encodes the programme of the room's edge on this shard, from `fromMs` (of the epoch, not long past) on: what was before is
	 * silence. Answers `overflow.fragment` until it is closed, or the edge is. Another stream of the room takes this one's place.
	 */
	'overflow.open': [RoomRef & { streamId: string; ffmpegPath: string; bitrateKbps: number; fromMs: number }, Record<string, never>];
	'overflow.close': [RoomRef & { streamId: string }, Record<string, never>];

	/**
	 * Hands on the voices of the room's edge on this shard as they are spoken, from `fromMs` (of the epoch, not to come) on. Tells
	 * `recording.chunk` until it is closed, or the edge is. Another one of the room takes this one's place. The answer to the close comes after the last chunk.
	 */
	'recording.open': [RoomRef & { streamId: string; fromMs: number }, Record<string, never>];
	'recording.close': [RoomRef & { streamId: string }, Record<string, never>];

	// Sessions of WHEP and WHIP alike.
	'session.patch': [{ sessionId: string; fragment: string; ifMatch?: string }, SessionPatchResult];
	'session.close': [{ sessionId: string }, Record<string, never>];
	/** Ends every session of a person or a token. */
	'session.endOf': [OwnerMatch, { ended: number }];
}

export type ShardRequestName = keyof ShardRequests;
export type ParamsOf<N extends ShardRequestName> = ShardRequests[N][0];
export type ResultOf<N extends ShardRequestName> = ShardRequests[N][1];

/** A shard's figures, sent once a second. Counters only grow while the shard lives. */
export interface ShardStats {
	listeners: number;
	/** Transports made ahead of a crowd that wait for it. */
	spareTransports: number;
	/** Room → listeners. */
	rooms: Record<string, number>;
	joinsTotal: number;
	joinsFailedTotal: number;
	/** Packets given to listeners' consumers (sent once per consumer by the worker). */
	packetsSentTotal: number;
	/** Packets that came in from speakers or links. */
	packetsReceivedTotal: number;
	/** The longest in the last second. */
	eventLoopLagMs: number;
	/** Of one core, of the shard's Node process over the last second. */
	nodeCpuRatio: number;
	nodeRssBytes: number;
	workerPid: number;
	workerCpuRatio: number;
	workerRssBytes: number;
	/** Receiving ends of links on this shard; measured every few seconds. */
	links: LinkStats[];
}

/** How a link fares, as its receiving end sees it. */
export interface LinkStats {
	roomId: string;
	linkId: string;
	/** Packets that came over it, over all streams that are fetched or not. */
	packetsTotal: number;
	/** Packets known to be lost on the way. */
	lostTotal: number;
	/** Interarrival jitter (RFC 3550 §6.4.1), the worst stream's. */
	jitterMs: number;
	/** How much later than the fastest packet of the last minute the latest ones came: queueing on the way and in both ends. */
	lagMs: number;
	/** Since anything came, keep-alives included. */
	silentMs: number;
}

export interface OverflowFragment {
	roomId: string;
	streamId: string;
	/** Counts the encoders of this stream from 0: fragments of one follow each other without a gap. */
	encoder: number;
	/** Initialisation segment; with the first fragment of each encoder. */
	init?: Uint8Array;
	/** `moof` and `mdat`. */
	data: Uint8Array;
	/** Of its first sample, of the epoch. */
	startMs: number;
	durationMs: number;
}

/** What a recording grows by: see sfu/egress/voice-recording.ts. */
export interface RecordingChunk {
	roomId: string;
	streamId: string;
	/** Whole pages of one Ogg file with a stream of Opus for each voice. */
	data: Uint8Array;
	/** How far it reaches, after `fromMs`. */
	untilMs: number;
	/** Who spoke since the last chunk: number of the person, from, to, after `fromMs`. */
	turns: [number: number, fromMs: number, toMs: number][];
}

/** Events: name → payload. */
export interface ShardEvents {
	/** Modules loaded, worker running: may be assigned. */
	'shard.ready': { workerPid: number };
	'shard.stats': ShardStats;
	/** A speaker's media came, went, or (for WHIP) its session ended. */
	'speaker.media': { roomId: string; participantId: string; state: 'producing' | 'connected' | 'disconnected' | 'closed' };
	/** Who talks changed; at most ten a second a room. */
	'stage.talkers': { roomId: string; talkers: Talker[]; dominant: number | null };
	/** A piece of about half a second of an overflow stream: AAC in fragmented MP4. */
	'overflow.fragment': OverflowFragment;
	/** The edge under an overflow stream was closed, and the stream with it. */
	'overflow.closed': { roomId: string; streamId: string };
	/** About a second of a recording. */
	'recording.chunk': RecordingChunk;
	/** The edge under a recording was closed, and the recording with it. */
	'recording.closed': { roomId: string; streamId: string };
	/** Nothing has come over the link in use for a second, keep-alives included; said again once a second while that is so. */
	'link.stalled': { roomId: string; linkId: string };
	/** Something comes again over a link that had stalled. */
	'link.flowing': { roomId: string; linkId: string };
}

export type ShardEventName = keyof ShardEvents;

/** What travels over the child-process channel (structured clone, so binary data passes as it is). */
export type ShardMessage =
	| { kind: 'request'; id: number; name: ShardRequestName; params: unknown }
	| { kind: 'result'; id: number; result: unknown }
	| { kind: 'error'; id: number; code: string; message: string; reason?: string }
	| { kind: 'event'; name: ShardEventName; data: unknown };
