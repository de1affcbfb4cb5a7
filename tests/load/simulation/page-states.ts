/** What a page is about. 0: it is not there yet. */
export const ASKING = 1;
export const CONNECTING = 2;
export const HEARING = 3;
export const WAITING = 4;
/** No node, no shard, no time. */
export const NONE = -1;

/** What is known of each listener's page: one entry in each of some arrays. */
export class PageStates {
	readonly state: Uint8Array;
	readonly rttMs: Uint8Array;
	readonly failures: Uint8Array;
	readonly refusals: Uint8Array;
	readonly quickTries: Uint8Array;
	readonly serversFailed: Uint8Array;
	/** Grows with each attempt: what belongs to an earlier one finds nobody. */
	readonly attempt: Uint16Array;
	readonly knowsOthers: Uint8Array;
	/** Whose page's address it is. */
	readonly server: Int16Array;
	/** Where the request is going, and the node that gave the ticket. */
	readonly asks: Int16Array;
	readonly sentBy: Int16Array;
	readonly seatNode: Int16Array;
	readonly seatShard: Int16Array;
	readonly seatRun: Uint8Array;
	/** When what it waits for now is given up. */
	readonly deadlineMs: Int32Array;
	/** When it first asked, as the place that a refusal gave it says; in virtual ms, as all times here. */
	readonly placeMs: Int32Array;

	constructor(size: number) {
		const uint8 = () => new Uint8Array(size);
		const int16 = () => new Int16Array(size).fill(NONE);
		const int32 = () => new Int32Array(size).fill(NONE);
		this.state = uint8();
		this.rttMs = uint8();
		this.failures = uint8();
		this.refusals = uint8();
		this.quickTries = uint8();
		this.serversFailed = uint8();
		this.attempt = new Uint16Array(size);
		this.knowsOthers = uint8();
		this.server = int16();
		this.asks = int16();
		this.sentBy = int16();
		this.seatNode = int16();
		this.seatShard = int16();
		this.seatRun = uint8();
		this.deadlineMs = int32();
		this.placeMs = int32();
	}
}
