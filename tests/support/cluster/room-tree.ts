import type { RostrumCluster } from './rostrum-cluster.ts';

/** Edge (`node.shard`) → where its link begins: another edge, or `node.origin`. As the home tells it. */
export async function treeOf(cluster: RostrumCluster, room: string): Promise<Map<string, string>> {
	const { edges } = await cluster.anyNode.process.json<{ edges: { node: string; shard: number; upstream: { node: string; shard: number | 'origin' } | null }[] }>(
		'GET',
		`/v1/admin/rooms/${room}/placement`,
	);
	return new Map(edges.map(({ node, shard, upstream }) => [`${node}.${shard}`, upstream ? `${upstream.node}.${upstream.shard}` : 'nowhere']));
}

/** A shard that others hang on, with all that hang on it, directly or not. */
export async function relayShardOf(cluster: RostrumCluster, room: string): Promise<{ shard: string; behind: string[] }> {
	const tree = await treeOf(cluster, room);
	const behindOf = (shard: string): string[] => {
		const children = [...tree].filter(([, upstream]) => upstream === shard).map(([child]) => child);
		return children.flatMap((child) => [child, ...behindOf(child)]);
	};
	const relays = [...tree.keys()].map((shard) => ({ shard, behind: behindOf(shard) })).filter(({ behind }) => behind.length > 0);
	const [most] = relays.toSorted((a, b) => b.behind.length - a.behind.length);
	if (!most) {
		throw new Error(`no shard relays: ${JSON.stringify([...tree])}`);
	}
	return most;
}
