import { planAudience } from '../../../server/capacity/audience-plan.ts';
import type { CapacityNode } from '../../../server/capacity/capacity-rule.ts';
import type { ShardCalibration } from '../../../server/capacity/shard-calibration.ts';

/** A host as operators rent them. */
export const HOST = { cores: 16, memoryBytes: 64e9 } as const;
const MAX_NODES = 4_096;
const LARGE_ROOM_PACKING_MS = 60;

export interface FleetSize {
	nodes: number;
	cores: number;
	listenerShards: number;
	/** What the rule says all of them hold at 60 ms. */
	capacity: number;
}

/** How many hosts the capacity rule asks for, and one more: the audience has its places when one dies. */
export function fleetFor(listeners: number, withinSeconds: number, options: { cores: number; maxListenersPerShard: number; calibration: ShardCalibration; nodes?: number }): FleetSize {
	const { cores, maxListenersPerShard, calibration } = options;
	const listenerShards = Math.max(1, cores - 1);
	const host = (index: number): CapacityNode => ({
		nodeId: `node-${index}`, shards: listenerShards, maxListeners: listenerShards * maxListenersPerShard, cores, memoryBytes: (HOST.memoryBytes / HOST.cores) * cores, calibration,
	});
	const plan = (nodes: number) => planAudience(Array.from({ length: nodes }, (_, index) => host(index)), LARGE_ROOM_PACKING_MS, { listeners, withinSeconds });
	let { nodes } = options;
	if (nodes === undefined) {
		for (nodes = 1; nodes < MAX_NODES && !plan(nodes).enough; nodes++);
		nodes++;
	}
	return { nodes, cores, listenerShards, capacity: plan(nodes).capacity };
}
