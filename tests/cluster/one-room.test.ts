import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { commandCounts, difference } from '../support/cluster/redis-commands.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';
import { setTimeout as sleep } from 'node:timers/promises';

const WHY_NOT = ClusterNetwork.whyNot();
/** As the short form of what is ten minutes in an operator's life; the clock's part is tested with a clock of its own. */
const REDIS_AWAY_MS = 12_000;
/** So many that what heartbeats ask once more or less in a window is little beside one command for each. */
const STORM = 240;
/** And so many who connect and stay. */
const CONNECTED = 30;
const STORM_AT_ONCE = 6;
const WINDOW_MS = 5_000;

interface Room {
	id: string;
	title: string;
	state: string;
	listenerCount: number;
	version: number;
	stage?: { name: string; number: number }[];
}

describe.skipIf(WHY_NOT !== undefined)(`one room on three nodes${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	beforeAll(async () => {
		cluster = await RostrumCluster.start();
		// Made at one node, spoken to at another.
		const room = await cluster.node('node-a').process.room({ id: 'hall', title: 'Hall' }, 'open');
		await cluster.node('node-b').process.json('POST', `/v1/rooms/${room}/start`);
		audience = await Audience.begin(cluster, { id: 'town', at: 'node-c' });
	});
	afterAll(() => cluster?.close());

	/** What each node says when it is asked the same. */
	const everywhere = <T>(target: string): Promise<T[]> => Promise.all(cluster.running.map(({ process }) => process.json<T>('GET', target)));

	/** An offer from another host. */
	const post = (url: string, sdp: string, redirect: 'manual' | 'follow' = 'manual') =>
		cluster.client.ask('http', { url, method: 'POST', headers: { 'content-type': 'application/sdp' }, body: sdp, redirect });

	it('is the same room wherever one asks, and changes from anywhere', async () => {
		await until('all nodes have the room live', 5_000, async () => (await everywhere<Room>('/v1/rooms/hall')).every(({ state }) => state === 'live'));
		for (const [index, name] of NODES.entries()) {
			const title = `Hall, renamed at ${name}`;
			const changed = await cluster.node(name).process.json<Room>('PATCH', '/v1/rooms/hall', { title });
			expect(changed.title).toBe(title);
			await until(`rename ${index} is everywhere`, 5_000, async () => (await everywhere<Room>('/v1/rooms/hall')).every((room) => room.title === title));
		}
		expect(await cluster.claimants('hall')).toHaveLength(1);
	});

	it('takes stage sockets at nodes that are not the home', async () => {
		const home = await cluster.homeOf('town');
		const others = cluster.running.filter((node) => node !== home);
		for (const node of others) {
			const { token } = await node.process.token('town', 'host', 'Hana', { subject: 'hana' });
			// The same person again: the older socket is replaced, the number stays.
			const { number } = await cluster.client.ask('speak', { room: 'town', token, baseUrl: node.base });
			expect(number).toBe(1);
		}
		await audience.gather(6);
	});

	it('counts all listeners, wherever they are', async () => {
		await until('every node counts six', 5_000, async () => {
			const counts = (await everywhere<Room>('/v1/rooms/town')).map(({ listenerCount }) => listenerCount);
			return counts.every((count) => count === 6) || counts.join();
		});
	});

	it('hands a POST to a better node with a ticket that is good once, there, and for this room', async () => {
		const [full, ...others] = cluster.running;
		await full?.process.json('POST', `/v1/admin/nodes/${full.name}/drain`, {});
		await until('it is known to drain', 5_000, async () => (await cluster.seenBy(full!)).some(({ id, draining }) => id === full?.name && draining));
		const { sdp } = await cluster.client.ask('offer', {});
		const redirected = await post(`${full?.base}/v1/rooms/hall/listen`, sdp);
		expect(redirected.status).toBe(307);
		const target = new URL(new Map(redirected.headers).get('location') ?? '', redirected.url);
		expect(others.map(({ base }) => base)).toContain(target.origin);
		expect(target.searchParams.get('handoff')).toBeTruthy();

		const elsewhere = new URL(target);
		elsewhere.pathname = '/v1/rooms/town/listen';
		expect(await post(elsewhere.href, sdp)).toMatchObject({ status: 403 });
		const taken = await post(target.href, sdp);
		expect(taken.status, taken.body).toBe(201);
		expect(await post(target.href, sdp)).toMatchObject({ status: 403 });
		await full?.process.json('POST', `/v1/admin/nodes/${full.name}/undrain`, {});
		await until('nobody drains', 5_000, async () => (await cluster.seenBy(full!)).every(({ draining }) => !draining));
	});

	it('asks Redis nothing for a listener: commands a second are the same in a join storm', async () => {
		const { redis, running } = cluster;
		const { sdp } = await cluster.client.ask('offer', {});
		const sessions: string[] = [];
		const join = async (base = '') => {
			const { status, url, headers, body } = await post(`${base}/v1/rooms/town/listen`, sdp, 'follow');
			expect(status, body).toBe(201);
			sessions.push(new URL(new Map(headers).get('location') ?? '', url).href);
		};
		/** Commands and seconds of a window that is `WINDOW_MS` long, whatever happens in it. */
		const window = async (during: () => Promise<unknown>) => {
			const before = await commandCounts(redis!);
			const startedAtMs = performance.now();
			await Promise.all([during(), sleep(WINDOW_MS)]);
			const counts = difference(before, await commandCounts(redis!));
			return { counts, all: Object.values(counts).reduce((sum, count) => sum + count, 0), seconds: (performance.now() - startedAtMs) / 1_000 };
		};
		const calm = await window(async () => undefined);
		const storm = await window(async () => {
			let left = STORM;
			await Promise.all([
				audience.gather(CONNECTED),
				...Array.from({ length: STORM_AT_ONCE }, async () => {
					while (left > 0) await join(running[left-- % running.length]?.base);
				}),
			]);
		});
		console.log(`  Redis commands a second: ${(calm.all / calm.seconds).toFixed(1)} calm, ${(storm.all / storm.seconds).toFixed(1)} while ${STORM + CONNECTED} join`);
		console.log(`  calm ${JSON.stringify(calm.counts)}\n  storm ${JSON.stringify(storm.counts)}`);
		const forJoins = storm.all - (calm.all / calm.seconds) * storm.seconds;
		console.log(`  commands for each join: ${(forJoins / (STORM + CONNECTED)).toFixed(2)}`);
		// One command for each join would be 1; heartbeats that fall into the one window or the other are a tenth or two.
		expect(forJoins / (STORM + CONNECTED)).toBeLessThan(0.5);
		for (const session of sessions) await cluster.client.ask('http', { url: session, method: 'DELETE', headers: {}, redirect: 'manual' });
	});

	it('with Redis away: plays on, admits listeners, says so; with an empty Redis back: everything is there, and no ghosts', async () => {
		const { redis } = cluster;
		await cluster.anyNode.process.room({ id: 'ghost', title: 'Removed before' }, 'open');
		expect((await cluster.anyNode.process.call('DELETE', '/v1/rooms/ghost')).ok).toBe(true);
		const stageBefore = await cluster.anyNode.process.json<Room>('GET', '/v1/rooms/town');
		await audience.mark();
		await redis!.kill();
		await sleep(REDIS_AWAY_MS / 2);
		for (const node of cluster.running) {
			expect((await node.process.call('GET', '/healthz')).status).toBe(200);
			const ready = await node.process.call('GET', '/readyz');
			expect(await ready.text()).toMatch(/redis/i);
		}
		await audience.gather(6);
		await sleep(REDIS_AWAY_MS / 2);
		await redis!.restart();
		await until('the rooms are in Redis again', 15_000, async () => (await redis!.cli('ZCARD', 'rostrum:{rooms}:index')) === '2' || (await redis!.cli('KEYS', '*')).slice(0, 500));
		await sleep(2_000);
		const { listeners, speaker } = await audience.report();
		expect(listeners.flatMap(({ losses }) => losses)).toEqual([]);
		expect(speaker?.losses).toEqual([]);
		expect(Math.max(...listeners.map(({ missingMs }) => missingMs))).toBe(0);
		for (const room of await everywhere<Room>('/v1/rooms/town')) {
			expect(room).toMatchObject({ state: 'live', stage: stageBefore.stage });
		}
		for (const { rooms } of await everywhere<{ rooms: Room[] }>('/v1/rooms')) {
			expect(rooms.map(({ id }) => id).toSorted()).toEqual(['hall', 'town']);
		}
		const home = (await cluster.homeOf('town')).name;
		await until('the lease is in Redis again', 5_000, async () => {
			const holder = await redis!.cli('HGET', 'rostrum:{r:town}:home', 'node');
			return holder === home || `${home} is the home, Redis says "${holder}"`;
		});
	});
});
