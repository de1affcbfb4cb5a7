/** How often each reaction was given. */
export type Tally = Readonly<Record<string, number>>;

/** Which state of a room's echo this is: later homes have higher epochs, later states of one home higher versions. */
export interface EchoVersion {
	epoch: number;
	version: number;
}

/** Reactions on their way to the room's home: told again under the same number until it has them. */
export interface Parcel {
	seq: number;
	counts: Tally;
}

/** What is known here of the reactions in one room: what the home says, and what was given here and has not reached it. */
export class RoomEcho {
	readonly roomId: string;
	/** Of what the home told last; at the home, of what it tells. */
	at: EchoVersion = { epoch: 0, version: 0 };
	/** Since the room was opened, as the home knows them. */
	counts: Tally = {};
	/** At the home: what others were told last, and when. */
	told: Tally = {};
	toldAtMs = -Infinity;
	/** A further telling is due. */
	cancelTelling: (() => void) | undefined;
	/** Settles when the home of now knows what the homes before it knew; undefined: it does. */
	recovering: Promise<void> | undefined;
	#pending: Record<string, number> = {};
	#parcel: Parcel | undefined;
	/** At the home: the last parcel of each sender. */
	readonly #taken = new Map<string, number>();

	constructor(roomId: string) {
		this.roomId = roomId;
	}

	/** Somebody reacted on this node. */
	add(reaction: string, count = 1): void {
		this.#pending[reaction] = (this.#pending[reaction] ?? 0) + count;
	}

	get hasNews(): boolean {
		return this.#parcel !== undefined || Object.keys(this.#pending).length > 0;
	}

	/** What the home is to be told now. @param nextSeq grows over all parcels of this node */
	parcel(nextSeq: () => number): Parcel | undefined {
		if (this.#parcel === undefined && Object.keys(this.#pending).length > 0) {
			this.#parcel = { seq: nextSeq(), counts: this.#pending };
			this.#pending = {};
		}
		return this.#parcel;
	}

	/** The home has it. */
	delivered(seq: number): void {
		if (this.#parcel?.seq === seq) this.#parcel = undefined;
	}

	/** At the home: what a node sends; nothing when it was taken before. */
	receive(sender: string, { seq, counts }: Parcel): void {
		if (seq <= (this.#taken.get(sender) ?? 0)) return;
		this.#taken.set(sender, seq);
		for (const [reaction, count] of Object.entries(counts)) this.add(reaction, count);
	}

	/** At the home: all that has come in counts. @returns whether there was anything */
	absorb(): boolean {
		if (!this.hasNews) return false;
		this.counts = sum(sum(this.counts, this.#parcel?.counts ?? {}), this.#pending);
		this.#parcel = undefined;
		this.#pending = {};
		return true;
	}

	/** Of a node that knows another state of the room. */
	adopt(counts: Tally, at: EchoVersion): void {
		this.counts = counts;
		this.at = at;
	}

	/** The node is not the room's home any more. */
	leaveHome(): void {
		this.#taken.clear();
		this.cancelTelling?.();
		this.cancelTelling = undefined;
		this.recovering = undefined;
	}
}

export const isLater = (a: EchoVersion, b: EchoVersion): boolean => a.epoch > b.epoch || (a.epoch === b.epoch && a.version > b.version);

function sum(a: Tally, b: Tally): Tally {
	const total: Record<string, number> = { ...a };
	for (const [reaction, count] of Object.entries(b)) total[reaction] = (total[reaction] ?? 0) + count;
	return total;
}
