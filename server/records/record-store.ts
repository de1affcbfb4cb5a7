/** A record as it is kept: what it says is sealed or plain text, as its store is. */
export interface StoredRecord {
	readonly id: string;
	/** Grows with each change. */
	readonly version: number;
	/** After this it may be forgotten; milliseconds since the epoch. */
	readonly untilMs: number;
	readonly text: string;
}

/** Where records of one kind are kept. A promise that has resolved means that they are on disk, or acknowledged by Redis. */
export interface RecordStore {
	/** All that have not expired. `undefined`: nothing has changed since this store last answered. */
	load(): Promise<readonly StoredRecord[] | undefined>;
	/** Each unless one of a higher version is there already. Rejects with `store_unavailable` or a StoreError. */
	put(records: readonly StoredRecord[]): Promise<void>;
	/** Calls back when somebody else may have changed something. Messages may be lost: whoever listens looks now and then all the same. */
	onChange(changed: () => void): () => void;
}
