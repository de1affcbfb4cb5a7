/** A time without sound, on the clock of `monotonicMs`. */
export interface Silence {
	fromMs: number;
	toMs: number;
}

export interface Heard {
	/** When the last packet with the speaker's audio came; 0: never. */
	lastAtMs: number;
	/** Longest time without sound since the mark, one that still lasts included. */
	gapMs: number;
	/** Each that was long enough to be counted. */
	silences: Silence[];
	/** Of the speaker's audio, by the streams' own clocks, what never came although its stream went on. */
	missingMs: number;
	packets: number;
}

/** Shorter ones are the network's and the machine's usual unevenness. */
const COUNTED_MS = 40;

/**
 * One listener's ear for one speaker, over all voices and all sessions: what was heard without a break, whoever
 * carried it. Pure: times come in.
 */
export class Hearing {
	#lastAtMs = 0;
	#gapMs = 0;
	#silences: Silence[] = [];
	#missingMs = 0;
	#packets = 0;
	#markedAtMs = 0;

	/** Counts from now on; the sound before is remembered, so that a gap may begin there. */
	mark(atMs: number): void {
		this.#markedAtMs = atMs;
		this.#gapMs = 0;
		this.#silences = [];
		this.#missingMs = 0;
		this.#packets = 0;
	}

	/** A packet with `durationMs` of the speaker's audio. */
	heard(atMs: number, durationMs: number): void {
		if (this.#lastAtMs > 0) {
			const gapMs = atMs - this.#lastAtMs - durationMs;
			this.#gapMs = Math.max(this.#gapMs, gapMs);
			if (gapMs >= COUNTED_MS) {
				this.#silences.push({ fromMs: this.#lastAtMs, toMs: atMs });
			}
		}
		this.#lastAtMs = atMs;
		this.#packets++;
	}

	/** A stream has skipped this much of the speaker's audio. */
	missed(durationMs: number): void {
		this.#missingMs += durationMs;
	}

	report(nowMs: number): Heard {
		// Nobody can have heard nothing for longer than was listened to, who has never heard anything.
		const sinceMs = nowMs - (this.#lastAtMs || this.#markedAtMs);
		return {
			lastAtMs: this.#lastAtMs,
			gapMs: sinceMs > STILL_MS ? Math.max(this.#gapMs, sinceMs) : this.#gapMs,
			silences: sinceMs > STILL_MS ? [...this.#silences, { fromMs: nowMs - sinceMs, toMs: Infinity }] : [...this.#silences],
			missingMs: this.#missingMs,
			packets: this.#packets,
		};
	}
}

/** Longer than the longest packet: a silence that lasts. */
const STILL_MS = 200;
