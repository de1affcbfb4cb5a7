export interface AgendaOptions {
	/** Milliseconds since the epoch: what people mean by a time of day. */
	now: () => number;
	/** Runs a task later; the function that is given back cancels it. */
	schedule: (ms: number, task: () => void) => () => void;
	/** Called once for each entry whose time has come, in order of time; it is off the agenda by then. */
	onDue: (key: string) => void;
}

interface Entry {
	readonly atMs: number;
	readonly key: string;
}

/**
 * No timer is longer. Somebody may set the clock meanwhile, a machine may sleep, and timers of more than
 * 2^31 - 1 ms (25 days) fire at once.
 */
const LONGEST_SLEEP_MS = 60_000;

/** Keys and the wall-clock times at which they are due: many of them share one timer. */
export class Agenda {
	readonly #options: AgendaOptions;
	readonly #times = new Map<string, number>();
	/** In order of time, then key. */
	readonly #entries: Entry[] = [];
	#cancel: (() => void) | undefined;
	/** When the timer fires; undefined without one. */
	#wakesAtMs: number | undefined;
	#closed = false;

	constructor(options: AgendaOptions) {
		this.#options = options;
	}

	get size(): number {
		return this.#entries.length;
	}

	/** When the key is due; undefined when it is not on the agenda. */
	timeOf(key: string): number | undefined {
		return this.#times.get(key);
	}

	/** Puts the key on the agenda, or moves it. A time that has passed is due at once, yet never within this call. */
	set(key: string, atMs: number): void {
		const known = this.#times.get(key);
		if (this.#closed || known === atMs) {
			return;
		}
		if (known !== undefined) {
			this.#take(key, known);
		}
		this.#times.set(key, atMs);
		this.#entries.splice(this.#placeOf({ key, atMs }), 0, { key, atMs });
		this.#setTimer();
	}

	delete(key: string): void {
		const known = this.#times.get(key);
		if (known !== undefined) {
			this.#take(key, known);
			this.#setTimer();
		}
	}

	close(): void {
		this.#closed = true;
		this.#times.clear();
		this.#entries.length = 0;
		this.#setTimer();
	}

	#take(key: string, atMs: number): void {
		this.#times.delete(key);
		this.#entries.splice(this.#placeOf({ key, atMs }), 1);
	}

	#setTimer(): void {
		const first = this.#entries[0];
		// An earlier wake-up than needed does no harm, and most changes do not concern the first.
		if (first !== undefined && this.#wakesAtMs !== undefined && this.#wakesAtMs <= first.atMs) {
			return;
		}
		this.#cancel?.();
		this.#cancel = undefined;
		this.#wakesAtMs = undefined;
		if (first === undefined) {
			return;
		}
		const nowMs = this.#options.now();
		const sleepMs = Math.min(Math.max(0, first.atMs - nowMs), LONGEST_SLEEP_MS);
		this.#wakesAtMs = nowMs + sleepMs;
		this.#cancel = this.#options.schedule(sleepMs, () => this.#wake());
	}

	#wake(): void {
		this.#cancel = undefined;
		this.#wakesAtMs = undefined;
		const nowMs = this.#options.now();
		// Those alone that are due now: one that is put back while it is dealt with waits for the next timer.
		const due = this.#entries.splice(0, this.#placeOf({ atMs: nowMs, key: '\u{10ffff}' }));
		for (const { key } of due) {
			this.#times.delete(key);
		}
		for (const { key } of due) {
			this.#options.onDue(key);
		}
		this.#setTimer();
	}

	/** Index of the entry, or where it belongs. */
	#placeOf(entry: Entry): number {
		let low = 0;
		let high = this.#entries.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (isBefore(this.#entries[middle]!, entry)) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		return low;
	}
}

const isBefore = (a: Entry, b: Entry): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.key < b.key);
