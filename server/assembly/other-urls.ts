import type { ClusterView } from '../cluster/cluster-view.ts';

/** Where pages may be sent: other nodes' own addresses. */
export const otherUrls = (view: Pick<ClusterView, 'nodeId' | 'nodes'>): string[] =>
	view.nodes().flatMap(({ nodeId, publicUrl }) => (publicUrl === undefined || nodeId === view.nodeId ? [] : [publicUrl]));
