import { trusted } from './boundary.ts';

/** A small typed event source; `on` gives back the function that takes the listener off again. */
export class Emitter<Events extends object> {
	readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

	on<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): () => void {
		const set = this.#listeners.get(type) ?? new Set();
		this.#listeners.set(type, set);
		set.add(listener);
		return () => set.delete(listener);
	}

	/** A listener that throws is reported and never stops the others, nor the session that speaks. */
	protected emit<K extends keyof Events>(type: K, event: Events[K]): void {
		for (const listener of this.#listeners.get(type) ?? []) {
			try {
				trusted<(event: Events[K]) => void>(listener)(event);
			} catch (error) {
				trusted<{ reportError?: (error: unknown) => void }>(globalThis).reportError?.(error);
			}
		}
	}
}
