import { DomainError } from '../errors.ts';
import type { Audience } from '../audience/audience.ts';
import type { ReportBook } from '../audience/report-book.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { AccessControl } from '../sessions/access-control.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { Programmes } from '../programme/programmes.ts';
import type { PreflightNode } from '../preflight/preflight-node.ts';
import type { RoomSeats } from '../programme/seats/room-seats.ts';
import type { StageService } from '../stage/stage-service.ts';
import type { DrainService } from './drain/drain-service.ts';
import type { Overflow } from '../overflow/overflow.ts';
import type { Recordings } from '../recording/recordings.ts';
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
	recordings: Pick<Recordings, 'handlers'>;
	preflight: Pick<PreflightNode, 'handlers'>;
	audience: Pick<Audience, 'handlers'>;
	reports: Pick<ReportBook, 'handlers'>;
	access: Pick<AccessControl, 'handlers'>;
	audit: Pick<AuditLog, 'handlers'>;
	webhooks: Pick<Webhooks, 'handlers'>;
}

/** What this node answers other nodes: each part its own. */
export function peerHandlers({ membership, links, stages, drain, programmes, seats, overflow, recordings, preflight, audience, reports, access, audit, webhooks }: PeerHandlersDeps): PeerHandlers {
	const { nodeId, view, homes, store } = membership;
	return {
		...links.handlers,
		...seats.handlers,
		...overflow.handlers,
		...recordings.handlers,
		...preflight.handlers,
		...audience.handlers,
		...reports.handlers,
		...access.handlers,
		...audit.handlers,
		...webhooks.handlers,
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
