import { EventEmitter } from 'node:events';
import type { Cluster, Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { Config } from '../../../config/schema.ts';
import { DomainError } from '../../errors.ts';
import { Keys } from './keys.ts';
import { RedisClients } from './redis-clients.ts';
import type { RedisScript } from './redis-script.ts';
import { RedisSubscriber } from './redis-subscriber.ts';

export interface RedisConnectionEvents {
	/** Redis answers, for the first time or again. What it has may not be what it had. */
	up: [];
	/** It does not: nothing is sent until `up`. */
	down: [reason: string];
	/** Messages arrive from here on; some may have been missed before. */
	subscribed: [];
	message: [channel: string, text: string];
}

export interface RedisConnectionOptions {
	/** An answer that takes longer is no answer. Default 1,000. */
	commandTimeoutMs?: number;
	/** How long `open()` waits for Redis before it goes on without it. Default 3,000. */
	openTimeoutMs?: number;
	/** In [0, 1); spreads reconnections. */
	random?: () => number;
}

/** Commands that need no script. All are in Redis 2.8 and in every Valkey. */
export const PLAIN_COMMANDS = ['ping', 'get', 'set', 'hget', 'hexists', 'hvals', 'hmget', 'zrangebylex', 'publish', 'time', 'info'] as const;
export type PlainCommand = (typeof PLAIN_COMMANDS)[number];

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
/** Replies after which this server is not to be asked any more: it is no master now, or not yet ready. */
const WRONG_SERVER = /\b(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN)\b/;
/** Replies of a server that cannot take this write now, but is the right one. */
const CANNOT_NOW = /\b(OOM|MISCONF|NOREPLICAS|BUSY|TRYAGAIN)\b/;

/**
 * The one connection of a node to Redis: one client for commands, one for messages.
 *
 * A command either succeeds or rejects within about a second with DomainError `store_unavailable`, however Redis fails
 * (stopped, hung, cut off, no longer master): then nothing is sent any more until it has answered anew. A command that was
 * rejected may still have been carried out. Connects again for ever, with full jitter.
 */
export class RedisConnection extends EventEmitter<RedisConnectionEvents> {
	readonly keys: Keys;
	readonly #clients: RedisClients;
	readonly #client: Redis | Cluster;
	readonly #subscriber: RedisSubscriber;
	readonly #log: Logger;
	readonly #timeoutMs: number;
	readonly #random: () => number;
	readonly #counts = new Map<string, number>();
	#answers = false;
	#closed = false;
	#failures = 0;
	/** Grows whenever the connection is given up, so that what belongs to an earlier one does not harm the next. */
	#session = 0;
	#trouble = 'no answer';

	/**
	 * Resolves when Redis answers, or without it after a while: a node starts with what it has.
	 * Rejects for a configuration that cannot work; the message is for the operator and holds no secret.
	 */
	static async open(config: Config['redis'], log: Logger, options: RedisConnectionOptions = {}): Promise<RedisConnection> {
		const connection = new RedisConnection(config, log, options);
		const { promise, resolve } = Promise.withResolvers<void>();
		const timer = setTimeout(resolve, options.openTimeoutMs ?? 3_000);
		connection.once('up', resolve);
		connection.#connect();
		await promise;
		clearTimeout(timer);
		connection.off('up', resolve);
		if (!connection.#answers) log.warn({ reason: connection.#trouble }, 'Redis does not answer yet; starting without it');
		return connection;
	}

	private constructor(config: Config['redis'], log: Logger, options: RedisConnectionOptions) {
		super();
		this.keys = new Keys(config.keyPrefix);
		this.#log = log;
		this.#timeoutMs = options.commandTimeoutMs ?? 1_000;
		this.#random = options.random ?? Math.random;
		this.#clients = new RedisClients({ config, timeoutMs: this.#timeoutMs, retryDelayMs: () => this.#retryDelayMs(this.#failures++) });
		this.#client = this.#clients.commands();
		this.#client.on('error', (error: Error) => {
			this.#trouble = reasonOf(error);
			log.debug({ reason: this.#trouble }, 'the connection to Redis has trouble');
		});
		this.#client.on('ready', () => void this.#verify());
		this.#client.on('close', () => this.#lose('the connection was closed'));
		// ioredis gives up for good in some corners, e.g. when it is interrupted while it asks the Sentinels.
		this.#client.on('end', () => this.#connectLater());
		this.#subscriber = new RedisSubscriber({
			connect: (attempt) => this.#clients.subscriber(attempt),
			retryDelayMs: (failures) => this.#retryDelayMs(failures),
			timeoutMs: this.#timeoutMs,
			log,
		});
		this.#subscriber.on('subscribed', () => this.emit('subscribed'));
		this.#subscriber.on('message', (channel, text) => this.emit('message', channel, text));
	}

	/** Whether Redis answered last time. */
	get answers(): boolean {
		return this.#answers;
	}
	/** Whether messages arrive. */
	get listens(): boolean {
		return this.#subscriber.live;
	}
	/** Commands sent so far, by the name of the script or command. */
	get counts(): ReadonlyMap<string, number> {
		return this.#counts;
	}
	/** All of `counts` together. */
	get count(): number {
		return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
	}

	/**
	 * Runs a script; several calls in one turn travel together.
	 * Rejects with DomainError `store_unavailable`; with `internal_error` for a mistake in the script.
	 */
	async run<Reply>(script: RedisScript<Reply>, keys: readonly string[], args: readonly (string | number)[] = []): Promise<Reply> {
		if (keys.length !== script.keyCount) throw new TypeError(`${script.name} takes ${script.keyCount} keys, not ${keys.length}`);
		const reply = await this.#send(script.name, async (client) => {
			try {
				return await client.evalsha(script.sha1, keys.length, ...keys, ...args);
			} catch (error) {
				// Scripts live in the server's memory: a restart, a failover or SCRIPT FLUSH loses them. EVAL loads them again.
				if (!(error instanceof Error) || !error.message.includes('NOSCRIPT')) throw error;
				return client.eval(script.source, keys.length, ...keys, ...args);
			}
		});
		return script.read(reply);
	}

	/** One plain command; rejects as `run` does. */
	call(name: PlainCommand, ...args: (string | number)[]): Promise<unknown> {
		return this.#send(name, (client) => client.call(name, ...args));
	}

	/** Messages of this channel come as `message` events from now on; `subscribed` says when. */
	subscribe(channel: string): void {
		this.#subscriber.add(channel);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#answers = false;
		this.#session++;
		this.#subscriber.close();
		this.#client.disconnect();
	}

	async #send(name: string, send: (client: Redis | Cluster) => Promise<unknown>): Promise<unknown> {
		if (!this.#answers) throw unavailable('Redis does not answer at present.');
		this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
		const session = this.#session;
		try {
			return await this.#withinTimeout(send(this.#client));
		} catch (error) {
			throw this.#explain(error, session, name);
		}
	}

	/** What failed, as callers know it; gives the connection up where it is no good any more. Never quotes arguments: ioredis keeps them, passwords too. */
	#explain(error: unknown, session: number, name: string): DomainError {
		const reason = reasonOf(error);
		if (error instanceof NoAnswer || WRONG_SERVER.test(reason)) {
			if (session === this.#session) this.#lose(reason);
			return unavailable(reason);
		}
		const replied = error instanceof Error && error.name === 'ReplyError';
		if (!replied || CANNOT_NOW.test(reason)) return unavailable(reason);
		this.#log.error({ script: name, reason }, 'Redis refused a command');
		return new DomainError('internal_error', 'The shared store refused a command.', { cause: new Error(`${name}: ${reason}`) });
	}

	#connect(): void {
		if (!this.#closed) this.#client.connect().catch(() => undefined);
	}

	#connectLater(): void {
		if (!this.#closed) setTimeout(() => this.#connect(), this.#retryDelayMs(this.#failures++)).unref();
	}

	/** A connection stands. With Redis Cluster one master may hang while others do not: rooms are on all of them, so all must answer. */
	async #verify(): Promise<void> {
		const session = ++this.#session;
		const servers = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client];
		try {
			await this.#withinTimeout(Promise.all(servers.map((server) => server.ping())));
		} catch (error) {
			if (session === this.#session) this.#lose(reasonOf(error));
			return;
		}
		if (session !== this.#session || this.#closed) return;
		this.#failures = 0;
		this.#answers = true;
		this.#log.info('Redis answers');
		this.emit('up');
	}

	#lose(reason: string): void {
		if (this.#closed) return;
		this.#session++;
		const before = this.#answers;
		this.#answers = false;
		if (this.#client.status === 'ready') this.#client.disconnect(true);
		if (!before) return;
		this.#log.warn({ reason }, 'Redis does not answer');
		this.emit('down', reason);
	}

	async #withinTimeout<T>(work: Promise<T>): Promise<T> {
		const { promise, reject } = Promise.withResolvers<never>();
		const timer = setTimeout(() => reject(new NoAnswer(`no answer within ${this.#timeoutMs} ms`)), this.#timeoutMs);
		try {
			return await Promise.race([work, promise]);
		} catch (error) {
			// ioredis has the same patience; whichever notices first, it means the same.
			throw error instanceof Error && error.message === 'Command timed out' ? new NoAnswer(error.message) : error;
		} finally {
			clearTimeout(timer);
		}
	}

	#retryDelayMs(failures: number): number {
		return 1 + Math.floor(this.#random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10)));
	}
}

class NoAnswer extends Error {}

/** A refused connection to a name with several addresses has no message of its own. */
function reasonOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	return error.message || ('code' in error ? String(error.code) : error.name);
}

function unavailable(reason: string): DomainError {
	return new DomainError('store_unavailable', 'The shared store does not answer right now.', { cause: new Error(reason), retryAfterSeconds: 1 });
}
