import type { RedisConnection } from '../cluster/redis/redis-connection.ts';
import { asInteger, asList, asText, redisScript } from '../cluster/redis/redis-script.ts';
import type { RecordStore, StoredRecord } from './record-store.ts';

const LOAD = redisScript(new URL('lua/load-records-2.lua', import.meta.url), (reply) => asList(reply).map((item) => asText(item) ?? ''));
const PUT = redisScript(new URL('lua/put-records-2.lua', import.meta.url), asInteger);

/** Nodes have them on disk too, so losing these is no loss. */
const TTL_MS = 30 * 86_400_000;
const BATCH = 200;
const RECORD = /^(\d+) (\d+) (.*)$/s;

/** Records of a kind in one Redis hash, which all nodes read when it has changed. */
export class RedisRecordStore implements RecordStore {
	readonly #redis: Pick<RedisConnection, 'run' | 'keys' | 'subscribe' | 'on' | 'off'>;
	/** The hash and its mark; the channel has the hash's name. */
	readonly #keys: readonly [string, string];
	readonly #now: () => number;
	readonly #newId: () => string;
	#mark = '';

	/**
	 * @param now milliseconds since the epoch
	 * @param newId unique over all nodes
	 */
	constructor(redis: Pick<RedisConnection, 'run' | 'keys' | 'subscribe' | 'on' | 'off'>, kind: string, now: () => number, newId: () => string) {
		this.#redis = redis;
		this.#keys = [redis.keys.ofNodes(`records-${kind}`), redis.keys.ofNodes(`records-${kind}-mark`)];
		this.#now = now;
		this.#newId = newId;
	}

	async load(): Promise<readonly StoredRecord[] | undefined> {
		const [mark = '', ...flat] = await this.#redis.run(LOAD, this.#keys, [this.#mark, this.#now(), TTL_MS]);
		// A mark comes with every record, so without one there are none: Redis never had any, or has lost them.
		if (mark !== '' && mark === this.#mark) return undefined;
		this.#mark = mark;
		const records: StoredRecord[] = [];
		for (let index = 0; index + 1 < flat.length; index += 2) {
			const [, version, untilMs, text] = RECORD.exec(flat[index + 1] ?? '') ?? [];
			if (version !== undefined && text !== undefined) records.push({ id: flat[index] ?? '', version: Number(version), untilMs: Number(untilMs), text });
		}
		return records;
	}

	async put(records: readonly StoredRecord[]): Promise<void> {
		for (let index = 0; index < records.length; index += BATCH) {
			const args = records.slice(index, index + BATCH).flatMap(({ id, version, untilMs, text }) => [id, version, `${version} ${untilMs} ${text}`]);
			await this.#redis.run(PUT, this.#keys, [TTL_MS, this.#keys[0], this.#newId(), ...args]);
		}
	}

	onChange(changed: () => void): () => void {
		const onMessage = (channel: string): void => {
			if (channel === this.#keys[0]) changed();
		};
		this.#redis.on('message', onMessage);
		// Redis is back, perhaps without what it had; or messages may have been missed.
		this.#redis.on('up', changed);
		this.#redis.on('subscribed', changed);
		this.#redis.subscribe(this.#keys[0]);
		return () => {
			this.#redis.off('message', onMessage);
			this.#redis.off('up', changed);
			this.#redis.off('subscribed', changed);
		};
	}
}
