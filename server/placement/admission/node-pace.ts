import type { Clock } from '../../events/clock.ts';
import type { JoinShards } from './join-shards.ts';
import { ShardPace } from './shard-pace.ts';

export interface NodePaceOptions {
	shards: Pick<JoinShards, 'forEachOpen'>;
	/** Joins under way on one shard, at most. */
	maxUnderWayPerShard: number;
	clock: Clock;
}

/** The paces of a node's listener shards, and what they come to together. */
export class NodePace {
	readonly #options: NodePaceOptions;
	readonly #paces = new Map<number, ShardPace>();

	constructor(options: NodePaceOptions) {
		this.#options = options;
	}

	/** By shard; of those that have been used. */
	get all(): ReadonlyMap<number, ShardPace> {
		return this.#paces;
	}

	of(shard: number): ShardPace {
		let pace = this.#paces.get(shard);
		if (!pace) {
			const { maxUnderWayPerShard, clock } = this.#options;
			pace = new ShardPace({ maxUnderWay: maxUnderWayPerShard, nowMs: () => clock.nowMs() });
			this.#paces.set(shard, pace);
		}
		return pace;
	}

	/** Whether some shard takes one more at once. */
	get hasRoom(): boolean {
		let has = false;
		this.#options.shards.forEachOpen((shard, places) => {
			has ||= places > 0 && this.of(shard).hasRoom;
		});
		return has;
	}

	/** Places left on all shards, and joins a second that those with places hold as things stand. */
	get capacity(): { places: number; perSecond: number } {
		let places = 0;
		let perSecond = 0;
		this.#options.shards.forEachOpen((shard, left) => {
			if (left > 0) {
				places += left;
				perSecond += this.of(shard).perSecond;
			}
		});
		return { places, perSecond };
	}

	/** When some shard takes one more by the passing of time alone; Infinity while all wait for joins to end. */
	get nextAtMs(): number {
		let atMs = Infinity;
		this.#options.shards.forEachOpen((shard, places) => {
			if (places > 0) {
				atMs = Math.min(atMs, this.of(shard).nextAtMs ?? Infinity);
			}
		});
		return atMs;
	}
}
