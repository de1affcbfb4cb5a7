/**
 * Runs tasks of one key one after the other, in the order they came, and tasks of different keys beside
 * each other. A task may add tasks of its own key but must not wait for them.
 */
export class KeyedQueue {
	readonly #tails = new Map<string, Promise<void>>();

	/** Settles as the task does; a task that fails does not hold up the next. */
	run<T>(key: string, task: () => Promise<T>): Promise<T> {
		const result = (this.#tails.get(key) ?? Promise.resolve()).then(task);
		const tail = result.then(ignore, ignore).then(() => {
			if (this.#tails.get(key) === tail) this.#tails.delete(key);
		});
		this.#tails.set(key, tail);
		return result;
	}

	/** Resolves once nothing is running or waiting. */
	async idle(): Promise<void> {
		while (this.#tails.size > 0) await Promise.all(this.#tails.values());
	}
}

function ignore(): void {}
