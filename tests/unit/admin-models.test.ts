// What of the admin console is a function of its input.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { AdminApi } from '../../server/web/browser/api/admin-api.ts';
import type { AdminRoom, ClusterNode } from '../../server/web/browser/api/admin-types.ts';
import { addressOf, placeOf } from '../../server/web/browser/pages/admin-address.ts';
import { drained, drainOf, readFleet } from '../../server/web/browser/pages/admin-fleet.ts';
import { changed, localTime, readSettings } from '../../server/web/browser/pages/admin-room-settings.ts';
import { tokenIdOf } from '../../server/web/browser/pages/admin-token-id.ts';
import { BOX, branchesOf, drawTree, type TreeEdge } from '../../server/web/browser/ui/admin-tree-layout.ts';

describe('an address in the console', () => {
	it.each([
		['', { section: 'rooms' }],
		['#nodes', { section: 'nodes' }],
		['#rooms/town-hall', { section: 'rooms', roomId: 'town-hall' }],
		['#nodes/town-hall', { section: 'nodes' }],
		['#nonsense', { section: 'rooms' }],
		['#rooms/%E0%A4%A', { section: 'rooms' }],
		['#rooms/', { section: 'rooms' }],
	])('%s leads to %j', (hash, place) => {
		expect(placeOf(hash)).toEqual(place);
	});
	it('of any room leads back to it', () => {
		fc.assert(
			fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (roomId) => {
				expect(placeOf(addressOf({ section: 'rooms', roomId }))).toEqual({ section: 'rooms', roomId });
			}),
		);
	});
});

describe('a room’s form', () => {
	const fields = (values: Record<string, string>) => ({ get: (name: string) => values[name] ?? null });
	const room: AdminRoom = {
		id: 'r', title: 'Town hall', state: 'scheduled', visibility: 'public', voices: 3, version: 1, listenerCount: 0, stage: [],
		scheduledAt: '2026-05-24T18:00:30.000Z', expectedListeners: 100, packingMs: 'auto', record: false, links: { listen: '', stage: '' },
	};

	it('holds times of the reader’s own zone, and gives instants', () => {
		const { scheduledAt } = readSettings(fields({ title: ' T ', scheduledAt: '2026-05-24T18:00' }), false);
		expect(scheduledAt).toBe(new Date(2026, 4, 24, 18, 0).toISOString());
		expect(localTime(scheduledAt ?? undefined)).toBe('2026-05-24T18:00');
	});
	it('leaves what is empty out of a new room, and removes it from one that is there', () => {
		expect(readSettings(fields({ title: 'T', id: 'x' }), false)).toEqual({ id: 'x', title: 'T', visibility: 'public', packingMs: 'auto', record: false });
		expect(readSettings(fields({ title: 'T', packingMs: '60', record: 'on' }), true)).toEqual({
			title: 'T', visibility: 'public', packingMs: 60, record: true,
			description: null, scheduledAt: null, doorsOpenAt: null, endsAt: null, expectedListeners: null, maxListeners: null,
		});
	});
	it('sends what was changed, and nothing else', () => {
		const same = { title: 'Town hall', visibility: 'public', scheduledAt: localTime(room.scheduledAt), expectedListeners: '100', packingMs: 'auto' };
		expect(changed(room, readSettings(fields(same), true))).toEqual({});
		expect(changed(room, readSettings(fields({ ...same, title: 'Another', expectedListeners: '' }), true))).toEqual({ title: 'Another', expectedListeners: null });
	});
});

describe('the fan-out tree', () => {
	const edge = (shard: number, upstream: number | 'origin' | null): TreeEdge => ({ node: 'n', shard, upstream: upstream === null ? null : { node: 'n', shard: upstream } });
	const edges = (count: number) => Array.from({ length: count }, (_, shard) => edge(shard, 'origin'));

	it('hangs each edge on its upstream, and those without one apart', () => {
		const { root, floating } = branchesOf([edge(1, 'origin'), edge(2, 1), edge(3, null), edge(4, 3), edge(5, 99)]);
		expect(root.children.map((branch) => [branch.edge?.shard, branch.children.map((child) => child.edge?.shard)])).toEqual([[1, [2]]]);
		expect(floating.map((branch) => [branch.edge?.shard, branch.children.length])).toEqual([[3, 1], [5, 0]]);
	});
	it('is drawn without two boxes that touch, inside its size, an upstream beside the middle of what hangs on it', () => {
		fc.assert(
			fc.property(fc.array(fc.nat(), { maxLength: 40 }), (parents) => {
				const tree = parents.map((parent, shard) => edge(shard, shard === 0 || parent % (shard + 1) === shard ? 'origin' : parent % shard));
				const { boxes, width, height } = drawTree(branchesOf(tree).root);
				for (const box of boxes) {
					expect(box.x + BOX.width).toBeLessThanOrEqual(width);
					expect(box.y - BOX.height / 2).toBeGreaterThanOrEqual(0);
					expect(box.y + BOX.height / 2).toBeLessThanOrEqual(height);
					for (const other of boxes) if (other !== box && other.x === box.x) expect(Math.abs(other.y - box.y)).toBeGreaterThanOrEqual(BOX.height);
					const below = boxes.filter(({ parent }) => parent === box).map(({ y }) => y);
					if (below.length > 0) expect(box.y).toBeCloseTo((Math.min(...below) + Math.max(...below)) / 2);
				}
				expect(boxes.filter(({ branch }) => branch.edge).length + boxes.reduce((sum, { branch }) => sum + branch.hidden, 0)).toBe(parents.length);
			}),
		);
	});
	it('of a thousand shards is not a drawing of a thousand boxes', () => {
		const { boxes } = drawTree(branchesOf(edges(1_000)).root);
		expect(boxes).toHaveLength(11);
		expect(boxes.at(-1)?.branch.hidden).toBe(991);
	});
});

describe('a drain', () => {
	it.each([
		[{ state: 'draining', listenersAtStart: 40, listenersNow: 10 }, 0.75],
		[{ state: 'draining', listenersAtStart: 40, listenersNow: 50 }, 0],
		[{ state: 'draining', listenersAtStart: 0, listenersNow: 0 }, 0],
		[{ state: 'drained', listenersAtStart: 0, listenersNow: 0 }, 1],
	] as const)('%j is done by %d', (drain, done) => {
		expect(drained({ ...drain, homesLeft: 0, moving: 1 })).toBe(done);
	});

	it('of another node is asked of that node, and a node that does not answer is shown without', async () => {
		const shards: ClusterNode['shards'] = [{ index: 1, role: 'listener', alive: true, draining: true, listeners: 1, joining: 0, maxListeners: 9, load: 0, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0 }];
		const node = (id: string): ClusterNode => ({ id, self: id === 'a', startedAt: '', draining: false, redis: true, listeners: 0, maxListeners: 0, shards, rooms: {}, homes: {} });
		const drain = { state: 'draining', shard: 1, listenersAtStart: 2, listenersNow: 1, homesLeft: 0, moving: 1 };
		const asked: string[] = [];
		const api = new AdminApi({
			token: 't',
			fetch: async (input) => {
				asked.push(new URL(input instanceof Request ? input.url : input, 'http://x').pathname);
				if (input === '/v1/admin/nodes') return Response.json({ nodes: [{ ...node('a'), drains: [drain] }, node('b'), node('c'), { ...node('d'), shards: [] }] });
				return input === '/v1/admin/nodes/b' ? Response.json({ ...node('b'), drains: [drain] }) : Response.json({ code: 'peer_unreachable' }, { status: 502 });
			},
		});
		const fleet = await readFleet(api);
		expect(asked).toEqual(['/v1/admin/nodes', '/v1/admin/nodes/b', '/v1/admin/nodes/c']);
		expect(fleet.map((each) => drainOf(each, 1)?.state)).toEqual(['draining', 'draining', undefined, undefined]);
	});
});

describe('what is polled', () => {
	it('is asked for by its entity tag, and is the same object as long as it has not changed', async () => {
		const sent: (string | null)[] = [];
		const answers = [new Response('{"n":1}', { headers: { etag: 'W/"1"' } }), new Response(null, { status: 304 }), new Response('{"n":2}', { headers: { etag: 'W/"2"' } }), new Response('{"n":3}')];
		const api = new AdminApi({
			token: 'secret',
			fetch: async (_input, init) => {
				const headers = new Headers(init?.headers);
				expect(headers.get('authorization')).toBe('Bearer secret');
				sent.push(headers.get('if-none-match'));
				return answers.shift() ?? Response.error();
			},
		});
		const [one, again, two, three] = [await api.read('/x'), await api.read('/x'), await api.read('/x'), await api.read('/x')];
		expect(sent).toEqual([null, 'W/"1"', 'W/"1"', 'W/"2"']);
		expect(again).toBe(one);
		expect([one, two, three]).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
	});
	it('fails with the problem, or with the lack of any answer', async () => {
		const refusing = new AdminApi({ token: 't', fetch: async () => Response.json({ code: 'room_not_found', title: 'No', detail: 'There is no such room' }, { status: 404 }) });
		await expect(refusing.read('/x')).rejects.toMatchObject({ status: 404, code: 'room_not_found', message: 'There is no such room' });
		const silent = new AdminApi({ token: 't', fetch: () => Promise.reject(new TypeError('Failed to fetch')) });
		await expect(silent.send('POST', '/x')).rejects.toMatchObject({ status: 0, code: 'network' });
	});
});

it('reads a token’s id from the token, and from nothing else', () => {
	const signed = `e30.${Buffer.from(JSON.stringify({ jti: 'id-1', name: 'نور؟>' })).toString('base64url')}.sig`;
	expect(tokenIdOf(signed)).toBe('id-1');
	for (const other of ['', 'admin-token', 'a.b.c', `e30.${Buffer.from('{}').toString('base64url')}.sig`]) expect(tokenIdOf(other)).toBeUndefined();
});
