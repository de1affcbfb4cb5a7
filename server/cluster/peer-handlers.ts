import { DomainError } from '../errors.ts';
import type { Programmes } from '../programme/programmes.ts';
import type { PreflightNode } from '../preflight/preflight-node.ts';
import type { RoomSeats } from '../programme/seats/room-seats.ts';
import type { StageService } from '../stage/stage-service.ts';
import type { DrainService } from './drain/drain-service.ts';
import type { Overflow } from '../overflow/overflow.ts';
import type { ClusterLinks } from './links/cluster-links.ts';
import type { Membership } from './membership.ts';
import type { PeerHandlers } from './peer-protocol.ts';

export interface PeerHandlersDeps {
	membership: Pick<Membership, 'nodeId' | 'view' | 'homes' | 'store'>;
	links: Pick<ClusterLinks, 'handlers'>;
	stages: Pick<StageService, 'stateOf'>;
	drain: Pick<DrainService, 'shed'>;
	programmes: Pick<Programmes, 'linkStats'>;
	seats: Pick<RoomSeats, 'handlers'>;
	overflow: Pick<Overflow, 'handlers'>;
	preflight: Pick<PreflightNode, 'handlers'>;
}

/** What this node answers other nodes: each part its own. */
export function peerHandlers({ membership, links, stages, drain, programmes, seats, overflow, preflight }: PeerHandlersDeps): PeerHandlers {
	const { nodeId, view, homes, store } = membership;
	return {
		...links.handlers,
		...seats.handlers,
		...overflow.handlers,
		...preflight.handlers,
		ping: async () => ({ nodeId, incarnation: view.incarnation, homes: homes.epochs }),
		heartbeat: ({ report }, from) => view.onPeerHeartbeat(report, from),
		roomState: async ({ roomId }) => {
			const state = homes.epochOf(roomId) === undefined ? undefined : await store.roomState(roomId);
			if (!state) {
				throw new DomainError('not_home', 'This room does not live on this node.', { retryAfterSeconds: 1 });
			}
			// What is on stage now may be ahead of what was saved.
			return { ...state, ...stages.stateOf(roomId) };
		},
		takeHome: async ({ roomId }, from) => ({ epoch: await homes.takeHome(roomId, from) }),
		shed: async ({ listeners }) => ({ listeners: drain.shed(listeners) }),
		roomLinks: async ({ roomId }) => ({ links: programmes.linkStats(roomId) }),
	};
}
