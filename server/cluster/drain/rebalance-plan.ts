import type { NodeReport } from '../node-report.ts';

/** Below this, and below this part of the mean, a difference is not worth anybody's move. */
const WORTH_LISTENERS = 10;
const WORTH_RATIO = 0.05;

export interface RebalancePlan {
	/** Filled part of all the capacity there is, 0 to 1. */
	meanFill: number;
	/** Nodes above it, and how many listeners each should give away. */
	moves: { nodeId: string; listeners: number }[];
}

/** Who should give away how many listeners so that every node is filled to the same part. Nodes that drain are left out: they give away all. */
export function planRebalance(nodes: readonly NodeReport[]): RebalancePlan {
	const fills = nodes
		.filter(({ draining }) => !draining)
		.map(({ nodeId, shards }) => {
			const open = shards.filter(({ role, alive, draining }) => role === 'listener' && alive && !draining);
			return {
				nodeId,
				listeners: open.reduce((sum, shard) => sum + shard.listeners, 0),
				capacity: open.reduce((sum, shard) => sum + shard.maxListeners, 0),
			};
		});
	const total = (member: 'listeners' | 'capacity') => fills.reduce((sum, fill) => sum + fill[member], 0);
	const capacity = total('capacity');
	const meanFill = capacity > 0 ? total('listeners') / capacity : 0;
	const moves = fills
		.map((fill) => ({ nodeId: fill.nodeId, listeners: Math.floor(fill.listeners - meanFill * fill.capacity), share: meanFill * fill.capacity }))
		.filter(({ listeners, share }) => listeners >= WORTH_LISTENERS && listeners >= WORTH_RATIO * share)
		.map(({ nodeId, listeners }) => ({ nodeId, listeners }));
	return { meanFill, moves };
}
