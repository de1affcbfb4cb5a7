import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisConnection } from '../../server/cluster/redis/redis-connection.ts';
import { DiskRecordStore } from '../../server/records/disk-record-store.ts';
import type { RecordStore, StoredRecord } from '../../server/records/record-store.ts';
import { RedisRecordStore } from '../../server/records/redis-record-store.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { openConnection } from '../support/redis/connections.ts';
import { keysWithoutExpiry } from '../support/redis/expiry.ts';
import { RedisClusterServers } from '../support/redis/redis-cluster-servers.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

let server: RedisServer;
let cluster: RedisClusterServers;
let connections: RedisConnection[];
let nowMs = 1_000_000;
const now = () => nowMs;
const closing: (() => Promise<void>)[] = [];
beforeAll(async () => {
	[server, cluster] = await Promise.all([RedisServer.start(), RedisClusterServers.start()]);
	connections = await Promise.all([openConnection(server.url), openConnection(cluster.url)]);
});
afterAll(async () => {
	await Promise.all(connections.map((connection) => connection.close()));
	await Promise.all([server.stop(), cluster.stop()]);
});
afterEach(async () => {
	for (const close of closing.splice(0)) await close();
});

const record = (id: string, version: number, more: Partial<StoredRecord> = {}): StoredRecord => ({ id, version, untilMs: 10_000_000, text: `text of ${id} ${version}`, ...more });
const byId = (records: readonly StoredRecord[] | undefined) => records?.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** One store, and the same opened anew: as another process has it. */
const STORES: [string, () => Promise<() => RecordStore>][] = [
	['on disk', async () => {
		const disk = await DiskRoomStore.open({ file: ':memory:' });
		closing.push(() => disk.close());
		return () => new DiskRecordStore(disk, 'things', now);
	}],
	['in Redis', async () => {
		await server.flush();
		return () => new RedisRecordStore(connections[0]!, 'things', now, randomUUID);
	}],
	['in a Redis Cluster', async () => {
		await cluster.flush();
		return () => new RedisRecordStore(connections[1]!, 'things', now, randomUUID);
	}],
];

describe.each(STORES)('records %s', (_, make) => {
	it('are there for whoever opens the store, whole', async () => {
		const open = await make();
		expect((await open().load()) ?? []).toEqual([]);
		const odd = record('odd', 3, { text: '{"a": "line\\nbreak", "b": "12 34 ünïcode"}\n' });
		await open().put([record('one', 1), odd]);
		await open().put([]);
		expect(byId(await open().load())).toEqual([odd, record('one', 1)]);
	});

	it('are replaced by newer ones and never by older ones', async () => {
		const open = await make();
		const store = open();
		await store.put([record('one', 5)]);
		await store.put([record('one', 4, { text: 'older' })]);
		expect(await open().load()).toEqual([record('one', 5)]);
		await store.put([record('one', 5, { text: 'of the same age' })]);
		expect(await open().load()).toEqual([record('one', 5, { text: 'of the same age' })]);
		await store.put([record('one', 1_800_000_000_000)]);
		expect(await open().load()).toEqual([record('one', 1_800_000_000_000)]);
	});

	it('are gone when their time is over', async () => {
		const open = await make();
		await open().put([record('short', 1, { untilMs: nowMs + 10 }), record('long', 1)]);
		nowMs += 10;
		expect(await open().load()).toEqual([record('long', 1)]);
	});

	it('of another kind are others', async () => {
		const open = await make();
		await open().put([record('one', 1)]);
		const disk = await DiskRoomStore.open({ file: ':memory:' });
		closing.push(() => disk.close());
		for (const other of [new DiskRecordStore(disk, 'other', now), new RedisRecordStore(connections[0]!, 'other', now, randomUUID)]) expect((await other.load()) ?? []).toEqual([]);
	});
});

describe('records in Redis', () => {
	it('are read again only when something has changed, and when Redis has lost them', async () => {
		await server.flush();
		const [mine, theirs] = [0, 0].map(() => new RedisRecordStore(connections[0]!, 'things', now, randomUUID));
		await theirs!.put([record('one', 1)]);
		expect(await mine!.load()).toEqual([record('one', 1)]);
		expect(await mine!.load()).toBeUndefined();
		await theirs!.put([record('one', 1)]);
		expect(await mine!.load()).toBeUndefined();
		await theirs!.put([record('two', 1)]);
		expect(await mine!.load()).toHaveLength(2);
		await server.flush();
		expect(await mine!.load()).toEqual([]);
	});

	it('tell whoever listens of a change', async () => {
		await server.flush();
		const connection = await openConnection(server.url);
		closing.push(() => connection.close());
		const store = new RedisRecordStore(connection, 'things', now, randomUUID);
		let told = Promise.withResolvers<void>();
		closing.push(async () => stop());
		const stop = store.onChange(() => told.resolve());
		await told.promise; // The subscription stands.
		told = Promise.withResolvers();
		await new RedisRecordStore(connections[0]!, 'things', now, randomUUID).put([record('one', 1)]);
		await told.promise;
	});

	it('leave nothing behind for ever, and say when Redis is away', async () => {
		await server.flush();
		const connection = await openConnection(server.url);
		closing.push(() => connection.close());
		const store = new RedisRecordStore(connection, 'things', now, randomUUID);
		await store.put([record('one', 1)]);
		await store.load();
		expect(await keysWithoutExpiry(server)).toEqual([]);
		const down = once(connection, 'down');
		await server.kill();
		await down;
		await expect(store.load()).rejects.toMatchObject({ code: 'store_unavailable' });
		await expect(store.put([record('one', 2)])).rejects.toMatchObject({ code: 'store_unavailable' });
	});
});
