/** A change to what is shared. */
export interface SharedKeyChange {
	kid: string;
	sealed: string;
	/** Over what is there. Otherwise only where nothing is: a key must not come over the word that it was retired. */
	replace: boolean;
}

/** Where the nodes of a cluster put their sealed keys. `RedisSharedKeyStore` implements it. */
export interface SharedKeyStore {
	/** Key id → sealed. Rejects with DomainError `store_unavailable`. */
	load(): Promise<ReadonlyMap<string, string>>;
	put(changes: readonly SharedKeyChange[]): Promise<void>;
	/** Calls back when somebody put something. Messages may be lost: whoever listens looks now and then all the same. */
	onChange(changed: () => void): () => void;
}
