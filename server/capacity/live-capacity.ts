import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { NodeReport } from '../cluster/node-report.ts';
import type { FleetCapacityNow, NodeCapacityNow } from './capacity-schemas.ts';
import { type CapacityNode, JOINING_RATIO, nodeCapacity, nodeJoinsPerSecond } from './capacity-rule.ts';
import { DEFAULT_CALIBRATION, PACKINGS } from './shard-calibration.ts';

/** A node as the rule sees it, from its heartbeat. One that says nothing of its machine counts as one with a core for each shard. */
export function capacityNodeOf({ nodeId, draining, shards, machine }: NodeReport): CapacityNode {
	const open = draining ? [] : shards.filter((shard) => shard.role === 'listener' && shard.alive && !shard.draining);
	return {
		nodeId,
		shards: open.length,
		maxListeners: open.reduce((sum, { maxListeners }) => sum + maxListeners, 0),
		cores: machine?.cores ?? shards.length,
		memoryBytes: machine?.memoryBytes ?? Number.MAX_SAFE_INTEGER,
		calibration: machine?.calibration ?? DEFAULT_CALIBRATION,
	};
}

/** How full a node is, as an operator or an autoscaler needs it. */
export function nodeCapacityNow(report: NodeReport, packingMs: PackingMs, nowMs: number): NodeCapacityNow {
	const node = capacityNodeOf(report);
	const { listeners: holds, limit } = nodeCapacity(node, packingMs);
	const listeners = report.shards.reduce((sum, shard) => sum + shard.listeners + shard.joining, 0);
	const ratio = Math.max(0, Math.min(holds > 0 ? 1 - listeners / holds : 0, 1 - effortOf(report) / JOINING_RATIO));
	const { measuredAt } = node.calibration;
	const floors = report.shards.flatMap(({ pressure }) => pressure ?? []);
	return {
		node: report.nodeId,
		draining: report.draining,
		shards: node.shards,
		listeners,
		capacity: { listeners: holds, limit, cap: node.maxListeners, byPacking: byPacking((each) => nodeCapacity(node, each).listeners) },
		headroom: { ratio: rounded(ratio), listeners: Math.floor(ratio * holds) },
		joinsPerSecond: rounded(node.shards === 0 ? 0 : (report.joinsPerSecond ?? nodeJoinsPerSecond(node, packingMs, listeners))),
		waiting: report.waiting ?? 0,
		refusedPerSecond: rounded(report.refusedPerSecond ?? 0),
		pressure: {
			level: Math.max(0, ...floors.map(({ level }) => level)),
			packingFloorMs: PACKINGS.findLast((step) => floors.some(({ packingFloorMs }) => packingFloorMs === step)) ?? 20,
		},
		calibration: { ...node.calibration, ...(measuredAt === undefined ? {} : { ageSeconds: Math.max(0, Math.round((nowMs - Date.parse(measuredAt)) / 1_000)) }) },
	};
}

/** All nodes together. */
export function fleetCapacityNow(reports: readonly NodeReport[], packingMs: PackingMs, nowMs: number): FleetCapacityNow {
	const nodes = reports.map((report) => nodeCapacityNow(report, packingMs, nowMs));
	const sum = (of: (node: NodeCapacityNow) => number) => nodes.reduce((total, node) => total + of(node), 0);
	const holds = sum(({ capacity }) => capacity.listeners);
	const free = sum(({ headroom }) => headroom.listeners);
	return {
		packingMs,
		listeners: sum(({ listeners }) => listeners),
		capacity: { listeners: holds, cap: sum(({ capacity }) => capacity.cap), byPacking: byPacking((each) => sum(({ capacity }) => capacity.byPacking[each])) },
		headroom: { ratio: rounded(holds > 0 ? free / holds : 0), listeners: free },
		joinsPerSecond: rounded(sum(({ joinsPerSecond }) => joinsPerSecond)),
		waiting: sum(({ waiting }) => waiting),
		refusedPerSecond: rounded(sum(({ refusedPerSecond }) => refusedPerSecond)),
		nodes,
	};
}

/**
 * The mean of the shards that take people, of one core: when they work harder than the rule expects, headroom must shrink
 * whatever the rule says.
 */
function effortOf({ shards }: NodeReport): number {
	const open = shards.filter(({ role, alive, draining }) => role === 'listener' && alive && !draining);
	return open.length > 0 ? open.reduce((sum, { cpuRatio }) => sum + cpuRatio, 0) / open.length : 0;
}

const byPacking = (of: (packingMs: PackingMs) => number): Record<PackingMs, number> => ({ 20: of(20), 40: of(40), 60: of(60), 120: of(120) });
const rounded = (value: number) => Math.round(value * 1e3) / 1e3;
