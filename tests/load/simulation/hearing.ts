/** Not (yet). */
const NEVER = -1;

/**
 * Who hears the room, by what, since when, and who waited how long for it: one entry for each listener in each of some arrays. All
 * times are virtual ms.
 */
export class Hearing {
	/** How many hear by WebRTC at present. */
	byWebrtc = 0;
	/** By HLS, and not otherwise. */
	byHls = 0;
	/** Came, and hear nothing. */
	silent = 0;
	readonly #hears: Uint8Array;
	readonly #arrivedMs: Int32Array;
	/** First sound by any way, first sound by WebRTC, latest session's first sound. */
	readonly #soundMs: Int32Array;
	readonly #webrtcMs: Int32Array;
	readonly #sinceMs: Int32Array;
	/** From when on the page plays HLS, which may be ahead; and for how long it did before. */
	readonly #hlsSinceMs: Int32Array;
	readonly #hlsMs: Int32Array;

	constructor(size: number) {
		const times = () => new Int32Array(size).fill(NEVER);
		this.#hears = new Uint8Array(size);
		this.#arrivedMs = times();
		this.#soundMs = times();
		this.#webrtcMs = times();
		this.#sinceMs = times();
		this.#hlsSinceMs = times();
		this.#hlsMs = new Int32Array(size);
	}

	came(listener: number, nowMs: number): void {
		this.silent++;
		this.#arrivedMs[listener] = nowMs;
	}

	/** By WebRTC; HLS ends then. */
	heard(listener: number, nowMs: number): void {
		this.byWebrtc++;
		this.#hears[listener] = 1;
		this.#sinceMs[listener] = nowMs;
		if (this.#soundMs[listener] === NEVER) this.#soundMs[listener] = nowMs;
		if (this.#webrtcMs[listener] === NEVER) this.#webrtcMs[listener] = nowMs;
		const hlsSinceMs = this.#hlsSinceMs[listener]!;
		if (hlsSinceMs >= 0 && hlsSinceMs <= nowMs) {
			this.byHls--;
			this.#hlsMs[listener]! += nowMs - hlsSinceMs;
		} else {
			this.silent--;
		}
		this.#hlsSinceMs[listener] = NEVER;
	}

	/** Who heard by WebRTC does so no more. */
	lost(listener: number): void {
		this.byWebrtc--;
		this.silent++;
		this.#hears[listener] = 0;
	}

	/** When the sound by WebRTC began that they hear or heard last. */
	sinceMs(listener: number): number {
		return this.#sinceMs[listener]!;
	}

	/** The page has begun to get HLS, whether or not it plays yet. */
	hasHls(listener: number): boolean {
		return this.#hlsSinceMs[listener] !== NEVER;
	}

	/** HLS plays from then on, unless WebRTC comes first. */
	hlsFrom(listener: number, atMs: number): void {
		this.#hlsSinceMs[listener] = atMs;
	}

	/** It is then; told for every time that was given. */
	hlsPlays(listener: number, nowMs: number): void {
		if (this.#hlsSinceMs[listener] !== nowMs) {
			return;
		}
		this.byHls++;
		this.silent--;
		if (this.#soundMs[listener] === NEVER) this.#soundMs[listener] = nowMs;
	}

	/** ms from coming to the first sound (by any way, by WebRTC), of all who got so far; unsorted. */
	waits(kind: 'sound' | 'webrtc'): Int32Array {
		const waits: number[] = [];
		for (const [listener, heardMs] of this.#first(kind).entries()) {
			if (heardMs !== NEVER) {
				waits.push(heardMs - this.#arrivedMs[listener]!);
			}
		}
		return Int32Array.from(waits);
	}

	/** When each first heard by WebRTC; those who never did are left out. */
	firstWebrtcMs(): Int32Array {
		return this.#webrtcMs.filter((atMs) => atMs !== NEVER);
	}

	/** When the last one first heard anything, and when by WebRTC. */
	lastMs(kind: 'sound' | 'webrtc'): number {
		return this.#first(kind).reduce((last, atMs) => Math.max(last, atMs), 0);
	}

	/** Of these: how long after that time each heard by WebRTC again; NaN for those who do not (yet). */
	soundAgain(listeners: Int32Array, sinceMs: number): Float64Array {
		return Float64Array.from(listeners, (listener) => (this.#hears[listener] === 1 && this.#sinceMs[listener]! >= sinceMs ? this.#sinceMs[listener]! - sinceMs : NaN));
	}

	/** How long each one heard HLS, in ms; those who never did are left out. */
	hlsDurations(nowMs: number): Int32Array {
		const durations: number[] = [];
		for (const [listener, sinceMs] of this.#hlsSinceMs.entries()) {
			const durationMs = this.#hlsMs[listener]! + (sinceMs >= 0 && nowMs > sinceMs ? nowMs - sinceMs : 0);
			if (durationMs > 0) {
				durations.push(durationMs);
			}
		}
		return Int32Array.from(durations);
	}

	#first(kind: 'sound' | 'webrtc'): Int32Array {
		return kind === 'sound' ? this.#soundMs : this.#webrtcMs;
	}
}
