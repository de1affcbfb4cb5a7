import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { QueuePlaces } from '../../auth/queue-place.ts';
import { turnCredentials } from '../../auth/turn-credentials.ts';
import type { Config } from '../../config/schema.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { buildApp } from '../app.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { DrainService } from '../cluster/drain/drain-service.ts';
import type { Membership } from '../cluster/membership.ts';
import { nodeAdmin } from '../cluster/node-admin.ts';
import type { Peers } from '../cluster/peer-protocol.ts';
import type { AppDeps } from '../http/deps.ts';
import { nodeReadiness } from '../node-readiness.ts';
import type { Overflow } from '../overflow/overflow.ts';
import type { HandOff } from '../placement/hand-off.ts';
import type { Programmes } from '../programme/programmes.ts';
import type { Recordings } from '../recording/recordings.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import type { Room } from '../rooms/room.ts';
import type { SessionOwners } from '../sessions/session-owners.ts';
import { registerStageSocket } from '../stage/stage-socket.ts';
import type { StageService } from '../stage/stage-service.ts';
import { registerPages } from '../web/pages.ts';
import { linkPreviews } from '../web/share/link-preview.ts';
import { otherUrls } from './other-urls.ts';

/** What the HTTP API is made of here; its other parts go through as they are. */
type MadeHere = 'config' | 'rooms' | 'stages' | 'media' | 'handOff' | 'admission' | 'clusterAdmin' | 'overflow' | 'recordings' | 'owners' | 'readiness' | 'pages' | 'stageSocket' | 'log';

export interface NodeAppOptions extends Omit<AppDeps, MadeHere> {
	config: Config;
	rooms: RoomDirectory;
	stages: StageService;
	programmes: Programmes;
	/** Undefined for a node that is alone, as is `membership`. */
	handOff?: HandOff;
	membership?: Membership;
	view: ClusterView;
	peers: Peers;
	drain: DrainService;
	overflow: Overflow;
	recordings: Recordings;
	owners: SessionOwners;
	supervisor: Supervisor;
	shutdown: { readonly begun: boolean };
	/** Runs a task later; what it gives back cancels that. */
	schedule: (ms: number, task: () => void) => () => void;
	log: Logger;
}

/** The HTTP API, the stage's WebSocket and the pages over this node's parts. Nothing listens yet. */
export function nodeApp(options: NodeAppOptions): Promise<FastifyInstance> {
	const { programmes, handOff, membership, view, peers, drain, supervisor, shutdown, schedule, ...deps } = options;
	const { config, rooms, stages, log, overflow, recordings, cluster, publicUrl, owners, audit, verifier } = deps;
	return buildApp({
		...deps,
		media: programmes,
		admission: { queue: programmes.admission, places: membership?.places ?? new QueuePlaces({ now: Date.now }) },
		clusterAdmin: nodeAdmin({
			view,
			drain,
			media: programmes,
			shed: async (node, listeners) => (await peers.request(node, 'shed', { listeners })).listeners,
			linksOn: async (node, roomId) => (await peers.request(node, 'roomLinks', { roomId })).links,
			log,
		}),
		...(handOff && { handOff: { decide: (room: Room) => handOff.decide(room), took: (from: string) => handOff.took(from), refused: (to: string) => handOff.refused(to) } }),
		readiness: {
			isShuttingDown: () => shutdown.begun,
			state: () => nodeReadiness({ supervisor, shuttingDown: shutdown.begun, draining: drain.draining, membership, overflow, recordings }),
		},
		pages: (instance) => registerPages(instance, { embedOrigins: config.http.embedOrigins, connectOrigins: () => otherUrls(view), linkPreview: linkPreviews({ rooms, publicUrl }) }),
		stageSocket: (instance) =>
			registerStageSocket(instance, {
				stages,
				media: programmes,
				verifier,
				log,
				now: () => new Date(),
				schedule,
				maxStageSize: config.rooms.maxStageSize,
				owners,
				...(audit && { audit }),
				...(cluster && { atHome: { cluster, rooms } }),
				iceServers: (subject) => iceServers(config.turn, subject),
			}),
	});
}

/** As RTCPeerConnection takes them. */
function iceServers({ secret, urls, ttlSeconds }: Config['turn'], subject: string): { urls: string[]; username: string; credential: string }[] {
	if (secret === undefined || urls.length === 0) {
		return [];
	}
	const { username, credential } = turnCredentials({ urls, secret, ttlSeconds }, subject, Math.floor(Date.now() / 1_000));
	return [{ urls: [...urls], username, credential }];
}
