import type { Clock } from '../../server/events/clock.ts';

/** Time that passes only when told to; due callbacks run in order, each at its own moment. */
export class VirtualClock implements Clock {
	#nowMs = 0;
	readonly #timers = new Set<{ atMs: number; callback: () => void }>();

	nowMs(): number {
		return this.#nowMs;
	}

	get pendingTimers(): number {
		return this.#timers.size;
	}

	schedule(callback: () => void, delayMs: number): () => void {
		const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
		this.#timers.add(timer);
		return () => this.#timers.delete(timer);
	}

	advance(durationMs: number): void {
		const endMs = this.#nowMs + durationMs;
		for (;;) {
			let next: { atMs: number; callback: () => void } | undefined;
			for (const timer of this.#timers) if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) next = timer;
			if (next === undefined) break;
			this.#timers.delete(next);
			this.#nowMs = next.atMs;
			next.callback();
		}
		this.#nowMs = endMs;
	}
}
