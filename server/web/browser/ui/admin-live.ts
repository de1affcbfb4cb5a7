import { effect, type ReadonlySignal, signal } from '@preact/signals';
import { asProblem } from '../sdk/problem.ts';

export interface LiveOptions<T> {
	load: () => Promise<T>;
	/** From the end of one answer to the next question. */
	everyMs: number;
	/** Whether anybody can see the page: nothing is asked while not. */
	visible: ReadonlySignal<boolean>;
	/** Told of every failure but a missing route. */
	onFailure?: (error: unknown) => void;
	/** Calls once after a time; gives what calls it off. */
	after: (ms: number, call: () => void) => () => void;
}

/** A server in trouble is not asked more often for it. */
const SLOWEST_FAILING_MS = 30_000;
/** A route that an older server does not have may come with an upgrade. */
const MISSING_MS = 60_000;

/**
 * Something on the server that is looked at again and again, while somebody watches and the page can be seen: one
 * question at a time, the next a while after the last answer.
 */
export class Live<T> {
	readonly value = signal<T | undefined>(undefined);
	/** `missing`: this server has no such route. */
	readonly state = signal<'loading' | 'ready' | 'missing'>('loading');
	/** Of the last attempt; null when it went well. What was there before stays. */
	readonly failure = signal<unknown>(null);
	readonly #options: LiveOptions<T>;
	#watchers = 0;
	#failures = 0;
	#asking: Promise<void> | undefined;
	#again = false;
	#stopWaiting: (() => void) | undefined;
	#stopWatching: (() => void) | undefined;

	constructor(options: LiveOptions<T>) {
		this.#options = options;
	}

	/** Keeps it fresh until the function that is given back is called. */
	watch(): () => void {
		this.#watchers++;
		if (this.#watchers === 1) {
			this.#stopWatching = effect(() => {
				if (this.#options.visible.value) {
					void this.refresh();
				} else {
					this.#pause();
				}
			});
		}
		let watching = true;
		return () => {
			if (watching && --this.#watchers === 0) {
				this.#stopWatching?.();
				this.#pause();
			}
			watching = false;
		};
	}

	/** Asks now. Asked while an answer is under way, it asks once more after that, for it may be older than the asking. */
	refresh(): Promise<void> {
		if (this.#asking !== undefined) {
			this.#again = true;
			return this.#asking;
		}
		this.#pause();
		this.#asking = this.#ask().finally(() => {
			this.#asking = undefined;
			this.#wait();
		});
		return this.#asking;
	}

	async #ask(): Promise<void> {
		do {
			this.#again = false;
			try {
				this.value.value = await this.#options.load();
				this.state.value = 'ready';
				this.failure.value = null;
				this.#failures = 0;
			} catch (error) {
				this.#failures++;
				if (isMissing(error)) {
					this.state.value = 'missing';
					this.failure.value = null;
				} else {
					this.failure.value = error;
					this.#options.onFailure?.(error);
				}
			}
		} while (this.#again);
	}

	#wait(): void {
		if (this.#watchers > 0 && this.#options.visible.peek()) {
			const { everyMs, after } = this.#options;
			const slower = Math.max(everyMs, Math.min(everyMs * 2 ** this.#failures, SLOWEST_FAILING_MS));
			this.#stopWaiting = after(this.state.peek() === 'missing' ? MISSING_MS : slower, () => void this.refresh());
		}
	}

	#pause(): void {
		this.#stopWaiting?.();
		this.#stopWaiting = undefined;
	}
}

/** No such path, or not for this method: another thing than a room or a key that is not there. */
const isMissing = (error: unknown): boolean => {
	const { status, code } = asProblem(error);
	return status === 405 || (status === 404 && (code === 'not_found' || code === 'http_404'));
};
