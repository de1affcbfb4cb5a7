import { readFileSync } from 'node:fs';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { parseRedisAddress, type RedisAddress } from '../../../config/redis-address.ts';
import type { Config } from '../../../config/schema.ts';

export interface RedisClientsOptions {
	/** `config.redis`; its url must be set. */
	config: Config['redis'];
	/** For a connection, an answer, and each step of finding a master. */
	timeoutMs: number;
	/** How long to wait before the next attempt to connect. */
	retryDelayMs: () => number;
}

/** Makes ioredis clients that fail quickly: nothing is queued while there is no connection, nothing is sent twice. */
export class RedisClients {
	readonly #address: RedisAddress;
	readonly #options: RedisClientsOptions;
	readonly #tls: { ca?: string } | undefined;

	/** @throws Error for an address or a file that cannot be read; the message is for the operator and holds no secret */
	constructor(options: RedisClientsOptions) {
		const { url, caFile } = options.config;
		if (url === undefined) throw new Error('There is no address of Redis.');
		this.#address = parseRedisAddress(url);
		this.#options = options;
		if (this.#address.tls) this.#tls = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') };
	}

	get isCluster(): boolean {
		return this.#address.form === 'cluster';
	}

	/** For commands: connects again for ever. Not connected yet. */
	commands(): Redis | Cluster {
		const address = this.#address;
		const { timeoutMs, retryDelayMs } = this.#options;
		if (address.form !== 'cluster') return new Redis({ ...this.#common(), ...this.#place(0), enableOfflineQueue: false, retryStrategy: retryDelayMs });
		return new Cluster(
			address.nodes.map(({ host, port }) => ({ host, port })),
			{
				lazyConnect: true,
				enableOfflineQueue: false,
				clusterRetryStrategy: retryDelayMs,
				slotsRefreshTimeout: timeoutMs,
				retryDelayOnFailover: 100,
				retryDelayOnClusterDown: 100,
				maxRedirections: 8,
				// Certificates are for names: those must not be turned into addresses before.
				...(this.#tls === undefined ? {} : { dnsLookup: (name: string, done: (error: null, address: string) => void) => done(null, name) }),
				redisOptions: this.#common(),
			},
		);
	}

	/** For a subscription: one connection that ends for good when it is lost. With Redis Cluster any node will do; each attempt takes the next. */
	subscriber(attempt: number): Redis {
		return new Redis({ ...this.#common(), ...this.#place(attempt), enableOfflineQueue: false, retryStrategy: () => null, sentinelRetryStrategy: () => null });
	}

	#common(): RedisOptions {
		const { username, password } = this.#address;
		const { timeoutMs } = this.#options;
		return {
			lazyConnect: true,
			connectionName: 'rostrum',
			...(username === undefined ? {} : { username }),
			...(password === undefined ? {} : { password }),
			...(this.#tls === undefined ? {} : { tls: this.#tls }),
			commandTimeout: timeoutMs,
			connectTimeout: timeoutMs,
			// A server that does not answer does not say goodbye either.
			disconnectTimeout: 100,
			maxRetriesPerRequest: 0,
			autoResendUnfulfilledCommands: false,
			autoResubscribe: false,
		};
	}

	#place(attempt: number): RedisOptions {
		const address = this.#address;
		if (address.form === 'single') return { host: address.host, port: address.port, db: address.db };
		if (address.form === 'cluster') {
			const { host, port } = address.nodes[attempt % address.nodes.length]!;
			return { host, port };
		}
		const { sentinelPassword } = this.#options.config;
		return {
			sentinels: address.sentinels.map(({ host, port }) => ({ host, port })),
			name: address.masterName,
			db: address.db,
			sentinelCommandTimeout: this.#options.timeoutMs,
			sentinelRetryStrategy: this.#options.retryDelayMs,
			...(sentinelPassword === undefined ? {} : { sentinelPassword }),
			...(this.#tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: this.#tls }),
		};
	}
}
