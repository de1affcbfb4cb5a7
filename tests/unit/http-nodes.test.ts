import type { FastifyReply, FastifyRequest } from 'fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KeyRing } from '../../auth/key-ring.ts';
import type { AppCluster } from '../../server/http/deps.ts';
import { reportOf } from '../support/fakes/fake-cluster-admin.ts';
import { ADMIN_TOKEN, createTestApp, type TestApp } from '../support/fakes/test-app.ts';

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const LINK = { roomId: 'hall', linkId: 'link-0001', shard: 1, upstream: { nodeId: 'b', shard: 'origin' as const }, packetsTotal: 900, lostTotal: 100, jitterMs: 0.5, lagMs: 3.25, silentMs: 20 };

let dir: string;
let keyRing: KeyRing;
let test: TestApp;
let forwarded: { nodeId: string; url: string; body: unknown }[];
beforeAll(async () => {
	dir = await mkdtemp(path.join(tmpdir(), 'rostrum-nodes-'));
	keyRing = await KeyRing.open({ dir, now: Date.now, algorithm: 'EdDSA' });
});
afterAll(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
	forwarded = [];
	const notUsed = (): never => expect.unreachable();
	const cluster: AppCluster = {
		view: { nodeId: 'a', node: () => undefined, nodes: () => [] },
		homes: { ensure: notUsed },
		tickets: { issue: notUsed, redeem: notUsed },
		sockets: { open: notUsed, join: notUsed, close: () => undefined },
		forward: async (request: FastifyRequest, reply: FastifyReply, nodeId: string) => {
			forwarded.push({ nodeId, url: request.url, body: request.body });
			return reply.code(299).header('content-type', 'application/json').send('{"from":"there"}');
		},
	};
	test = await createTestApp({ node: { id: 'a', cluster, keyRing } });
	test.clusterAdmin.reports.push(reportOf('b', { publicUrl: 'https://b.example.org', region: 'west', draining: true, rooms: {}, homes: {}, moving: {} }));
	await test.rooms.create({ id: 'hall', title: 'Hall', visibility: 'private' });
});
afterEach(() => test.close());

const get = (url: string) => test.app.inject({ url, headers: admin });
const post = (url: string, payload?: object) => test.app.inject({ method: 'POST', url, headers: admin, ...(payload ? { payload } : {}) });

describe('the nodes of the cluster', () => {
	it('are for admins alone', async () => {
		for (const [method, url] of [
			['GET', '/v1/admin/nodes'], ['GET', '/v1/admin/nodes/a'], ['POST', '/v1/admin/nodes/a/drain'], ['POST', '/v1/admin/nodes/a/undrain'],
			['POST', '/v1/admin/rebalance'], ['GET', '/v1/admin/rooms/hall/placement'],
		] as const) {
			expect((await test.app.inject({ method, url })).json(), url).toMatchObject({ code: 'token_required' });
			const host = { authorization: await test.bearer('host', 'hall') };
			expect((await test.app.inject({ method, url, headers: host })).json(), url).toMatchObject({ code: 'forbidden' });
		}
		expect(test.clusterAdmin.calls).toEqual([]);
	});

	it('are listed with shards, loads, rooms and homes, the one that answers with links and drains', async () => {
		test.clusterAdmin.roomLinks.push({ ...LINK, node: 'a' }, { ...LINK, node: 'b' });
		const { nodes } = (await get('/v1/admin/nodes')).json<{ nodes: Record<string, unknown>[] }>();
		const shard = { alive: true, draining: false, joining: 1, cpuRatio: 0.25, eventLoopLagMs: 1.5, packetsPerSecond: 120.5 };
		expect(nodes[0]).toEqual({
			id: 'a', self: true, incarnation: 'first-start', startedAt: '2026-05-24T19:00:00.000Z', internalUrl: 'http://10.0.0.1:3100', draining: false, redis: true, eventCadence: 1,
			listeners: 49, maxListeners: 100, rooms: { hall: 49 }, homes: { hall: { epoch: 3 } },
			shards: [
				{ ...shard, index: 0, role: 'stage', listeners: 0, maxListeners: 0, load: 0, moving: 0 },
				{ ...shard, index: 1, role: 'listener', listeners: 49, maxListeners: 100, load: 0.5, moving: 0.5, pressure: { level: 0, packingFloorMs: 20, reason: null, since: null } },
			],
			links: [{ room: 'hall', link: 'link-0001', node: 'a', shard: 1, upstream: { node: 'b', shard: 'origin' }, packets: 900, lost: 100, lossRatio: 0.1, jitterMs: 0.5, lagMs: 3.25, silentMs: 20 }],
			drains: [{ state: 'active', listenersAtStart: 3, listenersNow: 3, homesLeft: 1, moving: 0 }],
		});
		expect(nodes[1]).toMatchObject({ id: 'b', self: false, publicUrl: 'https://b.example.org', region: 'west', draining: true, maxListeners: 0 });
		expect(nodes[1]).not.toHaveProperty('links');
	});

	it('are read one by one, each answering for itself', async () => {
		expect((await get('/v1/admin/nodes/a')).json()).toMatchObject({ id: 'a', self: true });
		expect((await get('/v1/admin/nodes/b')).json()).toEqual({ from: 'there' });
		expect(forwarded).toEqual([{ nodeId: 'b', url: '/v1/admin/nodes/b', body: undefined }]);
		expect((await get('/v1/admin/nodes/nowhere')).json()).toMatchObject({ code: 'node_not_found', status: 404 });
	});
});

describe('a drain', () => {
	it('starts with 202 and its progress, with or without a body', async () => {
		const whole = await post('/v1/admin/nodes/a/drain');
		expect(whole.statusCode).toBe(202);
		expect(whole.json()).toEqual({
			state: 'draining', listenersAtStart: 3, listenersNow: 3, homesLeft: 1, moving: 0,
			startedAt: '2026-05-24T20:00:00.000Z', deadlineAt: '2026-05-24T20:05:00.000Z', waiting: 'no room elsewhere',
		});
		await post('/v1/admin/nodes/a/drain', { shard: 1, deadlineMs: 5_000 });
		expect((await post('/v1/admin/nodes/a/undrain', { shard: 1 })).json()).toMatchObject({ state: 'active' });
		expect(test.clusterAdmin.calls).toEqual([['drain', {}], ['drain', { shard: 1, deadlineMs: 5_000 }], ['undrain', { shard: 1 }]]);
	});

	it('of another node is started there', async () => {
		expect((await post('/v1/admin/nodes/b/drain', { deadlineMs: 5_000 })).statusCode).toBe(299);
		expect((await post('/v1/admin/nodes/b/undrain')).statusCode).toBe(299);
		expect(forwarded.map(({ url }) => url)).toEqual(['/v1/admin/nodes/b/drain', '/v1/admin/nodes/b/undrain']);
		expect(test.clusterAdmin.calls).toEqual([]);
	});

	it.each([
		['an unknown node', '/v1/admin/nodes/nowhere/drain', {}, 'node_not_found'],
		['an unknown shard', '/v1/admin/nodes/a/drain', { shard: 99 }, 'not_found'],
		['a shard that cannot be', '/v1/admin/nodes/a/drain', { shard: -1 }, 'invalid_request'],
		['an unknown member', '/v1/admin/nodes/a/drain', { force: true }, 'invalid_request'],
		['a deadline of a month', '/v1/admin/nodes/a/drain', { deadlineMs: 2_592_000_000 }, 'invalid_request'],
		['a deadline for the end', '/v1/admin/nodes/a/undrain', { deadlineMs: 1 }, 'invalid_request'],
	])('is refused for %s', async (_what, url, body, code) => {
		expect((await post(url, body)).json()).toMatchObject({ code });
	});
});

it('a rebalance says who gives away how many', async () => {
	test.clusterAdmin.rebalanced = { meanFill: 0.4, moves: [{ node: 'a', listeners: 20, asked: 20 }, { node: 'b', listeners: 30, asked: 0 }] };
	const answer = await post('/v1/admin/rebalance');
	expect(answer.statusCode).toBe(202);
	expect(answer.json()).toEqual(test.clusterAdmin.rebalanced);
});

describe('where a room lives', () => {
	const url = '/v1/admin/rooms/hall/placement';

	it('is told with its tree and its links by its home', async () => {
		test.clusterAdmin.homes.set('hall', { nodeId: 'a', epoch: 3 });
		test.clusterAdmin.tree = {
			originShard: 0,
			tree: {
				depth: 2, edges: 4,
				children: [{ nodeId: 'a', shard: 1, children: [{ nodeId: 'b', shard: 2, children: [] }] }],
				floating: [{ nodeId: 'c', shard: 1, children: [{ nodeId: 'c', shard: 2, children: [] }] }],
			},
		};
		test.clusterAdmin.roomLinks.push({ ...LINK, node: 'a' }, { ...LINK, node: 'b', shard: 2 }, { ...LINK, roomId: 'other', node: 'b' });
		const placement = (await get(url)).json<{ links: unknown[] }>();
		expect(placement).toMatchObject({
			room: 'hall', home: { node: 'a', epoch: 3 }, originShard: 0, listeners: { a: 49 }, depth: 2,
			edges: [
				{ node: 'a', shard: 1, upstream: { node: 'a', shard: 'origin' }, depth: 1, children: 1 },
				{ node: 'b', shard: 2, upstream: { node: 'a', shard: 1 }, depth: 2, children: 0 },
				{ node: 'c', shard: 1, upstream: null, depth: null, children: 1 },
				{ node: 'c', shard: 2, upstream: { node: 'c', shard: 1 }, depth: null, children: 0 },
			],
		});
		expect(placement.links).toHaveLength(2);
	});

	it('is asked of its home', async () => {
		test.clusterAdmin.homes.set('hall', { nodeId: 'b', epoch: 4 });
		expect((await get(url)).json()).toEqual({ from: 'there' });
		expect(forwarded).toMatchObject([{ nodeId: 'b', url }]);
	});

	it('is nowhere while it has no home, and nothing is made for asking', async () => {
		test.clusterAdmin.reports[0] = reportOf('a', { rooms: {}, homes: {} });
		expect((await get(url)).json()).toEqual({ room: 'hall', home: null, originShard: null, listeners: {}, depth: 0, edges: [], links: [] });
		expect((await get('/v1/admin/rooms/nowhere/placement')).json()).toMatchObject({ code: 'room_not_found' });
	});
});
