import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freeRedisPort, RedisServer } from './redis-server.ts';

const READY_WITHIN_MS = 30_000;
const START_ATTEMPTS = 10;

/** A real Redis Cluster of three masters that share the 16,384 slots. */
export class RedisClusterServers {
	readonly servers: readonly RedisServer[];

	static async start(): Promise<RedisClusterServers> {
		const started: RedisServer[] = [];
		try {
			for (let index = 0; index < 3; index++) started.push(await startMaster());
			const addresses = started.map(({ host, port }) => `${host}:${port}`);
			await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes']);
			await Promise.all(started.map(knowsTheCluster));
			return new RedisClusterServers(started);
		} catch (error) {
			await Promise.all(started.map((server) => server.stop()));
			throw error;
		}
	}

	private constructor(servers: readonly RedisServer[]) {
		this.servers = servers;
	}

	/** As REDIS_URL takes it. */
	get url(): string {
		return `redis+cluster://${this.servers.map(({ host, port }) => `${host}:${port}`).join(',')}`;
	}

	async flush(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.flush()));
	}
	pause(): void {
		for (const server of this.servers) server.pause();
	}
	resume(): void {
		for (const server of this.servers) server.resume();
	}
	async stop(): Promise<void> {
		await Promise.all(this.servers.map((server) => server.stop()));
	}
}

async function startMaster(): Promise<RedisServer> {
	for (let attempt = 1; ; attempt++) {
		const [port, busPort] = [await freeRedisPort(), await freeRedisPort()];
		if (port === busPort) continue;
		// The bus would be at the port + 10,000, among the ports that connections take for their own ends.
		const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000'];
		try {
			return await RedisServer.start({ port, args });
		} catch (error) {
			if (attempt === START_ATTEMPTS || !String(error).includes('in use')) throw error;
		}
	}
}

/** Redis has no event for this: each node finds out by gossip. */
async function knowsTheCluster(server: RedisServer): Promise<void> {
	const deadline = Date.now() + READY_WITHIN_MS;
	while (!(await server.cli('CLUSTER', 'INFO')).includes('cluster_state:ok')) {
		if (Date.now() > deadline) throw new Error('the Redis Cluster did not form');
		await delay(50);
	}
}
