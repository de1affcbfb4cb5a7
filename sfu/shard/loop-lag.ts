/**
 * How far a process was behind at the most, by the ticks of a timer that it has anyway: each look of a monitor of its own
 * would be one more wake-up, and a shard that carries one voice is woken up by little else.
 */
export class LoopLag {
	readonly #tickMs: number;
	#tickedAtMs = Number.POSITIVE_INFINITY;
	#mostMs = 0;

	constructor(tickMs: number) {
		this.#tickMs = tickMs;
	}

	tick(nowMs: number): void {
		this.#mostMs = Math.max(this.#mostMs, nowMs - this.#tickedAtMs - this.#tickMs);
		this.#tickedAtMs = nowMs;
	}

	/** In ms, since it was last taken. */
	take(): number {
		const mostMs = this.#mostMs;
		this.#mostMs = 0;
		return mostMs;
	}
}
