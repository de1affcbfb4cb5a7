import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../../auth/claims.ts';
import type { HandOffTickets } from '../../auth/hand-off-ticket.ts';
import type { KeyRing } from '../../auth/key-ring.ts';
import type { QueuePlaces } from '../../auth/queue-place.ts';
import type { TokenIssuer } from '../../auth/token-issuer.ts';
import type { TokenVerifier } from '../../auth/token-verifier.ts';
import type { Config } from '../../config/schema.ts';
import type { Audience } from '../audience/audience.ts';
import type { ReportBook } from '../audience/report-book.ts';
import type { FleetCapacityNow } from '../capacity/capacity-schemas.ts';
import type { ClusterAdmin } from '../cluster/cluster-admin.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { SocketRelays } from '../cluster/peers/socket-relays.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Overflow } from '../overflow/overflow.ts';
import type { JoinQueue } from '../placement/admission/join-queue.ts';
import type { HandOffTarget } from '../placement/hand-off.ts';
import type { Preflight } from '../preflight/preflight.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import type { Recordings } from '../recording/recordings.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { Room } from '../rooms/room.ts';
import type { BanList } from './ban-list.ts';
import type { RoomStore } from '../rooms/store/room-store.ts';
import type { StagePeople } from '../stage/stage-people.ts';
import type { StageService } from '../stage/stage-service.ts';
import type { SessionOwners } from '../sessions/session-owners.ts';
import type { TokenRevocations } from '../sessions/token-revocations.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { WebhookAdmin } from '../webhooks/webhook-admin.ts';
import type { ShareCards } from '../web/share/share-cards.ts';

export interface ReadinessState {
	ready: boolean;
	/** What the node needs for its work, each by itself, e.g. `store`, `stage shards`. */
	components: { name: string; ready: boolean; detail?: string }[];
}

/** What the composition root knows of the node as a whole. */
export interface Readiness {
	/** True from the first signal on: nobody new is let in. */
	isShuttingDown(): boolean;
	state(): ReadinessState;
}

/** Where a listener is to be seated: on this node, or on one that has more room. */
export type Seat = 'here' | {
	nodeId: string;
	/** Where people reach that node and no other; absent when requests for it must come through this one. */
	publicUrl?: string;
	why: HandOffTarget['why'];
};

export interface HandOff {
	/** From memory; asked for each listener. */
	decide(room: Room, region?: string): Seat;
	/** A listener came whom that node handed to this one; told in the same turn as the join is counted. */
	took?(fromNodeId: string): void;
	/** That node had no room for somebody who was sent there, or did not answer. */
	refused?(nodeId: string): void;
}

/** The other nodes, as the HTTP API needs them. `ClusterHttp` implements it. */
export interface AppCluster {
	readonly view: Pick<ClusterView, 'nodeId' | 'node' | 'nodes'>;
	readonly homes: Pick<Homes, 'ensure'>;
	readonly tickets: Pick<HandOffTickets, 'issue' | 'redeem'>;
	readonly sockets: Pick<SocketRelays, 'open' | 'join' | 'close'>;
	/**
	 * Lets another node answer, and passes its answer back; resolves when the client has it.
	 * Rejects with DomainError `peer_unreachable`, with nothing sent yet.
	 */
	forward(request: FastifyRequest, reply: FastifyReply, nodeId: string): Promise<void>;
}

/** What listeners give back. */
export interface AudienceDeps {
	readonly audience: Pick<Audience, 'react' | 'caption'>;
	readonly reports: Pick<ReportBook, 'add' | 'all'>;
	readonly limits: Config['audience'];
}

/** Everything the HTTP API stands on; the parts of each that it uses. */
export interface AppDeps {
	readonly config: Pick<Config, 'http' | 'turn'> & Partial<Pick<Config, 'admission' | 'tracing'>>;
	/** Where people reach this server, without a slash at its end. Known for good once listening. */
	readonly publicUrl: () => string;
	readonly rooms: Pick<RoomDirectory, 'get' | 'require' | 'list' | 'listByTime' | 'create' | 'update' | 'transition' | 'cancel' | 'extend' | 'remove'>;
	readonly stages: Pick<StageService, 'roster' | 'publish'> & { readonly people: Pick<StagePeople, keyof StagePeople> };
	readonly media: Pick<RoomMedia, 'listen' | 'patchSession' | 'closeSession' | 'listenersIn'>;
	readonly events: Pick<EventHub, 'attach'>;
	readonly verifier: Pick<TokenVerifier, 'verify'>;
	readonly issuer: Pick<TokenIssuer, 'issue'>;
	readonly keyRing: Pick<KeyRing, 'jwks' | 'rotate' | 'retire' | 'keys' | 'retired' | 'active'>;
	readonly store: Pick<RoomStore, 'listBans' | 'unban'>;
	/** Where bans change elsewhere too; made of `store` when absent. */
	readonly bans?: BanList;
	readonly log: FastifyBaseLogger;
	readonly readiness: Readiness;
	/** Absent for a node that is alone: every room and session is here. */
	readonly cluster?: AppCluster;
	/** Absent: everybody is seated here. */
	readonly handOff?: HandOff;
	/** Who is let in, and when. Absent: everybody whom `media` takes. */
	readonly admission?: { readonly queue: Pick<JoinQueue, 'foresee' | 'refuse'>; readonly places: Pick<QueuePlaces, 'issue' | 'read'> };
	/** What operators see and do about nodes; absent: those routes are not there. */
	readonly clusterAdmin?: ClusterAdmin;
	/** Streams for whom no shard has a place; absent: those routes are not there. */
	readonly overflow?: Pick<Overflow, 'hlsFor' | 'stream' | 'kept' | 'count' | 'bitrateKbps'>;
	/** Recording and replay; absent: those routes are not there. */
	readonly recordings?: Pick<Recordings, 'start' | 'stop' | 'list' | 'find' | 'remove' | 'folder' | 'storage' | 'keepDays'>;
	/** Guests, reactions, captions, reports; absent: those routes are not there. */
	readonly audience?: AudienceDeps;
	/** Pictures for shared links; absent: that route is not there. */
	readonly shareCards?: Pick<ShareCards, 'card'>;
	/** What the fleet holds, and the look at everything before an event; absent: those routes are not there. */
	readonly capacity?: () => FleetCapacityNow;
	readonly preflight?: Pick<Preflight, 'run'>;
	/** Ends what is open with somebody's token; absent: nothing is ended. */
	readonly owners?: Pick<SessionOwners, 'add' | 'join' | 'end'>;
	/** Absent: those routes are not there. */
	readonly revocations?: Pick<TokenRevocations, 'all' | 'revoke' | 'lift'>;
	/** Every privileged act; absent: none is written down. */
	readonly audit?: Pick<AuditLog, 'record' | 'find'>;
	/** Absent: those routes are not there. */
	readonly webhooks?: WebhookAdmin;
	readonly metrics: Metrics;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
	/** A fresh unguessable id. */
	readonly randomId: () => string;
	/** Adds the pages (server/web). */
	readonly pages?: (app: FastifyInstance) => Promise<unknown>;
	/** Adds the stage's WebSocket (server/stage); called before any route is there. */
	readonly stageSocket?: (app: FastifyInstance) => Promise<unknown>;
}

declare module 'fastify' {
	interface FastifyRequest {
		/** Who asks; null without a token. */
		principal: Principal | null;
	}
	interface FastifyContextConfig {
		/** The token may come as `?access_token=` too: for requests whose headers a browser does not let pages set. */
		queryToken?: boolean;
		/** An expired token counts as none: the path itself holds the credential. */
		expiredTokenOk?: boolean;
	}
}
