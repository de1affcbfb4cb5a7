import type { RostrumCluster } from './rostrum-cluster.ts';

/** Edge (`node.shard`) → where its link begins: another edge, or `node.origin`. As the home tells it. */
export async function treeOf(cluster: RostrumCluster, room: string): Promise<Map<string, string>> {
	const { edges } = await cluster.anyNode.process.json<{ edges: { node: string; shard: number; upstream: { node: string; shard: number | 'origin' } | null }[] }>(
		'GET',
		`/v1/admin/rooms/${room}/placement`,
	);
	return new Map(edges.map(({ node, shard, upstream }) => [`${node}.${shard}`, upstream ? `${upstream.node}.${upstream.shard}` : 'nowhere']));
}

/** Everything on the way from an edge to the origin, the edge itself first: shards, then `node.origin`. */
export function wayToOrigin(tree: ReadonlyMap<string, string>, shard: string): string[] {
	const way = [shard];
	for (let next = tree.get(shard); next !== undefined && !way.includes(next); next = tree.get(next)) {
		way.push(next);
	}
	return way;
}

/** A shard that most others hang on. @throws when none relays */
export function relayOf(tree: ReadonlyMap<string, string>): string {
	const behind = (shard: string) => [...tree.keys()].filter((other) => other !== shard && wayToOrigin(tree, other).includes(shard)).length;
	const [most] = [...tree.keys()].filter((shard) => behind(shard) > 0).toSorted((a, b) => behind(b) - behind(a));
	if (most === undefined) {
		throw new Error(`no shard relays: ${JSON.stringify([...tree])}`);
	}
	return most;
}
