import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { type ClusterKeys, deriveClusterKeys } from '../auth/cluster-keys.ts';
import { KeyRing } from '../auth/key-ring.ts';
import type { TokenIssuer } from '../auth/token-issuer.ts';
import type { Config } from '../config/schema.ts';
import { Supervisor } from '../sfu/supervisor/supervisor.ts';
import { LateFacts } from './assembly/late-facts.ts';
import type { Homes } from './cluster/homes.ts';
import { internalAddress, linkAddress, urlOf } from './cluster/internal-address.ts';
import { Membership } from './cluster/membership.ts';
import { PeerServer } from './cluster/peers/peer-server.ts';
import { RedisConnection } from './cluster/redis/redis-connection.ts';
import { RedisSharedKeyStore } from './cluster/shared-keys/redis-shared-key-store.ts';
import { firstKeys } from './cluster/shared-keys/shared-keys.ts';
import { assembleNode, type NodeParts } from './node-parts.ts';
import { sendingHalves } from './placement/fan-out-tree.ts';
import { mediaAddresses } from './programme/media-addresses.ts';
import type { Programmes } from './programme/programmes.ts';
import type { RoomDirectory } from './rooms/room-directory.ts';
import { DiskRoomStore } from './rooms/store/disk-store.ts';
import type { StageService } from './stage/stage-service.ts';
import type { Tracing } from './tracing/tracing.ts';

type Undo = (() => Promise<unknown> | void)[];

interface Parts {
	nodeId: string;
	parts: NodeParts;
	supervisor: Supervisor;
	membership: Membership | undefined;
	peerServer: PeerServer | undefined;
	tracing: Tracing | undefined;
	store: Pick<DiskRoomStore, 'close'>;
	drainMs: number;
	log: Logger;
	shutdown: { begun: boolean };
	url: () => string;
}

/** Kept of the time to close for requests that are still being answered. */
const ANSWERS_MS = 250;
const NODE_ID_KEY = 'node-id';
/** Twice as long as the other nodes wait before they take a silent node for dead. */
const NODE_SILENCE_MS = 4_000;
/** Until a new signing key is with every node: they exchange keys every 5 s. */
const KEY_SETTLE_MS = 10_000;

/** One running node: every part, put together. `main.ts` gives it its process, tests give it a port of their own. */
export class RostrumNode {
	readonly nodeId: string;
	readonly app: FastifyInstance;
	readonly rooms: RoomDirectory;
	readonly stages: StageService;
	readonly programmes: Programmes;
	readonly supervisor: Supervisor;
	readonly issuer: TokenIssuer;
	readonly membership: Membership | undefined;
	/** In a cluster every line names the node. */
	readonly log: Logger;
	readonly #parts: NodeParts;
	readonly #peerServer: PeerServer | undefined;
	readonly #tracing: Tracing | undefined;
	readonly #store: Pick<DiskRoomStore, 'close'>;
	readonly #drainMs: number;
	readonly #shutdown: { begun: boolean };
	readonly #url: () => string;
	#closing: Promise<void> | undefined;

	/** Rejects, with nothing left running, when a port is taken or the data folder cannot be used. */
	static async start(config: Config, rootLog: Logger): Promise<RostrumNode> {
		let log = rootLog;
		const dataDir = path.resolve(config.dataDir);
		await mkdir(dataDir, { recursive: true, mode: 0o700 });
		const undo: Undo = [];
		try {
			const replica = await DiskRoomStore.open({ file: path.join(dataDir, 'rostrum.db') });
			undo.push(() => replica.close());
			const nodeId = config.nodeId ?? (await keptNodeId(replica));
			log = config.redis.url === undefined ? rootLog : rootLog.child({ node: nodeId });
			const tracing = await startTracing(config, nodeId, log);
			undo.push(() => tracing?.close());
			const shared = await openShared(config, log);
			undo.push(() => shared?.redis.close());
			const keyRing = await KeyRing.open({
				dir: path.join(dataDir, 'keys'),
				now: Date.now,
				algorithm: 'EdDSA',
				// A node must not sign with what the others cannot verify yet.
				...(shared && { settleMs: KEY_SETTLE_MS, firstKeys: () => firstKeys(new RedisSharedKeyStore(shared.redis), shared.keys, log) }),
			});
			const interfaces = networkInterfaces();
			const internal = internalAddress(config, interfaces);
			const facts = new LateFacts(urlOf(internal, config.cluster.internalPort), new Date());
			const membership = shared && (await Membership.open({ ...shared, nodeId, replica, keyRing, facts, log }));
			undo.push(() => membership?.close());
			const link = linkAddress(internal, interfaces);
			const supervisor = await Supervisor.start({
				...config.sfu,
				listenAddresses: mediaAddresses(config.sfu, interfaces),
				...(membership && { linkAddress: link, nodeSilenceMs: NODE_SILENCE_MS }),
				maxDownstreams: sendingHalves(config.cluster.maxFanOut),
				log,
			});
			undo.push(() => supervisor.close('start failed', 0));
			const shutdown = { begun: false };
			let app: FastifyInstance | undefined;
			const url = () => config.http.publicUrl?.replace(/\/$/, '') ?? addressOf(app, config.http.host);
			const parts = await assembleNode({ config, nodeId, keyRing, supervisor, replica, membership, facts, url, shutdown, log });
			app = parts.app;
			undo.push(() => parts.finish(), () => parts.app.close(), () => parts.close('start failed'));
			await parts.app.listen({ host: config.http.host, port: config.http.port });
			const peerServer =
				membership &&
				parts.handlers &&
				(await PeerServer.listen({
					host: link.ip,
					port: config.cluster.internalPort,
					tokens: membership.tokens,
					handlers: parts.handlers,
					app: parts.app,
					log,
				}));
			undo.push(() => peerServer?.close());
			await membership?.start();
			return new RostrumNode({
				nodeId, parts, supervisor, membership, peerServer, tracing, store: membership?.store ?? replica, drainMs: config.cluster.drainMs, log, shutdown, url,
			});
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

	private constructor({ nodeId, parts, supervisor, membership, peerServer, tracing, store, drainMs, log, shutdown, url }: Parts) {
		this.nodeId = nodeId;
		this.app = parts.app;
		this.rooms = parts.rooms;
		this.stages = parts.stages;
		this.programmes = parts.programmes;
		this.issuer = parts.issuer;
		this.supervisor = supervisor;
		this.membership = membership;
		this.#parts = parts;
		this.#peerServer = peerServer;
		this.#tracing = tracing;
		this.#store = store;
		this.#drainMs = drainMs;
		this.log = log;
		this.#shutdown = shutdown;
		this.#url = url;
	}

	/** Which rooms live here. */
	get homes(): Homes {
		return this.#parts.homes;
	}
	/** Where people reach it, without a slash at the end. */
	get url(): string {
		return this.#url();
	}

	/** How long `drain` may take: nothing where there is nobody to take over. */
	get drainMs(): number {
		return this.#hasTakers ? this.#drainMs : 0;
	}

	/** Moves listeners and rooms to other nodes. Resolves when all are gone, at the deadline, or when no node is left that could take them. */
	async drain(): Promise<void> {
		const deadlineMs = this.drainMs;
		const view = this.membership?.view;
		if (deadlineMs === 0 || !view) {
			return;
		}
		const { promise: nobodyLeft, resolve } = Promise.withResolvers<void>();
		const look = () => {
			if (!this.#hasTakers) {
				this.log.info('no node is left to move anybody to');
				resolve();
			}
		};
		view.on('beat', look).on('nodeDown', look);
		this.#parts.drain.start({ deadlineMs });
		await Promise.race([this.#parts.drain.whenOver(), nobodyLeft]);
		view.off('beat', look).off('nodeDown', look);
	}

	/** Whole clusters are shut down, too: nodes that are leaving themselves take nobody. */
	get #hasTakers(): boolean {
		return this.membership?.view.nodes().some(({ nodeId, draining }) => nodeId !== this.nodeId && !draining) === true;
	}

	/** Tells everybody, refuses newcomers, and is gone by the deadline. Idempotent. */
	close(reason: string, deadlineMs: number): Promise<void> {
		return (this.#closing ??= this.#close(reason, deadlineMs));
	}

	async #close(reason: string, deadlineMs: number): Promise<void> {
		this.#shutdown.begun = true;
		this.log.info({ reason, deadlineMs }, 'closing');
		const startedAt = performance.now();
		await this.membership?.homes.close(); // First of all, for others can take over while this node goes on closing.
		this.#parts.close(reason);
		await this.supervisor.close(reason, Math.max(0, deadlineMs - (performance.now() - startedAt) - 500));
		// A client that sends or reads slowly must not hold up the end.
		const cut = setTimeout(() => this.app.server.closeAllConnections(), ANSWERS_MS);
		await this.app.close();
		clearTimeout(cut);
		await this.#peerServer?.close();
		await this.#parts.finish();
		await this.membership?.close();
		await this.#store.close();
		await this.#tracing?.close();
		this.log.info({ tookMs: Math.round(performance.now() - startedAt) }, 'closed');
	}
}

/** Loaded only where it is wanted: it is more code than the rest of a start. */
async function startTracing({ tracing: config }: Config, nodeId: string, log: Logger): Promise<Tracing | undefined> {
	if (config.endpoint === undefined) {
		return undefined;
	}
	const { Tracing } = await import('./tracing/tracing.ts');
	return Tracing.start({ config: { ...config, endpoint: config.endpoint }, nodeId, log: log.child({ part: 'tracing' }) });
}

/** What the nodes of a cluster share; undefined for a node that is alone. */
async function openShared(config: Config, log: Logger): Promise<{ redis: RedisConnection; keys: ClusterKeys } | undefined> {
	const { secret } = config.cluster;
	if (config.redis.url === undefined || secret === undefined) {
		return undefined; // The configuration's checks let no address through without a secret.
	}
	return { redis: await RedisConnection.open(config.redis, log.child({ part: 'redis' })), keys: deriveClusterKeys(secret) };
}

function addressOf(app: FastifyInstance | undefined, host: string): string {
	const address = app?.server.address() as AddressInfo | null | undefined;
	const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
	return `http://${name}:${address?.port ?? 0}`;
}

/** Made once: a node that was restarted is the same one. */
async function keptNodeId(replica: DiskRoomStore): Promise<string> {
	const known = await replica.getValue(NODE_ID_KEY);
	const nodeId = known ?? `node-${randomBytes(4).toString('hex')}`;
	if (known === undefined) {
		await replica.setValue(NODE_ID_KEY, nodeId);
	}
	return nodeId;
}
