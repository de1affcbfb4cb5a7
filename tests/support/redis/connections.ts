import { once } from 'node:events';
import pino, { type Logger } from 'pino';
import { loadConfig } from '../../../config/load.ts';
import type { Config } from '../../../config/schema.ts';
import { RedisConnection, type RedisConnectionOptions } from '../../../server/cluster/redis/redis-connection.ts';

export const silent: Logger = pino({ level: 'silent' });

/** `config.redis` as it comes out of REDIS_URL. */
export function redisConfig(url: string, keyPrefix = 'rostrum'): Config['redis'] {
	const env = { REDIS_URL: url, ROSTRUM_REDIS_KEY_PREFIX: keyPrefix, ROSTRUM_CLUSTER_SECRET: 'x'.repeat(32) };
	return loadConfig({ env, cores: 1, readFile: () => '' }).redis;
}

/** A connection that has been heard from. */
export async function openConnection(url: string, keyPrefix?: string, options?: RedisConnectionOptions): Promise<RedisConnection> {
	const connection = await RedisConnection.open(redisConfig(url, keyPrefix), silent, { openTimeoutMs: 15_000, ...options });
	if (!connection.answers) throw new Error(`${url} does not answer`);
	return connection;
}

export async function whenUp(connection: RedisConnection): Promise<void> {
	if (!connection.answers) await once(connection, 'up');
}

export async function whenDown(connection: RedisConnection): Promise<void> {
	if (connection.answers) await once(connection, 'down');
}
