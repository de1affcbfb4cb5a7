import type { TransportFactory } from '../session/web-rtc-server.ts';
import type { EdgeRouter } from './edge-router.ts';
import { type ListenerTransport, makeListenerTransport } from './listener-transport.ts';

/**
 * Transports made ahead of a crowd, so that a join in a storm is one request to the worker and not five. They hang on an
 * edge router of their own, which nothing is sent to until the first of them is taken: for every packet that comes to a
 * consumer with nobody behind it mediasoup remembers a sequence number.
 */
export class SpareRow {
	readonly router: EdgeRouter;
	readonly #voiceIndices: readonly number[];
	readonly #transports: TransportFactory;
	readonly #spare: ListenerTransport[] = [];
	#making = 0;
	#closed = false;

	constructor(router: EdgeRouter, transports: TransportFactory, voiceIndices: readonly number[]) {
		this.router = router;
		this.#transports = transports;
		this.#voiceIndices = voiceIndices;
	}

	/** Those under way among them. */
	get size(): number {
		return this.#spare.length + this.#making;
	}

	take(): ListenerTransport | undefined {
		for (let spare = this.#spare.pop(); spare; spare = this.#spare.pop()) {
			if (!spare.transport.closed) {
				return spare;
			}
		}
		return undefined;
	}

	/** @throws whatever mediasoup throws for any of them; the others are there */
	async add(count: number): Promise<void> {
		this.#making += count;
		const made = await Promise.allSettled(Array.from({ length: count }, () => makeListenerTransport(this.router, this.#transports, this.#voiceIndices)));
		this.#making -= count;
		for (const result of made) {
			if (result.status === 'fulfilled') {
				this.#add(result.value);
			}
		}
		const failure = made.find((result) => result.status === 'rejected');
		if (failure) {
			throw failure.reason;
		}
	}

	/** Closes spare ones until no more than `count` are left; those that were taken are not touched. */
	shrink(count: number): void {
		while (this.#spare.length > count) {
			this.#spare.pop()?.transport.close();
		}
	}

	/** None is given out any more; those that wait go with the router, or were closed before. */
	close(): void {
		this.#closed = true;
		this.#spare.length = 0;
	}

	#add(made: ListenerTransport): void {
		if (this.#closed) {
			made.transport.close();
		} else {
			this.#spare.push(made);
		}
	}
}
