import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HttpNode, type HttpNodes, startHttpNodes } from '../support/cluster/http-nodes.ts';
import { ADMIN_TOKEN, OFFER } from '../support/fakes/test-app.ts';

const ROOM = 'launch';
let cluster: HttpNodes;
let home: HttpNode;
let other: HttpNode;

beforeEach(async () => {
	cluster = await startHttpNodes(['a', 'b']);
	home = cluster.nodes['a']!;
	other = cluster.nodes['b']!;
	for (const node of [home, other]) {
		await node.rooms.create({ id: ROOM, title: 'The announcement' });
		node.homes.set(ROOM, 'a');
	}
});
afterEach(() => cluster.close());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const sdp = { 'content-type': 'application/sdp' };
const ask = (node: HttpNode, method: string, path: string, headers: Record<string, string> = admin, body?: string) =>
	fetch(node.origin + path, { method, headers, ...(body === undefined ? {} : { body }), redirect: 'manual' });

describe('requests that change a room', () => {
	it.each<[string, string, string | undefined, number, () => unknown, unknown]>([
		['PATCH', `/v1/rooms/${ROOM}`, '{"title":"Neu – größer"}', 200, () => home.rooms.require(ROOM).title, 'Neu – größer'],
		['POST', `/v1/rooms/${ROOM}/open`, undefined, 200, () => home.rooms.require(ROOM).state, 'open'],
		['POST', `/v1/rooms/${ROOM}/start`, '{}', 200, () => home.rooms.require(ROOM).state, 'live'],
		['DELETE', `/v1/rooms/${ROOM}`, undefined, 204, () => home.rooms.get(ROOM), undefined],
		['POST', `/v1/rooms/${ROOM}/participants/p1/mute`, undefined, 204, () => home.stages.roster(ROOM)[0]?.muted, true],
		['POST', `/v1/rooms/${ROOM}/participants/p1/ban`, undefined, 204, () => home.store.bans.map(({ subject }) => subject), ['ann']],
	])('%s %s reaches the home from another node, and its answer comes back', async (method, path, body, status, seen, expected) => {
		home.stages.put(ROOM, { id: 'p1', subject: 'ann' });
		const before = other.rooms.require(ROOM);
		const answer = await ask(other, method, path, body === undefined ? admin : { ...admin, 'content-type': 'application/json' }, body);
		expect(answer.status).toBe(status);
		expect(seen()).toEqual(expected);
		expect(other.rooms.require(ROOM)).toEqual(before);
		if (status === 200) expect(await answer.json()).toMatchObject({ id: ROOM });
		else expect(await answer.text()).toBe('');
	});

	it('are answered by the home itself without detour', async () => {
		expect((await ask(home, 'POST', `/v1/rooms/${ROOM}/open`)).status).toBe(200);
		expect(home.rooms.require(ROOM).state).toBe('open');
		expect(other.asked).toEqual([]);
	});

	it('WHIP speaks at home; the session can be changed and ended through every node', async () => {
		await home.rooms.transition(ROOM, 'open');
		const token = await other.bearer('speaker', ROOM);
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/publish`, { ...sdp, authorization: token }, OFFER);
		expect(answer.status).toBe(201);
		expect(answer.headers.get('content-type')).toBe('application/sdp');
		expect(answer.headers.get('etag')).toBe('"v0"');
		const session = answer.headers.get('location') ?? '';
		expect(session).toMatch(/^\/v1\/sessions\/a\.1-/);
		expect(home.stages.roster(ROOM)).toHaveLength(1);
		const restart = await ask(other, 'PATCH', session, { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '"v0"' }, 'a=ice-ufrag:x\r\na=ice-pwd:y\r\n');
		expect([restart.status, restart.headers.get('etag')]).toEqual([200, '"v1"']);
		expect(await restart.text()).toContain('a=ice-ufrag:server');
		expect((await ask(other, 'DELETE', session, {})).status).toBe(200);
		expect(home.media.sessions.size).toBe(0);
		expect((await ask(other, 'DELETE', session, {})).status).toBe(404);
	});

	it('come back with the problem that the home has with them', async () => {
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/participants/nobody/kick`);
		expect(answer.status).toBe(404);
		expect(answer.headers.get('content-type')).toContain('application/problem+json');
		expect(await answer.json()).toMatchObject({ code: 'participant_not_found', instance: `/v1/rooms/${ROOM}/participants/nobody/kick` });
	});

	it.each<[string, Record<string, string>, string, number]>([
		['without a token', {}, `/v1/rooms/${ROOM}/open`, 401],
		['for a room that is not there', admin, '/v1/rooms/nowhere/open', 404],
	])('that are refused anyhow (%s) trouble nobody else', async (_, headers, path, status) => {
		expect((await ask(other, 'POST', path, headers)).status).toBe(status);
		expect([...other.asked, ...home.asked]).toEqual([]);
	});

	it('carry the id of the request along, and the answer’s headers once', async () => {
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/open`, { ...admin, 'x-request-id': 'mine-1', origin: 'https://page.example' });
		expect(answer.headers.get('x-request-id')).toBe('mine-1');
		expect(answer.headers.get('access-control-allow-origin')).toBe('*');
		expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
	});
});

describe('a home', () => {
	it.each(['cannot be told', 'does not answer'])('that %s is 503 with a time to come back', async (how) => {
		if (how === 'cannot be told') other.homes.set(ROOM, 'unknown');
		else await home.server.close();
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/open`);
		expect(answer.status).toBe(503);
		expect(answer.headers.get('retry-after')).toBe('1');
		expect(await answer.json()).toMatchObject({ code: 'home_unavailable', retryable: true });
	});

	it('that dies with the request in its hands is 503 as soon as it is known to be dead', async () => {
		const held = Promise.withResolvers<never>();
		const reached = Promise.withResolvers<void>();
		home.stages.people.kick = () => {
			reached.resolve();
			return held.promise;
		};
		const asked = ask(other, 'POST', `/v1/rooms/${ROOM}/participants/p1/kick`);
		await reached.promise;
		const startedAt = performance.now();
		cluster.die('a');
		expect((await asked).status).toBe(503);
		// The deadline for an answer is 2 s in these tests.
		expect(performance.now() - startedAt).toBeLessThan(1_500);
		held.reject(new Error('over'));
	});

	it('that has moved meanwhile is never sought in circles', async () => {
		home.homes.set(ROOM, 'b');
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/open`);
		expect(answer.status).toBe(503);
		// The least it could say is a second, in which a speaker would be silent.
		expect(answer.headers.get('retry-after')).toBeNull();
		expect(await answer.json()).toMatchObject({ code: 'not_home', retryable: true });
		expect([other.asked, home.asked]).toEqual([[ROOM], [ROOM]]);
	});
});

describe('sessions', () => {
	it.each<[string, string, number]>([
		['of a node that is gone', `gone.1-${'0'.repeat(32)}`, 404],
		['that are no session ids', 'a.1-xyz', 404],
		['that nobody has', `a.1-${'0'.repeat(32)}`, 404],
	])('%s are not found', async (_, session, status) => {
		const answer = await ask(other, 'DELETE', `/v1/sessions/${session}`, {});
		expect(answer.status).toBe(status);
		expect(await answer.json()).toMatchObject({ code: 'session_not_found' });
	});

	it('of a node that does not answer are a trouble of ours, and may be tried again', async () => {
		await home.server.close();
		const answer = await ask(other, 'DELETE', `/v1/sessions/a.1-${'0'.repeat(32)}`, {});
		expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
		expect(await answer.json()).toMatchObject({ code: 'peer_unreachable' });
	});
});

describe('outsiders', () => {
	it('cannot make a request look as if a node had forwarded it', async () => {
		other.homes.set(ROOM, 'a');
		const answer = await ask(other, 'POST', `/v1/rooms/${ROOM}/open`, { ...admin, 'x-rostrum-node': 'a', 'x-rostrum-client': '192.0.2.1', 'x-rostrum-forwarded': '1' });
		// Taken for forwarded it would have been refused, for b is not the home.
		expect(answer.status).toBe(200);
		expect((await ask(other, 'POST', `/forward/v1/rooms/${ROOM}/open`)).status).toBe(404);
		expect((await ask(other, 'POST', '/internal/v1/ping', admin, undefined)).status).toBe(404);
	});

	it('get nothing from the internal port but 401', async () => {
		for (const path of [`/forward/v1/rooms/${ROOM}`, '/internal/v1/ping', '/healthz', '/']) {
			const answer = await fetch(home.internalUrl + path, { headers: admin });
			expect(answer.status, path).toBe(401);
			expect(await answer.json()).toMatchObject({ code: 'token_required' });
		}
		const forged = await fetch(`${home.internalUrl}/forward/healthz`, { headers: { 'x-rostrum-node': ADMIN_TOKEN } });
		expect(forged.status).toBe(401);
	});

	it('cannot leave the public paths by dots', async () => {
		const socket = connect(Number(new URL(other.origin).port), '127.0.0.1');
		socket.write(`DELETE /v1/rooms/${ROOM}/../../../internal/v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n\r\n`);
		const [chunk] = (await once(socket, 'data')) as [Buffer];
		expect(chunk.toString()).toMatch(/^HTTP\/1\.1 404 /);
		expect(home.asked).toEqual([]);
		socket.destroy();
	});
});
