// How many listeners nodes hold, and how many joins a second they admit: the one rule that preflight, the live figures
// and the fleet simulation go by. Pure arithmetic on what a calibration measured.
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { ShardCalibration } from './shard-calibration.ts';

/** Busier than this, and a packet begins to wait for the one before it: what a processor is to carry for hours. */
export const CARRYING_RATIO = 0.7;
/** What joins may take it to for a while. The rest is what keeps those who listen already from hearing it. */
export const JOINING_RATIO = 0.9;
/** A room on a shard costs about 30 ms a second whoever listens (README, "What it costs"). */
const SHARD_RATIO = 0.03;
/** Of one core: the node process and a stage shard with a few speakers. */
const NODE_RATIO = 0.1;
/** Of a join, in the node process, which is one for all shards and does one thing at a time: HTTP, placement, the way to the shard (`npm run bench`). */
export const NODE_MS_A_JOIN = 0.4;
/** Of the memory that is free; the rest is for everything that is no listener. */
const MEMORY_RATIO = 0.9;

/** A node as the rule sees it. All figures are at least 0. */
export interface CapacityNode {
	nodeId: string;
	/** Listener shards that live and take people. */
	shards: number;
	/** Listeners that all of them together take at most, as configured. */
	maxListeners: number;
	cores: number;
	/** Free memory and what the listeners take who are there now. */
	memoryBytes: number;
	calibration: ShardCalibration;
}

/** What a node would run out of first. */
export type CapacityLimit = 'cap' | 'shards' | 'processor' | 'memory';

export interface NodeCapacity {
	listeners: number;
	limit: CapacityLimit;
}

/**
 * Listeners that a node holds at a packing: as many as keep its processors at most 70 % busy, fit into its memory and are
 * allowed. A shard is carried by one core (its worker has one thread), and the shards of a node share its cores.
 */
export function nodeCapacity(node: CapacityNode, packingMs: PackingMs): NodeCapacity {
	const perSecond = listenerRatio(node, packingMs);
	const carrying = CARRYING_RATIO - SHARD_RATIO;
	const limits: readonly [CapacityLimit, number][] = [
		['cap', node.shards > 0 ? node.maxListeners : 0],
		['processor', (carrying * node.cores - NODE_RATIO) / perSecond],
		['shards', (carrying * node.shards) / perSecond],
		['memory', (MEMORY_RATIO * node.memoryBytes) / node.calibration.bytesPerListener],
	];
	const [limit, listeners] = limits.reduce((least, each) => (each[1] < least[1] ? each : least));
	// What is a whole number but for the rounding of fractions is that number.
	return { limit, listeners: Math.max(0, Math.floor(listeners + 1e-6)) };
}

/** Joins a second that a node admits while so many listen there already: what they leave of its processors, up to 90 %. */
export function nodeJoinsPerSecond(node: CapacityNode, packingMs: PackingMs, listeners: number): number {
	if (node.shards === 0) {
		return 0;
	}
	const cores = Math.min(node.shards * (JOINING_RATIO - SHARD_RATIO), node.cores * (JOINING_RATIO - SHARD_RATIO) - NODE_RATIO);
	const left = cores - listeners * listenerRatio(node, packingMs);
	return Math.max(0, Math.min((left / node.calibration.cpuMsPerJoin) * 1_000, (JOINING_RATIO / NODE_MS_A_JOIN) * 1_000));
}

/** Of all nodes together, at a packing, filled evenly. */
export interface FleetCapacity {
	listeners: number;
	/** @param listeners who are there already */
	joinsPerSecond(listeners: number): number;
}

export function fleetCapacity(nodes: readonly CapacityNode[], packingMs: PackingMs): FleetCapacity {
	const capacities = nodes.map((node) => nodeCapacity(node, packingMs).listeners);
	const listeners = capacities.reduce((sum, each) => sum + each, 0);
	return {
		listeners,
		joinsPerSecond: (there) => {
			// Placement fills all nodes to the same part of what they hold.
			const fill = listeners > 0 ? there / listeners : 0;
			return nodes.reduce((sum, node, index) => sum + nodeJoinsPerSecond(node, packingMs, fill * (capacities[index] ?? 0)), 0);
		},
	};
}

/** Part of one core. */
const listenerRatio = ({ calibration }: CapacityNode, packingMs: PackingMs) => calibration.cpuUsPerListenerSecond[packingMs] / 1e6;
