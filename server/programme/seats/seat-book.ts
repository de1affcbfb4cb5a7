interface Holder {
	incarnation: string;
	/** Of the latest word of the node's: what comes later and is older counts no more. */
	seq: number;
	/** Seats it may fill, those that are taken included. */
	holds: number;
	/** Requests of it that are being answered. */
	asking: number;
}

/**
 * Who holds how many of a room's seats, as the room's home writes it down for one term of its. What a node says of itself is
 * the truth, in the order in which it said it; nothing is granted until every living node has been asked. Pure.
 */
export class SeatBook {
	readonly roomId: string;
	readonly epoch: number;
	readonly #holders = new Map<string, Holder>();
	/** Nodes that may hold seats without it being known here. */
	readonly #unknown: Set<string>;
	#granted = 0;

	constructor(roomId: string, epoch: number, unknown: Iterable<string>) {
		this.roomId = roomId;
		this.epoch = epoch;
		this.#unknown = new Set(unknown);
	}

	get unknown(): readonly string[] {
		return [...this.#unknown];
	}
	get isComplete(): boolean {
		return this.#unknown.size === 0;
	}
	/** Seats that nodes hold, together. */
	get granted(): number {
		return this.#granted;
	}

	holds(nodeId: string): number {
		return this.#holders.get(nodeId)?.holds ?? 0;
	}

	isLatest(nodeId: string, incarnation: string, seq: number): boolean {
		const holder = this.#holders.get(nodeId);
		return holder?.incarnation === incarnation && holder.seq === seq;
	}

	/** Nodes with seats that might have some to give back, but for those that want more themselves. */
	others(nodeId: string): string[] {
		return [...this.#holders].flatMap(([each, { holds, asking }]) => (each !== nodeId && holds > 0 && asking === 0 ? [each] : []));
	}

	/** @returns whether that is news: not if the node has said something since */
	heard(nodeId: string, incarnation: string, seq: number, holds: number): boolean {
		let holder = this.#holders.get(nodeId);
		if (holder?.incarnation === incarnation && seq <= holder.seq) {
			return false;
		}
		if (!holder) {
			holder = { incarnation, seq, holds: 0, asking: 0 };
			this.#holders.set(nodeId, holder);
		}
		holder.incarnation = incarnation;
		holder.seq = seq;
		this.#set(holder, holds);
		return true;
	}

	/** As `heard`, by a node that was asked: only that tells that nothing older is on its way. */
	answered(nodeId: string, incarnation: string, seq: number, holds: number): void {
		this.heard(nodeId, incarnation, seq, holds);
		this.#unknown.delete(nodeId);
	}

	/** It is there (again), and is to be asked before more is granted. */
	nodeUp(nodeId: string): void {
		this.#unknown.add(nodeId);
	}

	/** Its seats are free. */
	nodeDown(nodeId: string): void {
		this.#unknown.delete(nodeId);
		const holder = this.#holders.get(nodeId);
		if (holder) {
			this.#set(holder, 0);
		}
	}

	/**
	 * Seats for those who wait, as far as there are any, and some ahead: of what is left then, a part that gets
	 * smaller with it, so that the last seats do not lie with a node that has nobody for them.
	 * @returns how many the node holds now
	 */
	grant(nodeId: string, { waiting, extra, seats }: { waiting: number; extra: number; seats: number }): number {
		const holder = this.#holders.get(nodeId);
		if (!holder || !this.isComplete) {
			return holder?.holds ?? 0;
		}
		const free = Math.max(0, seats - this.#granted);
		const needed = Math.min(waiting, free);
		const ahead = Math.min(extra, Math.floor((free - needed) / (2 * this.#holders.size)));
		this.#set(holder, holder.holds + needed + ahead);
		return holder.holds;
	}

	/** The node's request is being answered until the function given back is called. */
	asks(nodeId: string): () => void {
		const holder = this.#holders.get(nodeId);
		if (!holder) {
			return () => undefined;
		}
		holder.asking++;
		return () => void holder.asking--;
	}

	#set(holder: Holder, holds: number): void {
		this.#granted += holds - holder.holds;
		holder.holds = holds;
	}
}
