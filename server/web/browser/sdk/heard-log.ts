import { Emitter } from './emitter.ts';
import type { ListenEvents } from './listen-events.ts';

/** What people have heard so far: the first sound, and silences that they must have noticed. */
export class HeardLog extends Emitter<Pick<ListenEvents, 'firstaudio' | 'rejoined'>> {
	#startedAtMs = 0;
	#lastAtMs = 0;
	#sounded = false;
	#lost = false;

	/** They have pressed the button. */
	start(): void {
		this.#startedAtMs = performance.now();
		this.#lastAtMs = this.#startedAtMs;
		this.#sounded = false;
		this.#lost = false;
	}

	/** There was sound since the start. */
	get sounded(): boolean {
		return this.#sounded;
	}
	/** The session that was heard is gone, and no other one is heard yet. */
	get lost(): boolean {
		return this.#lost;
	}

	sounds(by: ListenEvents['firstaudio']['by']): void {
		if (!this.#sounded) {
			this.#sounded = true;
			this.emit('firstaudio', { sinceStartMs: Math.round(performance.now() - this.#startedAtMs), by });
		}
	}

	/** The overflow stream sounds, or did until now. */
	overflow(): void {
		this.#lastAtMs = performance.now();
	}

	/** Nothing of a session comes any more. */
	loses(): void {
		this.#lost = true;
	}

	/** A session takes over from something that was heard until now. */
	missesNothing(): void {
		this.#lost = false;
	}

	/** Packets have come. @returns whether that ends a silence */
	flows(nowMs: number): boolean {
		const wasLost = this.#lost;
		this.#lost = false;
		if (wasLost) {
			this.emit('rejoined', { gapMs: Math.round(nowMs - this.#lastAtMs) });
		}
		this.#lastAtMs = nowMs;
		return wasLost;
	}
}
