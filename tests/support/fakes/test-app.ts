import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import type { Role } from '../../../auth/roles.ts';
import { KeyRing } from '../../../auth/key-ring.ts';
import { TokenIssuer } from '../../../auth/token-issuer.ts';
import { TokenVerifier } from '../../../auth/token-verifier.ts';
import { type AppDeps, buildApp } from '../../../server/app.ts';
import { fleetCapacityNow } from '../../../server/capacity/live-capacity.ts';
import type { AppCluster, HandOff } from '../../../server/http/deps.ts';
import { DomainError } from '../../../server/errors.ts';
import { Metrics } from '../../../server/metrics/metrics.ts';
import { Preflight } from '../../../server/preflight/preflight.ts';
import { RoomDirectory } from '../../../server/rooms/room-directory.ts';
import { ShareCards } from '../../../server/web/share/share-cards.ts';
import { FakeClusterAdmin } from './fake-cluster-admin.ts';
import { FakeEventHub } from './fake-event-hub.ts';
import { FakeRoomMedia } from './fake-room-media.ts';
import { FakeRoomStore } from './fake-room-store.ts';
import { FakeStages } from './fake-stages.ts';

export const ADMIN_TOKEN = 'an-admin-token-of-more-than-32-characters';
export const PUBLIC_URL = 'https://rooms.example.org';
export const OFFER = 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';

type HttpConfig = AppDeps['config']['http'];

export interface TestAppOptions {
	http?: Partial<HttpConfig>;
	turn?: Partial<AppDeps['config']['turn']>;
	logLevel?: string;
	publicUrl?: string | (() => string);
	stageSocket?: AppDeps['stageSocket'];
	admission?: AppDeps['admission'];
	/** What an address and a token may begin; without, nothing is limited. */
	limits?: AppDeps['config']['admission'];
	overflow?: AppDeps['overflow'];
	/** Of a node in a cluster: its name, its way to the others, and the signing keys they share. */
	node?: { id: string; cluster: AppCluster; keyRing: KeyRing; handOff?: HandOff };
}

/** The HTTP API over real rooms, real tokens and fakes of media, stage and events. The clock stands at `state.nowMs`. */
export interface TestApp {
	app: FastifyInstance;
	rooms: RoomDirectory;
	store: FakeRoomStore;
	media: FakeRoomMedia;
	stages: FakeStages;
	events: FakeEventHub;
	clusterAdmin: FakeClusterAdmin;
	state: { nowMs: number; shuttingDown: boolean; ready: boolean };
	/** Log lines so far, parsed. */
	logs: Record<string, unknown>[];
	/** `Bearer …` of a fresh token. */
	bearer(role: Role, roomId?: string, options?: { subject?: string; expiresInSeconds?: number }): Promise<string>;
	close(): Promise<void>;
}

export async function createTestApp(options: TestAppOptions = {}): Promise<TestApp> {
	const dir = await mkdtemp(path.join(tmpdir(), 'rostrum-http-'));
	const state = { nowMs: Date.parse('2026-05-24T20:00:00.000Z'), shuttingDown: false, ready: true };
	const now = () => state.nowMs;
	let ids = 0;
	const randomId = () => `id-${(++ids).toString().padStart(12, '0')}`;

	const { node } = options;
	const keyRing = node?.keyRing ?? await KeyRing.open({ dir: path.join(dir, 'keys'), now, algorithm: 'EdDSA' });
	const names = { issuer: 'rostrum', audience: 'rostrum', maxTokenTtlSeconds: 90 * 86_400 };
	const issuer = new TokenIssuer({ ...names, keys: keyRing, tokenTtlSeconds: 86_400, newId: randomId });
	const verifier = new TokenVerifier({ ...names, keys: keyRing, clockToleranceSeconds: 0, foreignIssuers: [], adminToken: ADMIN_TOKEN, now });
	const store = new FakeRoomStore();
	const rooms = await RoomDirectory.create({ store, now: () => new Date(state.nowMs), randomId, defaults: { voices: 3 } });
	const media = new FakeRoomMedia(node?.id);
	const stages = new FakeStages(media, store);
	const events = new FakeEventHub();
	const clusterAdmin = new FakeClusterAdmin(node?.id);
	const logs: Record<string, unknown>[] = [];
	const log = pino(
		{ level: options.logLevel ?? 'silent' },
		new Writable({
			write: (chunk: Buffer, _encoding, done) => {
				logs.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
				done();
			},
		}),
	);
	const shareCards = new ShareCards({ log });
	const app = await buildApp({
		config: {
			http: {
				host: '127.0.0.1', port: 0, trustProxy: false, bodyLimitBytes: 65_536, corsOrigins: '*', embedOrigins: [], maxEventStreams: 3,
				...options.http,
			},
			turn: { urls: [], ttlSeconds: 3600, ...options.turn },
			...(options.limits ? { admission: options.limits } : {}),
		},
		publicUrl: () => (typeof options.publicUrl === 'function' ? options.publicUrl() : (options.publicUrl ?? PUBLIC_URL)),
		rooms, stages, media, events, verifier, issuer, keyRing, store, log, now, randomId,
		readiness: {
			isShuttingDown: () => state.shuttingDown,
			state: () => ({ ready: state.ready, components: [{ name: 'store', ready: state.ready }] }),
		},
		metrics: Metrics.create({
			shards: () => [],
			roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
			events: () => ({ streams: events.streamCount, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
			processMetrics: false,
		}),
		clusterAdmin,
		capacity: () => fleetCapacityNow(clusterAdmin.nodes(), 60, state.nowMs),
		preflight: new Preflight({
			nodes: () => clusterAdmin.nodes(),
			ask: (nodeId) => Promise.reject(new DomainError('peer_unreachable', `Node ${nodeId} does not answer`)),
			largePackingMs: 60,
			packsUnderPressure: true,
			now,
		}),
		shareCards,
		...(node ? { cluster: node.cluster } : {}),
		...(node?.handOff ? { handOff: node.handOff } : {}),
		...(options.admission ? { admission: options.admission } : {}),
		...(options.overflow ? { overflow: options.overflow } : {}),
		...(options.stageSocket ? { stageSocket: options.stageSocket } : {}),
	});
	return {
		app, rooms, store, media, stages, events, clusterAdmin, state, logs,
		async bearer(role, roomId, { subject = `${role}-subject`, expiresInSeconds } = {}) {
			const { token } = await issuer.issue({ role, roomId, subject, name: role, expiresInSeconds, nowSeconds: state.nowMs / 1000 });
			return `Bearer ${token}`;
		},
		async close() {
			await app.close();
			shareCards.close();
			await rm(dir, { recursive: true, force: true });
		},
	};
}
