import type { RedisConnection } from '../redis/redis-connection.ts';
import { asInteger, asList, asText, redisScript } from '../redis/redis-script.ts';
import type { SharedKeyChange, SharedKeyStore } from './shared-key-store.ts';

const LOAD = redisScript(new URL('lua/load-keys-1.lua', import.meta.url), readEntries);
const PUT = redisScript(new URL('lua/put-keys-1.lua', import.meta.url), asInteger);

/** Nodes have their keys on disk too, so losing these is no loss. */
const TTL_MS = 30 * 86_400_000;

/** Sealed keys in one Redis hash, which all nodes read every few seconds. */
export class RedisSharedKeyStore implements SharedKeyStore {
	readonly #redis: Pick<RedisConnection, 'run' | 'keys' | 'subscribe' | 'on' | 'off'>;
	/** The hash's name; the channel has the same. */
	readonly #key: string;

	constructor(redis: Pick<RedisConnection, 'run' | 'keys' | 'subscribe' | 'on' | 'off'>) {
		this.#redis = redis;
		this.#key = redis.keys.ofNodes('signing-keys');
	}

	load(): Promise<ReadonlyMap<string, string>> {
		return this.#redis.run(LOAD, [this.#key], [TTL_MS]);
	}

	async put(changes: readonly SharedKeyChange[]): Promise<void> {
		if (changes.length === 0) return;
		const args = changes.flatMap(({ kid, sealed, replace }) => [kid, sealed, replace ? '1' : '0']);
		await this.#redis.run(PUT, [this.#key], [TTL_MS, this.#key, ...args]);
	}

	onChange(changed: () => void): () => void {
		const onMessage = (channel: string): void => {
			if (channel === this.#key) changed();
		};
		this.#redis.on('message', onMessage);
		// Redis is back, perhaps without what it had; or messages may have been missed.
		this.#redis.on('up', changed);
		this.#redis.on('subscribed', changed);
		this.#redis.subscribe(this.#key);
		return () => {
			this.#redis.off('message', onMessage);
			this.#redis.off('up', changed);
			this.#redis.off('subscribed', changed);
		};
	}
}

function readEntries(reply: unknown): ReadonlyMap<string, string> {
	const list = asList(reply);
	const entries = new Map<string, string>();
	for (let index = 0; index + 1 < list.length; index += 2) entries.set(asText(list[index]) ?? '', asText(list[index + 1]) ?? '');
	return entries;
}
