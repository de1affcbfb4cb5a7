/** What `RTCRtpReceiver.getContributingSources()` gives. */
export interface ContributingSource {
	source: number;
	timestamp: number;
}

/**
 * Who is speaking now, from the packets' CSRCs. A source counts as fresh from when its timestamp last
 * moved by our own clock, because browsers do not agree on the base of that timestamp.
 */
export class SpeakerTracker {
	readonly #freshMs: number;
	readonly #seen = new Map<string, { timestamp: number; number: number; atMs: number }>();

	/** @param freshMs packets may hold 120 ms of speech, so this must be well above */
	constructor(freshMs = 500) {
		this.#freshMs = freshMs;
	}

	/**
	 * @param sources contributing sources by voice
	 * @returns roster numbers, ascending
	 */
	observe(nowMs: number, sources: ReadonlyMap<string, readonly ContributingSource[]>): number[] {
		for (const [voice, list] of sources) {
			for (const { source, timestamp } of list) {
				const key = `${voice}/${source}`;
				const known = this.#seen.get(key);
				if (known === undefined || known.timestamp !== timestamp) {
					this.#seen.set(key, { timestamp, number: source, atMs: nowMs });
				}
			}
		}
		const speaking = new Set<number>();
		for (const [key, { number, atMs }] of this.#seen) {
			if (nowMs - atMs < this.#freshMs) {
				speaking.add(number);
			} else if (nowMs - atMs > 30_000) {
				// Browsers forget a source after 10 s, so it cannot come back as known.
				this.#seen.delete(key);
			}
		}
		return [...speaking].toSorted((a, b) => a - b);
	}

	clear(): void {
		this.#seen.clear();
	}
}
