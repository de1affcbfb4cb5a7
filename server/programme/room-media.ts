// The media of all rooms on this node, as the rest of the server sees it. Implemented by `Programmes`;
// routes and the stage depend on this interface, so that they can be tested without workers.
import type { EventEmitter } from 'node:events';
import type {
	DtlsParameters,
	IceParameters,
	PackingMs,
	RtpCapabilities,
	RtpParameters,
	Talker,
	TransportParameters,
} from '../../sfu/contract/media-types.ts';
import type { OwnerMatch, SessionOwner } from '../../sfu/contract/session-owner.ts';
import type { SessionPatchResult } from '../../sfu/contract/shard-protocol.ts';
import type { Room } from '../rooms/room.ts';

/** A WHEP or WHIP session as the HTTP layer answers it. */
export interface SessionCreated {
	sessionId: string;
	/** Answer, `application/sdp`. */
	sdp: string;
	etag: string;
}

/** How a listener came. */
export interface Arrival {
	/** When it asked for the first time, in milliseconds since the epoch; absent: now. */
	readonly firstArrivalMs?: number | undefined;
	/** When it was refused the last time; absent: never. */
	readonly refusedAtMs?: number | undefined;
	/** Tells, should it have to wait for its turn, when it is gone meanwhile. */
	readonly onGone?: ((gone: () => void) => void) | undefined;
	/** Whose token it came with; absent: none. */
	readonly owner?: SessionOwner | undefined;
}

export interface RoomMediaEvents {
	/** A room's origin died with its shard: speakers' transports are gone. */
	originLost: [{ roomId: string }];
	/** A room's origin is there (again): speakers should (re)make their transports at once. */
	originReady: [{ roomId: string; rtpCapabilities: RtpCapabilities }];
	speakerMedia: [{ roomId: string; participantId: string; state: 'producing' | 'connected' | 'disconnected' | 'closed' }];
	talkers: [{ roomId: string; talkers: Talker[]; dominant: number | null }];
	/** Listener counts were refreshed (once a second). */
	counts: [];
}

/** All methods that reject do so with a DomainError. */
export interface RoomMedia extends EventEmitter<RoomMediaEvents> {
	/** WHEP: seats a listener on one of this node's listener shards, when it is its turn. @param random the 32 hex digits of the session's id, where somebody chose them before */
	listen(room: Room, offer: string, packingMs?: PackingMs, random?: string, arrival?: Arrival): Promise<SessionCreated>;
	/** WHIP: the participant must be on stage (see `addSpeaker`). */
	publish(room: Room, participantId: string, offer: string, owner?: SessionOwner): Promise<SessionCreated>;
	patchSession(sessionId: string, fragment: string, ifMatch?: string): Promise<SessionPatchResult>;
	closeSession(sessionId: string): Promise<void>;
	/** Ends all WHEP and WHIP sessions of a person or a token on this node. A shard that does not answer is left out. @returns how many */
	endSessions(match: OwnerMatch): Promise<number>;

	/** Makes sure that the room has an origin and that this speaker is known there. Idempotent. */
	addSpeaker(room: Room, participantId: string, number: number): Promise<{ rtpCapabilities: RtpCapabilities }>;
	removeSpeaker(roomId: string, participantId: string): Promise<void>;
	createTransport(roomId: string, participantId: string, direction: 'send' | 'recv'): Promise<TransportParameters>;
	connectTransport(roomId: string, participantId: string, transportId: string, dtlsParameters: DtlsParameters): Promise<void>;
	restartIce(roomId: string, participantId: string, transportId: string): Promise<IceParameters>;
	produce(roomId: string, participantId: string, transportId: string, rtpParameters: RtpParameters): Promise<{ producerId: string }>;
	consume(
		roomId: string,
		participantId: string,
		ofParticipantId: string,
		rtpCapabilities: RtpCapabilities,
	): Promise<{ consumerId: string; producerId: string; rtpParameters: RtpParameters }>;
	setMuted(roomId: string, participantId: string, muted: boolean): Promise<void>;

	/** The room's state changed: live puts the programme on air, ended takes the room's media away. */
	roomChanged(room: Room): Promise<void>;
	/** In the whole cluster. */
	listenersIn(roomId: string): number;
}
