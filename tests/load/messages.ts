// What the benchmark's processes say to each other: the bench in the middle, a server under test, the load generators.

/** Made with nobody before anything is measured, by both servers that run on Node. */
export const REHEARSAL_JOINS = 800;

/** Processes of the server under test by what they do. `media` ones carry listeners; `control` takes their joins. */
export interface ServerProcess {
	name: string;
	part: 'media' | 'control' | 'stage';
	pid: number;
}

/** Where a talker's plain RTP goes. */
export interface RtpTarget {
	port: number;
	ssrc: number;
}

export type ToServer =
	/** `talker`: who publishes. A server that makes the offers itself answers `listen` with one, and takes no notice of `offer`. */
	| { kind: 'exchange'; id: number; what: 'listen' | 'publish'; offer: string; talker?: number }
	/** The answer to the offer that the server made for exchange `of`. */
	| { kind: 'accept'; id: number; of: number; answer: string }
	| { kind: 'status' }
	| { kind: 'close' };

export type FromServer =
	/** `rtp`: one for each talker, where they talk by plain RTP. */
	| { kind: 'ready'; processes: ServerProcess[]; rtp?: RtpTarget[] }
	| { kind: 'answer'; id: number; answer: string }
	| { kind: 'refused'; id: number; message: string }
	/** `spareTransports`: made ahead of a crowd, and waiting. */
	| { kind: 'status'; packingMs: number; spareTransports?: number };

export type ToGenerator =
	/** `invited`: the server makes the offers. `untilAudio`: joined is who has heard something. */
	| { kind: 'join'; count: number; concurrency: number; invited: boolean; untilAudio: boolean }
	| { kind: 'answer'; id: number; answer: string }
	| { kind: 'refused'; id: number; message: string }
	/** Forget what was heard so far. */
	| { kind: 'mark' }
	| { kind: 'report' }
	| { kind: 'close' };

export interface GeneratorReport {
	listeners: number;
	/** Still connected. */
	connected: number;
	seconds: number;
	packets: number;
	audioPackets: number;
	lost: number;
	/** Listeners who heard no audio at all. */
	deaf: number;
	/** Longest time between two packets with audio of any listener. */
	largestGapMs: number;
	/** Of one core. */
	cpuRatio: number;
	eventLoopLagMs: number;
}

export type FromGenerator =
	| { kind: 'offer'; id: number; offer: string }
	| { kind: 'accept'; id: number; of: number; answer: string }
	/** `firstAudioMs`: from wanting in to the first packet with audio; of those who waited for it. */
	| { kind: 'joined'; joined: number; failed: number; connectMs: number[]; firstAudioMs: number[]; error?: string }
	| { kind: 'marked' }
	| { kind: 'report'; report: GeneratorReport };
