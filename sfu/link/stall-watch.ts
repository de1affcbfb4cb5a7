/**
 * Something of what an edge takes comes from an origin every 400 ms in silence (see `Pulse`), and from a relay within 570 ms
 * of the loss of its own upstream: so any one keep-alive may be lost on the way before this much silence means that a link is dead.
 */
export const STALL_MS = 1_000;
/** While it stays stalled, it is said again in this time: the first word may have been lost on whoever could help. */
const REMIND_MS = 1_000;
/** More than this between two looks was our own delay, and says nothing of the link. */
const LOOK_MAX_MS = 200;

/** Tells a link that has stalled from one that is silent. Pure: time and counts come in. */
export class StallWatch {
	#packets = 0;
	#lookedAtMs: number;
	#silentMs = 0;
	#nextWordMs = STALL_MS;

	/** @param nowMs the clock's reading now; every `nowMs` is of the same monotonic clock */
	constructor(nowMs: number) {
		this.#lookedAtMs = nowMs;
	}

	/**
	 * Called about every 100 ms.
	 * @param packets that have come over the link so far
	 * @param expecting whether anything of the link is fetched: else nothing can come
	 * @returns `stalled` when nothing has come for too long, and once a second from then on; `flowing` when that is over
	 */
	look(packets: number, expecting: boolean, nowMs: number): 'stalled' | 'flowing' | undefined {
		const sinceMs = Math.min(nowMs - this.#lookedAtMs, LOOK_MAX_MS);
		this.#lookedAtMs = nowMs;
		if (packets !== this.#packets || !expecting) {
			const flows = packets !== this.#packets && this.#nextWordMs > STALL_MS;
			this.#packets = packets;
			this.#silentMs = 0;
			this.#nextWordMs = STALL_MS;
			return flows ? 'flowing' : undefined;
		}
		this.#silentMs += sinceMs;
		if (this.#silentMs < this.#nextWordMs) {
			return undefined;
		}
		this.#nextWordMs = this.#silentMs + REMIND_MS;
		return 'stalled';
	}
}
