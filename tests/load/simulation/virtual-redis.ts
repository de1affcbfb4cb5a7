import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import type { RedisScript } from '../../../server/cluster/redis/redis-script.ts';
import { DomainError } from '../../../server/errors.ts';
import type { RedisConnection } from '../../../server/cluster/redis/redis-connection.ts';
import { openConnection } from '../../support/redis/connections.ts';
import { RedisServer } from '../../support/redis/redis-server.ts';
import type { VirtualTime } from './virtual-time.ts';

/** As a node has it, with the command timeout that `RedisConnection` has by default. */
const COMMAND_TIMEOUT_MS = 1_000;
const ROUND_TRIP_MS = 1;
const REFUSED_AFTER_MS = 5;
/** A moment of virtual time may take long in real time, but not so long. */
const REAL_TIMEOUT_MS = 120_000;

/**
 * A real redis-server, asked by the real scripts through the real client. Its clock alone is not its own: scripts that ask for the time
 * of day are given the virtual one, for leases and reports are as old as the simulation says. All nodes share one
 * connection, so that the order of their commands is the same each time.
 */
export class VirtualRedis {
	readonly keys: RedisConnection['keys'];
	/** How it fails at present. */
	away: 'refuses' | 'hangs' | undefined;
	readonly #server: RedisServer;
	readonly #connection: RedisConnection;
	readonly #side: Redis;
	readonly #time: VirtualTime;
	readonly #scripts = new Map<string, RedisScript<unknown>>();

	static async start(time: VirtualTime): Promise<VirtualRedis> {
		const server = await RedisServer.start();
		const connection = await openConnection(server.url, undefined, { commandTimeoutMs: REAL_TIMEOUT_MS });
		const side = new Redis(server.port, server.host, { lazyConnect: true });
		await side.connect();
		return new VirtualRedis(server, connection, side, time);
	}

	private constructor(server: RedisServer, connection: RedisConnection, side: Redis, time: VirtualTime) {
		this.#server = server;
		this.#connection = connection;
		this.#side = side;
		this.#time = time;
		this.keys = connection.keys;
	}

	/** Commands that nodes sent. */
	get sent(): number {
		return this.#connection.count;
	}

	/** As `RedisConnection.run`. */
	async run<Reply>(script: RedisScript<Reply>, keys: readonly string[], args: readonly (string | number)[] = []): Promise<Reply> {
		if (this.away) {
			await this.#pause(this.away === 'hangs' ? COMMAND_TIMEOUT_MS : REFUSED_AFTER_MS);
			throw new DomainError('store_unavailable', 'Redis is away.');
		}
		const nowMs = this.#time.epochMs;
		const timed = [...args, Math.floor(nowMs / 1_000), (nowMs % 1_000) * 1_000];
		const reply = await this.#time.hold(this.#connection.run(this.#timed(script), keys, timed));
		await this.#pause(ROUND_TRIP_MS);
		if (this.away) {
			throw new DomainError('store_unavailable', 'Redis went away.');
		}
		return reply;
	}

	/** Everything is gone, as after a failover to a replica that had nothing. */
	async flush(): Promise<void> {
		await this.#time.hold(this.#side.flushall());
	}

	/** All commands Redis has carried out, those within scripts included, without the questions asked here. */
	async executed(): Promise<number> {
		const info = await this.#time.hold(this.#side.info('commandstats'));
		let calls = 0;
		for (const [, name, count] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
			calls += NOT_OURS.test(name ?? '') ? 0 : Number(count);
		}
		return calls;
	}

	async close(): Promise<void> {
		this.#side.disconnect();
		await this.#connection.close();
		await this.#server.stop();
	}

	#pause(durationMs: number): Promise<void> {
		return new Promise((resolve) => this.#time.at(this.#time.nowMs() + durationMs, resolve));
	}

	#timed<Reply>(script: RedisScript<Reply>): RedisScript<Reply> {
		let timed = this.#scripts.get(script.sha1);
		if (!timed) {
			const source = script.source.replaceAll("redis.call('TIME')", '{ARGV[#ARGV - 1], ARGV[#ARGV]}');
			timed = { ...script, source, sha1: createHash('sha1').update(source).digest('hex') };
			this.#scripts.set(script.sha1, timed);
		}
		return timed as RedisScript<Reply>;
	}
}

const NOT_OURS = /^(info|flushall|client|hello|ping|select)/;
