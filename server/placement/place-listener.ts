/** A shard as placement sees it. */
export interface ListenerShardLoad {
	index: number;
	alive: boolean;
	draining: boolean;
	/** Listeners it has, and joins under way to it. */
	listeners: number;
	joining: number;
	maxListeners: number;
	/** Busier one of its two processes, of one core: 0 to 1. */
	cpuRatio: number;
}

/** Why a shard was not chosen; logged, so that an operator can see what placement saw. */
export type PassedOver = 'dead' | 'draining' | 'full' | 'busier';

export interface Placement {
	/** Undefined when no shard can take anybody. */
	shard: number | undefined;
	passedOver: { shard: number; why: PassedOver }[];
}

/** Below this difference two shards' processors count as equally busy: a second's measurement is noisy. */
const CPU_STEP = 0.2;

/**
 * Chooses the shard for the next listener: the least filled of those that may take one, where a clearly
 * busier processor counts as filling. A pure function of what it is given.
 */
export function placeListener(shards: readonly ListenerShardLoad[]): Placement {
	const passedOver: { shard: number; why: PassedOver }[] = [];
	let best: ListenerShardLoad | undefined;
	for (const shard of shards) {
		const obstacle = obstacleTo(shard);
		if (obstacle) {
			passedOver.push({ shard: shard.index, why: obstacle });
			continue;
		}
		if (best === undefined || isBetter(shard, best)) {
			if (best) {
				passedOver.push({ shard: best.index, why: 'busier' });
			}
			best = shard;
		} else {
			passedOver.push({ shard: shard.index, why: 'busier' });
		}
	}
	return { shard: best?.index, passedOver };
}

function obstacleTo({ alive, draining, listeners, joining, maxListeners }: ListenerShardLoad): PassedOver | undefined {
	if (!alive) {
		return 'dead';
	}
	if (draining) {
		return 'draining';
	}
	return listeners + joining >= maxListeners ? 'full' : undefined;
}

function isBetter(a: ListenerShardLoad, b: ListenerShardLoad): boolean {
	const byCpu = Math.floor(a.cpuRatio / CPU_STEP) - Math.floor(b.cpuRatio / CPU_STEP);
	// Processor load matters once it is high; below that the count is the better forecast.
	if (byCpu !== 0 && Math.max(a.cpuRatio, b.cpuRatio) > 0.6) {
		return byCpu < 0;
	}
	return fill(a) < fill(b);
}

const fill = ({ listeners, joining, maxListeners }: ListenerShardLoad) => (listeners + joining) / maxListeners;
