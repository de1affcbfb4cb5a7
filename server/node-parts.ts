// Everything one node is made of, put together: the only place that knows all parts. Nothing listens and nothing beats yet.
import { randomBytes, randomUUID } from 'node:crypto';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { KeyRing } from '../auth/key-ring.ts';
import { Revocations } from '../auth/revocations.ts';
import { TokenIssuer } from '../auth/token-issuer.ts';
import { TokenVerifier } from '../auth/token-verifier.ts';
import type { Config } from '../config/schema.ts';
import type { Supervisor } from '../sfu/supervisor/supervisor.ts';
import { followCluster, roomRewriter } from './assembly/follow-cluster.ts';
import type { LateFacts } from './assembly/late-facts.ts';
import { nodeApp } from './assembly/node-app.ts';
import { nodeMetrics } from './assembly/node-metrics.ts';
import { otherUrls } from './assembly/other-urls.ts';
import { ownReport } from './assembly/own-report.ts';
import { Audience } from './audience/audience.ts';
import { CaptionLog } from './audience/caption-log.ts';
import { ReportBook } from './audience/report-book.ts';
import type { ClusterView } from './cluster/cluster-view.ts';
import { DrainService } from './cluster/drain/drain-service.ts';
import { MoveBoard } from './cluster/drain/move-board.ts';
import type { Homes } from './cluster/homes.ts';
import { ClusterLinks } from './cluster/links/cluster-links.ts';
import { LoneNode } from './cluster/lone-node.ts';
import type { Membership } from './cluster/membership.ts';
import type { HomeReport } from './cluster/node-report.ts';
import { peerHandlers } from './cluster/peer-handlers.ts';
import type { PeerHandlers, Peers } from './cluster/peer-protocol.ts';
import type { OwnReport } from './cluster/registry/node-registry.ts';
import { monotonicClock } from './events/clock.ts';
import { EventHub } from './events/event-hub.ts';
import { AuditLog } from './audit/audit-log.ts';
import { BanList } from './http/ban-list.ts';
import { ClusterHttp } from './http/cluster-http.ts';
import { Overflow } from './overflow/overflow.ts';
import { HandOff } from './placement/hand-off.ts';
import { Prewarmer } from './programme/prewarmer.ts';
import { NodeCapacity } from './preflight/node-capacity.ts';
import { Programmes } from './programme/programmes.ts';
import { RoomSeats } from './programme/seats/room-seats.ts';
import { Recordings } from './recording/recordings.ts';
import { S3Storage } from './recording/s3-storage.ts';
import { Doors } from './rooms/doors.ts';
import { RoomDirectory } from './rooms/room-directory.ts';
import { readableRoomId } from './rooms/room-id.ts';
import type { DiskRoomStore } from './rooms/store/disk-store.ts';
import type { RoomStore } from './rooms/store/room-store.ts';
import { LoneStageStore } from './stage/lone-stage-store.ts';
import { AccessControl } from './sessions/access-control.ts';
import { encodeEvent, STAGE_ENDINGS } from './stage/stage-connection.ts';
import { StageService } from './stage/stage-service.ts';
import { Happenings } from './webhooks/happenings.ts';
import { Webhooks } from './webhooks/webhooks.ts';
import { ShareCards } from './web/share/share-cards.ts';

export interface NodePartsOptions {
	config: Config;
	nodeId: string;
	keyRing: KeyRing;
	supervisor: Supervisor;
	/** This node's rooms or, in a cluster, its copy of them. */
	replica: DiskRoomStore;
	/** Undefined for a node that is alone. */
	membership: Membership | undefined;
	/** What the membership asks of the node; filled in here. */
	facts: LateFacts;
	/** Where people reach the node, without a slash at its end. */
	url: () => string;
	shutdown: { readonly begun: boolean };
	log: Logger;
}

export interface NodeParts {
	app: FastifyInstance;
	rooms: RoomDirectory;
	stages: StageService;
	programmes: Programmes;
	events: EventHub;
	issuer: TokenIssuer;
	drain: DrainService;
	/** Undefined for a node that is alone. */
	handlers: PeerHandlers | undefined;
	homes: Homes;
	/** Lets go of everything that was begun here. Idempotent. */
	close: (reason: string) => void;
	/** After the last request was answered: what they still needed. Idempotent. */
	finish: () => Promise<void>;
}

export async function assembleNode(options: NodePartsOptions): Promise<NodeParts> {
	const { config, nodeId, keyRing, supervisor, replica, membership, facts, url, shutdown, log } = options;
	const { auth, rooms: roomConfig, cluster: clusterConfig } = config;
	const closing: ((reason: string) => void)[] = [];
	const store: RoomStore = membership?.store ?? replica;
	const revoked = new Revocations();
	const verifier = new TokenVerifier({ ...auth, keys: keyRing, adminToken: config.admin.token, revocations: revoked, now: Date.now });
	const issuer = new TokenIssuer({ ...auth, keys: keyRing, revokedUntil: (subject, roomId) => revoked.revokedUntil(subject, roomId), newId: randomUUID });
	const rooms = await RoomDirectory.create({ store, now: () => new Date(), randomId: () => readableRoomId(randomBytes), defaults: { voices: roomConfig.defaultVoices } });

	const capacity = await NodeCapacity.open({
		config,
		nodeId,
		supervisor,
		membership,
		nodes: () => view.nodes(),
		ownShards: () => programmes.shardReports(),
		peers: () => peers,
		log,
	});

	const report = (): OwnReport => ownReport({ base: facts.base, config, url, programmes, drain, shutdown, membership, versionsOf, handOff, capacity });
	const lone = membership ? undefined : new LoneNode({ nodeId, report, rooms: () => [], listenersIn: (roomId) => programmes.counts.get(roomId) ?? 0 });
	const view: ClusterView = membership?.view ?? lone!.view;
	const homes: Homes = membership?.homes ?? lone!.homes;
	const peers: Peers = membership?.peers ?? lone!.peers;

	let links: ClusterLinks | undefined;
	let seats: RoomSeats | undefined;
	const programmes: Programmes = Programmes.create({
		supervisor,
		maxListenersPerShard: config.sfu.maxListenersPerShard,
		autoPacking: roomConfig.autoPacking,
		admission: config.admission,
		maxFanOut: clusterConfig.maxFanOut,
		linkLingerMs: clusterConfig.linkLingerMs,
		pressure: config.pressure,
		...(membership && { seats: (inUse) => (seats = new RoomSeats({ view, homes, peers, room: (roomId) => rooms.get(roomId), inUse, clock: monotonicClock, log: log.child({ part: 'seats' }) })) }),
		view,
		homes,
		namesNode: membership !== undefined,
		broker: (carried) => (links = ClusterLinks.create({ view, homes, peers, rooms: carried, log })),
		log,
	});
	closing.push((reason) => programmes.close(reason));
	const access = await AccessControl.open({
		index: revoked,
		replica,
		membership,
		view,
		peers,
		media: programmes,
		longestTokenSeconds: auth.maxTokenTtlSeconds + auth.clockToleranceSeconds,
		now: Date.now,
		newId: randomUUID,
		schedule,
		log,
	});
	const audit = await AuditLog.open({ dir: path.join(config.dataDir, 'audit'), nodeId, keepMs: config.audit.keepDays * 86_400_000, view, peers, now: Date.now, log: log.child({ part: 'audit' }) });
	const webhooks = await Webhooks.open({
		config: config.webhooks, dataDir: config.dataDir, nodeId, records: access.webhooks, view, peers, now: Date.now, random: Math.random, newId: randomUUID, schedule,
		log: log.child({ part: 'webhooks' }),
	});
	const loneStages = membership ? undefined : await LoneStageStore.open({ replica, rooms, schedule });
	closing.push(() => loneStages?.close());
	const stages: StageService = StageService.create({
		rooms,
		store,
		...(membership ? { homes, stageStore: membership.store, alternates: () => otherUrls(view) } : { stageStore: loneStages! }),
		maxHands: roomConfig.maxHands,
		onBanned: (roomId, subject) => {
			bans.forget(roomId);
			void access.owners.end({ subject, room: roomId }, 'banned');
		},
		media: programmes,
		now: () => new Date(),
		randomId: randomUUID,
		schedule,
		reconnectGraceMs: roomConfig.reconnectGraceMs,
		maxStageSize: roomConfig.maxStageSize,
		log,
	});
	closing.push((reason) => stages.closeAll(reason));
	/** Whoever takes a room next must find on its stage what is there now. */
	const release = async (roomId: string): Promise<void> => {
		await stages.flush(roomId);
		await homes.release(roomId);
	};
	const leaving = { get rooms() { return homes.rooms; }, epochOf: (roomId: string) => homes.epochOf(roomId), ensure: (roomId: string) => homes.ensure(roomId), release };
	const drain = DrainService.create({ view, homes: leaving, peers, media: programmes, clock: monotonicClock, now: Date.now, log: log.child({ part: 'drain' }) });
	closing.push(() => drain.close());
	const moves = new MoveBoard({ view, namesNode: membership !== undefined, own: () => drain.moving });
	drain.on('changed', () => moves.refresh());
	view.on('beat', () => moves.refresh());
	const audience = Audience.create({ reactions: config.audience.reactions, captions: new CaptionLog({ now: Date.now }), rooms, view, homes, peers, clock: monotonicClock, randomId: randomUUID, log: log.child({ part: 'audience' }) });
	closing.push(() => audience.close());
	const reports = await ReportBook.open({ file: path.join(config.dataDir, 'reports.jsonl'), view, peers, now: Date.now, newId: randomUUID, log: log.child({ part: 'reports' }) });
	const events = EventHub.create({ rooms, stages, media: programmes, moves, audience, invitations: stages, clock: monotonicClock, randomId: randomUUID, maxStreams: config.http.maxEventStreams });
	closing.push((reason) => events.close(reason));
	const overflow = Overflow.create({
		config: config.overflow,
		publicUrl: config.http.publicUrl?.replace(/\/$/, ''),
		rooms,
		view,
		homes,
		peers,
		media: programmes,
		supervisor,
		now: Date.now,
		randomId: randomUUID,
		schedule,
		onStarted: (roomId) => happenings.overflowStarted(roomId),
		log,
	});
	closing.push(() => overflow.close());
	const recordings = Recordings.create({
		config: config.recording,
		dataDir: config.dataDir,
		rooms,
		homes,
		view,
		peers,
		media: programmes,
		supervisor,
		people: (roomId) => stages.roster(roomId),
		captions: audience.captions,
		storage: config.recording.storage === 's3' ? S3Storage.create(config.recording.s3) : undefined,
		onReady: ({ roomId, id, title, durationMs }) => happenings.recordingReady(roomId, id, { title, durationMs }),
		onProblem: (roomId, id, problem, over) => happenings.recordingProblem(roomId, id, problem, over),
		now: Date.now,
		newId: randomUUID,
		log,
	});
	closing.push(() => recordings.close());
	const metrics = nodeMetrics({
		config, supervisor, rooms, events, programmes, drain, capacity, overflow, webhooks, recordings, audit, audience, reports, membership, forwards: () => cluster!.forwards,
	});
	const handOff = membership && new HandOff({ view, ownShards: () => programmes.shardReports(), random: Math.random, nowMs: () => performance.now() });
	closing.push(() => handOff?.close());
	const bans = new BanList(store, Date.now, (err, roomId) => log.warn({ err, room: roomId }, 'bans could not be read'));

	function versionsOf(roomId: string): HomeReport {
		return { epoch: stages.stateOf(roomId).epoch, roomVersion: rooms.get(roomId)?.version ?? 0, stageVersion: stages.rosterVersion(roomId) };
	}

	// Going live, ending, changed packing: the media follows the room.
	rooms.on('changed', (room) => void programmes.roomChanged(room).catch((error: unknown) => log.error({ err: error, room: room.id }, 'the media did not follow the room')));
	rooms.on('removed', (room) => void programmes.roomChanged({ ...room, state: 'ended' }));
	const doors = Doors.create({ rooms, homes, prewarmMs: config.doors.prewarmMs, endWarningMs: config.doors.endWarningMs, now: Date.now, schedule, log: log.child({ part: 'doors' }) });
	closing.push(() => doors.close());
	const prewarmer = Prewarmer.create({ rooms, view, homes, media: programmes.prepared, prewarmMs: config.doors.prewarmMs, now: Date.now, schedule, log: log.child({ part: 'prewarm' }) });
	closing.push(() => prewarmer.close());

	// Before anything else follows what other nodes did.
	const happenings = Happenings.create({ webhooks, rooms, store: membership?.store, stages, homes, view, reports, now: Date.now });

	let handlers: PeerHandlers | undefined;
	if (membership && links && seats) {
		facts.complete({
			report,
			rooms: () => rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['scheduled', 'open', 'live'] }).map(({ id }) => id),
			needsHome: (roomId) => {
				const state = rooms.get(roomId)?.state;
				return state === 'open' || state === 'live' || (state === 'scheduled' && (doors.isNear(roomId) || stages.roster(roomId).length > 0));
			},
			behind: roomRewriter({ stages, store: membership.store, log }),
		});
		handlers = peerHandlers({ membership, links, seats, stages, drain, programmes, overflow, recordings, preflight: capacity.node, audience, reports, access, audit, webhooks });
		followCluster({ membership, links, seats, rooms, stages, programmes, bans, known: versionsOf, log });
	}

	const cluster =
		membership &&
		new ClusterHttp({ view, homes, tickets: membership.tickets, connections: membership.peers.connections, tokens: membership.tokens, schedule, log });
	const { detail, reconnect } = STAGE_ENDINGS.shutting_down;
	closing.push(() => cluster?.sockets.close(encodeEvent('bye', { code: 'shutting_down', detail, reconnect })));
	const shareCards = new ShareCards({ log });
	closing.push(() => shareCards.close());
	const app = await nodeApp({
		config,
		publicUrl: url,
		rooms,
		stages,
		programmes,
		events,
		verifier,
		issuer,
		keyRing,
		store,
		bans,
		...(cluster && { cluster }),
		...(handOff && { handOff }),
		...(membership && { membership }),
		shareCards,
		view,
		peers,
		drain,
		overflow,
		recordings,
		audience: { audience, reports, limits: config.audience },
		log,
		capacity: () => capacity.fleetNow(),
		preflight: capacity.preflight,
		owners: access.owners,
		revocations: access.revocations,
		audit,
		webhooks,
		metrics,
		now: Date.now,
		randomId: randomUUID,
		supervisor,
		shutdown,
		schedule,
	});
	for (const roomId of loneStages?.roomIds ?? []) {
		if (rooms.get(roomId)?.state !== 'ended') {
			stages.restore(roomId);
		}
	}
	// Rooms that were open before a restart are open again: their media is made ready before anybody comes.
	for (const room of rooms.list({ limit: 10_000, states: ['open', 'live'] })) {
		await programmes.roomChanged(room);
	}
	// Those made last go first: people are told before their media goes.
	const close = (reason: string) => closing.splice(0).toReversed().forEach((end) => end(reason));
	const finish = async () => {
		await Promise.all([webhooks.close(), access.close(), audit.close()]);
	};
	return { app, rooms, stages, programmes, events, issuer, drain, handlers, homes, close, finish };
}

/** Runs a task later; the timer does not keep the process alive. */
const schedule = (ms: number, task: () => void): (() => void) => monotonicClock.schedule(task, ms);
