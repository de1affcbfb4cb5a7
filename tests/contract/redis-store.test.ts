import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RedisConnection } from '../../server/cluster/redis/redis-connection.ts';
import { ClusterRoomStore } from '../../server/rooms/store/cluster-store.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { RedisRoomStore } from '../../server/rooms/store/redis-store.ts';
import { openConnection, silent } from '../support/redis/connections.ts';
import { keysWithoutExpiry } from '../support/redis/expiry.ts';
import { RedisClusterServers } from '../support/redis/redis-cluster-servers.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { aRoom } from '../support/rooms.ts';
import { describeRoomStore, type StoreUnderTest } from './room-store.contract.ts';

// Without redis-server these fail: a twin that nobody has tested is no twin.
let server: RedisServer;
let cluster: RedisClusterServers;
let toServer: RedisConnection;
let toCluster: RedisConnection;
beforeAll(async () => {
	[server, cluster] = await Promise.all([RedisServer.start(), RedisClusterServers.start()]);
	[toServer, toCluster] = await Promise.all([openConnection(server.url), openConnection(cluster.url)]);
});
afterAll(async () => {
	await Promise.all([toServer.close(), toCluster.close()]);
	await Promise.all([server.stop(), cluster.stop()]);
});

async function nothingForEver(servers: readonly RedisServer[]): Promise<void> {
	const kept = (await Promise.all(servers.map(keysWithoutExpiry))).flat();
	if (kept.length > 0) throw new Error(`keys without expiry: ${kept.join(', ')}`);
}

function underTest(connection: RedisConnection, servers: readonly RedisServer[]): StoreUnderTest {
	const open = (): RedisRoomStore => new RedisRoomStore({ connection, nodeId: 'node-a' });
	return { store: open(), reopen: async () => open(), dispose: () => nothingForEver(servers) };
}

describeRoomStore('the Redis store on one server', async () => {
	await server.flush();
	return underTest(toServer, [server]);
});

describeRoomStore('the Redis store on a Redis Cluster', async () => {
	await cluster.flush();
	return underTest(toCluster, cluster.servers);
});

describeRoomStore('the store of a node in a cluster', async () => {
	await server.flush();
	const folder = await mkdtemp(path.join(tmpdir(), 'rostrum-store-'));
	const reopen = async (): Promise<ClusterRoomStore> => {
		const replica = await DiskRoomStore.open({ file: path.join(folder, 'rostrum.db') });
		return ClusterRoomStore.open({ connection: toServer, replica, nodeId: 'node-a', epochOf: () => undefined, newId: () => 'one', now: Date.now, log: silent });
	};
	const dispose = async (): Promise<void> => {
		await rm(folder, { recursive: true });
		await nothingForEver([server]);
	};
	return { store: await reopen(), reopen, dispose };
});

describe('changes on a Redis Cluster', () => {
	it('are told to every node, whichever master has the room', async () => {
		await cluster.flush();
		const here = new RedisRoomStore({ connection: toCluster, nodeId: 'node-a' });
		const connection = await openConnection(cluster.url);
		const there = new RedisRoomStore({ connection, nodeId: 'node-b' });
		try {
			there.watch();
			await once(there, 'listening');
			for (const id of ['one', 'two', 'three', 'four', 'five', 'six']) {
				const told = once(there, 'change');
				await here.createRoom(aRoom({ id }));
				expect(await told).toEqual([{ kind: 'room', node: 'node-a', room: aRoom({ id }) }]);
			}
			const removed = once(there, 'change');
			await here.removeRoom('four');
			expect(await removed).toEqual([{ kind: 'removed', node: 'node-a', roomId: 'four', createdAtMs: Date.parse(aRoom().createdAt) }]);
		} finally {
			await there.close();
			await connection.close();
		}
	});
});
