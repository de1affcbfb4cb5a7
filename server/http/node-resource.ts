import type { Static } from 'typebox';
import type { RoomHome } from '../cluster/cluster-view.ts';
import type { ClusterAdmin, RoomLink, RoomPlacement } from '../cluster/cluster-admin.ts';
import type { NodeReport, ShardReport } from '../cluster/node-report.ts';
import { lossRatio } from '../metrics/link-figures.ts';
import type { FanOutBranch } from '../placement/fan-out-tree.ts';
import { shardLoad } from '../placement/place-listener.ts';
import { shardPressure } from '../placement/shard-pressure.ts';
import type { Link, NodeResource, RoomPlacement as RoomPlacementResource } from './schemas.ts';

/** What an operator sees of a node: what it reports, and of the node that answers also its links and drains. */
export function nodeResource(report: NodeReport, admin: ClusterAdmin): Static<typeof NodeResource> {
	const { nodeId, incarnation, startedAt, internalUrl, publicUrl, region, draining, redis, shards, rooms, homes, moving } = report;
	const open = shards.filter((shard) => shard.role === 'listener' && shard.alive && !shard.draining && !draining);
	const self = nodeId === admin.nodeId;
	return {
		id: nodeId,
		self,
		incarnation,
		startedAt,
		internalUrl,
		...(publicUrl === undefined ? {} : { publicUrl }),
		...(region === undefined ? {} : { region }),
		draining,
		redis,
		eventCadence: report.eventCadence ?? 1,
		listeners: shards.reduce((sum, { listeners }) => sum + listeners, 0),
		maxListeners: open.reduce((sum, { maxListeners }) => sum + maxListeners, 0),
		shards: shards.map(({ pressure, ...shard }) => ({
			...shard,
			load: rounded(loadOf(shard)),
			cpuRatio: rounded(shard.cpuRatio),
			eventLoopLagMs: rounded(shard.eventLoopLagMs),
			packetsPerSecond: rounded(shard.packetsPerSecond),
			moving: rounded(moving[shard.index] ?? 0),
			...(shard.role === 'listener' ? { pressure: { level: 0, packingFloorMs: 20, ...pressure, reason: pressure?.reason ?? null, since: pressure?.since ?? null } as const } : {}),
		})),
		rooms,
		homes: Object.fromEntries(Object.entries(homes).map(([room, { epoch }]) => [room, { epoch }])),
		...(self ? { links: admin.links().map(linkResource), drains: [...admin.drains()] } : {}),
	};
}

/** Where a room's media is; `placement` is of the home, undefined where there is none. */
export function placementResource(room: string, home: RoomHome | undefined, placement: RoomPlacement | undefined, links: readonly RoomLink[], nodes: readonly NodeReport[]): Static<typeof RoomPlacementResource> {
	const edges: Static<typeof RoomPlacementResource>['edges'] = [];
	const walk = (branches: readonly FanOutBranch[], upstream: (typeof edges)[number]['upstream'], depth: number | null): void => {
		for (const { nodeId, shard, children } of branches) {
			edges.push({ node: nodeId, shard, upstream, depth, children: children.length });
			walk(children, { node: nodeId, shard }, depth === null ? null : depth + 1);
		}
	};
	if (home && placement?.tree) {
		walk(placement.tree.children, { node: home.nodeId, shard: 'origin' }, 1);
		walk(placement.tree.floating, null, null);
	}
	return {
		room,
		home: home ? { node: home.nodeId, epoch: home.epoch } : null,
		originShard: placement?.originShard ?? null,
		listeners: Object.fromEntries(nodes.flatMap(({ nodeId, rooms }) => ((rooms[room] ?? 0) > 0 ? [[nodeId, rooms[room] ?? 0]] : []))),
		depth: placement?.tree?.depth ?? 0,
		edges,
		links: links.map(linkResource),
	};
}

/** A stage shard has no places for listeners: its load is what its processors say. */
const loadOf = (shard: ShardReport) => (shard.maxListeners > 0 ? shardLoad(shard) : shardPressure(shard));

/** To what a person can read. */
const rounded = (value: number) => Math.round(value * 1e4) / 1e4;

function linkResource(link: RoomLink): Static<typeof Link> {
	const { roomId, linkId, node, shard, upstream, packetsTotal, lostTotal, jitterMs, lagMs, silentMs } = link;
	return {
		room: roomId,
		link: linkId,
		node,
		shard,
		upstream: upstream ? { node: upstream.nodeId, shard: upstream.shard } : null,
		packets: packetsTotal,
		lost: lostTotal,
		lossRatio: rounded(lossRatio(link)),
		jitterMs: rounded(jitterMs),
		lagMs: rounded(lagMs),
		silentMs: rounded(silentMs),
	};
}
