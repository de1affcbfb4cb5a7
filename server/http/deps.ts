import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { Principal } from '../../auth/claims.ts';
import type { KeyRing } from '../../auth/key-ring.ts';
import type { TokenIssuer } from '../../auth/token-issuer.ts';
import type { TokenVerifier } from '../../auth/token-verifier.ts';
import type { Config } from '../../config/schema.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { RoomStore } from '../rooms/store/room-store.ts';
import type { StageService } from '../stage/stage-service.ts';

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

/** Everything the HTTP API stands on; the parts of each that it uses. */
export interface AppDeps {
	readonly config: Pick<Config, 'http' | 'turn'>;
	/** Where people reach this server, without a slash at its end. Known for good once listening. */
	readonly publicUrl: () => string;
	readonly rooms: Pick<RoomDirectory, 'get' | 'require' | 'list' | 'create' | 'update' | 'transition' | 'remove'>;
	readonly stages: Pick<StageService, 'roster' | 'muteOther' | 'kick' | 'ban' | 'publish'>;
	readonly media: Pick<RoomMedia, 'listen' | 'patchSession' | 'closeSession' | 'listenersIn'>;
	readonly events: Pick<EventHub, 'attach'>;
	readonly verifier: Pick<TokenVerifier, 'verify'>;
	readonly issuer: Pick<TokenIssuer, 'issue'>;
	readonly keyRing: Pick<KeyRing, 'jwks' | 'rotate' | 'retire'>;
	readonly store: Pick<RoomStore, 'listBans'>;
	readonly log: FastifyBaseLogger;
	readonly readiness: Readiness;
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
