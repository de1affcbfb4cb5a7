import type { Clock } from '../events/clock.ts';

interface Waiter {
	rooms: ReadonlySet<string>;
	answer: () => void;
}

/** Questions of other nodes that wait for news of rooms which live here: at most one of each. */
export class EchoWaiters {
	readonly #clock: Clock;
	readonly #waiters = new Map<string, Waiter>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Resolves when one of the rooms has news, when the sender asks anew, or when the time is over. */
	async wait(sender: string, rooms: ReadonlySet<string>, waitMs: number): Promise<void> {
		this.#waiters.get(sender)?.answer();
		const { promise, resolve } = Promise.withResolvers<void>();
		const waiter = { rooms, answer: resolve };
		this.#waiters.set(sender, waiter);
		const cancel = this.#clock.schedule(resolve, waitMs);
		await promise;
		cancel();
		if (this.#waiters.get(sender) === waiter) this.#waiters.delete(sender);
	}

	wake(roomId: string): void {
		for (const { rooms, answer } of this.#waiters.values()) if (rooms.has(roomId)) answer();
	}

	close(): void {
		for (const { answer } of this.#waiters.values()) answer();
	}
}
