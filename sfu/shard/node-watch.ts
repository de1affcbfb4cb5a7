/**
 * Tells a shard that its node hangs: the process is there, but nobody sees to anything any more. In a cluster the other
 * nodes have taken such a node for dead by then and its rooms live elsewhere, so that who listens here would hear a
 * programme that has ended. Ticks are counted and not time, so that a shard that was itself held up, or a host
 * that slept, does not take its node for hung.
 */
export class NodeWatch {
	readonly #silenceMs: number;
	readonly #tickMs: number;
	#silentTicks = 0;

	/** @param silenceMs undefined: a node that is alone is never given up */
	constructor(silenceMs: number | undefined, tickMs: number) {
		this.#silenceMs = silenceMs ?? Number.POSITIVE_INFINITY;
		this.#tickMs = tickMs;
	}

	/** The node has asked something. */
	heard(): void {
		this.#silentTicks = 0;
	}

	/** Whether the node has hung for too long, said once. */
	tick(): boolean {
		const before = this.#silentTicks++ * this.#tickMs;
		return before < this.#silenceMs && this.#silentTicks * this.#tickMs >= this.#silenceMs;
	}
}
