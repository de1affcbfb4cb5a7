const LOOK_MS = 20;
const KEPT = 16;

/**
 * When this process did nothing, because its event loop or its machine was busy: packets that waited meanwhile look
 * late and were not. Looks at the clock all the time; asked at each gap.
 */
export class OwnStalls {
	readonly #stalls: { fromMs: number; toMs: number }[] = [];
	readonly #nowMs: () => number;
	readonly #timer: NodeJS.Timeout;
	#seenAtMs: number;

	constructor(nowMs: () => number = () => performance.now()) {
		this.#nowMs = nowMs;
		this.#seenAtMs = nowMs();
		this.#timer = setInterval(() => this.look(), LOOK_MS);
		this.#timer.unref();
	}

	look(): void {
		const nowMs = this.#nowMs();
		if (nowMs - this.#seenAtMs > 2 * LOOK_MS) {
			this.#stalls.push({ fromMs: this.#seenAtMs + LOOK_MS, toMs: nowMs });
			this.#stalls.splice(0, this.#stalls.length - KEPT);
		}
		this.#seenAtMs = nowMs;
	}

	/** How much of the time between these two this process stood still, the stall that may be ending right now included. */
	within(fromMs: number, toMs: number): number {
		const running = { fromMs: this.#seenAtMs + LOOK_MS, toMs };
		return [...this.#stalls, running].reduce((sum, stall) => sum + Math.max(0, Math.min(toMs, stall.toMs) - Math.max(fromMs, stall.fromMs)), 0);
	}

	close(): void {
		clearInterval(this.#timer);
	}
}
