import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freeRedisPort, RedisServer } from './redis-server.ts';

const READY_WITHIN_MS = 30_000;
const NAME = 'rostrum-test';

/** A master, its replica, and one Sentinel whose word alone moves the one to the other, half a second after the death. */
export class RedisSentinelServers {
	readonly first: RedisServer;
	readonly second: RedisServer;
	readonly sentinel: RedisServer;
	readonly #folder: string;

	static async start(): Promise<RedisSentinelServers> {
		const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-sentinel-'));
		// It would wait 5 s for further replicas before it sends the first one its data.
		const first = await RedisServer.start({ args: ['--repl-diskless-sync-delay', '0'] });
		const second = await RedisServer.start({ args: ['--replicaof', first.host, String(first.port)] });
		await until(async () => (await second.cli('INFO', 'replication')).includes('master_link_status:up'));
		const configFile = path.join(folder, 'sentinel.conf');
		writeFileSync(
			configFile,
			[
				`sentinel monitor ${NAME} ${first.host} ${first.port} 1`,
				`sentinel down-after-milliseconds ${NAME} 500`,
				`sentinel failover-timeout ${NAME} 3000`,
				'',
			].join('\n'),
		);
		const port = await freeRedisPort();
		const sentinel = await RedisServer.start({ port, configFile, args: ['--sentinel'], readyWhen: /\+monitor master/ });
		await until(async () => (await sentinel.cli('SENTINEL', 'REPLICAS', NAME)).includes(String(second.port)));
		return new RedisSentinelServers(first, second, sentinel, folder);
	}

	private constructor(first: RedisServer, second: RedisServer, sentinel: RedisServer, folder: string) {
		this.first = first;
		this.second = second;
		this.sentinel = sentinel;
		this.#folder = folder;
	}

	/** As REDIS_URL takes it. */
	get url(): string {
		return `redis+sentinel://${this.sentinel.host}:${this.sentinel.port}/${NAME}`;
	}

	/** Resolves when the replica has become the master. */
	async killMaster(): Promise<void> {
		await this.first.kill();
		await until(async () => (await this.second.cli('ROLE')).startsWith('master'));
	}

	async stop(): Promise<void> {
		await Promise.all([this.first, this.second, this.sentinel].map((server) => server.stop()));
		rmSync(this.#folder, { recursive: true, force: true });
	}
}

/** Redis and Sentinel tell these things to whoever asks, and by no event. A server that becomes a master cuts off all who are connected just then. */
async function until(holds: () => Promise<boolean>): Promise<void> {
	const deadline = Date.now() + READY_WITHIN_MS;
	while (!(await holds().catch(() => false))) {
		if (Date.now() > deadline) throw new Error('the Redis set did not get ready');
		await delay(50);
	}
}
