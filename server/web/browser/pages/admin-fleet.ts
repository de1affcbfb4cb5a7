// What of the fleet needs more than one question, and what can be said of the answers.
import type { AdminApi } from '../api/admin-api.ts';
import { segment } from '../api/admin-api.ts';
import type { ClusterNode, Drain } from '../api/admin-types.ts';

/** All nodes; those that are being emptied with how far that is, which only they know themselves. */
export const readFleet = async (api: AdminApi): Promise<readonly ClusterNode[]> => {
	const { nodes } = await api.read<{ nodes: readonly ClusterNode[] }>('/v1/admin/nodes');
	return Promise.all(
		nodes.map(async (node) => {
			if (node.self || !(node.draining || node.shards.some(({ draining }) => draining))) {
				return node;
			}
			// A node that dies this moment is shown without: it is gone from the next list.
			const own = await api.read<ClusterNode>(`/v1/admin/nodes/${segment(node.id)}`).catch(() => undefined);
			return own?.drains === undefined ? node : { ...node, drains: own.drains };
		}),
	);
};

/** @param shard undefined: of the node as a whole */
export const drainOf = ({ drains }: Pick<ClusterNode, 'drains'>, shard: number | undefined): Drain | undefined => drains?.find((drain) => drain.shard === shard && drain.state !== 'active');

/** How much of a drain is done, 0 to 1. With nobody there at its start, it is the rooms that count. */
export const drained = ({ state, listenersAtStart, listenersNow }: Drain): number =>
	state === 'drained' ? 1 : listenersAtStart === 0 ? 0 : Math.max(0, Math.min(1, 1 - listenersNow / listenersAtStart));
