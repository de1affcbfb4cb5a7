import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { Alternates } from '../../server/http/alternates.ts';
import { JoinRefusedError } from '../../server/placement/admission/join-refusal.ts';
import { FakeView, type HttpNode, type HttpNodes, nodeReport, startHttpNodes } from '../support/cluster/http-nodes.ts';
import { FAKE_ANSWER } from '../support/fakes/fake-room-media.ts';
import { OFFER } from '../support/fakes/test-app.ts';

const ROOM = 'launch';
const SECRET_ROOM = 'board';
let cluster: HttpNodes;
let first: HttpNode;
let second: HttpNode;

async function start(ownUrls: boolean): Promise<void> {
	cluster = await startHttpNodes(['a', 'b', 'c'], { ownUrls });
	first = cluster.nodes['a']!;
	second = cluster.nodes['b']!;
	for (const node of Object.values(cluster.nodes)) {
		await node.rooms.create({ id: ROOM, title: 'The announcement' });
		await node.rooms.create({ id: SECRET_ROOM, title: 'The board', visibility: 'private' });
		for (const roomId of [ROOM, SECRET_ROOM]) await node.rooms.transition(roomId, 'open');
	}
}
afterEach(() => cluster.close());

const post = (url: string, options: { headers?: Record<string, string>; redirect?: 'manual' | 'follow'; body?: string } = {}) =>
	fetch(url, { method: 'POST', body: options.body ?? OFFER, redirect: options.redirect ?? 'manual', headers: { 'content-type': 'application/sdp', ...options.headers } });
const listen = (node: HttpNode, query = '', options: Parameters<typeof post>[1] = {}, roomId = ROOM) => post(`${node.origin}/v1/rooms/${roomId}/listen${query}`, options);
const sessionsOf = (node: HttpNode) => [...node.media.sessions].map(([id, { roomId, packingMs }]) => ({ id, roomId, packingMs }));

describe('where nodes have addresses of their own', () => {
	beforeEach(async () => {
		await start(true);
		first.seat = { nodeId: 'b', publicUrl: `${second.origin}/`, why: 'fuller' };
	});

	it('a listener is sent to the better one, and served there', async () => {
		const answer = await listen(first, '?packing=20', { redirect: 'follow' });
		expect(answer.status).toBe(201);
		expect(answer.redirected).toBe(true);
		expect(await answer.text()).toBe(FAKE_ANSWER);
		expect(answer.headers.get('location')).toMatch(/^\/v1\/sessions\/b\.1-[0-9a-f]{32}$/);
		expect(new URL(answer.url).origin).toBe(second.origin);
		expect(sessionsOf(first)).toEqual([]);
		expect([first.told, second.told]).toEqual([[], ['took a']]);
		expect(sessionsOf(second)).toEqual([{ id: answer.headers.get('location')?.slice('/v1/sessions/'.length), roomId: ROOM, packingMs: 20 }]);
	});

	it('the 307 says where to, lets pages read it, and is kept by nobody', async () => {
		const answer = await listen(first, '', { headers: { origin: 'https://page.example' } });
		expect(answer.status).toBe(307);
		expect(answer.headers.get('location')).toMatch(new RegExp(`^${second.origin}/v1/rooms/${ROOM}/listen\\?handoff=[\\w.-]+$`));
		expect(answer.headers.get('cache-control')).toBe('no-store');
		expect(answer.headers.get('access-control-allow-origin')).toBe('*');
		expect(answer.headers.get('access-control-expose-headers')).toMatch(/\bLocation\b.*\bLink\b/);
		expect(await answer.text()).toBe('');
	});

	it('the ticket stands for the token, which browsers drop on the way', async () => {
		expect((await listen(first, '', {}, SECRET_ROOM)).status).toBe(401);
		const answer = await listen(first, '', { headers: { authorization: await first.bearer('listener', SECRET_ROOM) } }, SECRET_ROOM);
		expect(answer.status).toBe(307);
		expect((await post(answer.headers.get('location') ?? '')).status).toBe(201);
		expect(sessionsOf(second)).toMatchObject([{ roomId: SECRET_ROOM }]);
	});

	it('whoever was sent on is not sent on again', async () => {
		second.seat = { nodeId: 'a', publicUrl: first.origin, why: 'fuller' };
		expect((await listen(first, '', { redirect: 'follow' })).status).toBe(201);
		expect(sessionsOf(second)).toHaveLength(1);
		second.media.failure = new JoinRefusedError({ reason: 'full', retryAfterMs: 3_000, ahead: 0, firstArrivalMs: 0, refusedAtMs: 0 });
		const full = await listen(first, '', { redirect: 'follow' });
		expect([full.status, full.headers.get('retry-after')]).toEqual([503, '3']);
		expect(await full.json()).toMatchObject({ code: 'no_capacity' });
	});

	it.each<[string, string, () => Promise<string>]>([
		['used before', 'used', async () => {
			const ticket = await first.tickets.issue(ROOM, 'b');
			expect((await listen(second, `?handoff=${ticket}`)).status).toBe(201);
			return ticket;
		}],
		['for another room', 'other_room', () => first.tickets.issue(SECRET_ROOM, 'b')],
		['for another node', 'other_node', () => first.tickets.issue(ROOM, 'c')],
		['made up', 'malformed', async () => 'abc.def.ghi'],
		['changed', 'forged', async () => `${(await first.tickets.issue(ROOM, 'b')).slice(0, -6)}AAAAAA`],
	])('a ticket that was %s is refused, and the listener may start anew', async (_, reason, make) => {
		const ticket = await make();
		const before = sessionsOf(second).length;
		const refused = await listen(second, `?handoff=${ticket}`);
		expect(refused.status).toBe(403);
		expect(await refused.json()).toMatchObject({ code: 'handoff_invalid', retryable: true, reason });
		expect(sessionsOf(second)).toHaveLength(before);
	});

	it('a ticket opens no doors', async () => {
		await second.rooms.transition(ROOM, 'end');
		expect((await listen(second, `?handoff=${await first.tickets.issue(ROOM, 'b')}`)).status).toBe(410);
		expect((await listen(second, `?handoff=${await first.tickets.issue('nowhere', 'b')}`, {}, 'nowhere')).status).toBe(404);
	});

	it('a ticket stands in no log', async () => {
		const ticket = await first.tickets.issue(ROOM, 'b');
		await listen(second, `?handoff=${ticket}`);
		const lines = second.logs.map((line) => JSON.stringify(line));
		expect(lines.some((line) => line.includes('handoff=[redacted]'))).toBe(true);
		expect(lines.filter((line) => line.includes(ticket))).toEqual([]);
	});

	it('who is served is told of the others', async () => {
		const links = (await listen(second)).headers.get('link') ?? '';
		expect(links.split(', ').toSorted()).toEqual([`<${first.origin}>; rel="alternate"`, `<${cluster.nodes['c']!.origin}>; rel="alternate"`].toSorted());
	});
});

describe('where all have one address', () => {
	beforeEach(async () => {
		await start(false);
		first.seat = { nodeId: 'b', why: 'fuller' };
	});

	it('the offer is forwarded to the better node, and its answer comes back', async () => {
		const answer = await listen(first, '?packing=40');
		expect(answer.status).toBe(201);
		expect(await answer.text()).toBe(FAKE_ANSWER);
		expect(answer.headers.get('link')).toBeNull();
		const session = answer.headers.get('location') ?? '';
		expect(sessionsOf(second)).toEqual([{ id: session.slice('/v1/sessions/'.length), roomId: ROOM, packingMs: 40 }]);
		expect((await fetch(first.origin + session, { method: 'DELETE' })).status).toBe(200);
		expect(sessionsOf(second)).toEqual([]);
	});

	it('forwarding goes no further, whatever the other node thinks', async () => {
		second.seat = { nodeId: 'a', why: 'fuller' };
		expect((await listen(first)).status).toBe(201);
		expect([sessionsOf(first).length, sessionsOf(second).length]).toEqual([0, 1]);
		expect([first.told, second.told]).toEqual([[], ['took a']]);
	});

	it('an address that several share is no address to be sent to', async () => {
		first.seat = { nodeId: 'b', publicUrl: 'https://rooms.example.org', why: 'fuller' };
		expect((await listen(first)).status).toBe(201);
		expect(sessionsOf(second)).toHaveLength(1);
	});

	it('a token is asked for at both', async () => {
		expect((await listen(first, '', {}, SECRET_ROOM)).status).toBe(401);
		expect((await listen(first, '', { headers: { authorization: await first.bearer('listener', SECRET_ROOM) } }, SECRET_ROOM)).status).toBe(201);
		expect(sessionsOf(second)).toHaveLength(1);
	});

	it('a node that turns out to be gone loses nobody: the listener is seated here', async () => {
		await second.server.close();
		expect((await listen(first)).status).toBe(201);
		expect(sessionsOf(first)).toHaveLength(1);
		expect(first.told).toEqual(['refused b']);
	});

	it('a refusal comes back as it is', async () => {
		second.media.failure = new JoinRefusedError({ reason: 'full', retryAfterMs: 3_000, ahead: 0, firstArrivalMs: 0, refusedAtMs: 0 });
		const full = await listen(first);
		expect([full.status, full.headers.get('retry-after')]).toEqual([503, '3']);
		expect(sessionsOf(first)).toEqual([]);
		expect(first.told).toEqual(['refused b']);
		second.media.failure = undefined;
		expect((await listen(first, '', { body: 'nonsense' })).status).toBe(400);
	});

	it.each(['room_full', 'seats_unknown'])('a refusal that concerns the room alone (%s) is nothing against the node', async (reason) => {
		second.media.failure = new DomainError('no_capacity', 'not in this room', { retryAfterSeconds: 3, extra: { reason } });
		const refused = await listen(first);
		expect(refused.status).toBe(503);
		expect(await refused.json()).toMatchObject({ code: 'no_capacity', reason });
		expect([...refused.headers.keys()].filter((name) => name.startsWith('x-rostrum-'))).toEqual([]);
		expect(first.told).toEqual([]);
		second.media.failure = new DomainError('no_capacity', 'in no room', { retryAfterSeconds: 3, extra: { reason: 'paced' } });
		expect((await listen(first)).status).toBe(503);
		expect(first.told).toEqual(['refused b']);
	});
});

describe('other nodes to turn to', () => {
	const OWN = 'https://a.example';
	it('are four at most, others each time, and never one that drains, shares an address or is this one', () => {
		const reports = new Map([
			...['b', 'c', 'd', 'e', 'f'].map((id) => [id, nodeReport(id, 'http://10.0.0.1', `https://${id}.example/`)] as const),
			['a', nodeReport('a', 'http://10.0.0.1', OWN)],
			['drains', { ...nodeReport('drains', 'http://10.0.0.1', 'https://drains.example'), draining: true }],
			['none', nodeReport('none', 'http://10.0.0.1')],
			['same', nodeReport('same', 'http://10.0.0.1', `${OWN}/`)],
			['twin-1', nodeReport('twin-1', 'http://10.0.0.1', 'https://twins.example')],
			['twin-2', nodeReport('twin-2', 'http://10.0.0.1', 'https://twins.example')],
		]);
		let nowMs = 0;
		const alternates = new Alternates(new FakeView('a', reports), () => OWN, () => nowMs);
		const rounds = Array.from({ length: 5 }, () => alternates.next());
		expect(rounds.every((links) => links.length === 4 && new Set(links).size === 4)).toBe(true);
		expect(new Set(rounds.map(([link]) => link))).toEqual(new Set(['b', 'c', 'd', 'e', 'f'].map((id) => `<https://${id}.example>; rel="alternate"`)));
		for (const id of ['b', 'c', 'd', 'e']) reports.delete(id);
		nowMs += 1_000;
		expect(alternates.next()).toEqual(['<https://f.example>; rel="alternate"']);
		reports.delete('f');
		nowMs += 1_000;
		expect(alternates.next()).toEqual([]);
	});
});
