import type { LightMyRequestResponse } from 'fastify';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ProblemSchema, RoomResource } from '../../server/http/schemas.ts';
import { ADMIN_TOKEN, createTestApp, OFFER, PUBLIC_URL, type TestApp } from '../support/fakes/test-app.ts';

const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = { 'content-type': 'application/trickle-ice-sdpfrag' };
const isProblem = Compile(ProblemSchema);
const isRoom = Compile(RoomResource);

let test: TestApp;
/** Who asks: the words of the tables below. */
let people: Record<string, string | undefined>;

beforeAll(async () => {
	test = await createTestApp();
	const { rooms } = test;
	for (const id of ['scheduled', 'opened', 'live', 'ended', 'private']) {
		await rooms.create({ id, title: id, ...(id === 'private' ? { visibility: 'private' } : {}) });
	}
	for (const id of ['opened', 'ended', 'private']) await rooms.transition(id, 'open');
	await rooms.transition('live', 'start');
	await rooms.transition('ended', 'end');
	for (const id of ['live', 'private']) {
		test.stages.put(id, { id: 'p1', subject: 'anna', name: 'Anna', role: 'host' });
		test.stages.put(id, { id: 'p2', subject: 'ben', name: 'Ben', connection: 'reconnecting' });
	}
	await test.store.ban({ roomId: 'live', subject: 'troll', name: 'Troll', bannedBy: 'anna', bannedAt: '2026-01-01T00:00:00Z' });
	await test.store.ban({ roomId: 'private', subject: 'troll', name: 'Troll', bannedBy: 'anna', bannedAt: '2026-01-01T00:00:00Z' });
	people = {
		nobody: undefined,
		admin: `Bearer ${ADMIN_TOKEN}`,
		host: await test.bearer('host', 'live'),
		cohost: await test.bearer('cohost', 'live'),
		speaker: await test.bearer('speaker', 'live'),
		listener: await test.bearer('listener', 'live'),
		stranger: await test.bearer('host', 'opened'),
		guest: await test.bearer('listener', 'private'),
		endedHost: await test.bearer('host', 'ended'),
		scheduledSpeaker: await test.bearer('speaker', 'scheduled'),
		troll: await test.bearer('speaker', 'live', { subject: 'troll' }),
		privateTroll: await test.bearer('listener', 'private', { subject: 'troll' }),
		liar: `${await test.bearer('host', 'live')}x`,
	};
});
afterAll(() => test.close());

interface Call {
	who?: string;
	headers?: Record<string, string>;
	body?: string | object;
}

function call(line: string, { who = 'nobody', headers = {}, body }: Call = {}): Promise<LightMyRequestResponse> {
	const [method = 'GET', url = '/'] = line.split(' ');
	const authorization = people[who];
	return test.app.inject({
		method: method as 'GET',
		url,
		headers: { ...(authorization === undefined ? {} : { authorization }), ...headers },
		...(body === undefined ? {} : { payload: body }),
	});
}

/** Every refusal is a whole problem, whatever it refuses. */
function expectProblem(response: LightMyRequestResponse, status: number, code: string): void {
	expect(response.headers['content-type']).toContain('application/problem+json');
	const problem = response.json<Record<string, unknown>>();
	expect(isProblem.Errors(problem)).toEqual([]);
	expect(problem).toMatchObject({ status, code });
	expect(response.statusCode).toBe(status);
}

describe('who may do what', () => {
	const offer = { headers: SDP, body: OFFER };
	const title = { body: { title: 'New' } };
	const invite = { body: { role: 'speaker', name: 'Sam' } };
	const table: [line: string, given: Omit<Call, 'who'>, answers: Record<string, string>][] = [
		['POST /v1/rooms', title, { nobody: '401 token_required', host: '403 forbidden', liar: '401 token_invalid', admin: '201' }],
		['GET /v1/rooms', {}, { nobody: '200', listener: '200', liar: '401 token_invalid' }],
		['GET /v1/rooms/live', {}, { nobody: '200', listener: '200', stranger: '403 forbidden', troll: '403 banned' }],
		['GET /v1/rooms/private', {}, { nobody: '401 token_required', guest: '200', admin: '200', host: '403 forbidden', privateTroll: '403 banned' }],
		['GET /v1/rooms/nowhere', {}, { nobody: '404 room_not_found', admin: '404 room_not_found' }],
		['PATCH /v1/rooms/live', title, { nobody: '401 token_required', cohost: '403 forbidden', stranger: '403 forbidden', host: '200', admin: '200' }],
		['PATCH /v1/rooms/live', { body: { voices: 5 } }, { host: '409 wrong_room_state' }],
		['PATCH /v1/rooms/ended', title, { endedHost: '410 room_ended' }],
		['PATCH /v1/rooms/nowhere', title, { admin: '404 room_not_found' }],
		['DELETE /v1/rooms/live', {}, { nobody: '401 token_required', host: '403 forbidden' }],
		['DELETE /v1/rooms/nowhere', {}, { admin: '404 room_not_found' }],
		['POST /v1/rooms/live/open', {}, { nobody: '401 token_required', cohost: '403 forbidden', host: '409 wrong_room_state' }],
		['POST /v1/rooms/live/start', {}, { host: '200', admin: '200', speaker: '403 forbidden' }],
		['POST /v1/rooms/scheduled/end', {}, { admin: '409 wrong_room_state' }],
		['POST /v1/rooms/ended/start', {}, { endedHost: '410 room_ended' }],
		['POST /v1/rooms/live/tokens', invite, { nobody: '401 token_required', cohost: '403 forbidden', speaker: '403 forbidden', stranger: '403 forbidden', host: '201' }],
		['POST /v1/rooms/live/tokens', { body: { role: 'host', name: 'H' } }, { host: '403 forbidden', admin: '201' }],
		['POST /v1/rooms/ended/tokens', invite, { endedHost: '410 room_ended' }],
		['POST /v1/rooms/nowhere/tokens', invite, { admin: '404 room_not_found' }],
		['POST /v1/rooms/live/listen', offer, { nobody: '201', listener: '201', host: '201', stranger: '403 forbidden', troll: '403 banned', liar: '401 token_invalid' }],
		['POST /v1/rooms/private/listen', offer, { nobody: '401 token_required', guest: '201', admin: '201', privateTroll: '403 banned' }],
		['POST /v1/rooms/scheduled/listen', offer, { nobody: '409 room_not_open' }],
		['POST /v1/rooms/opened/listen', offer, { nobody: '201' }],
		['POST /v1/rooms/ended/listen', offer, { nobody: '410 room_ended' }],
		['POST /v1/rooms/nowhere/listen', offer, { nobody: '404 room_not_found' }],
		['POST /v1/rooms/live/listen', { headers: SDP, body: 'hello' }, { nobody: '400 invalid_offer' }],
		['POST /v1/rooms/live/publish', offer, {
			nobody: '401 token_required', listener: '403 forbidden', stranger: '403 forbidden', troll: '403 banned', speaker: '201', host: '201', liar: '401 token_invalid',
		}],
		['POST /v1/rooms/scheduled/publish', offer, { scheduledSpeaker: '201' }],
		['POST /v1/rooms/ended/publish', offer, { endedHost: '410 room_ended' }],
		['POST /v1/rooms/nowhere/publish', offer, { admin: '404 room_not_found' }],
		['HEAD /v1/rooms/live/events', {}, { nobody: '200' }],
		['HEAD /v1/rooms/private/events', {}, { guest: '200' }],
		['GET /v1/rooms/private/events', {}, { nobody: '401 token_required', host: '403 forbidden', privateTroll: '403 banned' }],
		['GET /v1/rooms/nowhere/events', {}, { nobody: '404 room_not_found' }],
		['POST /v1/rooms/live/participants/p9/mute', {}, { host: '404 participant_not_found', cohost: '404 participant_not_found', speaker: '403 forbidden', nobody: '401 token_required' }],
		['POST /v1/rooms/live/participants/p9/kick', {}, { host: '404 participant_not_found', listener: '403 forbidden' }],
		['POST /v1/rooms/live/participants/p9/ban', {}, { host: '404 participant_not_found', stranger: '403 forbidden' }],
		['POST /v1/rooms/nowhere/participants/p1/mute', {}, { admin: '404 room_not_found' }],
		['PATCH /v1/sessions/1-ffffffffffffffffffffffffffffffff', { headers: FRAGMENT, body: 'a=x' }, { nobody: '404 session_not_found', liar: '401 token_invalid' }],
		['PATCH /v1/sessions/nonsense', { headers: FRAGMENT, body: 'a=x' }, { nobody: '404 session_not_found' }],
		['DELETE /v1/sessions/1-ffffffffffffffffffffffffffffffff', {}, { nobody: '404 session_not_found', liar: '401 token_invalid' }],
		['DELETE /v1/sessions/../../etc/passwd', {}, { nobody: '404 not_found' }],
		['POST /v1/admin/keys', {}, { nobody: '401 token_required', host: '403 forbidden', listener: '403 forbidden', liar: '401 token_invalid' }],
		['DELETE /v1/admin/keys/nothing', {}, { nobody: '401 token_required', host: '403 forbidden', admin: '404 not_found' }],
		['GET /healthz', {}, { nobody: '200', liar: '200' }],
		['GET /readyz', {}, { nobody: '200' }],
		['GET /metrics', {}, { nobody: '200' }],
		['GET /.well-known/jwks.json', {}, { nobody: '200' }],
		['GET /openapi.json', {}, { nobody: '200' }],
		['GET /docs', {}, { nobody: '200' }],
		['GET /docs/problems', {}, { nobody: '200' }],
		['GET /nothing/here', {}, { nobody: '404 not_found' }],
	];
	for (const [line, given, answers] of table) {
		for (const [who, answer] of Object.entries(answers)) {
			it(`${line} by ${who}: ${answer}`, async () => {
				const [status = '', code] = answer.split(' ');
				const response = await call(line, { ...given, who });
				if (code === undefined) expect(response.statusCode, response.body).toBe(Number(status));
				else expectProblem(response, Number(status), code);
			});
		}
	}

	it.each(['liar', 'nobody'])('says with 401 how to come in (%s)', async (who) => {
		const response = await call('POST /v1/rooms', { who, body: { title: 'x' } });
		expect(response.headers['www-authenticate']).toMatch(who === 'liar' ? /^Bearer .*invalid_token/ : /^Bearer realm="rostrum"$/);
	});

	it('tells the holder of a bad token what is wrong with it', async () => {
		expect((await call('GET /v1/rooms', { who: 'liar' })).json()).toMatchObject({ code: 'token_invalid', reason: 'token_bad_signature' });
		expect((await call('GET /v1/rooms', { headers: { authorization: 'Basic YTpi' } })).json()).toMatchObject({ reason: 'token_malformed' });
	});
});

describe('methods', () => {
	it.each([
		['GET /v1/rooms/live/listen', 'OPTIONS, POST'],
		['HEAD /v1/rooms/live/listen', 'OPTIONS, POST'],
		['PUT /v1/rooms/live/listen', 'OPTIONS, POST'],
		['GET /v1/rooms/live/publish', 'OPTIONS, POST'],
		['PUT /v1/rooms/live/publish', 'OPTIONS, POST'],
		['GET /v1/sessions/x', 'DELETE, OPTIONS, PATCH'],
		['PUT /v1/rooms', 'GET, HEAD, OPTIONS, POST'],
		['DELETE /healthz', 'GET, HEAD, OPTIONS'],
	])('%s is 405 and allows %s', async (line, allow) => {
		const response = await call(line);
		expect(response.statusCode).toBe(405);
		expect(response.headers.allow).toBe(allow);
		if (!line.startsWith('HEAD')) expectProblem(response, 405, 'method_not_allowed');
	});
});

describe('rooms', () => {
	let count = 0;
	let id: string;
	beforeEach(async () => {
		id = `made-${++count}`;
		const made = await call('POST /v1/rooms', { who: 'admin', body: { id, title: 'A talk', description: 'About things', packingMs: 60 } });
		expect(made.statusCode).toBe(201);
		expect(made.headers.location).toBe(`/v1/rooms/${id}`);
		expect(isRoom.Errors(made.json())).toEqual([]);
	});

	it('refuses an id that is taken', async () => {
		expectProblem(await call('POST /v1/rooms', { who: 'admin', body: { id, title: 'Again' } }), 409, 'room_exists');
	});

	it('keeps what a patch does not name, and removes what it sets to null', async () => {
		const changed = await call(`PATCH /v1/rooms/${id}`, { who: 'admin', body: { title: 'Another talk', description: null } });
		expect(changed.json()).toMatchObject({ title: 'Another talk', packingMs: 60, version: 2 });
		expect(changed.json()).not.toHaveProperty('description');
	});

	it('goes from scheduled to ended, and asking twice changes nothing', async () => {
		for (const [command, state] of [['open', 'open'], ['open', 'open'], ['start', 'live'], ['start', 'live'], ['end', 'ended'], ['end', 'ended']]) {
			const answer = await call(`POST /v1/rooms/${id}/${command}`, { who: 'admin', body: {} });
			expect(answer.json()).toMatchObject({ state });
			expect(isRoom.Errors(answer.json())).toEqual([]);
		}
	});

	it('ends a live room before it removes it', async () => {
		await test.rooms.transition(id, 'start');
		const states: string[] = [];
		const note = ({ state }: { state: string }) => void states.push(state);
		test.rooms.on('changed', note).on('removed', note);
		expect((await call(`DELETE /v1/rooms/${id}`, { who: 'admin' })).statusCode).toBe(204);
		test.rooms.off('changed', note).off('removed', note);
		expect(states).toEqual(['ended', 'ended']);
		expectProblem(await call(`GET /v1/rooms/${id}`), 404, 'room_not_found');
	});

	it('shows the stage without ids to listeners, with ids to those who moderate it', async () => {
		const shown = await call('GET /v1/rooms/live');
		expect(isRoom.Errors(shown.json())).toEqual([]);
		expect(shown.json<RoomResource>().stage.slice(0, 2)).toEqual([
			{ number: 1, name: 'Anna', role: 'host', kind: 'browser', muted: false, connected: true },
			{ number: 2, name: 'Ben', role: 'speaker', kind: 'browser', muted: false, connected: false },
		]);
		expect(shown.body).not.toContain('anna');
		expect((await call('GET /v1/rooms/live', { who: 'cohost' })).json<RoomResource>().stage[0]?.id).toBe('p1');
		expect(shown.json<RoomResource>().links).toEqual({ listen: `${PUBLIC_URL}/r/live`, stage: `${PUBLIC_URL}/r/live/stage` });
	});

	it('lists page by page, each room once, private ones to admins alone', async () => {
		const seen: string[] = [];
		let next: string | undefined = '';
		while (next !== undefined) {
			const page: { rooms: RoomResource[]; next?: string } = (await call(`GET /v1/rooms?limit=2${next ? `&after=${next}` : ''}`)).json();
			expect(page.rooms.length).toBeLessThanOrEqual(2);
			seen.push(...page.rooms.map((room) => room.id));
			next = page.next;
		}
		expect(seen).toEqual(seen.toSorted());
		expect(new Set(seen).size).toBe(seen.length);
		expect(seen).toEqual(test.rooms.list({ limit: 1000, visibility: 'public' }).map((room) => room.id));
		const ids = async (who: string) => (await call('GET /v1/rooms?limit=100', { who })).json<{ rooms: RoomResource[] }>().rooms.map((room) => room.id);
		expect(await ids('admin')).toContain('private');
		expect(await ids('guest')).not.toContain('private');
		const live = (await call('GET /v1/rooms?state=live')).json<{ rooms: RoomResource[] }>().rooms;
		expect(live.map((room) => room.id)).toEqual(['live']);
	});
});

describe('tokens', () => {
	it.each([
		['listener', '/r/live#token='],
		['speaker', '/r/live/stage#token='],
		['cohost', '/r/live/stage#token='],
		['host', '/r/live/stage#token='],
	])('makes a %s token that works, with a link that keeps it out of logs', async (role, page) => {
		const made = await call('POST /v1/rooms/live/tokens', { who: 'admin', body: { role, name: 'Nour', subject: 'nour', expiresIn: 60 } });
		const { token, url, expiresAt } = made.json<{ token: string; url: string; expiresAt: string }>();
		expect(url).toBe(`${PUBLIC_URL}${page}${token}`);
		expect(Date.parse(expiresAt)).toBe(test.state.nowMs + 60_000);
		expect(made.headers['cache-control']).toBe('no-store');
		expect((await call('GET /v1/rooms/live', { headers: { authorization: `Bearer ${token}` } })).statusCode).toBe(200);
		expectProblem(await call('GET /v1/rooms/opened', { headers: { authorization: `Bearer ${token}` } }), 403, 'forbidden');
	});

	it('makes up a subject of its own for each token without one', async () => {
		const subjects = new Set<string>();
		for (let count = 0; count < 2; count++) {
			const { token } = (await call('POST /v1/rooms/live/tokens', { who: 'host', body: { role: 'speaker', name: 'S' } })).json<{ token: string }>();
			subjects.add((JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub: string }).sub);
		}
		expect(subjects.size).toBe(2);
	});

	it.each([
		['a life that is too long', { role: 'speaker', name: 'S', expiresIn: 200 * 86_400 }],
		['the admin’s subject', { role: 'speaker', name: 'S', subject: 'admin' }],
		['an admin role', { role: 'admin', name: 'S' }],
		['a blank name', { role: 'speaker', name: '   ' }],
	])('refuses %s', async (_what, body) => {
		expectProblem(await call('POST /v1/rooms/live/tokens', { who: 'admin', body }), 400, 'invalid_request');
	});

	it('publishes public keys and no private ones', async () => {
		const { keys } = (await call('GET /.well-known/jwks.json')).json<{ keys: Record<string, unknown>[] }>();
		expect(keys).toHaveLength(1);
		expect(keys[0]).toMatchObject({ kty: 'OKP', alg: 'EdDSA' });
		expect(keys[0]).not.toHaveProperty('d');
	});
});

describe('people on stage', () => {
	it('mutes, kicks and bans; a ban holds for the next join', async () => {
		test.stages.put('live', { id: 'p7', subject: 'gast', name: 'Gast' });
		const gast = await test.bearer('speaker', 'live', { subject: 'gast' });
		const listen = () => call('POST /v1/rooms/live/listen', { headers: { ...SDP, authorization: gast }, body: OFFER });
		expect((await listen()).statusCode).toBe(201);
		expect((await call('POST /v1/rooms/live/participants/p7/mute', { who: 'cohost' })).statusCode).toBe(204);
		expect(test.stages.roster('live').find(({ id }) => id === 'p7')?.muted).toBe(true);
		expect((await call('POST /v1/rooms/live/participants/p7/ban', { who: 'host' })).statusCode).toBe(204);
		expect(test.stages.roster('live').some(({ id }) => id === 'p7')).toBe(false);
		expectProblem(await listen(), 403, 'banned');
		test.stages.put('live', { id: 'p8', subject: 'x' });
		expect((await call('POST /v1/rooms/live/participants/p8/kick', { who: 'host', body: {} })).statusCode).toBe(204);
		expectProblem(await call('POST /v1/rooms/live/participants/p8/kick', { who: 'host' }), 404, 'participant_not_found');
	});
});

describe('while the node ends or is not ready', () => {
	it('lets nobody in, lets everybody out, and says so', async () => {
		const { headers } = await call('POST /v1/rooms/live/listen', { headers: SDP, body: OFFER });
		test.state.shuttingDown = true;
		try {
			for (const line of ['POST /v1/rooms/live/listen', 'POST /v1/rooms/live/publish']) {
				const refused = await call(line, { who: 'speaker', headers: SDP, body: OFFER });
				expectProblem(refused, 503, 'shutting_down');
				expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
			}
			expectProblem(await call('GET /v1/rooms/live/events'), 503, 'shutting_down');
			expect((await call(`DELETE ${String(headers.location)}`)).statusCode).toBe(200);
			expect((await call('GET /readyz')).statusCode).toBe(503);
			expect((await call('GET /healthz')).json()).toEqual({ status: 'ok' });
		} finally {
			test.state.shuttingDown = false;
		}
	});

	it('names what is not ready', async () => {
		test.state.ready = false;
		const answer = await call('GET /readyz');
		test.state.ready = true;
		expect(answer.statusCode).toBe(503);
		expect(answer.json()).toEqual({ status: 'not_ready', components: [{ name: 'store', ready: false }] });
	});
});
