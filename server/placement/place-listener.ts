import { PREWARM_FILL } from './prewarm-plan.ts';
import { type ShardEffort, shardPressure } from './shard-pressure.ts';

/** A shard as placement sees it. */
export interface ListenerShardLoad extends ShardEffort {
	index: number;
	alive: boolean;
	draining: boolean;
	/** Listeners it has, and joins under way to it. */
	listeners: number;
	joining: number;
	maxListeners: number;
	/** Whether the room has an edge there already: another one costs a link and about 30 ms of processor time a second. */
	carriesRoom?: boolean;
	/** Whether that edge was made ahead, for an audience that is expected. */
	isWarm?: boolean;
}

/** Why a shard was not chosen; logged, so that an operator can see what placement saw. */
export type PassedOver = 'dead' | 'draining' | 'full' | 'busier';

export interface Placement {
	/** Undefined when no shard can take anybody. */
	readonly shard: number | undefined;
	/** Worked out when it is read: for the log. */
	readonly passedOver: { shard: number; why: PassedOver }[];
}

/** Shards whose loads differ by less than this part of the lesser count as equal where one of them carries the room. */
const CARRIED_TOLERANCE = 0.04;

/**
 * Chooses the shard for the next listener: the least loaded of those that may take one (see `shardLoad`), and among
 * nearly equal ones one that carries the room already. Of shards that were made ready for the room, the least loaded comes
 * first as long as it has no more than what was planned for it beyond the others. A pure function of what it is given.
 */
export function placeListener(shards: readonly ListenerShardLoad[]): Placement {
	let best: ListenerShardLoad | undefined;
	let bestLoad = Infinity;
	let carrying: ListenerShardLoad | undefined;
	let carryingLoad = Infinity;
	let warm: ListenerShardLoad | undefined;
	let warmLoad = Infinity;
	for (const shard of shards) {
		if (obstacleTo(shard)) {
			continue;
		}
		const load = shardLoad(shard);
		if (load < bestLoad) {
			best = shard;
			bestLoad = load;
		}
		if (shard.carriesRoom && load < carryingLoad) {
			carrying = shard;
			carryingLoad = load;
		}
		if (shard.isWarm && load < warmLoad) {
			warm = shard;
			warmLoad = load;
		}
	}
	const nearest = carryingLoad <= bestLoad * (1 + CARRIED_TOLERANCE) ? carrying : best;
	return new ChosenShard((warmLoad <= bestLoad + PREWARM_FILL ? warm : nearest)?.index, shards);
}

/** 0 for an empty shard, 1 for a full one; more where it works harder than its listeners explain. */
export function shardLoad(shard: ListenerShardLoad): number {
	return (shard.listeners + shard.joining) / shard.maxListeners + shardPressure(shard);
}

/** Why a shard can take nobody. */
export function obstacleTo({ alive, draining, listeners, joining, maxListeners }: ListenerShardLoad): Exclude<PassedOver, 'busier'> | undefined {
	if (!alive) {
		return 'dead';
	}
	if (draining) {
		return 'draining';
	}
	return listeners + joining >= maxListeners ? 'full' : undefined;
}

class ChosenShard implements Placement {
	readonly shard: number | undefined;
	readonly #shards: readonly ListenerShardLoad[];

	constructor(shard: number | undefined, shards: readonly ListenerShardLoad[]) {
		this.shard = shard;
		this.#shards = shards;
	}

	get passedOver(): Placement['passedOver'] {
		return this.#shards.filter(({ index }) => index !== this.shard).map((shard) => ({ shard: shard.index, why: obstacleTo(shard) ?? 'busier' }));
	}
}
