import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisLeaseStore } from '../../server/cluster/lease/redis-lease-store.ts';
import { RedisHeartbeatStore } from '../../server/cluster/registry/redis-heartbeat-store.ts';
import { MemoryClusterStore } from '../support/cluster/memory-cluster-store.ts';
import { aReport } from '../support/cluster/reports.ts';
import { openConnection } from '../support/redis/connections.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { describeLeaseStore, type LeaseStoreUnderTest } from './lease-store.contract.ts';

describeLeaseStore('memory', async () => {
	let nowMs = Date.parse('2027-01-01T00:00:00Z');
	const store = new MemoryClusterStore(() => nowMs);
	return {
		leases: store,
		heartbeats: store,
		untilExpired: async () => void (nowMs += store.ttlMs),
		flush: async () => store.flush(),
		setVersions: async (roomId, roomVersion, stageVersion) => void store.versions.set(roomId, { roomVersion, stageVersion }),
	};
});

describe('on a real redis-server', () => {
	const TTL_MS = 200;
	let server: RedisServer;
	beforeAll(async () => {
		server = await RedisServer.start();
	});
	afterAll(() => server.stop());

	describeLeaseStore('Redis', async (): Promise<LeaseStoreUnderTest> => {
		await server.flush();
		const redis = await openConnection(server.url);
		return {
			leases: new RedisLeaseStore(redis, TTL_MS),
			heartbeats: new RedisHeartbeatStore(redis, randomUUID),
			// The server's own clock decides; there is no event to wait for.
			untilExpired: () => delay(TTL_MS + 20),
			flush: () => server.flush(),
			setVersions: async (roomId, roomVersion, stageVersion) => {
				await server.cli('HSET', redis.keys.room(roomId), 'version', String(roomVersion));
				await server.cli('HSET', redis.keys.stage(roomId), 'version', String(stageVersion));
			},
			dispose: () => redis.close(),
		};
	});

	it('every key expires one day', async () => {
		await server.flush();
		const redis = await openConnection(server.url);
		try {
			await new RedisLeaseStore(redis).claim({ nodeId: 'a', incarnation: 'first-run' }, { roomId: 'hall', knownEpoch: 0, notAfterMs: Number.MAX_SAFE_INTEGER });
			await new RedisHeartbeatStore(redis, randomUUID).beat(aReport('a', 1));
			const keys = (await server.cli('KEYS', '*')).split('\n');
			expect(keys.toSorted()).toEqual(['rostrum:{nodes}:generation', 'rostrum:{nodes}:reports', 'rostrum:{r:hall}:home']);
			for (const key of keys) expect(Number(await server.cli('PTTL', key)), key).toBeGreaterThan(0);
		} finally {
			await redis.close();
		}
	});
});
