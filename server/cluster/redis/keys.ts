/**
 * Every key and channel of a cluster, made here and nowhere else; scripts get them passed in.
 *
 * A room's keys share the hash tag `{r:<room>}`, so that Redis Cluster keeps them in one slot and one script can change
 * them together. Everything else has a tag of its own, and no script touches two tags. Every key has an expiry, so that
 * an abandoned cluster cleans up after itself.
 */
export class Keys {
	readonly #prefix: string;

	/** @param prefix `redis.keyPrefix` */
	constructor(prefix: string) {
		this.#prefix = prefix;
	}

	/** Hash: `created` (ms), `version`, `record` (JSON), `numbers` (highest given), `bans` (changes so far). */
	room(roomId: string): string {
		return this.#ofRoom(roomId, 'room');
	}
	/** Hash: subject → number. */
	numbers(roomId: string): string {
		return this.#ofRoom(roomId, 'numbers');
	}
	/** Hash: subject → ban (JSON). */
	bans(roomId: string): string {
		return this.#ofRoom(roomId, 'bans');
	}
	/** Hash: `epoch`, `version`, `roster` (JSON). */
	stage(roomId: string): string {
		return this.#ofRoom(roomId, 'stage');
	}
	/** String: when the removed room of this id was made (ms); rooms made no later are dead. */
	tombstone(roomId: string): string {
		return this.#ofRoom(roomId, 'tombstone');
	}
	/** Hash: `node`, `epoch`, `untilMs`. Written by the lease alone; every write to the room looks at it. */
	home(roomId: string): string {
		return this.#ofRoom(roomId, 'home');
	}
	/** What every script of the store gets, in this order: room, numbers, bans, stage, tombstone, home. */
	roomKeys(roomId: string): readonly [string, string, string, string, string, string] {
		return [this.room(roomId), this.numbers(roomId), this.bans(roomId), this.stage(roomId), this.tombstone(roomId), this.home(roomId)];
	}

	/** Sorted set of room ids, all of score 0, so that it is in byte order. */
	get roomIndex(): string {
		return `${this.#prefix}:{rooms}:index`;
	}
	/** Hash: room id → when it was last put into the index (ms). */
	get roomIndexTimes(): string {
		return `${this.#prefix}:{rooms}:times`;
	}
	/** Hash: node id → its report. */
	get nodes(): string {
		return `${this.#prefix}:{nodes}:reports`;
	}
	/** Anything else that belongs to the nodes as a whole, in the slot of `nodes`. */
	ofNodes(name: string): string {
		return `${this.#prefix}:{nodes}:${name}`;
	}
	/** String: a random id made once; another one means that Redis has lost what it had. */
	get generation(): string {
		return `${this.#prefix}:{generation}`;
	}
	/** String: one hand-off ticket that was used. */
	ticket(ticketId: string): string {
		return `${this.#prefix}:{t:${ticketId}}:used`;
	}
	/** String: a small value of one node. */
	value(nodeId: string, key: string): string {
		return `${this.#prefix}:{v:${nodeId}}:${key}`;
	}

	/** Channel of changes to rooms, stages and bans. */
	get changes(): string {
		return `${this.#prefix}:changes`;
	}

	#ofRoom(roomId: string, part: string): string {
		return `${this.#prefix}:{r:${roomId}}:${part}`;
	}
}

/**
 * How long Redis keeps what belongs to a room after its last change: longer than a year, so that an event announced a
 * year ahead is still there on the day, and yet not for ever. A node that still has the room writes it again.
 */
export const ROOM_TTL_MS = 400 * 86_400_000;
