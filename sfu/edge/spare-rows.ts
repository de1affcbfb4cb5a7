import type { Logger } from 'pino';
import { CrowdWatch } from './crowd-watch.ts';
import { type EdgeKind, edgeKindKey } from './edge-kind.ts';
import type { EdgeRouter } from './edge-router.ts';
import type { ListenerTransport } from './listener-transport.ts';
import type { SpareRow } from './spare-row.ts';

/** The processor is the crowd's until it has been gone for so long. */
const CALM_MS = 5_000;
/** What a crowd has left of a row goes after this long: it costs a little with every packet (see `SpareRow`). */
const LEFT_OVER_MS = 30_000;
/** Made or closed at once: a few milliseconds in which the worker sends nothing. Ten times a second. */
const AT_ONCE = 8;
/** After a failure, which the worker's death mostly is. */
const PAUSE_MS = 10_000;

export interface SpareRowsOptions {
	/** An edge router that is not for anybody else. */
	open: (kind: EdgeKind) => Promise<EdgeRouter>;
	/** The kind of client to expect. */
	kindToExpect: () => EdgeKind;
	makeRow: (router: EdgeRouter) => SpareRow;
	log: Logger;
}

/** What each of so many rooms on a shard may have ready, of what the shard may: no more than it has places for. */
export const spareShare = (spare: number, rooms: number): number => (rooms === 0 ? 0 : Math.floor(Math.max(0, spare) / rooms));

/** A place on a row, for one listener. */
export interface SparePlace {
	readonly router: EdgeRouter;
	readonly spare: ListenerTransport;
}

/**
 * Keeps a row of transports ready for a crowd, one row at a time: filled little by little in calm times, given out when many
 * come at once, and done with when the crowd is in. People who come one by one get transports of their own, for a
 * row that has been begun does not keep.
 */
export class SpareRows {
	readonly #options: SpareRowsOptions;
	readonly #crowd = new CrowdWatch();
	#row: SpareRow | undefined;
	#begun = false;
	#tooMany = false;
	#filling = false;
	#pausedUntilMs = Number.NEGATIVE_INFINITY;
	#closed = false;

	constructor(options: SpareRowsOptions) {
		this.#options = options;
	}

	/** Transports that wait. */
	get size(): number {
		return this.#row?.size ?? 0;
	}

	/** A listener of all voices comes. @returns a place for it if there is one, and it is the time for it */
	take(kind: EdgeKind): SparePlace | undefined {
		const inCrowd = this.#crowd.joined();
		const row = this.#row;
		if (!row || (!inCrowd && !this.#begun) || edgeKindKey(row.router.kind) !== edgeKindKey(kind)) {
			return undefined;
		}
		const spare = row.take();
		this.#begun ||= spare !== undefined;
		return spare && { router: row.router, spare };
	}

	/** Whether this router waits for a crowd. */
	holds(router: EdgeRouter): boolean {
		return this.#row?.router === router;
	}

	/**
	 * To be called every 0.1 s; what it begins goes on by itself.
	 * @param target as many as should be ready
	 * @param busy the processor is needed for those who listen already: none are made now
	 */
	tick(target: number, nowMs: number, busy = false): void {
		this.#crowd.tick(nowMs);
		const calmMs = this.#crowd.calmMs(nowMs);
		if (this.#closed || this.#filling || calmMs < CALM_MS || nowMs < this.#pausedUntilMs) {
			return;
		}
		const row = this.#row;
		if (row && this.#shrink(row, target, calmMs)) {
			return;
		}
		const missing = busy ? 0 : target - this.size;
		if (missing > 0) {
			this.#filling = true;
			this.#fill(Math.min(missing, AT_ONCE))
				.catch((error: unknown) => {
					this.#pausedUntilMs = nowMs + PAUSE_MS;
					if (this.size === 0) {
						this.#row = undefined; // Its router may be the reason: the next attempt has another one.
					}
					if (!this.#closed) {
						this.#options.log.warn({ err: error }, 'no transports could be made ahead; joins are slower without them');
					}
				})
				.finally(() => (this.#filling = false));
		}
	}

	/** To be called before all routers are closed, which takes the transports along. */
	close(): void {
		this.#closed = true;
		this.#row?.close();
		this.#row = undefined;
	}

	/** @returns whether there was, or is, something to be closed, so that nothing is to be made */
	#shrink(row: SpareRow, target: number, calmMs: number): boolean {
		const isOver = target === 0 || (this.#begun && (row.size === 0 || calmMs > LEFT_OVER_MS));
		// Twice as many before any is closed: a few who leave and come back change nothing.
		this.#tooMany = isOver || (!this.#begun && row.size > (this.#tooMany ? target : 2 * target));
		if (this.#tooMany && row.size > 0) {
			row.shrink(Math.max(isOver ? 0 : target, row.size - AT_ONCE));
		} else if (isOver) {
			// Its router goes on with those who took a place, and goes when they have.
			row.close();
			this.#row = undefined;
			this.#begun = false;
		}
		return this.#tooMany || this.#begun;
	}

	async #fill(count: number): Promise<void> {
		if (!this.#row) {
			const { open, kindToExpect, makeRow } = this.#options;
			const router = await open(kindToExpect());
			if (this.#closed) {
				return; // The router has gone with all others.
			}
			this.#row = makeRow(router);
		}
		await this.#row.add(count);
	}
}
