// What the benchmark's processes say to each other: the bench in the middle, a server under test, the load generators.

/** SSRC of the first voice at the bare server, which takes plain RTP; the silent ones have the next two. */
export const BARE_SSRC = 1_000;

/** Processes of the server under test by what they do. `media` ones carry listeners; `control` takes their joins. */
export interface ServerProcess {
	name: string;
	part: 'media' | 'control' | 'stage';
	pid: number;
}

export type ToServer = { kind: 'exchange'; id: number; what: 'listen' | 'publish'; offer: string } | { kind: 'status' } | { kind: 'close' };

export type FromServer =
	| { kind: 'ready'; processes: ServerProcess[]; rtpPort?: number }
	| { kind: 'answer'; id: number; answer: string }
	| { kind: 'refused'; id: number; message: string }
	| { kind: 'status'; packingMs: number };

export type ToGenerator =
	| { kind: 'join'; count: number; concurrency: number }
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
	| { kind: 'joined'; joined: number; failed: number; connectMs: number[]; error?: string }
	| { kind: 'marked' }
	| { kind: 'report'; report: GeneratorReport };
