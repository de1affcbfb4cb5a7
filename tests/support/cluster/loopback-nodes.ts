import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RostrumProcess } from '../process/rostrum-process.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { until } from './until.ts';

export interface LoopbackNodesOptions {
	/** First of 1,000 ports that nobody else uses: internal ports first, then media. */
	basePort: number;
	count: number;
	env?: Record<string, string>;
}

const SEEN_MS = 20_000;

/** Nodes of a cluster with a Redis, all on loopback: for what does not depend on networks. Names are node-a, node-b … */
export class LoopbackNodes {
	readonly redis: RedisServer;
	readonly #options: LoopbackNodesOptions;
	readonly #folder: string;
	readonly #nodes = new Map<string, RostrumProcess>();
	#mediaPort: number;

	static async start(options: LoopbackNodesOptions): Promise<LoopbackNodes> {
		const nodes = new LoopbackNodes(options, await RedisServer.start());
		try {
			await Promise.all(Array.from({ length: options.count }, (_, index) => nodes.startNode(`node-${'abcdef'[index]}`)));
			await nodes.seeEachOther();
			return nodes;
		} catch (error) {
			await nodes.stop();
			throw error;
		}
	}

	private constructor(options: LoopbackNodesOptions, redis: RedisServer) {
		this.#options = options;
		this.redis = redis;
		this.#folder = mkdtempSync(path.join(tmpdir(), 'rostrum-loopback-'));
		this.#mediaPort = options.basePort;
	}

	get running(): RostrumProcess[] {
		return [...this.#nodes.values()];
	}

	node(name: string): RostrumProcess {
		const node = this.#nodes.get(name);
		if (!node) throw new Error(`${name} does not run`);
		return node;
	}

	/** Starts it, with the data that an earlier process of this name has left. */
	async startNode(name: string): Promise<RostrumProcess> {
		// Shards of a process that was killed need a moment to notice; the next one has ports of its own.
		this.#mediaPort += 100;
		const node = await RostrumProcess.start({
			mediaPort: this.#mediaPort,
			dataDir: path.join(this.#folder, name),
			env: {
				REDIS_URL: this.redis.url,
				ROSTRUM_CLUSTER_SECRET: 'a-cluster-secret-for-tests-0123456789abcdef',
				ROSTRUM_NODE_ID: name,
				ROSTRUM_INTERNAL_PORT: String(this.#options.basePort + name.charCodeAt(name.length - 1)),
				ROSTRUM_LISTENER_SHARDS: '1',
				ROSTRUM_SFU_SPARE_SHARDS: '0',
				ROSTRUM_ROOMS_DEMO: 'false',
				...this.#options.env,
			},
		});
		this.#nodes.set(name, node);
		return node;
	}

	async killNode(name: string): Promise<void> {
		await this.node(name).stop('SIGKILL');
		this.#nodes.delete(name);
	}

	/** Every node that runs counts all that run as living, and no others. */
	async seeEachOther(): Promise<void> {
		const expected = [...this.#nodes.keys()].toSorted().join();
		await until(`all nodes see ${expected}`, SEEN_MS, async () => {
			const views = await Promise.all(this.running.map(async (node) => (await node.json<{ nodes: { id: string }[] }>('GET', '/v1/admin/nodes')).nodes.map(({ id }) => id).toSorted().join()));
			return views.every((view) => view === expected) || views.join(' | ');
		});
	}

	async stop(): Promise<void> {
		await Promise.all(this.running.map((node) => node.stop('SIGKILL')));
		await this.redis.stop();
		rmSync(this.#folder, { recursive: true, force: true });
	}
}
