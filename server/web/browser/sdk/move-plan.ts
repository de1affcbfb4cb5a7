/** Shard → which part (0 to 1) of its sessions is to be elsewhere by now. */
export type MovePortions = Readonly<Record<string, number>>;

export interface SessionPlace {
	/** As the server names it in `move`: `<node>.<shard>`, and `<shard>` alone where there is one node only. */
	shard: string;
	/** 0 (inclusive) to 1 (exclusive), evenly spread over sessions and the same for server and page. */
	hash: number;
}

/** Moving took the session to a shard that is still to be emptied: there is nowhere better at present. */
const AGAIN_MS = 5_000;
/** All who are asked are asked at the same moment. */
const SPREAD_MS = 500;

/** Out of the session's address, which ends in `<node>.<shard>-<32 hex digits>`; undefined for any other. */
export const placeOf = (sessionUrl: string | null): SessionPlace | undefined => {
	const [, shard, digits] = /\/([^/]{1,64})-([0-9a-f]{8})[0-9a-f]{24}$/.exec(sessionUrl ?? '') ?? [];
	return shard === undefined || digits === undefined ? undefined : { shard, hash: Number.parseInt(digits, 16) / 2 ** 32 };
};

/** Whether, and when, a session is to move. Pure: time and places come in. */
export class MovePlan {
	readonly #random: () => number;
	#portions: MovePortions = {};
	#begunAtMs = Number.NEGATIVE_INFINITY;

	constructor(random: () => number) {
		this.#random = random;
	}

	told(portions: MovePortions): void {
		this.#portions = portions;
	}

	wants(place: SessionPlace | undefined): boolean {
		return place !== undefined && Object.hasOwn(this.#portions, place.shard) && place.hash < (this.#portions[place.shard] ?? 0);
	}

	/** How long to wait before moving. @param retryAfterMs what the server asked for when it could not take the session */
	delayMs(nowMs: number, retryAfterMs = 0): number {
		return Math.max(0, this.#begunAtMs + Math.max(AGAIN_MS, retryAfterMs) - nowMs) + this.#random() * SPREAD_MS;
	}

	begun(nowMs: number): void {
		this.#begunAtMs = nowMs;
	}
}
