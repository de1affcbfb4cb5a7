import type { SimulatedNode } from './simulated-node.ts';
import type { SimulatedShard } from './simulated-shards.ts';

interface End {
	node: SimulatedNode;
	shard: SimulatedShard;
}

/** Listeners on edges to which the programme finds no way, by the books of both ends of each link; with how far the others are from the origin. */
export function programmeReach(nodes: readonly SimulatedNode[], roomId: string): { unreached: number; depth: number; origins: number } {
	const senders = new Map<number, End>();
	let origins = 0;
	for (const node of nodes) {
		for (const shard of node.alive ? node.supervisor.living : []) {
			const origin = shard.books.origins.get(roomId);
			origins += origin ? 1 : 0;
			for (const { port } of (origin ?? shard.books.edges.get(roomId)?.downstreams)?.values() ?? []) {
				senders.set(port, { node, shard });
			}
		}
	}
	const depths = new Map<SimulatedShard, number>();
	const depthOf = ({ shard }: End): number => {
		if (shard.books.origins.has(roomId)) {
			return 0;
		}
		const known = depths.get(shard);
		if (known !== undefined) {
			return known;
		}
		// Should links ever go in a circle, none of them leads anywhere.
		depths.set(shard, Infinity);
		const edge = shard.books.edges.get(roomId);
		const port = edge?.current === undefined ? undefined : edge.receiving.get(edge.current)?.remotePort;
		const sender = port === undefined ? undefined : senders.get(port);
		const depth = sender ? depthOf(sender) + 1 : Infinity;
		depths.set(shard, depth);
		return depth;
	};
	let unreached = 0;
	let deepest = 0;
	for (const node of nodes) {
		for (const shard of node.alive ? node.supervisor.living : []) {
			if (shard.listeners > 0) {
				const depth = depthOf({ node, shard });
				if (depth === Infinity) unreached += shard.listeners;
				else deepest = Math.max(deepest, depth);
			}
		}
	}
	return { unreached, depth: deepest, origins };
}
