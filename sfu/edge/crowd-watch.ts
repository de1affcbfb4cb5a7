/** More joins than these within a tick (0.1 s) are a crowd: 40 a second, on one shard. */
const CROWD_JOINS = 4;

/** Tells a crowd from people who come one by one. Has no clock of its own. */
export class CrowdWatch {
	#sinceTick = 0;
	#crowdAtMs = Number.NEGATIVE_INFINITY;

	/** Somebody comes. @returns whether with a crowd */
	joined(): boolean {
		return ++this.#sinceTick > CROWD_JOINS;
	}

	/** To be called every 0.1 s. */
	tick(nowMs: number): void {
		if (this.#sinceTick > CROWD_JOINS) {
			this.#crowdAtMs = nowMs;
		}
		this.#sinceTick = 0;
	}

	/** Since the last crowd. */
	calmMs(nowMs: number): number {
		return nowMs - this.#crowdAtMs;
	}
}
