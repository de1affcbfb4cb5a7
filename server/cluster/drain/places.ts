import type { NodeReport, ShardReport } from '../node-report.ts';

export interface Places {
	/** Listeners that could still be taken. */
	free: number;
	/** Shards that take any. */
	shards: number;
}

/** Places for listeners on living shards that do not drain: on other nodes, and on own shards other than those named. */
export function placesElsewhere(others: readonly NodeReport[], ownShards: readonly ShardReport[], leaving: ReadonlySet<number>): Places {
	const open = others.flatMap(({ draining, shards }) => (draining ? [] : shards));
	const places = { free: 0, shards: 0 };
	for (const shard of [...open, ...ownShards.filter(({ index }) => !leaving.has(index))]) {
		if (shard.role === 'listener' && shard.alive && !shard.draining) {
			places.free += Math.max(0, shard.maxListeners - shard.listeners - shard.joining);
			places.shards++;
		}
	}
	return places;
}
