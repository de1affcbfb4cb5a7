import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ClusterNode } from '../support/cluster/cluster-node.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { commandCounts, difference } from '../support/cluster/redis-commands.ts';
import { RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';

const WHY_NOT = ClusterNetwork.whyNot();
/** Each of the six listener shards is meant to take ten of its hundred places. */
const EXPECTED = 60;
const SHARDS = 6;
const LISTENERS = 18;
const WINDOW_MS = 4_000;

interface Room {
	state: string;
	version: number;
	doorsOpenAt: string;
	openedAt?: string;
}
interface Placement {
	edges: { node: string; shard: number }[];
	links: { link?: string; node: string; shard: number }[];
}

describe.skipIf(WHY_NOT !== undefined)(`the doors of rooms on three nodes${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ env: { ROSTRUM_DOORS_PREWARM_MS: '15000', ROSTRUM_SFU_MAX_LISTENERS_PER_SHARD: '100' } });
	});
	afterAll(() => cluster?.close());

	const plan = async (id: string, inMs: number): Promise<number> => {
		const doorsMs = Date.now() + inMs;
		await cluster.anyNode.process.room({ id, doorsOpenAt: new Date(doorsMs).toISOString(), scheduledAt: new Date(doorsMs + 60_000).toISOString(), expectedListeners: EXPECTED }, 'scheduled');
		return doorsMs;
	};
	const read = (node: ClusterNode, id: string) => node.process.json<Room>('GET', `/v1/rooms/${id}`);
	const edges = async (id: string) => {
		const placement = await cluster.anyNode.process.json<Placement>('GET', `/v1/admin/rooms/${id}/placement`);
		return placement.edges.map(({ node, shard }) => `${node}.${shard}`).toSorted((a, b) => (a < b ? -1 : 1));
	};
	const untilWarm = (id: string, count: number) =>
		until(`the edges of ${id} are there`, 20_000, async () => {
			const there = await edges(id);
			return there.length === count || there.join();
		});
	const untilOpen = (id: string, withinMs: number) =>
		until(`${id} is open everywhere`, withinMs, async () => {
			const states = await Promise.all(cluster.running.map(async (node) => (await read(node, id)).state));
			return states.every((state) => state === 'open') || states.join();
		});
	/** It was opened at its time, and by one node alone. */
	const expectOpenedOnce = async (id: string, lateMs: number) => {
		const rooms = await Promise.all(cluster.running.map((node) => read(node, id)));
		for (const { version, openedAt = '', doorsOpenAt } of rooms) {
			expect(version).toBe(2);
			expect(openedAt).toBe(rooms[0]?.openedAt);
			const late = Date.parse(openedAt) - Date.parse(doorsOpenAt);
			expect(late).toBeGreaterThanOrEqual(0);
			expect(late).toBeLessThan(lateMs);
		}
	};

	it('open at their time, with an edge on every shard that the audience needs; going live costs the same whoever waits', async () => {
		const doorsMs = await plan('hall', 12_000);
		// Nobody has asked for this room: a home is found for it all the same.
		await untilWarm('hall', SHARDS);
		expect(Date.now()).toBeLessThan(doorsMs);
		expect(await cluster.claimants('hall')).toHaveLength(1);
		const warm = await edges('hall');
		await untilOpen('hall', doorsMs - Date.now() + 10_000);
		await expectOpenedOnce('hall', 2_000);

		const { token } = await cluster.anyNode.process.token('hall', 'host', 'Hana', { subject: 'hana' });
		const { number } = await cluster.client.ask('speak', { room: 'hall', token, baseUrl: cluster.anyNode.base });
		const [, crowd] = cluster.clients;
		await crowd?.ask('attend', { number });
		const { connected } = (await crowd?.ask('listen', { room: 'hall', baseUrls: cluster.running.map(({ base }) => base), count: LISTENERS, withinMs: 30_000 })) ?? { connected: 0 };
		expect(connected).toBe(LISTENERS);
		const early = (await crowd?.ask('report', {}))?.listeners ?? [];
		const shards = new Set(early.map(({ shard }) => shard));
		console.log('  early listeners by shard:', [...shards].map((shard) => `${shard}: ${early.filter((one) => one.shard === shard).length}`).join(', '));
		expect(shards.size).toBe(SHARDS);
		expect(await edges('hall')).toEqual(warm);

		const window = async (during: () => Promise<unknown>) => {
			const before = await commandCounts(cluster.redis!);
			await Promise.all([during(), sleep(WINDOW_MS)]);
			return difference(before, await commandCounts(cluster.redis!));
		};
		await crowd?.ask('mark', {});
		const calm = await window(async () => undefined);
		const live = await window(() => cluster.anyNode.process.json('POST', '/v1/rooms/hall/start'));
		const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, count) => sum + count, 0);
		console.log(`  Redis commands in ${WINDOW_MS} ms: ${total(calm)} calm, ${total(live)} with going live`);
		// One write of one room and the news of it; a heartbeat of each node falls into the one window or the other.
		expect(total(live) - total(calm)).toBeLessThan(total(calm) * 0.3 + LISTENERS);
		await until('everybody hears it', 10_000, async () => {
			const { listeners, atMs } = (await crowd?.ask('report', {})) ?? { listeners: [], atMs: 0 };
			return listeners.length === LISTENERS && listeners.every(({ connected: there, lastAtMs }) => there && atMs - lastAtMs < 400);
		});
		const late = (await crowd?.ask('report', {}))?.listeners ?? [];
		expect(late.map(({ sessionId }) => sessionId)).toEqual(early.map(({ sessionId }) => sessionId));
		expect(late.flatMap(({ losses }) => losses)).toEqual([]);
		expect(await edges('hall')).toEqual(warm);
		await crowd?.ask('leave', {});
		await cluster.client.ask('hush', {});
	});

	it('open once although Redis is away at their time', async () => {
		const doorsMs = await plan('away', 12_000);
		await untilWarm('away', SHARDS);
		await cluster.redis!.kill();
		await sleep(Math.max(0, doorsMs - Date.now()));
		const home = async () => (await Promise.all(cluster.running.map(async (node) => ((await read(node, 'away')).state === 'open' ? node : undefined)))).find((node) => node);
		await until('its home has opened it', 5_000, async () => (await home()) !== undefined);
		await cluster.redis!.restart();
		await cluster.untilAllHaveRedis();
		await untilOpen('away', 20_000);
		await expectOpenedOnce('away', 3_000);
	});

	it('open once although their home dies before', async () => {
		const doorsMs = await plan('doomed', 15_000);
		await untilWarm('doomed', SHARDS);
		const home = await cluster.homeOf('doomed');
		await home.killHost();
		await untilOpen('doomed', Math.max(0, doorsMs - Date.now()) + 10_000);
		await expectOpenedOnce('doomed', 5_000);
		await untilWarm('doomed', SHARDS - 2);
		expect(await cluster.claimants('doomed')).toHaveLength(1);
	});
});
