import type { Clock } from '../../events/clock.ts';

/** Looks that are this far apart mean that the process stood still in between: it had nothing to hold it up but itself. */
export const STALL_MS = 500;

/**
 * Notices that this process was stopped, starved or put to sleep. Whatever it knew of others is as old as that, and what it
 * believed to hold may be somebody else's. Every entry point looks before it acts, so that the first code to run after a
 * stall knows of it, whichever code that is.
 */
export class StallWatch {
	readonly #clock: Pick<Clock, 'nowMs'>;
	readonly #wallMs: () => number;
	readonly #listeners: ((lengthMs: number, asleep: boolean) => void)[] = [];
	#seenMs: number;
	#seenWallMs: number;
	#endedMs = Number.NEGATIVE_INFINITY;

	/** @param wallMs time of day: it goes on while a suspended machine's monotonic clock stands still */
	constructor(clock: Pick<Clock, 'nowMs'>, wallMs: () => number) {
		this.#clock = clock;
		this.#wallMs = wallMs;
		this.#seenMs = clock.nowMs();
		this.#seenWallMs = wallMs();
	}

	/** From now on it is looked at often; what was before does not count as a stall. */
	begin(): void {
		this.#seenMs = this.#clock.nowMs();
		this.#seenWallMs = this.#wallMs();
	}

	/** When the last stall ended, by the monotonic clock. */
	get endedMs(): number {
		return this.#endedMs;
	}

	/** @param listener is called within `look()`; `asleep`: the monotonic clock did not count the time */
	onStall(listener: (lengthMs: number, asleep: boolean) => void): void {
		this.#listeners.push(listener);
	}

	/** To be called several times in `STALL_MS`, and before anything that relies on what is remembered. */
	look(): void {
		const nowMs = this.#clock.nowMs();
		const wallMs = this.#wallMs();
		const lengthMs = nowMs - this.#seenMs;
		const sleptMs = wallMs - this.#seenWallMs - lengthMs;
		this.#seenMs = nowMs;
		this.#seenWallMs = wallMs;
		const asleep = sleptMs > STALL_MS;
		if (lengthMs <= STALL_MS && !asleep) return;
		this.#endedMs = nowMs;
		for (const listener of this.#listeners) listener(lengthMs, asleep);
	}
}
