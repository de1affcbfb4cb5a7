/** What the detector concludes: nothing, a voice that stopped while others go on, or no packet on any voice. */
export type Stall = 'none' | 'voice' | 'all';

export interface StallLimits {
	/** No RTP on any voice for this long. Silence is no stall: in it a packet comes every 400 ms on the first voice and every 20 s on each other, and on the first while others speak. */
	allMs: number;
	/** No RTP on a voice that had flowed, while others flow: longer, since a few keep-alives may simply be lost. */
	voiceMs: number;
	/** No RTP ever since the session was connected. */
	firstPacketMs: number;
	/** The observer itself was away longer than this (page frozen, laptop asleep): such a gap proves nothing yet. */
	observerGapMs: number;
}

export const STALL_LIMITS: StallLimits = { allMs: 1_200, voiceMs: 64_000, firstPacketMs: 5_000, observerGapMs: 2_500 };

interface VoiceProgress {
	packets: number;
	progressAtMs: number;
	flowed: boolean;
	/** An absence of the observer was excused once; a second one without progress is a stall. */
	excused: boolean;
}

/** Tells a stalled session from a silent one by packet counters. Pure: time and counters come in. */
export class StallDetector {
	readonly #limits: StallLimits;
	readonly #voices = new Map<string, VoiceProgress>();
	readonly #sinceMs: number;
	#observedAtMs: number;

	/** @param nowMs when the session was connected */
	constructor(nowMs: number, limits: StallLimits = STALL_LIMITS) {
		this.#limits = limits;
		this.#sinceMs = nowMs;
		this.#observedAtMs = nowMs;
	}

	/** True once any packet was seen. */
	get flowed(): boolean {
		return [...this.#voices.values()].some((voice) => voice.flowed);
	}

	/** @param packets packets received so far, by voice */
	observe(nowMs: number, packets: ReadonlyMap<string, number>): Stall {
		const away = nowMs - this.#observedAtMs > this.#limits.observerGapMs;
		this.#observedAtMs = nowMs;
		for (const [id, count] of packets) {
			const voice = this.#voices.get(id);
			if (voice === undefined) {
				this.#voices.set(id, { packets: count, progressAtMs: nowMs, flowed: count > 0, excused: false });
			} else if (count > voice.packets) {
				voice.packets = count;
				voice.progressAtMs = nowMs;
				voice.flowed = true;
				voice.excused = false;
			} else if (away && !voice.excused) {
				voice.progressAtMs = nowMs;
				voice.excused = true;
			}
		}
		const flowing = [...this.#voices.values()].filter((voice) => voice.flowed);
		if (flowing.length === 0) {
			return !away && nowMs - this.#sinceMs > this.#limits.firstPacketMs ? 'all' : 'none';
		}
		if (flowing.every((voice) => nowMs - voice.progressAtMs > this.#limits.allMs)) {
			return 'all';
		}
		return flowing.some((voice) => nowMs - voice.progressAtMs > this.#limits.voiceMs) ? 'voice' : 'none';
	}
}
