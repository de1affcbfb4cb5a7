import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { KeyRing } from '../auth/key-ring.ts';
import { TokenIssuer } from '../auth/token-issuer.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import { type TurnCredentials, turnCredentials } from '../auth/turn-credentials.ts';
import type { Config } from '../config/schema.ts';
import { Supervisor } from '../sfu/supervisor/supervisor.ts';
import { buildApp } from './app.ts';
import { monotonicClock } from './events/clock.ts';
import { EventHub } from './events/event-hub.ts';
import { Metrics } from './metrics/metrics.ts';
import { mediaAddresses } from './programme/media-addresses.ts';
import { Programmes } from './programme/programmes.ts';
import { RoomDirectory } from './rooms/room-directory.ts';
import { readableRoomId } from './rooms/room-id.ts';
import type { RoomState } from './rooms/room.ts';
import { DiskRoomStore } from './rooms/store/disk-store.ts';
import { registerStageSocket } from './stage/stage-socket.ts';
import { StageService } from './stage/stage-service.ts';
import { registerPages } from './web/pages.ts';

interface Parts {
	app: FastifyInstance;
	rooms: RoomDirectory;
	stages: StageService;
	programmes: Programmes;
	supervisor: Supervisor;
	issuer: TokenIssuer;
	events: EventHub;
	store: DiskRoomStore;
	log: Logger;
	shutdown: { begun: boolean };
	url: () => string;
}

type Undo = (() => Promise<unknown> | void)[];

/** Kept of the time to close for requests that are still being answered. */
const ANSWERS_MS = 250;

/** One running node: every part, put together. `main.ts` gives it its process, tests give it a port of their own. */
export class RostrumNode {
	readonly app: FastifyInstance;
	readonly rooms: RoomDirectory;
	readonly stages: StageService;
	readonly programmes: Programmes;
	readonly supervisor: Supervisor;
	readonly issuer: TokenIssuer;
	readonly #events: EventHub;
	readonly #store: DiskRoomStore;
	readonly #log: Logger;
	readonly #shutdown: { begun: boolean };
	readonly #url: () => string;
	#closing: Promise<void> | undefined;

	/** Rejects, with nothing left running, when a port is taken or the data folder cannot be used. */
	static async start(config: Config, log: Logger): Promise<RostrumNode> {
		const dataDir = path.resolve(config.dataDir);
		await mkdir(dataDir, { recursive: true, mode: 0o700 });
		const undo: Undo = [];
		try {
			const store = await DiskRoomStore.open({ file: path.join(dataDir, 'rostrum.db') });
			undo.push(() => store.close());
			const keyRing = await KeyRing.open({ dir: path.join(dataDir, 'keys'), now: Date.now, algorithm: 'EdDSA' });
			const supervisor = await Supervisor.start({
				...config.sfu,
				listenAddresses: mediaAddresses(config.sfu, networkInterfaces()),
				log,
			});
			undo.push(() => supervisor.close('start failed', 0));
			const node = new RostrumNode(await assemble(config, log, store, keyRing, supervisor, undo));
			await node.app.listen({ host: config.http.host, port: config.http.port });
			return node;
		} catch (error) {
			for (const step of undo.toReversed()) {
				try {
					await step();
				} catch (undoError) {
					log.error({ err: undoError }, 'undoing a failed start failed'); // The rest must go all the same.
				}
			}
			throw error;
		}
	}

	private constructor({ app, rooms, stages, programmes, supervisor, issuer, events, store, log, shutdown, url }: Parts) {
		this.app = app;
		this.rooms = rooms;
		this.stages = stages;
		this.programmes = programmes;
		this.supervisor = supervisor;
		this.issuer = issuer;
		this.#events = events;
		this.#store = store;
		this.#log = log;
		this.#shutdown = shutdown;
		this.#url = url;
	}

	/** Where people reach it, without a slash at the end. */
	get url(): string {
		return this.#url();
	}

	/** Tells everybody, refuses newcomers, and is gone by the deadline. Idempotent. */
	close(reason: string, deadlineMs: number): Promise<void> {
		return (this.#closing ??= this.#close(reason, deadlineMs));
	}

	async #close(reason: string, deadlineMs: number): Promise<void> {
		this.#shutdown.begun = true;
		this.#log.info({ reason, deadlineMs }, 'closing');
		const startedAt = performance.now();
		this.stages.closeAll(reason);
		this.#events.close(reason);
		this.programmes.close(reason);
		await this.supervisor.close(reason, Math.max(0, deadlineMs - (performance.now() - startedAt) - 500));
		// A client that sends or reads slowly must not hold up the end.
		const cut = setTimeout(() => this.app.server.closeAllConnections(), ANSWERS_MS);
		await this.app.close();
		clearTimeout(cut);
		await this.#store.close();
		this.#log.info({ tookMs: Math.round(performance.now() - startedAt) }, 'closed');
	}
}

/** Puts the parts together; nothing listens yet. */
async function assemble(config: Config, log: Logger, store: DiskRoomStore, keyRing: KeyRing, supervisor: Supervisor, undo: Undo): Promise<Parts> {
	const { auth, rooms: roomConfig, turn } = config;
	const nowSeconds = () => Math.floor(Date.now() / 1_000);
	const verifier = new TokenVerifier({ ...auth, keys: keyRing, adminToken: config.admin.token, now: Date.now });
	const issuer = new TokenIssuer({ ...auth, keys: keyRing, newId: randomUUID });
	const rooms = await RoomDirectory.create({ store, now: () => new Date(), randomId: () => readableRoomId(randomBytes), defaults: { voices: roomConfig.defaultVoices } });
	const programmes = Programmes.create({
		supervisor,
		maxListenersPerShard: config.sfu.maxListenersPerShard,
		autoPacking: roomConfig.autoPacking,
		log,
	});
	undo.push(() => programmes.close('start failed'));
	const stages = StageService.create({
		rooms,
		store,
		media: programmes,
		now: () => new Date(),
		randomId: randomUUID,
		schedule,
		reconnectGraceMs: roomConfig.reconnectGraceMs,
		maxStageSize: roomConfig.maxStageSize,
		log,
	});
	undo.push(() => stages.closeAll('start failed'));
	const events = EventHub.create({ rooms, stages, media: programmes, clock: monotonicClock, randomId: randomUUID, maxStreams: config.http.maxEventStreams });
	undo.push(() => events.close());
	const shutdown = { begun: false };
	let listening: FastifyInstance | undefined;
	const url = () => config.http.publicUrl?.replace(/\/$/, '') ?? addressOf(listening, config.http.host);
	const metrics = Metrics.create({
		shards: () => supervisor.shards().flatMap(({ assignment, stats }) => (assignment && stats ? [{ index: assignment.index, role: assignment.role, stats }] : [])),
		roomsByState: () => roomsByState(rooms),
		events: () => events.metrics(),
		processMetrics: true,
	});

	// Going live, ending, changed packing: the media follows the room.
	rooms.on('changed', (room) => void programmes.roomChanged(room).catch((error: unknown) => log.error({ err: error, room: room.id }, 'the media did not follow the room')));
	rooms.on('removed', (room) => void programmes.roomChanged({ ...room, state: 'ended' }));

	const app = await buildApp({
		config,
		publicUrl: url,
		rooms,
		stages,
		media: programmes,
		events,
		verifier,
		issuer,
		keyRing,
		store,
		log,
		metrics,
		now: Date.now,
		randomId: randomUUID,
		readiness: {
			isShuttingDown: () => shutdown.begun,
			state: () => readiness(supervisor, shutdown.begun),
		},
		pages: (instance) => registerPages(instance, {}),
		stageSocket: (instance) =>
			registerStageSocket(instance, {
				stages,
				media: programmes,
				verifier,
				log,
				now: () => new Date(),
				schedule,
				maxStageSize: roomConfig.maxStageSize,
				iceServers: (subject) =>
					turn.secret === undefined || turn.urls.length === 0
						? []
						: [iceServer(turnCredentials({ urls: turn.urls, secret: turn.secret, ttlSeconds: turn.ttlSeconds }, subject, nowSeconds()))],
			}),
	});
	undo.push(() => app.close());
	listening = app;
	// Rooms that were open before a restart are open again: their media is made ready before anybody comes.
	for (const room of rooms.list({ limit: 10_000, states: ['open', 'live'] })) {
		await programmes.roomChanged(room);
	}
	return { app, rooms, stages, programmes, supervisor, issuer, events, store, log, shutdown, url };
}

function addressOf(app: FastifyInstance | undefined, host: string): string {
	const address = app?.server.address() as AddressInfo | null | undefined;
	const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
	return `http://${name}:${address?.port ?? 0}`;
}

/** Runs a task later; the timer does not keep the process alive. */
function schedule(ms: number, task: () => void): () => void {
	const timer = setTimeout(task, ms);
	timer.unref();
	return () => clearTimeout(timer);
}

/** As RTCPeerConnection takes it. */
const iceServer = ({ urls, username, credential }: TurnCredentials) => ({ urls: [...urls], username, credential });

function roomsByState(rooms: RoomDirectory): Record<RoomState, number> {
	const count = { scheduled: 0, open: 0, live: 0, ended: 0 };
	for (const { state } of rooms.list({ limit: Number.MAX_SAFE_INTEGER })) {
		count[state]++;
	}
	return count;
}

function readiness(supervisor: Supervisor, shuttingDown: boolean) {
	const count = (role: 'stage' | 'listener') => {
		const slots = supervisor.slots.filter((slot) => slot.role === role);
		const alive = slots.filter((slot) => slot.alive).length;
		return { name: `${role} shards`, ready: alive > 0, detail: `${alive} of ${slots.length}` };
	};
	const components = [count('stage'), count('listener'), { name: 'admission', ready: !shuttingDown, ...(shuttingDown ? { detail: 'shutting down' } : {}) }];
	return { ready: components.every(({ ready }) => ready), components };
}
