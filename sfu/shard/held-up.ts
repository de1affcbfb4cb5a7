/** A timer that comes this much late had to wait for the whole process, or for the whole machine. */
const LATE_MS = 40;
/** What came meanwhile is read within this time. */
const READ_MS = 15;

/**
 * Tells at each tick of a timer whether the process itself was held up just before. Timers run before what came meanwhile
 * is read: whoever has waited for this process would be taken for silent, and a voice would leave out as much of its time
 * as the process did not run. So such ticks are to be let pass; never behind those of the stall before, however busy it is.
 */
export class HeldUp {
	readonly #mostMs: number;
	#tickedAtMs = Number.POSITIVE_INFINITY;
	#heldUp = false;
	#readAtMs = Number.NEGATIVE_INFINITY;

	constructor(tickMs: number) {
		this.#mostMs = tickMs + LATE_MS;
	}

	tick(nowMs: number): boolean {
		if (!this.#heldUp && nowMs - this.#tickedAtMs > this.#mostMs) {
			this.#readAtMs = nowMs + READ_MS;
		}
		this.#tickedAtMs = nowMs;
		// A timer that was due when it all stopped comes twice at once.
		this.#heldUp = nowMs < this.#readAtMs;
		return this.#heldUp;
	}
}
