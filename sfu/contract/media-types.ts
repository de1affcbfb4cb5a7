// The words both sides of the shard boundary use. Plain data only: all of it crosses a process boundary.
import type { types } from 'mediasoup';

export type IceParameters = types.IceParameters;
export type IceCandidate = types.IceCandidate;
export type DtlsParameters = types.DtlsParameters;
export type RtpParameters = types.RtpParameters;
export type RtpCapabilities = types.RtpCapabilities;
export type SrtpParameters = types.SrtpParameters;

/** How many milliseconds of speech one packet to a listener carries. */
export type PackingMs = 20 | 40 | 60 | 120;

/** A stage shard holds speakers, a listener shard listeners; they never share a worker. */
export type ShardRole = 'stage' | 'listener';

/** What a WebRTC client needs to make its side of a transport. */
export interface TransportParameters {
	id: string;
	iceParameters: IceParameters;
	iceCandidates: IceCandidate[];
	dtlsParameters: DtlsParameters;
}

/** One end of a link: where it listens, and its SRTP keys where the link leaves the host. */
export interface LinkEndpoint {
	ip: string;
	port: number;
	srtpParameters?: SrtpParameters;
}

/** One stream of a room's programme as it is offered over a link. Index `voices` (the last) is the solo voice. */
export interface LinkedVoice {
	index: number;
	rtpParameters: RtpParameters;
}

/** Who has which voice at the moment. */
export interface Talker {
	/** The speaker's number in the stage roster, which is also the CSRC of the packets. */
	number: number;
	voice: number;
}
