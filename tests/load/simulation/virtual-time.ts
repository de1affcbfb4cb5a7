import type { Clock } from '../../../server/events/clock.ts';

type Callback = () => void;

const START_MS = Date.parse('2027-05-24T22:00:00Z');

interface VirtualTimer {
	callback: Callback | undefined;
	everyMs: number | undefined;
}

/**
 * Time that goes on only when all work of a moment is done, answers of Redis included: what else the machine does changes nothing.
 * Moments are whole milliseconds. Within one, callbacks run in the order of their scheduling.
 */
export class VirtualTime implements Clock {
	#nowMs = 0;
	readonly #due = new Map<number, Callback[]>();
	/** Moments with something to do: a binary heap, earliest first. */
	readonly #moments: number[] = [];
	#underWay = 0;
	#idle: Callback | undefined;

	nowMs(): number {
		return this.#nowMs;
	}

	/** Of the day. */
	get epochMs(): number {
		return START_MS + this.#nowMs;
	}

	schedule(callback: Callback, delayMs: number): Callback {
		const timer: VirtualTimer = { callback, everyMs: undefined };
		this.at(this.#nowMs + delayMs, () => timer.callback?.());
		return () => void (timer.callback = undefined);
	}

	/** Cannot be taken back, and so costs less. */
	at(atMs: number, callback: Callback): void {
		const momentMs = Math.max(this.#nowMs, Math.ceil(atMs));
		const callbacks = this.#due.get(momentMs);
		if (callbacks) {
			callbacks.push(callback);
		} else {
			this.#due.set(momentMs, [callback]);
			this.#push(momentMs);
		}
	}

	/** Work in real time, such as a command to Redis: virtual time stands still until it is through. */
	async hold<T>(work: Promise<T>): Promise<T> {
		this.#underWay++;
		try {
			return await work;
		} finally {
			if (--this.#underWay === 0) {
				this.#idle?.();
			}
		}
	}

	/** Goes on until that moment, it included. */
	async runTo(endMs: number): Promise<void> {
		for (let momentMs = this.#moments[0]; momentMs !== undefined && momentMs <= endMs; momentMs = this.#moments[0]) {
			this.#pop();
			this.#nowMs = momentMs;
			const callbacks = this.#due.get(momentMs) ?? [];
			// What is scheduled for this very moment comes into the same list.
			for (const callback of callbacks) {
				callback();
			}
			this.#due.delete(momentMs);
			await this.#settle();
		}
		this.#nowMs = endMs;
	}

	/**
	 * Puts this time in place of the process's own timers, `performance.now` and `Date.now`, and a chance that is the same each time in
	 * place of `Math.random`: for code that takes neither clock nor chance from outside.
	 *
	 * @returns puts back what was there
	 */
	install(random: () => number): Callback {
		const realNow = Date.now;
		const realRandom = Math.random;
		const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, setInterval: globalThis.setInterval, clearInterval: globalThis.clearInterval };
		const set = (callback: (...args: unknown[]) => void, delayMs: number | undefined, repeats: boolean, args: unknown[]) => {
			const everyMs = Math.max(repeats ? 1 : 0, delayMs ?? 0);
			const timer: VirtualTimer = { callback: () => callback(...args), everyMs: repeats ? everyMs : undefined };
			this.#arm(timer, everyMs);
			const handle = { ref: () => handle, unref: () => handle, hasRef: () => false, [Symbol.dispose]: () => void (timer.callback = undefined) };
			return handle;
		};
		const clear = (handle: unknown) => (handle as Disposable | undefined)?.[Symbol.dispose]?.();
		// Handles are objects here as in Node; nothing in the code under test asks for more than `unref`.
		Object.assign(globalThis, {
			setTimeout: (callback: Callback, delayMs?: number, ...args: unknown[]) => set(callback, delayMs, false, args),
			setInterval: (callback: Callback, delayMs?: number, ...args: unknown[]) => set(callback, delayMs, true, args),
			clearTimeout: clear,
			clearInterval: clear,
		});
		Object.defineProperty(performance, 'now', { configurable: true, value: () => this.#nowMs });
		Date.now = () => this.epochMs;
		Math.random = random;
		return () => {
			Object.assign(globalThis, real);
			Date.now = realNow;
			Math.random = realRandom;
			Reflect.deleteProperty(performance, 'now');
		};
	}

	#arm(timer: VirtualTimer, delayMs: number): void {
		this.at(this.#nowMs + delayMs, () => {
			if (timer.callback && timer.everyMs !== undefined) {
				this.#arm(timer, timer.everyMs);
			}
			timer.callback?.();
		});
	}

	/** Promises that are settled have run their reactions by the next turn of the event loop. */
	async #settle(): Promise<void> {
		await turn();
		while (this.#underWay > 0) {
			await new Promise<void>((resolve) => (this.#idle = resolve));
			this.#idle = undefined;
			await turn();
		}
	}

	#push(momentMs: number): void {
		const heap = this.#moments;
		let at = heap.push(momentMs) - 1;
		while (at > 0) {
			const above = (at - 1) >> 1;
			if (heap[above]! <= momentMs) break;
			heap[at] = heap[above]!;
			at = above;
		}
		heap[at] = momentMs;
	}

	#pop(): void {
		const heap = this.#moments;
		const last = heap.pop()!;
		if (heap.length === 0) return;
		let at = 0;
		for (let below = 1; below < heap.length; below = 2 * at + 1) {
			if (below + 1 < heap.length && heap[below + 1]! < heap[below]!) below++;
			if (heap[below]! >= last) break;
			heap[at] = heap[below]!;
			at = below;
		}
		heap[at] = last;
	}
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
