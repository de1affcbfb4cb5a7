/** A place in a room for somebody on the way in. */
export interface Seat {
	/** The listener is counted as joining or is not coming. Idempotent. */
	release(): void;
}

/** Where nobody counts. */
export const FREE_SEAT: Seat = { release: () => undefined };

/** Wanted ahead at least, where somebody has come. */
const EXTRA_MIN = 4;
const EXTRA_MAX = 2_000;
/** A surplus goes back after so many seconds; a small one later, since asking for it again costs as much. */
const LARGE_SURPLUS = 64;
const LARGE_SECONDS = 2;
const SMALL_SECONDS = 10;

/** The seats of one room that this node may fill. */
export class SeatBlock {
	readonly roomId: string;
	readonly #inUse: (roomId: string) => number;
	/** Seats that were taken for listeners who are not counted as joining yet. */
	#onTheWay = 0;
	/** The node may fill so many. */
	holds = 0;
	/** As the home was told last. */
	told = 0;
	/** The newest term of a home that was heard of. */
	epoch = 0;
	/** The room version that is known to have a limit, although this node may not have heard of it yet. */
	limitedSince = 0;
	/** Of the latest word to a home; answers to older ones count no more. */
	seq = 0;
	/** More listeners are there than may be: whose seat comes free is nobody's. */
	over = false;
	/** The room's limit when it was looked at last. */
	limit: number | undefined;
	asking: Promise<void> | undefined;
	waiting = 0;
	/** Until then the home need not be asked again. */
	fullUntilMs = Number.NEGATIVE_INFINITY;
	idleSeconds = 0;
	#takes = 0;
	#takesBefore = 0;
	#surplusSeconds = 0;

	/** @param inUse listeners of the room on this node, and those who are joining */
	constructor(roomId: string, inUse: (roomId: string) => number) {
		this.roomId = roomId;
		this.#inUse = inUse;
	}

	get used(): number {
		return this.#inUse(this.roomId) + this.#onTheWay;
	}
	get free(): number {
		return this.holds - this.used;
	}
	/** How many more than needed now it will soon need. */
	get wanted(): number {
		const lately = this.#takes + this.#takesBefore;
		return lately === 0 ? 0 : Math.min(EXTRA_MAX, Math.max(EXTRA_MIN, lately));
	}

	seat(): Seat {
		this.#onTheWay++;
		this.#takes++;
		this.idleSeconds = 0;
		let taken = true;
		return {
			release: () => {
				this.#onTheWay -= taken ? 1 : 0;
				taken = false;
			},
		};
	}

	/** What it holds for certain: nobody who is there is sent away. */
	settle(): number {
		this.holds = Math.max(this.holds, this.used);
		return this.holds;
	}

	/** Keeps what is taken, and a few more. */
	shrink(keep = 0): void {
		this.holds = this.used + Math.max(0, Math.min(keep, this.free));
		this.#surplusSeconds = 0;
	}

	/** Once a second. */
	tick(): void {
		this.#takesBefore = this.#takes;
		this.#takes = 0;
		this.idleSeconds++;
		this.settle();
		const keep = this.wanted;
		const surplus = this.free - 2 * keep;
		this.#surplusSeconds = surplus > 0 ? this.#surplusSeconds + 1 : 0;
		if (this.#surplusSeconds >= (surplus > LARGE_SURPLUS ? LARGE_SECONDS : SMALL_SECONDS)) {
			this.shrink(keep);
		}
	}
}
