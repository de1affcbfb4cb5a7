import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

export interface RedisSubscriberEvents {
	/** From here on no message is missed; those before may have been. Once at first and once after each loss of the connection. */
	subscribed: [];
	message: [channel: string, text: string];
}

export interface RedisSubscriberOptions {
	/** A new client that is not connected yet and does not reconnect by itself. */
	connect: (attempt: number) => Redis;
	retryDelayMs: (failures: number) => number;
	timeoutMs: number;
	log: Logger;
}

const PING_EVERY_MS = 1_000;

/**
 * The listening half of a connection to Redis. A subscription that is dead looks just like one on which nothing happens,
 * so it is asked every second whether it is there, and made anew when it is not.
 */
export class RedisSubscriber extends EventEmitter<RedisSubscriberEvents> {
	readonly #options: RedisSubscriberOptions;
	readonly #channels = new Set<string>();
	#client: Redis | undefined;
	#live = false;
	#attempts = 0;
	#failures = 0;
	#timer: NodeJS.Timeout | undefined;
	#closed = false;

	constructor(options: RedisSubscriberOptions) {
		super();
		this.#options = options;
	}

	/** Whether everything that is published arrives. */
	get live(): boolean {
		return this.#live;
	}

	/** Listens to one more channel; `subscribed` follows. */
	add(channel: string): void {
		if (this.#closed || this.#channels.has(channel)) return;
		this.#channels.add(channel);
		if (this.#client === undefined) this.#open();
		else if (this.#live) this.#subscribe(this.#client, new Set([...this.#channels].filter((known) => known !== channel)));
	}

	close(): void {
		this.#closed = true;
		this.#live = false;
		clearTimeout(this.#timer);
		this.#client?.disconnect();
	}

	#open(): void {
		const client = this.#options.connect(this.#attempts++);
		this.#client = client;
		client.on('error', (error: Error) => this.#options.log.debug({ reason: error.message }, 'the subscription to Redis has trouble'));
		client.on('message', (channel: string, text: string) => this.emit('message', channel, text));
		client.once('end', () => this.#lost(client));
		client.connect().then(
			() => this.#subscribe(client, new Set()),
			() => client.disconnect(),
		);
	}

	/** @param has channels this client listens to already */
	#subscribe(client: Redis, has: ReadonlySet<string>): void {
		const wanted = [...this.#channels].filter((channel) => !has.has(channel));
		if (wanted.length === 0) {
			this.#live = true;
			this.#failures = 0;
			this.#watch(client);
			this.emit('subscribed');
			return;
		}
		this.#live = false;
		client.subscribe(...wanted).then(
			() => {
				if (!this.#closed && this.#client === client) this.#subscribe(client, new Set([...has, ...wanted]));
			},
			() => client.disconnect(),
		);
	}

	#watch(client: Redis): void {
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => {
			client.ping().then(
				() => {
					if (!this.#closed && this.#client === client) this.#watch(client);
				},
				() => client.disconnect(),
			);
		}, PING_EVERY_MS);
		this.#timer.unref();
	}

	#lost(client: Redis): void {
		if (this.#closed || this.#client !== client) return;
		this.#live = false;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#open(), this.#options.retryDelayMs(this.#failures++));
		this.#timer.unref();
	}
}
