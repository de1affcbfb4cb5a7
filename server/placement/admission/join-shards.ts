/** A place on a shard for a listener on the way there. */
export interface Reservation {
	/** The shard's own counts with the new one, fresher than its reports. */
	seated(listeners: number, roomListeners: number): void;
	/** The join is through, whatever came of it. */
	done(): void;
}

/** A node's listener shards, as the queue needs them. */
export interface JoinShards {
	/** The best shard for the room's next listener, of those that may take one and that `mayTake` lets through. */
	place(roomId: string, mayTake: (shard: number) => boolean): number | undefined;
	/** Counts a listener in before the shard is asked. */
	reserve(shard: number, roomId: string): Reservation;
	/** Each shard that takes people, with the places it has left (joins under way taken off). */
	forEachOpen(each: (shard: number, places: number) => void): void;
}
