import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/cluster/until.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { RtcListener } from '../support/rtc/listener.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { samplesOf } from '../support/scrape.ts';
import { longSpeech } from '../support/speech/speech.ts';

interface Link { room: string; node: string; shard: number; upstream: object | null; packets: number; lost: number; lossRatio: number; jitterMs: number; lagMs: number; silentMs: number }
interface Node {
	id: string; self: boolean; draining: boolean; redis: boolean; listeners: number; maxListeners: number; rooms: Record<string, number>; homes: Record<string, { epoch: number }>;
	shards: { index: number; role: string; draining: boolean; listeners: number; moving: number }[]; links?: Link[]; drains?: { state: string; shard?: number; moving: number }[];
}
interface Placement {
	home: { node: string; epoch: number }; originShard: number; listeners: Record<string, number>; depth: number;
	edges: { node: string; shard: number; upstream: object; depth: number; children: number }[]; links: Link[];
}

const ROOM = 'hall';
const ORIGIN = { node: 'node-a', shard: 'origin' };
const sdp = async (url: string, body: string, token?: string): Promise<string> => {
	const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/sdp', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } });
	if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
	return answer.text();
};

describe('two nodes and one room', () => {
	let redis: RedisServer;
	let a: RostrumProcess;
	let b: RostrumProcess;
	let speaker: RtcSpeaker;
	const people: { close(): void }[] = [];
	const startNode = (nodeId: string, mediaPort: number) =>
		RostrumProcess.start({
			mediaPort,
			env: { REDIS_URL: redis.url, ROSTRUM_CLUSTER_SECRET: ADMIN_TOKEN, ROSTRUM_NODE_ID: nodeId, ROSTRUM_INTERNAL_PORT: String(mediaPort + 10), ROSTRUM_ROOMS_DEMO: 'false' },
		});
	const listen = async (at: RostrumProcess) => {
		const listener = await RtcListener.join((offer) => sdp(`${at.url}/v1/rooms/${ROOM}/listen`, offer));
		people.push(listener);
		return listener;
	};
	const nodes = async (at: RostrumProcess) => (await at.json<{ nodes: Node[] }>('GET', '/v1/admin/nodes')).nodes;
	const placement = (at: RostrumProcess) => at.json<Placement>('GET', `/v1/admin/rooms/${ROOM}/placement`);
	const metrics = async (of: RostrumProcess) => samplesOf(await (await fetch(`${of.url}/metrics`)).text());

	beforeAll(async () => {
		redis = await RedisServer.start();
		[a, b] = await Promise.all([startNode('node-a', 29_200), startNode('node-b', 29_300)]);
		await until('both see each other', 10_000, async () => (await nodes(a)).length === 2 && (await nodes(b)).length === 2);
		await a.room({ id: ROOM });
		await until('the room’s home is known', 5_000, async () => (await nodes(b)).some(({ homes }) => homes[ROOM] !== undefined));
		const { token } = await a.token(ROOM, 'speaker', 'Ann');
		speaker = await RtcSpeaker.publish((offer) => sdp(`${b.url}/v1/rooms/${ROOM}/publish`, offer, token));
		people.push(speaker);
		speaker.talk(await longSpeech('alto'));
		for (const at of [a, a, b, b]) await listen(at);
		await until('all four are counted', 5_000, async () => [...(await nodes(a)), ...(await nodes(b))].every(({ rooms, listeners }) => rooms[ROOM] === 2 && listeners === 2));
	});
	afterAll(async () => {
		for (const person of people) person.close();
		await Promise.all([a?.stop('SIGKILL'), b?.stop('SIGKILL')]);
		await redis?.stop();
	});

	it('any node tells of all: shards, rooms, homes', async () => {
		for (const [at, id, other] of [[a, 'node-a', 'node-b'], [b, 'node-b', 'node-a']] as const) {
			const [own, its] = await nodes(at);
			expect(own).toMatchObject({ id, self: true, draining: false, redis: true, listeners: 2, rooms: { [ROOM]: 2 } });
			expect(its).toMatchObject({ id: other, self: false, draining: false, redis: true, listeners: 2, rooms: { [ROOM]: 2 } });
			expect(own?.shards.map(({ role }) => role)).toEqual(['stage', 'listener', 'listener']);
		}
		const [own, other] = await nodes(a);
		expect([Object.keys(own?.homes ?? {}), other?.homes]).toEqual([[ROOM], {}]);
	});

	it('the home tells the way to every listener, link by link, whichever node is asked', async () => {
		await until('every link was measured', 20_000, async () => {
			const { links } = await placement(b);
			return (links.filter(({ packets, lagMs }) => packets > 0 && lagMs > 0).length === 4 && links.some(({ jitterMs }) => jitterMs > 0)) || JSON.stringify(links);
		});
		for (const at of [a, b]) {
			const tree = await placement(at);
			expect(tree).toMatchObject({ home: { node: 'node-a' }, originShard: 0, listeners: { 'node-a': 2, 'node-b': 2 }, depth: 1 });
			const shards = tree.edges.map(({ node, shard }) => `${node}/${shard}`).toSorted();
			expect(shards).toEqual(['node-a/1', 'node-a/2', 'node-b/1', 'node-b/2']);
			for (const edge of tree.edges) expect(edge).toMatchObject({ upstream: ORIGIN, depth: 1, children: 0 });
			expect(tree.links.map(({ node, shard }) => `${node}/${shard}`).toSorted()).toEqual(shards);
			for (const link of tree.links) {
				expect(link).toMatchObject({ room: ROOM, upstream: ORIGIN });
				expect(link.packets).toBeGreaterThan(0);
				expect(link.lossRatio).toBeLessThan(0.05);
				expect(Math.max(link.jitterMs, link.lagMs)).toBeLessThan(500);
				expect(link.silentMs).toBeLessThan(10_000);
			}
		}
		const one = await a.json<Node>('GET', '/v1/admin/nodes/node-b');
		expect(one).toMatchObject({ id: 'node-b', self: true, drains: [{ state: 'active' }] });
		expect(one.links?.map(({ node }) => node)).toEqual(['node-b', 'node-b']);
	});

	it('the figures of both are scraped', async () => {
		const [ofA, ofB] = [await metrics(a), await metrics(b)];
		for (const of of [ofA, ofB]) {
			expect(of.get('rostrum_cluster_nodes')).toBe(2);
			expect(of.get('rostrum_redis_up')).toBe(1);
			expect(of.get('rostrum_rooms_unsaved')).toBe(0);
			expect(of.get('rostrum_redis_commands_total{command="beat"}')).toBeGreaterThan(2);
			expect(of.get('rostrum_links')).toBe(2);
			expect(of.get('rostrum_link_packets_received_total')).toBeGreaterThan(0);
		}
		expect([ofA.get('rostrum_homes'), ofB.get('rostrum_homes')]).toEqual([1, 0]);
		expect(ofA.get('rostrum_home_changes_total{reason="gained"}')).toBe(1);
		expect(ofB.get('rostrum_forwarded_requests_total{outcome="answered"}')).toBeGreaterThan(1);
	});

	it('every line of a node’s log names it', () => {
		for (const [node, id] of [[a, 'node-a'], [b, 'node-b']] as const) {
			const lines = node.logLines;
			expect(lines.filter((line) => line['node'] !== id).map(({ msg }) => msg)).toEqual([]);
			expect(lines.some(({ msg }) => msg === 'Rostrum is up')).toBe(true);
			expect(lines.some(({ msg }) => msg === 'shard up')).toBe(true);
		}
		expect(a.logLines).toContainEqual(expect.objectContaining({ msg: 'this node is the home of a room', room: ROOM, epoch: expect.any(Number) as number, takenOver: false }));
		expect(a.logLines).toContainEqual(expect.objectContaining({ msg: 'request done', room: ROOM, route: '/v1/rooms/:room/start' }));
	});

	it('a node is drained from another, hands newcomers on, and is taken back', async () => {
		expect(await a.json('POST', '/v1/admin/nodes/node-b/drain')).toMatchObject({ state: 'draining', listenersAtStart: 2, listenersNow: 2, homesLeft: 0 });
		await until('its listeners are asked to go, and the other knows', 5_000, async () => {
			const its = (await nodes(a))[1];
			return its?.draining === true && its.maxListeners === 0 && its.shards.filter(({ role }) => role === 'listener').every(({ moving }) => moving === 1);
		});
		await listen(b);
		await until('who came to it is on the other', 5_000, async () => (await nodes(b))[1]?.rooms[ROOM] === 3);
		const during = await metrics(b);
		expect(during.get('rostrum_drain_state{state="draining"}')).toBe(1);
		expect(during.get('rostrum_drain_moving_ratio')).toBe(1);
		expect(during.get('rostrum_listeners_asked_to_move_total')).toBe(2);
		expect(during.get('rostrum_handoffs_total{kind="forwarded",why="draining"}')).toBe(1);

		expect(await a.json('POST', '/v1/admin/nodes/node-b/undrain')).toMatchObject({ state: 'active', listenersNow: 2, moving: 0 });
		await until('it takes people again, as far as the other knows', 5_000, async () => {
			const its = (await nodes(a))[1];
			return its?.draining === false && its.maxListeners > 0 && its.shards.every(({ moving }) => moving === 0);
		});
		expect((await metrics(b)).get('rostrum_drain_state{state="active"}')).toBe(1);
	});

	it('one shard is drained by itself, and what stays is ended at the deadline', async () => {
		const drain = { shard: 1, deadlineMs: 1_000 };
		expect(await a.json('POST', '/v1/admin/nodes/node-b/drain', drain)).toMatchObject({ state: 'draining', shard: 1, listenersAtStart: 1 });
		await until('it is empty', 10_000, async () => {
			const { drains, shards } = await a.json<Node>('GET', '/v1/admin/nodes/node-b');
			return drains?.some(({ shard, state }) => shard === 1 && state === 'drained') === true && shards[1]?.listeners === 0;
		});
		const { shards, links, draining } = await a.json<Node>('GET', '/v1/admin/nodes/node-b');
		expect([draining, shards.map((shard) => shard.draining)]).toEqual([false, [false, true, false]]);
		expect(shards.map(({ listeners }) => listeners)).toEqual([0, 0, 1]);
		expect(links?.map(({ shard }) => shard)).toEqual([2]);
		await until('its edge is out of the tree', 5_000, async () => (await placement(b)).edges.every(({ node, shard }) => node !== 'node-b' || shard !== 1));
		expect(await a.json('POST', '/v1/admin/nodes/node-b/undrain', { shard: 1 })).toMatchObject({ state: 'active', shard: 1 });
		expect((await a.json<Node>('GET', '/v1/admin/nodes/node-b')).drains).toMatchObject([{ state: 'active' }]);
	});

	it('a rebalance of a fleet that is even enough asks nobody', async () => {
		expect(await b.json('POST', '/v1/admin/rebalance')).toMatchObject({ moves: [] });
	});

	it('end within seconds when the whole cluster is stopped at once, for nobody is left to drain to', async () => {
		const startedAtMs = performance.now();
		expect(await Promise.all([a.stop(), b.stop()])).toEqual([0, 0]);
		// A drain that waits for takers lasts a minute.
		expect(performance.now() - startedAtMs).toBeLessThan(20_000);
	});
});
