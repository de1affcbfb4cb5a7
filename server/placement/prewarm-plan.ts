import { createHash } from 'node:crypto';
import { rendezvousOrder } from '../cluster/lease/rendezvous.ts';
import type { NodeReport, ShardReport } from '../cluster/node-report.ts';
import type { EdgeRef } from '../cluster/peer-protocol.ts';

/** A node as the plan sees it: of its report. */
export type PrewarmNode = Pick<NodeReport, 'nodeId' | 'region' | 'draining'> & {
	shards: readonly Pick<ShardReport, 'index' | 'role' | 'alive' | 'draining' | 'listeners' | 'joining' | 'maxListeners'>[];
};

export interface PrewarmRoom {
	id: string;
	expectedListeners?: number | undefined;
	maxListeners?: number | undefined;
}

/**
 * A foreseen audience is spread so that it takes this part of each shard: those who come all at once are served by many
 * shards at once, and there is slack for twice or ten times as many. Placement prefers prewarmed shards to others
 * for as long as they are no more than this fuller.
 */
export const PREWARM_FILL = 0.1;
/** Loads are told apart by quarters alone, so that nodes whose reports are not of the same moment plan the same. */
const LOAD_CLASSES = 4;

interface Candidate {
	readonly nodeId: string;
	readonly shard: number;
	readonly region: string;
	/** 0 for a shard that is less than a quarter full. */
	readonly loadClass: number;
	/** Of the expected audience, what is counted on it. */
	readonly listeners: number;
	/** Of its node's shards of the same class, the part that comes before it. */
	readonly share: number;
	/** Of its node, for this room. */
	readonly rank: number;
}

/**
 * The listener shards, in order, on which a room gets its edges ahead: as many as its expected audience needs, at least one,
 * one in each region, the least loaded first, over the nodes in proportion to their shards. None without an expected audience.
 *
 * A pure function, so that every node knows of itself what is its own part. Which of equal shards are taken goes by
 * hashes and not by loads: the plan stays the same while loads wobble, and changes little when nodes come and go.
 */
export function prewarmPlan(fleet: readonly PrewarmNode[], room: PrewarmRoom): EdgeRef[] {
	const expected = Math.min(room.expectedListeners ?? 0, room.maxListeners ?? Infinity);
	if (expected <= 0) {
		return [];
	}
	const candidates = candidatesOf(fleet, room.id);
	const chosen = new Set<Candidate>();
	let counted = 0;
	const choose = (candidate: Candidate) => {
		chosen.add(candidate);
		counted += candidate.listeners;
	};
	const regions = new Set<string>();
	for (const candidate of candidates) {
		if (!regions.has(candidate.region)) {
			regions.add(candidate.region);
			choose(candidate);
		}
	}
	for (const candidate of candidates) {
		if (counted >= expected) {
			break;
		}
		if (!chosen.has(candidate)) {
			choose(candidate);
		}
	}
	return [...chosen].map(({ nodeId, shard }) => ({ nodeId, shard }));
}

/** Those that can take anybody, best first. */
function candidatesOf(fleet: readonly PrewarmNode[], roomId: string): Candidate[] {
	const nodes = new Map(fleet.filter(({ draining }) => !draining).map((node) => [node.nodeId, node]));
	const candidates = rendezvousOrder(roomId, nodes.keys()).flatMap((nodeId, rank) => {
		const { region = '', shards = [] } = nodes.get(nodeId) ?? {};
		const open = shards.filter(({ role, alive, draining, listeners, joining, maxListeners }) => role === 'listener' && alive && !draining && listeners + joining < maxListeners);
		const byClass = Map.groupBy(open, ({ listeners, joining, maxListeners }) => Math.floor(((listeners + joining) / maxListeners) * LOAD_CLASSES));
		return [...byClass].flatMap(([loadClass, alike]) =>
			inHashOrder(alike, `${roomId}\0${nodeId}`).map(({ index, maxListeners }, place): Candidate => ({
				nodeId,
				shard: index,
				region,
				loadClass,
				listeners: maxListeners * PREWARM_FILL * (1 - loadClass / LOAD_CLASSES),
				share: (place + 0.5) / alike.length,
				rank,
			})),
		);
	});
	return candidates.toSorted((a, b) => a.loadClass - b.loadClass || a.share - b.share || a.rank - b.rank);
}

/** Different rooms begin with different shards. */
function inHashOrder<T extends { index: number }>(shards: readonly T[], seed: string): T[] {
	const weighed = shards.map((shard) => ({ shard, weight: createHash('sha256').update(`${seed}\0${shard.index}`).digest('hex') }));
	return weighed.toSorted((a, b) => (a.weight < b.weight ? 1 : -1)).map(({ shard }) => shard);
}
