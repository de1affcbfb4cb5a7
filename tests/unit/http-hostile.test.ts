import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, createTestApp, OFFER, type TestApp } from '../support/fakes/test-app.ts';

let test: TestApp;
beforeAll(async () => {
	test = await createTestApp();
	await test.rooms.create({ id: 'live', title: 'Live' });
	await test.rooms.transition('live', 'start');
});
afterAll(() => test.close());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const json = { ...admin, 'content-type': 'application/json' };
const sdp = { 'content-type': 'application/sdp' };
const fragment = { 'content-type': 'application/trickle-ice-sdpfrag' };
const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const SESSION = '/v1/sessions/1-ffffffffffffffffffffffffffffffff';

type Row = [what: string, line: string, headers: Record<string, string>, body: string | Buffer | undefined, answer: string];
const rows: Row[] = [
	['truncated JSON', 'POST /v1/rooms', json, '{"title": "x"', '400 invalid_request'],
	['no JSON at all', 'POST /v1/rooms', json, 'hello', '400 invalid_request'],
	['an array', 'POST /v1/rooms', json, '[{"title":"x"}]', '400 invalid_request'],
	['null', 'POST /v1/rooms', json, 'null', '400 invalid_request'],
	['a string', 'POST /v1/rooms', json, '"title"', '400 invalid_request'],
	['an empty body', 'POST /v1/rooms', json, '', '400 invalid_request'],
	['no body and no type', 'POST /v1/rooms', admin, undefined, '400 invalid_request'],
	['bytes that are not UTF-8', 'POST /v1/rooms', json, Buffer.from('{"title":"caf\xe9"}', 'latin1'), '400 invalid_request'],
	['a __proto__ key', 'POST /v1/rooms', json, '{"title":"x","__proto__":{"admin":true}}', '400 invalid_request'],
	['an escaped __proto__ key', 'POST /v1/rooms', json, '{"title":"x","\\u005f_proto__":{"admin":true}}', '400 invalid_request'],
	['a constructor.prototype key', 'POST /v1/rooms', json, '{"title":"x","constructor":{"prototype":{}}}', '400 invalid_request'],
	['deep nesting', 'POST /v1/rooms', json, `{"title":${deep(20)}}`, '400 invalid_request'],
	['very deep nesting', 'POST /v1/rooms', json, deep(30_000), '400 invalid_request'],
	['a body that is too large', 'POST /v1/rooms', json, JSON.stringify({ title: 'x'.repeat(70_000) }), '413 payload_too_large'],
	['another content type', 'POST /v1/rooms', { ...admin, 'content-type': 'text/plain' }, '{"title":"x"}', '415 unsupported_media_type'],
	['a form', 'POST /v1/rooms', { ...admin, 'content-type': 'application/x-www-form-urlencoded' }, 'title=x', '415 unsupported_media_type'],
	['SDP where JSON belongs', 'POST /v1/rooms', { ...admin, ...sdp }, OFFER, '415 unsupported_media_type'],
	['a content type that is none', 'POST /v1/rooms', { ...admin, 'content-type': ';;;' }, '{"title":"x"}', '415 unsupported_media_type'],
	['a missing title', 'POST /v1/rooms', json, '{}', '400 invalid_request'],
	['a number for a title', 'POST /v1/rooms', json, '{"title":1}', '400 invalid_request'],
	['an unknown member', 'POST /v1/rooms', json, '{"title":"x","isAdmin":true}', '400 invalid_request'],
	['a member the server sets', 'POST /v1/rooms', json, '{"title":"x","state":"live"}', '400 invalid_request'],
	['text for a number', 'POST /v1/rooms', json, '{"title":"x","voices":"3"}', '400 invalid_request'],
	['a fraction', 'POST /v1/rooms', json, '{"title":"x","voices":2.5}', '400 invalid_request'],
	['too many voices', 'POST /v1/rooms', json, '{"title":"x","voices":9}', '400 invalid_request'],
	['text for a boolean', 'POST /v1/rooms', json, '{"title":"x","record":"yes"}', '400 invalid_request'],
	['a packing nobody has', 'POST /v1/rooms', json, '{"title":"x","packingMs":30}', '400 invalid_request'],
	['a date that is none', 'POST /v1/rooms', json, '{"title":"x","doorsOpenAt":"tomorrow"}', '400 invalid_request'],
	['an id with a slash', 'POST /v1/rooms', json, '{"title":"x","id":"a/b"}', '400 invalid_request'],
	['an id with a line break', 'POST /v1/rooms', json, '{"title":"x","id":"a\\n"}', '400 invalid_request'],
	['an unknown query member', 'POST /v1/rooms?dry=1', json, '{"title":"x"}', '400 invalid_request'],
	['an empty patch', 'PATCH /v1/rooms/live', json, '{}', '400 invalid_request'],
	['null for what must be', 'PATCH /v1/rooms/live', json, '{"title":null}', '400 invalid_request'],
	['another id in a patch', 'PATCH /v1/rooms/live', json, '{"id":"other"}', '400 invalid_request'],
	['a body where none belongs', 'POST /v1/rooms/live/start', json, '{"force":true}', '400 invalid_request'],
	['an unknown role', 'POST /v1/rooms/live/tokens', json, '{"role":"root","name":"x"}', '400 invalid_request'],
	['a subject with spaces', 'POST /v1/rooms/live/tokens', json, '{"role":"speaker","name":"x","subject":"a b"}', '400 invalid_request'],
	['a life of no length', 'POST /v1/rooms/live/tokens', json, '{"role":"speaker","name":"x","expiresIn":0}', '400 invalid_request'],
	['a limit that is no number', 'GET /v1/rooms?limit=ten', {}, undefined, '400 invalid_request'],
	['a limit that is too large', 'GET /v1/rooms?limit=101', {}, undefined, '400 invalid_request'],
	['two limits', 'GET /v1/rooms?limit=1&limit=2', {}, undefined, '400 invalid_request'],
	['an unknown state', 'GET /v1/rooms?state=gone', {}, undefined, '400 invalid_request'],
	['a query __proto__', 'GET /v1/rooms?__proto__=1', {}, undefined, '400 invalid_request'],
	['a token in the query where headers can be set', `GET /v1/rooms?access_token=${ADMIN_TOKEN}`, {}, undefined, '400 invalid_request'],
	['two tokens at once', `GET /v1/rooms/live/events?access_token=${ADMIN_TOKEN}`, admin, undefined, '400 invalid_request'],
	['the same token twice', `GET /v1/rooms/live/events?access_token=a&access_token=b`, {}, undefined, '400 invalid_request'],
	['an empty token', 'GET /v1/rooms/live/events?access_token=', {}, undefined, '401 token_invalid'],
	['a token of nothing', 'GET /v1/rooms', { authorization: 'Bearer ' }, undefined, '401 token_invalid'],
	['a token without signature', 'GET /v1/rooms', { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.' }, undefined, '401 token_invalid'],
	['a token of 10 KB', 'GET /v1/rooms', { authorization: `Bearer ${'a'.repeat(10_000)}` }, undefined, '401 token_invalid'],
	['a room id in capitals', 'GET /v1/rooms/LIVE', {}, undefined, '400 invalid_request'],
	['an encoded slash', 'GET /v1/rooms/a%2Fb', {}, undefined, '400 invalid_request'],
	['an encoded NUL', 'GET /v1/rooms/a%00', {}, undefined, '400 invalid_request'],
	['broken percent-encoding', 'GET /v1/rooms/%E0%A4%A', {}, undefined, '400 invalid_request'],
	['an endless id', `GET /v1/rooms/${'a'.repeat(5000)}`, {}, undefined, '404 not_found'],
	['an endless path', `GET /${'a/'.repeat(2000)}`, {}, undefined, '404 not_found'],
	['an offer without type', 'POST /v1/rooms/live/listen', {}, undefined, '415 unsupported_media_type'],
	['an offer as JSON', 'POST /v1/rooms/live/listen', { 'content-type': 'application/json' }, '{"sdp":"v=0"}', '415 unsupported_media_type'],
	['an offer of a near miss of a type', 'POST /v1/rooms/live/listen', { 'content-type': 'application/sdpx' }, OFFER, '415 unsupported_media_type'],
	['an empty offer', 'POST /v1/rooms/live/listen', sdp, '', '400 invalid_request'],
	['an offer that is not UTF-8', 'POST /v1/rooms/live/listen', sdp, Buffer.from([0x76, 0x3d, 0x30, 0xff]), '400 invalid_request'],
	['an offer that is too large', 'POST /v1/rooms/live/listen', sdp, 'v=0\r\n'.padEnd(66_000, 'a'), '413 payload_too_large'],
	['an offer that is no SDP', 'POST /v1/rooms/live/listen', sdp, 'GET / HTTP/1.1', '400 invalid_offer'],
	['a packing of 30', 'POST /v1/rooms/live/listen?packing=30', sdp, OFFER, '400 invalid_request'],
	['two packings', 'POST /v1/rooms/live/listen?packing=20&packing=40', sdp, OFFER, '400 invalid_request'],
	['a packing with a tail', 'POST /v1/rooms/live/listen?packing=20ms', sdp, OFFER, '400 invalid_request'],
	['SDP as a fragment', `PATCH ${SESSION}`, sdp, OFFER, '415 unsupported_media_type'],
	['an empty fragment', `PATCH ${SESSION}`, fragment, '', '400 invalid_request'],
	['a fragment that is too large', `PATCH ${SESSION}`, fragment, 'a='.padEnd(66_000, 'a'), '413 payload_too_large'],
	['an endless If-Match', `PATCH ${SESSION}`, { ...fragment, 'if-match': 'x'.repeat(300) }, 'a=x', '400 invalid_request'],
	['an endless Last-Event-ID', 'GET /v1/rooms/live/events', { 'last-event-id': 'x'.repeat(300) }, undefined, '400 invalid_request'],
	['a participant id that is too long', `POST /v1/rooms/live/participants/${'p'.repeat(65)}/mute`, admin, undefined, '400 invalid_request'],
	['a method nobody knows', 'PROPFIND /v1/rooms', {}, undefined, '405 method_not_allowed'],
];

describe('hostile requests', () => {
	it.each(rows)('are refused: %s', async (_what, line, headers, body, answer) => {
		const [method = '', url = ''] = line.split(' ');
		const [status, code] = answer.split(' ');
		const response = await test.app.inject({ method: method as 'GET', url, headers, ...(body === undefined ? {} : { payload: body }) });
		expect(response.json()).toMatchObject({ code, status: Number(status) });
		expect(response.statusCode).toBe(Number(status));
		expect(response.headers['content-type']).toContain('application/problem+json');
		expect(response.body.length).toBeLessThan(4000);
		expect(response.body).not.toMatch(/node_modules|\.ts:\d|FST_ERR|at [A-Z]/);
	});

	it('left no trace in the rooms', () => {
		expect(test.rooms.list({ limit: 100 }).map((room) => room.id)).toEqual(['live']);
		expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
	});

	it('names each member that failed, once', async () => {
		const response = await test.app.inject({ method: 'POST', url: '/v1/rooms', headers: json, payload: '{"voices":"3","packingMs":30,"nope":1}' });
		const { errors } = response.json<{ errors: { in: string; member: string; message: string }[] }>();
		const byMember = Object.fromEntries(errors.map(({ member, message }) => [member, message]));
		expect(errors).toHaveLength(4);
		expect(errors.every((error) => error.in === 'body')).toBe(true);
		expect(byMember['/packingMs']).toBe('must be one of "auto", 20, 40, 60, 120');
		expect(Object.keys(byMember).toSorted()).toEqual(['/nope', '/packingMs', '/title', '/voices']);
	});

	it.each([
		[16, 'must be string'],
		[17, 'nested too deeply'],
	])('looks no deeper than it must: %i levels', async (depth, detail) => {
		// The object around it is a level too.
		const response = await test.app.inject({ method: 'POST', url: '/v1/rooms', headers: json, payload: `{"title":${deep(depth - 1)},"description":"}]"}` });
		expect(response.json<{ detail: string }>().detail).toContain(detail);
	});

	it('lists a few of a thousand failures', async () => {
		const body = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`member${index}`, index]));
		const response = await test.app.inject({ method: 'POST', url: '/v1/rooms', headers: json, payload: body });
		expect(response.json<{ errors: unknown[] }>().errors.length).toBeLessThanOrEqual(8);
	});

	it('accepts a charset, and capitals, in the content type', async () => {
		for (const type of ['application/sdp; charset=utf-8', 'Application/SDP', 'application/sdp;charset="UTF-8"']) {
			const response = await test.app.inject({ method: 'POST', url: '/v1/rooms/live/listen', headers: { 'content-type': type }, payload: OFFER });
			expect(response.statusCode, type).toBe(201);
		}
	});

	it('accepts a content type without a body where none belongs', async () => {
		expect((await test.app.inject({ method: 'POST', url: '/v1/rooms/live/start', headers: json, payload: '' })).statusCode).toBe(200);
	});
});

describe('over a real socket', () => {
	/** Everything the server says to these bytes until it hangs up. */
	async function say(bytes: string): Promise<string> {
		const { port } = test.app.server.address() as AddressInfo;
		return new Promise((resolve, reject) => {
			const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
			let heard = '';
			socket.setEncoding('latin1').on('data', (text: string) => void (heard += text));
			socket.on('close', () => resolve(heard)).on('error', reject);
		});
	}
	beforeAll(async () => {
		await test.app.listen({ host: '127.0.0.1', port: 0 });
	});

	it.each([
		['what is not HTTP', '\x16\x03\x01 hello\r\n\r\n', 400],
		['a header that never ends', `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
		['two lengths', 'POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello', 400],
		['a length and chunks', 'POST /v1/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
	])('answers %s with a problem and hangs up', async (_what, bytes, status) => {
		const heard = await say(bytes);
		expect(heard).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
		expect(heard).toContain('application/problem+json');
		expect(JSON.parse(heard.slice(heard.indexOf('{')))).toMatchObject({ status, code: 'invalid_request' });
	});

	it('still answers others', async () => {
		expect(await say('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toContain('"ok"');
	});
});
