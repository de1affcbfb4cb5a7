import type { Clock } from '../../server/events/clock.ts';

export interface SimulatedShardOptions {
	clock: Clock;
	/** Work that a join is, one after the other. */
	workMs: number;
	/** What else a join takes, all at the same time. Default: 1 ms. */
	latencyMs?: number;
	/** Work that each join leaves behind, done whenever there is time (the DTLS handshake). Default: none. */
	afterMs?: number;
}

/** A shard that does one thing at a time, on a virtual clock: joins wait for each other, and slow down when it gets slower. */
export class SimulatedShard {
	readonly #clock: Clock;
	workMs: number;
	latencyMs: number;
	afterMs: number;
	/** While it hangs nothing comes back. */
	#hangs = false;
	#queue: { workMs: number; done: (() => void) | undefined }[] = [];
	#isBusy = false;
	/** Joins that wait in it or are worked on, and the most there ever were. */
	inside = 0;
	mostInside = 0;
	/** Most work that ever waited in it. */
	mostWaitingMs = 0;
	#workedMs = 0;

	constructor({ clock, workMs, latencyMs = 1, afterMs = 0 }: SimulatedShardOptions) {
		this.#clock = clock;
		this.workMs = workMs;
		this.latencyMs = latencyMs;
		this.afterMs = afterMs;
	}

	join(done: () => void): void {
		this.inside++;
		this.mostInside = Math.max(this.mostInside, this.inside);
		this.#clock.schedule(() => {
			this.#queue.push({
				workMs: this.workMs,
				done: () => {
					this.inside--;
					if (this.afterMs > 0) {
						this.#queue.push({ workMs: this.afterMs, done: undefined });
					}
					done();
				},
			});
			this.mostWaitingMs = Math.max(this.mostWaitingMs, this.waitingMs);
			this.#work();
		}, this.latencyMs);
	}

	get waitingMs(): number {
		return this.#queue.reduce((sum, { workMs }) => sum + workMs, 0);
	}

	set hangs(hangs: boolean) {
		this.#hangs = hangs;
		this.#work();
	}

	/** All that is inside is gone, unanswered. */
	die(): void {
		this.#queue = [];
		this.inside = 0;
	}

	/** As it would report after a second: part of it spent working, and how long what waits will take. */
	strain(): { cpuRatio: number; eventLoopLagMs: number } {
		const cpuRatio = Math.min(1, this.#workedMs / 1000);
		this.#workedMs = 0;
		return { cpuRatio, eventLoopLagMs: this.waitingMs };
	}

	#work(): void {
		if (this.#isBusy || this.#hangs) {
			return;
		}
		const next = this.#queue.shift();
		if (!next) {
			return;
		}
		this.#isBusy = true;
		this.#clock.schedule(() => {
			this.#isBusy = false;
			this.#workedMs += next.workMs;
			next.done?.();
			this.#work();
		}, next.workMs);
	}
}
