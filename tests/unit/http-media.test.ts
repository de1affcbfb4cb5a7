import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { FAKE_ANSWER } from '../support/fakes/fake-room-media.ts';
import { createTestApp, OFFER, type TestApp } from '../support/fakes/test-app.ts';

const FRAGMENT = 'application/trickle-ice-sdpfrag';
const TURN = { urls: ['turn:turn.example.org:3478?transport=udp', 'stun:stun.example.org'], secret: 'a-shared-secret' };

let test: TestApp;
beforeAll(async () => {
	test = await createTestApp({ turn: TURN });
	await test.rooms.create({ id: 'live', title: 'Live' });
	await test.rooms.transition('live', 'start');
	await test.rooms.create({ id: 'hidden', title: 'Hidden', visibility: 'private' });
	await test.rooms.transition('hidden', 'start');
});
afterAll(() => test.close());

const listen = (query = '', headers: Record<string, string> = {}) =>
	test.app.inject({ method: 'POST', url: `/v1/rooms/live/listen${query}`, headers: { 'content-type': 'application/sdp', ...headers }, payload: OFFER });

describe('WHEP', () => {
	it('answers an offer with everything the client needs in one exchange', async () => {
		const answer = await listen('?packing=120', { origin: 'https://player.example' });
		expect(answer.statusCode).toBe(201);
		expect(answer.body).toBe(FAKE_ANSWER);
		const { location, link, ...headers } = answer.headers;
		expect(location).toMatch(/^\/v1\/sessions\/1-[0-9a-f]{32}$/);
		expect(headers).toMatchObject({
			'content-type': 'application/sdp',
			etag: '"v0"',
			'accept-patch': FRAGMENT,
			'access-control-allow-origin': '*',
			'x-content-type-options': 'nosniff',
		});
		for (const name of ['Location', 'ETag', 'Link', 'Accept-Patch', 'Retry-After']) {
			expect(String(headers['access-control-expose-headers']).split(', ')).toContain(name);
		}
		expect(link).toEqual([
			expect.stringMatching(
				/^<turn:turn\.example\.org:3478\?transport=udp>; rel="ice-server"; username="\d+:[^"]+"; credential="[A-Za-z0-9+/=]+"; credential-type="password"$/,
			),
			'<stun:stun.example.org>; rel="ice-server"',
		]);
		expect(test.media.sessions.get(String(location).split('/').at(-1) ?? '')).toMatchObject({ roomId: 'live', offer: OFFER, packingMs: 120 });
	});

	it('gives every listener TURN credentials of their own', async () => {
		expect((await listen()).headers['link']).not.toEqual((await listen()).headers['link']);
	});

	it('asks neither the store nor the verifier for a listener without a token', async () => {
		const before = test.store.calls.length;
		expect((await listen()).statusCode).toBe(201);
		expect(test.store.calls.length).toBe(before);
	});

	it('says when the doors open, if that is known', async () => {
		const doorsOpenAt = new Date(test.state.nowMs + 90_500).toISOString();
		await test.rooms.create({ id: 'soon', title: 'Soon', doorsOpenAt });
		await test.rooms.create({ id: 'someday', title: 'Someday' });
		const early = (room: string) =>
			test.app.inject({ method: 'POST', url: `/v1/rooms/${room}/listen`, headers: { 'content-type': 'application/sdp' }, payload: OFFER });
		const soon = await early('soon');
		expect(soon.statusCode).toBe(409);
		expect(soon.headers['retry-after']).toBe('91');
		expect(soon.json()).toMatchObject({ code: 'room_not_open', doorsOpenAt, retryable: true });
		expect((await early('someday')).headers).not.toHaveProperty('retry-after');
	});

	it('passes on why there is no place, and what to do instead', async () => {
		test.media.failure = new DomainError('no_capacity', 'Every shard is full', { retryAfterSeconds: 3.2, extra: { overflow: { hls: '/x' } } });
		const refused = await listen();
		test.media.failure = undefined;
		expect(refused.statusCode).toBe(503);
		// Not before, and not with all the others: in 3.2 to 6.4 s.
		expect(['4', '5', '6', '7']).toContain(refused.headers['retry-after']);
		expect(refused.json()).toMatchObject({ code: 'no_capacity', overflow: { hls: '/x' }, retryable: true });
		expect(refused.headers).not.toHaveProperty('location');
	});

	it('shows nothing of an unexpected failure', async () => {
		test.media.failure = new Error('secret internals at /some/path');
		const failed = await listen();
		test.media.failure = undefined;
		expect(failed.statusCode).toBe(500);
		expect(failed.json()).toMatchObject({ code: 'internal_error' });
		expect(failed.body).not.toMatch(/secret|internals|\/some\/path|stack/);
	});

	it.each(['/v1/rooms/live/listen', '/v1/rooms/live/publish', '/v1/rooms/nowhere/listen'])('tells what %s takes, with and without an Origin', async (url) => {
		const plain = await test.app.inject({ method: 'OPTIONS', url });
		expect(plain.statusCode).toBe(204);
		expect(plain.headers).toMatchObject({ 'accept-post': 'application/sdp', allow: 'OPTIONS, POST' });
		expect('link' in plain.headers).toBe(url === '/v1/rooms/live/listen');
		const preflight = await test.app.inject({
			method: 'OPTIONS', url,
			headers: { origin: 'https://player.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' },
		});
		expect(preflight.statusCode).toBe(204);
		expect(preflight.headers['access-control-allow-origin']).toBe('*');
		expect(preflight.headers['access-control-allow-methods']).toContain('POST');
		expect(String(preflight.headers['access-control-allow-headers']).toLowerCase()).toContain('authorization');
	});

	it('keeps TURN credentials of a private room from those who may not listen', async () => {
		expect((await test.app.inject({ method: 'OPTIONS', url: '/v1/rooms/hidden/listen' })).headers).not.toHaveProperty('link');
	});

	it('puts the path of the public address before the session’s', async () => {
		const below = await createTestApp({ publicUrl: 'https://example.org/rostrum' });
		await below.rooms.create({ id: 'live', title: 'Live' });
		await below.rooms.transition('live', 'start');
		const answer = await below.app.inject({ method: 'POST', url: '/v1/rooms/live/listen', headers: { 'content-type': 'application/sdp' }, payload: OFFER });
		await below.close();
		expect(answer.headers.location).toMatch(/^\/rostrum\/v1\/sessions\//);
	});
});

describe('sessions', () => {
	const session = async () => String((await listen()).headers.location);
	const patch = (url: string, payload: string, headers: Record<string, string> = {}) =>
		test.app.inject({ method: 'PATCH', url, headers: { 'content-type': FRAGMENT, ...headers }, payload });
	const RESTART = 'a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n';

	it('takes candidates', async () => {
		const answer = await patch(await session(), 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n');
		expect(answer.statusCode).toBe(204);
		expect(answer.body).toBe('');
	});

	it('restarts ICE and gives a new version', async () => {
		const url = await session();
		const answer = await patch(url, RESTART, { 'if-match': '"v0"' });
		expect(answer.statusCode).toBe(200);
		expect(answer.headers).toMatchObject({ 'content-type': FRAGMENT, etag: '"v1"' });
		expect(answer.body).toContain('a=ice-ufrag');
		const late = await patch(url, RESTART, { 'if-match': '"v0"' });
		expect(late.statusCode).toBe(412);
		expect(late.json()).toMatchObject({ code: 'precondition_failed' });
		expect(late.headers).not.toHaveProperty('etag');
	});

	it.each([
		[{}, undefined],
		[{ 'if-match': '*' }, undefined],
		[{ 'if-match': '"v0"' }, 'v0'],
		[{ 'if-match': 'W/"v0"' }, 'v0'],
		[{ 'if-match': 'v0' }, 'v0'],
		[{ etag: '"v0"' }, 'v0'],
		[{ 'if-match': '"v0"', etag: '"old"' }, 'v0'],
	])('understands %j as version %s', async (headers, ifMatch) => {
		expect((await patch(await session(), 'a=x', headers as Record<string, string>)).statusCode).toBe(204);
		expect(test.media.patches.at(-1)?.ifMatch).toBe(ifMatch);
	});

	it('refuses a list of versions', async () => {
		expect((await patch(await session(), 'a=x', { 'if-match': '"v0", "v1"' })).statusCode).toBe(400);
	});

	it('ends once, and is not found afterwards', async () => {
		const url = await session();
		expect((await test.app.inject({ method: 'DELETE', url })).statusCode).toBe(200);
		expect((await test.app.inject({ method: 'DELETE', url })).statusCode).toBe(404);
		expect((await patch(url, 'a=x')).statusCode).toBe(404);
	});

	it('can be ended by a listener whose token has expired meanwhile', async () => {
		const url = await session();
		const authorization = await test.bearer('listener', 'live', { expiresInSeconds: 5 });
		test.state.nowMs += 10_000;
		expect((await listen('', { authorization })).json()).toMatchObject({ code: 'token_invalid', reason: 'token_expired' });
		expect((await test.app.inject({ method: 'DELETE', url, headers: { authorization } })).statusCode).toBe(200);
	});

	it('is used for encoders alike', async () => {
		const published = await test.app.inject({
			method: 'POST', url: '/v1/rooms/live/publish', payload: OFFER,
			headers: { 'content-type': 'application/sdp', authorization: await test.bearer('speaker', 'live') },
		});
		expect(published.headers).toMatchObject({ 'content-type': 'application/sdp', etag: '"v0"', 'accept-patch': FRAGMENT });
		expect(published.headers['link']).toBeDefined();
		expect(test.stages.roster('live').map(({ kind }) => kind)).toEqual(['encoder']);
		expect((await test.app.inject({ method: 'DELETE', url: String(published.headers.location) })).statusCode).toBe(200);
	});
});

describe('CORS', () => {
	it('lets in the configured origins alone', async () => {
		const strict = await createTestApp({ http: { corsOrigins: ['https://good.example'] } });
		const from = (origin: string) => strict.app.inject({ method: 'GET', url: '/v1/rooms', headers: { origin } });
		expect((await from('https://good.example')).headers).toMatchObject({ 'access-control-allow-origin': 'https://good.example', vary: 'Origin' });
		expect((await from('https://bad.example')).headers).not.toHaveProperty('access-control-allow-origin');
		await strict.close();
	});

	it('marks refusals too, so that pages can read them', async () => {
		const refused = await test.app.inject({ method: 'GET', url: '/v1/rooms/nowhere', headers: { origin: 'https://player.example' } });
		expect(refused.statusCode).toBe(404);
		expect(refused.headers['access-control-allow-origin']).toBe('*');
	});
});
