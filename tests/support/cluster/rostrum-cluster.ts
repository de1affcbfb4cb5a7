import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RedisServer } from '../redis/redis-server.ts';
import { ClusterClient } from './cluster-client.ts';
import { ClusterNode } from './cluster-node.ts';
import { ClusterNetwork } from './network.ts';
import { until } from './until.ts';

export const NODES = ['node-a', 'node-b', 'node-c'] as const;
const REDIS = 'redis';
const CLIENTS = 'clients';
const REDIS_PORT = 6_379;
const SECRET = 'a-cluster-secret-for-tests-0123456789abcdef';
const READY_MS = 60_000;

export interface RostrumClusterOptions {
	/** Hosts with a node each; those in `later` are not started at first. */
	nodes?: readonly string[];
	later?: readonly string[];
	/** Client processes on the clients' host (default 2): the first speaks, the others listen. */
	clients?: number;
	env?: Record<string, string>;
	/** Whether people reach each node at a URL of its own (307), or all at one (forwarding inside). Default true. */
	ownUrls?: boolean;
	/** One node without Redis. */
	alone?: boolean;
}

/** A few heartbeats. */
const TOLD_MS = 4_000;

/** A cluster as a test sees it: hosts with a node each, Redis on a host of its own, clients on another. */
export class RostrumCluster {
	readonly network: ClusterNetwork;
	readonly clients: readonly ClusterClient[];
	readonly redis: RedisServer | undefined;
	readonly nodes: ReadonlyMap<string, ClusterNode>;
	readonly #dataDir: string;

	static async start(options: RostrumClusterOptions = {}): Promise<RostrumCluster> {
		const { alone = false, later = [] } = options;
		const names = options.nodes ?? (alone ? ['node-a'] : NODES);
		const network = ClusterNetwork.create({ hosts: [...names, REDIS, CLIENTS] });
		const dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-cluster-'));
		try {
			const redis = alone ? undefined : await RedisServer.start({ host: network.address(REDIS), netns: network.netns(REDIS), port: REDIS_PORT });
			const cluster = new RostrumCluster(options, names, network, redis, dataDir);
			await Promise.all(names.filter((name) => !later.includes(name)).map((name) => cluster.node(name).start()));
			await cluster.untilAllSeeAll();
			return cluster;
		} catch (error) {
			network.close();
			rmSync(dataDir, { recursive: true, force: true });
			throw error;
		}
	}

	private constructor(
		{ clients = 2, env = {}, ownUrls = true, alone = false }: RostrumClusterOptions,
		names: readonly string[],
		network: ClusterNetwork,
		redis: RedisServer | undefined,
		dataDir: string,
	) {
		this.network = network;
		this.redis = redis;
		this.#dataDir = dataDir;
		this.clients = Array.from({ length: clients }, () => ClusterClient.start(network.netns(CLIENTS), network.address(CLIENTS)));
		this.nodes = new Map(
			names.map((name) => {
				const address = network.address(name);
				const shared = alone
					? {}
					: {
							REDIS_URL: redis?.url ?? '',
							ROSTRUM_CLUSTER_SECRET: SECRET,
							ROSTRUM_NODE_ID: name,
							ROSTRUM_INTERNAL_ADDRESS: address,
							...(ownUrls ? { ROSTRUM_PUBLIC_URL: `http://${address}:3000` } : {}),
						};
				return [name, new ClusterNode({ name, network, client: this.client, dataDir: path.join(this.#dataDir, name), env: { ...shared, ...env } })];
			}),
		);
	}

	/** The client that speaks, and by which the API is asked. */
	get client(): ClusterClient {
		const [first] = this.clients;
		if (!first) {
			throw new Error('a cluster has at least one client');
		}
		return first;
	}
	get running(): ClusterNode[] {
		return [...this.nodes.values()].filter((node) => node.running);
	}

	node(name: string): ClusterNode {
		const node = this.nodes.get(name);
		if (!node) {
			throw new Error(`no node "${name}" in this cluster`);
		}
		return node;
	}

	/** Any node that runs. */
	get anyNode(): ClusterNode {
		const [node] = this.running;
		if (!node) {
			throw new Error('no node runs');
		}
		return node;
	}

	/** What one node says of all: the admin API's list, one member a living node. */
	async seenBy(node: ClusterNode): Promise<SeenNode[]> {
		return (await node.process.json<{ nodes: SeenNode[] }>('GET', '/v1/admin/nodes')).nodes;
	}

	/** The node that says that it is the room's home. */
	async homeOf(room: string, asked = this.anyNode): Promise<ClusterNode> {
		if (this.redis === undefined) {
			return asked;
		}
		let home = '';
		// What a node has become is in its next heartbeat.
		await until(`${asked.name} knows the home of ${room}`, TOLD_MS, async () => {
			const nodes = await this.seenBy(asked);
			const claims = nodes.filter(({ homes }) => homes[room] !== undefined).toSorted((a, b) => (b.homes[room]?.epoch ?? 0) - (a.homes[room]?.epoch ?? 0));
			home = claims[0]?.id ?? '';
			return home !== '' || JSON.stringify(nodes.map(({ id, homes }) => [id, homes]));
		});
		return this.node(home);
	}

	/** Which of the running nodes each says of itself that it is the room's home. One, ever. */
	async claimants(room: string): Promise<string[]> {
		await this.homeOf(room);
		const claims = await Promise.all(
			this.running.map(async (node) => {
				const own = (await this.seenBy(node)).find(({ self }) => self);
				return own?.homes[room] === undefined ? [] : [node.name];
			}),
		);
		return claims.flat();
	}

	/** Every node that runs counts all that run as living, and no others. */
	async untilAllSeeAll(withinMs = READY_MS): Promise<void> {
		if (this.redis === undefined) {
			return;
		}
		const expected = this.running.map(({ name }) => name).toSorted().join();
		await until(`all nodes see ${expected}`, withinMs, async () => {
			const views = await Promise.all(this.running.map(async (node) => (await this.seenBy(node)).map(({ id }) => id).toSorted().join()));
			return views.every((view) => view === expected) || `seen: ${views.join(' | ')}`;
		});
	}

	/** Every node that runs has Redis and can write: each connects again in its own time, and what it hears of others does not say that it can. */
	async untilAllHaveRedis(withinMs = READY_MS): Promise<void> {
		await until('every node has Redis again', withinMs, async () => {
			const answers = await Promise.all(this.running.map(({ process }) => process.json<{ components: { name: string; ready: boolean }[] }>('GET', '/readyz')));
			return answers.every(({ components }) => components.find(({ name }) => name === 'redis')?.ready) || JSON.stringify(answers);
		});
	}

	/** Undoes whatever was done to it: everybody runs and reaches everybody. */
	async restore(): Promise<void> {
		this.network.restore();
		for (const node of this.nodes.values()) {
			node.resume();
		}
		if (this.redis) {
			if (this.redis.running) {
				this.redis.resume();
			} else {
				await this.redis.restart();
			}
		}
		await Promise.all([...this.nodes.values()].filter((node) => !node.running).map((node) => node.start()));
		if (this.redis) {
			await this.untilAllHaveRedis();
		}
		await this.untilAllSeeAll();
	}

	async close(): Promise<void> {
		await Promise.all(this.clients.map((client) => client.close()));
		await Promise.all([...this.nodes.values()].map((node) => node.killProcess()));
		await this.redis?.stop();
		this.network.close();
		rmSync(this.#dataDir, { recursive: true, force: true });
	}
}

/** A living node as the admin API tells it; what the tests read of it. */
export interface SeenNode {
	id: string;
	/** The node that answers. */
	self: boolean;
	draining: boolean;
	homes: Record<string, { epoch: number }>;
	rooms: Record<string, number>;
	shards: { index: number; role: 'stage' | 'listener'; listeners: number; draining: boolean }[];
}
