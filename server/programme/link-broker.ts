// How the edges of this node come by upstreams, wherever those are. `ClusterLinks` implements it over the other nodes;
// on a node that is alone every upstream is the room's own origin.
import type { LinkedVoice, LinkEndpoint } from '../../sfu/contract/media-types.ts';
import type { EdgeRef, UpstreamRef } from '../cluster/peer-protocol.ts';

/** What an edge cannot use: one upstream, or all that a node has. */
export type Avoided = { nodeId: string; shard?: number | 'origin' };

export interface LinkBroker {
	/** This node's name, as it stands in refs. */
	readonly nodeId: string;
	/** Whether the room's home is this node. */
	isHome(roomId: string): boolean;
	/**
	 * Asks the room's home where this edge should link to; the home notes it in its tree.
	 * Rejects with DomainError `upstream_unavailable`, `home_unavailable`, `peer_unreachable`.
	 */
	findUpstream(roomId: string, edge: EdgeRef, avoid: readonly Avoided[]): Promise<UpstreamRef>;
	/** Rejects with DomainError `upstream_unavailable`, `link_full`, `peer_unreachable`. */
	openDownstream(request: { roomId: string; linkId: string; upstream: UpstreamRef; child: EdgeRef; remote: LinkEndpoint }): Promise<LinkEndpoint & { voices: LinkedVoice[] }>;
	/** Fire and forget: what does not arrive, the upstream's node finds out by itself when the link is not renewed. */
	closeDownstream(request: { roomId: string; linkId: string; upstream: UpstreamRef }): void;
	/** Fire and forget, as above. */
	detach(roomId: string, edge: EdgeRef): void;
	/** From the home: these edges, here or elsewhere, are to find other upstreams. Fire and forget. */
	tellRelink(roomId: string, edges: readonly EdgeRef[]): void;
	/** From a home that is new, once its origin is there. Fire and forget. @param asked edges that have asked it already */
	tellRehome(roomId: string, asked: readonly EdgeRef[]): void;
	close(): void;
}
