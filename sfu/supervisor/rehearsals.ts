import type { Logger } from 'pino';
import { SfuError } from '../contract/sfu-error.ts';
import type { Shard } from './shard.ts';

/** Asked for at a time: short enough to end soon when a shard is needed for something else. */
export const PORTION_JOINS = 100;

/** Lets shards rehearse joins, one shard after the other, as long as nobody real needs them: see `sfu/calibration/rehearsal.ts`. */
export class Rehearsals {
	readonly #joins: number;
	readonly #log: Logger;
	readonly #known = new WeakSet<Shard>();
	#queue: Promise<void> = Promise.resolve();
	#closed = false;

	/** @param joins of each shard; 0 for none */
	constructor(joins: number, log: Logger) {
		this.#joins = joins;
		this.#log = log;
	}

	/** Once for each shard, in the order they are named in. */
	add(shard: Shard): void {
		if (this.#joins > 0 && !this.#known.has(shard)) {
			this.#known.add(shard);
			this.#queue = this.#queue.then(() => this.#rehearse(shard));
		}
	}

	/** Resolves when all shards named so far have done it, or gave it up. */
	settled(): Promise<void> {
		return this.#queue;
	}

	close(): void {
		this.#closed = true;
	}

	async #rehearse(shard: Shard): Promise<void> {
		const startedAt = performance.now();
		let done = 0;
		let yielded = false;
		try {
			while (done < this.#joins && !yielded) {
				if (this.#closed || shard.isGone || shard.assignment?.role === 'stage') {
					return;
				}
				const portion = await shard.request('shard.rehearse', { joins: Math.min(PORTION_JOINS, this.#joins - done) });
				done += portion.joins;
				yielded = portion.yielded;
			}
			this.#log.info({ shardProcess: shard.pid, shard: shard.assignment?.index, joins: done, yielded, tookMs: Math.round(performance.now() - startedAt) }, 'shard rehearsed joins');
		} catch (error) {
			// One that died is told of elsewhere, and may be unreachable before its end is known.
			if (!this.#closed && !(error instanceof SfuError && error.code === 'shard_gone')) {
				this.#log.warn({ shardProcess: shard.pid, err: error }, 'a shard could not rehearse; its first joins will be slow');
			}
		}
	}
}
