import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisConnection } from '../../server/cluster/redis/redis-connection.ts';
import { RedisSharedKeyStore } from '../../server/cluster/shared-keys/redis-shared-key-store.ts';
import type { SharedKeyStore } from '../../server/cluster/shared-keys/shared-key-store.ts';
import { MemorySharedKeyStore } from '../support/cluster/memory-shared-key-store.ts';
import { openConnection } from '../support/redis/connections.ts';
import { keysWithoutExpiry } from '../support/redis/expiry.ts';
import { RedisClusterServers } from '../support/redis/redis-cluster-servers.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

let server: RedisServer;
let cluster: RedisClusterServers;
let connections: RedisConnection[];
beforeAll(async () => {
	[server, cluster] = await Promise.all([RedisServer.start(), RedisClusterServers.start()]);
	// Two nodes on each.
	connections = await Promise.all([server.url, server.url, cluster.url, cluster.url].map((url) => openConnection(url)));
});
afterAll(async () => {
	await Promise.all(connections.map((connection) => connection.close()));
	await Promise.all([server.stop(), cluster.stop()]);
});

async function overRedis(first: number, flush: () => Promise<unknown>): Promise<[SharedKeyStore, SharedKeyStore]> {
	await flush();
	return [new RedisSharedKeyStore(connections[first]!), new RedisSharedKeyStore(connections[first + 1]!)];
}

/** The same store, as two nodes have it. */
const TWINS: [string, () => Promise<[SharedKeyStore, SharedKeyStore]>][] = [
	['in memory', async () => {
		const store = new MemorySharedKeyStore();
		return [store, store];
	}],
	['in Redis', () => overRedis(0, () => server.flush())],
	['in a Redis Cluster', () => overRedis(2, () => cluster.flush())],
];

describe.each(TWINS)('shared keys %s', (_, open) => {
	const stop: (() => void)[] = [];
	afterEach(() => {
		for (const end of stop.splice(0)) end();
	});

	it('are there for all nodes', async () => {
		const [a, b] = await open();
		expect(await b.load()).toEqual(new Map());
		await a.put([]);
		expect(await b.load()).toEqual(new Map());
		await a.put([{ kid: 'k1', sealed: 's1', replace: false }, { kid: 'k2', sealed: 's2', replace: true }]);
		expect(await b.load()).toEqual(new Map([['k1', 's1'], ['k2', 's2']]));
	});

	it('replace what is there only when told to', async () => {
		const [a, b] = await open();
		await a.put([{ kid: 'k1', sealed: 'retired', replace: true }]);
		await b.put([{ kid: 'k1', sealed: 'a key', replace: false }, { kid: 'k2', sealed: 's2', replace: false }]);
		expect(await a.load()).toEqual(new Map([['k1', 'retired'], ['k2', 's2']]));
		await b.put([{ kid: 'k2', sealed: 'retired', replace: true }]);
		expect(await a.load()).toEqual(new Map([['k1', 'retired'], ['k2', 'retired']]));
	});

	it('tell other nodes of a change, and of nothing else', async () => {
		const [a, b] = await open();
		let told = Promise.withResolvers<void>();
		let count = 0;
		stop.push(b.onChange(() => {
			count++;
			told.resolve();
		}));
		// Redis says when the subscription stands; until then messages may be missed, as the interface says.
		const first = told.promise;
		if (b instanceof MemorySharedKeyStore) told.resolve();
		await first;
		told = Promise.withResolvers();
		await a.put([{ kid: 'k1', sealed: 's1', replace: false }]);
		await told.promise;
		const heard = count;
		await a.put([{ kid: 'k1', sealed: 'other', replace: false }]);
		told = Promise.withResolvers();
		await a.put([{ kid: 'k9', sealed: 's9', replace: false }]);
		await told.promise;
		// The change in between was none.
		expect(count).toBe(heard + 1);
	});
});

it('nothing of it stays for ever in Redis', async () => {
	await server.flush();
	const store = new RedisSharedKeyStore(connections[0]!);
	await store.put([{ kid: 'k1', sealed: 's1', replace: false }]);
	await store.load();
	expect(await keysWithoutExpiry(server)).toEqual([]);
});

it('a store that does not answer says so', async () => {
	const [lone] = connections;
	const down = once(lone!, 'down');
	await server.stop();
	await down;
	const store = new RedisSharedKeyStore(lone!);
	await expect(store.load()).rejects.toMatchObject({ code: 'store_unavailable' });
	await expect(store.put([{ kid: 'k1', sealed: 's1', replace: false }])).rejects.toMatchObject({ code: 'store_unavailable' });
});
