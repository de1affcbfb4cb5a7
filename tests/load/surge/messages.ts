import type { Arrivals } from './schedule.ts';
import type { HlsFigures } from './hls-listener.ts';

/** `arrivals` are the storm, `incumbents` were there before it, `hls` never ask for a place. All times: `monotonicMs()`. */
export type Group = 'arrivals' | 'incumbents' | 'hls';

export interface SurgeOptions {
	url: string;
	room: string;
	/** Of the storm. */
	listeners: number;
	withinMs: number;
	holdMs: number;
	arrivals: Arrivals;
	waves: number;
	waveEveryMs: number;
	/** Part of the joined who leave and come back, a second. */
	churn: number;
	incumbents: number;
	hls: number;
	speakers: number;
	/** When in the storm one more speaker comes; undefined: none does. */
	speakerAtMs: number | undefined;
	/** Speech over a hum: of it no frame is quiet, so that nobody waits for a sentence to begin. */
	constantSpeech: boolean;
	token: string | undefined;
	patienceMs: number;
	/** Whether those who are shown the overflow stream listen to it. */
	overflow: boolean;
	/** Processes for the storm; undefined: by cores and listeners. */
	generators: number | undefined;
	/** Own address to send media from; undefined: by the server's. */
	bindAddress: string | undefined;
	seed: number;
}

/** What a process of listeners is told at its start. */
export interface GeneratorPlan {
	group: Group;
	listenUrl: string;
	hlsUrl: string;
	bindAddress: string;
	/** One a listener, in ms after the start. */
	wantedMs: number[];
	/** As many as listeners for a private room, else empty. */
	tokens: string[];
	patienceMs: number;
	overflow: boolean;
	churn: number;
	seed: number;
}

/** From wanting in to being connected (again). */
export interface Entry {
	wantedAtMs: number;
	/** When this process got round to it. */
	begunAtMs: number;
	connectedAtMs: number | undefined;
	/** First packet of any kind, keep-alives included. */
	firstPacketAtMs: number | undefined;
	firstAudioAtMs: number | undefined;
	/** How the session before it ended; undefined for the first entry. */
	after: 'left' | 'lost' | undefined;
}

export interface ListenerRecord {
	group: Group;
	entries: Entry[];
	outcome: 'joined' | 'waiting' | 'failed';
	/** Of a failure, or what a waiting one was told last. */
	cause: string | undefined;
	refusals: number;
	handedOn: number;
	/** Sessions the server or the network ended. */
	lostSessions: number;
	packets: number;
	audioPackets: number;
	lost: number;
	largestGapMs: number;
	/** Of it, or of another one, what this process did not cause itself by standing still. */
	largestForeignGapMs: number;
	gapsOver200Ms: number;
	connections: number;
	hls: (HlsFigures & { endedAtMs: number }) | undefined;
}

export interface RefusalRecord {
	atMs: number;
	cause: string;
	/** 0: no answer. */
	status: number;
	answerMs: number;
	retryAfterMs: number | undefined;
	/** Of the header. */
	retryAfterSeconds: number | undefined;
}

export interface Counts {
	/** Wanted in so far. */
	wanted: number;
	/** Connected at some time. */
	joined: number;
	failed: number;
	/** Connected at present; by HLS at present; with neither. */
	connected: number;
	hearingHls: number;
	waiting: number;
	refusals: number;
}

/** A process's own state over the time since its tick before. */
export interface Tick {
	/** Which process; given by the run. */
	source: number;
	atMs: number;
	/** Since the one before. */
	spanMs: number;
	group: Group;
	counts: Counts;
	largestGapMs: number;
	gapsOver200Ms: number;
	/** Of one core. */
	cpuRatio: number;
	/** Of its main thread. */
	loopUtilization: number;
	loopLagP99Ms: number;
}

export type ToGenerator =
	| { kind: 'plan'; plan: GeneratorPlan }
	| { kind: 'go'; zeroAtMs: number }
	/** Count loss and gaps from now on. */
	| { kind: 'mark' }
	/** Leave, and say what was. */
	| { kind: 'end' }
	| { kind: 'close' };

export type FromGenerator =
	| { kind: 'ready' }
	| { kind: 'tick'; tick: Tick; heard: [csrc: number, firstAtMs: number][] }
	| { kind: 'marked' }
	| { kind: 'result'; records: ListenerRecord[]; refusals: RefusalRecord[] };

export interface SpeakerPlan {
	name: string;
	token: string;
	voice: 'alto' | 'bass';
	/** `monotonicMs()`; in the past: at once. */
	atMs: number;
	/** Talks for so long once on stage, then listens with an open microphone; undefined: to the end. */
	forMs: number | undefined;
}

export type ToStage =
	/** `voices`: those that will speak. */
	| { kind: 'stage'; publishUrl: string; bindAddress: string; constantSpeech: boolean; voices: SpeakerPlan['voice'][] }
	| { kind: 'speak'; speaker: SpeakerPlan }
	| { kind: 'close' };

export interface SpeakerReport {
	name: string;
	wantedAtMs: number;
	connectedAtMs: number | undefined;
	error: string | undefined;
}

export type FromStage = { kind: 'ready' } | { kind: 'spoke'; speaker: SpeakerReport } | { kind: 'lost'; name: string; atMs: number };
