import type { SharedKeyChange, SharedKeyStore } from '../../../server/cluster/shared-keys/shared-key-store.ts';
import { DomainError } from '../../../server/errors.ts';

/** The twin of the hash in Redis. */
export class MemorySharedKeyStore implements SharedKeyStore {
	readonly entries = new Map<string, string>();
	/** Every call is refused. */
	away = false;
	/** Changes are told to nobody. */
	silent = false;
	readonly #listeners = new Set<() => void>();
	#loaded = Promise.withResolvers<void>();

	/** Resolves when somebody reads. */
	nextLoad(): Promise<void> {
		this.#loaded = Promise.withResolvers<void>();
		return this.#loaded.promise;
	}

	async load(): Promise<ReadonlyMap<string, string>> {
		this.#requireThere();
		this.#loaded.resolve();
		return new Map(this.entries);
	}

	async put(changes: readonly SharedKeyChange[]): Promise<void> {
		this.#requireThere();
		let changed = false;
		for (const { kid, sealed, replace } of changes) {
			if (!replace && this.entries.has(kid)) continue;
			this.entries.set(kid, sealed);
			changed = true;
		}
		if (changed && !this.silent) for (const listener of this.#listeners) listener();
	}

	onChange(changed: () => void): () => void {
		this.#listeners.add(changed);
		return () => this.#listeners.delete(changed);
	}

	#requireThere(): void {
		if (this.away) throw new DomainError('store_unavailable', 'away');
	}
}
