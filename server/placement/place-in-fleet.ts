/** A node as placement on another one sees it. */
export interface NodeLoad {
	readonly nodeId: string;
	readonly region: string | undefined;
	readonly draining: boolean;
	/** It turned somebody away since its last report, or cannot be reached, or as many are on their way to it as it can let in. */
	readonly refused: boolean;
	/** Listeners on its shards that may take more, joins under way, and those on their way to it. */
	readonly taken: number;
	/** Of the same shards: neither dead nor draining. */
	readonly capacity: number;
	/** How hard its shards work beyond what their listeners explain, in parts of its capacity; see `shardPressure`. */
	readonly pressure: number;
	/** Whether it has the room's programme already. */
	readonly carriesRoom: boolean;
}

export interface FleetState {
	/** The node that was asked, with its fresh figures. */
	readonly self: NodeLoad;
	readonly others: readonly NodeLoad[];
	/** 0 to 1, from outside. Nodes that decide at the same moment must not all choose the same one. */
	readonly random: () => number;
	/** Share of new listeners who reach other nodes first: 0 when all reach this one. What is known of the others is that much less certain. */
	readonly elsewhere: number;
	/** So many who reached other nodes first may be on a node like this one by now, without its report saying so; default 0. */
	readonly unseen?: number;
	/** While the fleet has few listeners, so many more than elsewhere are no reason to send anybody on. */
	readonly keepListeners: number;
}

export type NodePassedOver = 'draining' | 'refused' | 'no shards' | 'full' | 'another region' | 'fuller';

export type FleetChoice = 'here' | 'nowhere' | { readonly nodeId: string };

/** So much fuller than the emptiest, as a part of the fleet's mean, is as good as equal: a hand-off costs a round trip. */
const TOLERANCE = 0.04;
/** Those within this of the emptiest share what comes. */
const BAND = 0.02;
/** So many parts of its capacity more must a node of one's own region be filled before another region is asked. */
const REGION_PENALTY = 0.5;
/** From about so many listeners in the fleet on it is even; what is kept on a node before must be little beside its share of them. */
const MANY_LISTENERS = 1_000;
const KEPT_SHARE = 0.03;

/**
 * Which node serves a listener who came to `self`: that node, unless it is clearly fuller than the emptiest; else one of the
 * emptiest, by chance in proportion to the room they have. Loads are filled parts of capacities (see `nodeLoad`). Nodes that carry the
 * room already are preferred among nearly equal ones. A pure function; allocates nothing but its answer.
 */
export function placeInFleet(fleet: FleetState): FleetChoice {
	const { self, others } = fleet;
	let lowest = Infinity;
	let taken = self.taken;
	let capacity = self.capacity;
	for (const node of others) {
		taken += node.taken;
		capacity += node.capacity;
		if (hasRoom(node)) {
			lowest = Math.min(lowest, nodeLoad(node, self));
		}
	}
	const mean = capacity > 0 ? taken / capacity : 0;
	if (hasRoom(self)) {
		// What evenness allows at `MANY_LISTENERS`, in listeners: fewer for a node that is a small part of a large fleet.
		const kept = Math.min(fleet.keepListeners, (KEPT_SHARE * MANY_LISTENERS * self.capacity) / capacity) * Math.max(0, 1 - taken / MANY_LISTENERS);
		// Where many nodes are asked, chance alone makes them differ by the root of what they have; sending people round would not mend that.
		const chance = fleet.elsewhere * Math.sqrt(mean * self.capacity);
		// And in a rush the emptiest one of many old reports is mostly the oldest report.
		if (nodeLoad(self, self) <= lowest + Math.max(TOLERANCE * mean, Math.max(kept, chance, fleet.unseen ?? 0) / self.capacity)) {
			return 'here';
		}
	}
	return lowest === Infinity ? 'nowhere' : oneOfTheEmptiest(fleet, lowest, mean);
}

/** Part of a node's capacity that is taken, with what its processors say, and what its being far away counts as. */
export function nodeLoad({ taken, capacity, pressure, region }: NodeLoad, self: NodeLoad): number {
	return taken / capacity + pressure + (region === self.region ? 0 : REGION_PENALTY);
}

/** For the log: what every node lacked that was not chosen. Worked out only when it is asked for. */
export function nodesPassedOver({ self, others }: FleetState, choice: FleetChoice): { node: string; why: NodePassedOver }[] {
	const chosen = typeof choice === 'object' ? choice.nodeId : choice === 'here' ? self.nodeId : undefined;
	return [self, ...others].filter(({ nodeId }) => nodeId !== chosen).map((node) => ({ node: node.nodeId, why: whyNot(node, self) }));
}

function whyNot(node: NodeLoad, self: NodeLoad): NodePassedOver {
	if (node.draining) {
		return 'draining';
	}
	if (node.capacity === 0) {
		return 'no shards';
	}
	if (node.refused) {
		return 'refused';
	}
	if (node.taken >= node.capacity) {
		return 'full';
	}
	return node.region === self.region ? 'fuller' : 'another region';
}

function oneOfTheEmptiest({ self, others, random }: FleetState, lowest: number, mean: number): FleetChoice {
	let chosen: NodeLoad | undefined;
	let lots = 0;
	let chosenCarries = false;
	for (const node of others) {
		if (!hasRoom(node)) {
			continue;
		}
		// One listener at least: with few of them, nearly all of the emptiest have the same number.
		const above = lowest + Math.max(BAND * mean, 1 / node.capacity) - nodeLoad(node, self);
		if (above < 0 || (chosenCarries && !node.carriesRoom)) {
			continue;
		}
		if (node.carriesRoom && !chosenCarries) {
			chosenCarries = true;
			lots = 0;
		}
		// One draw among all, a node at a time: each replaces those before it by its share of the lots so far.
		const own = Math.max(above * node.capacity, Number.EPSILON);
		lots += own;
		if (random() * lots <= own) {
			chosen = node;
		}
	}
	return chosen ? { nodeId: chosen.nodeId } : 'nowhere';
}

const hasRoom = ({ draining, refused, taken, capacity }: NodeLoad) => !draining && !refused && taken < capacity;
