import { trusted } from './boundary.ts';
import type { ProblemError } from './problem.ts';

/** Why a join found no place: no shard has one, too many join at this moment, or the room has its own limit. */
export type FullReason = 'full' | 'paced' | 'room_full';

export interface QueueInfo {
	/** People who came earlier and wait, too. */
	ahead: number;
}

/** What `no_capacity` says besides. */
interface CapacityExtra {
	reason?: FullReason;
	queue?: { ahead?: number; place?: string };
	overflow?: { hls?: string };
}

/** Whether it is a matter of waiting for a place, rather than something that is broken. */
export const isFull = ({ code }: ProblemError): boolean => code === 'no_capacity' || code === 'rate_limited';

export const fullReasonOf = (problem: ProblemError): FullReason | undefined => trusted<CapacityExtra>(problem.extra).reason;

/**
 * The overflow stream that a refusal names.
 * @param baseUrl of the server that refused
 */
export const overflowUrlOf = (problem: ProblemError, baseUrl: string): string | undefined => {
	const path = trusted<CapacityExtra>(problem.extra).overflow?.hls;
	return typeof path === 'string' && URL.canParse(path, baseUrl) ? new URL(path, baseUrl).href : undefined;
};

/**
 * One page's place among those who wait. The stamp that the server gave goes back with every further try, so that
 * waiting counts; it is kept in the tab, so that a reload does not lose it.
 */
export class PlaceInQueue {
	readonly #key: string;
	#stamp: string | undefined;
	#info: QueueInfo | null = null;

	constructor(room: string) {
		this.#key = `rostrum.place.${room}`;
		this.#stamp = this.#storage((storage) => storage.getItem(this.#key)) ?? undefined;
	}

	/** To send back. */
	get stamp(): string | undefined {
		return this.#stamp;
	}

	/** Null when nobody has told, or nobody waits. */
	get info(): QueueInfo | null {
		return this.#info;
	}

	refused(problem: ProblemError): void {
		const queue = trusted<CapacityExtra>(problem.extra).queue;
		if (isFull(problem)) {
			this.#info = typeof queue?.ahead === 'number' ? { ahead: queue.ahead } : null;
		}
		if (typeof queue?.place === 'string' && queue.place !== this.#stamp) {
			const stamp = queue.place;
			this.#stamp = stamp;
			this.#storage((storage) => storage.setItem(this.#key, stamp));
		}
	}

	/** Whoever has a place waits for none; should it be lost, one starts anew. */
	seated(): void {
		this.#info = null;
		if (this.#stamp !== undefined) {
			this.#stamp = undefined;
			this.#storage((storage) => storage.removeItem(this.#key));
		}
	}

	#storage<T>(use: (storage: Storage) => T): T | undefined {
		try {
			return use(trusted<{ sessionStorage: Storage }>(globalThis).sessionStorage);
		} catch {
			// Storage is forbidden, or not there: the place lasts as long as the page.
			return undefined;
		}
	}
}
