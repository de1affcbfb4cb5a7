/** Counts a socket's frames by the second. Pure but for what it counts: the time comes in. */
export class FrameGuard {
	readonly #limits: { framesPerSecond: number; badFramesPerSecond: number };
	#second = Number.NaN;
	#frames = 0;
	#bad = 0;

	constructor(limits: { framesPerSecond: number; badFramesPerSecond: number }) {
		this.#limits = limits;
	}

	/** Whether one more frame is within the limit. */
	frame(nowMs: number): boolean {
		const second = Math.floor(nowMs / 1_000);
		if (second !== this.#second) {
			this.#second = second;
			this.#frames = 0;
			this.#bad = 0;
		}
		this.#frames += 1;
		return this.#frames <= this.#limits.framesPerSecond;
	}

	/** The frame just counted was no good: whether one more such is within the limit. */
	bad(): boolean {
		this.#bad += 1;
		return this.#bad <= this.#limits.badFramesPerSecond;
	}
}
