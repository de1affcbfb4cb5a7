import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loggableUrl } from '../../server/http/plugins/request-log.ts';
import { ADMIN_TOKEN, createTestApp, OFFER, type TestApp } from '../support/fakes/test-app.ts';

let test: TestApp;
beforeAll(async () => {
	test = await createTestApp({ logLevel: 'trace' });
	await test.rooms.create({ id: 'live', title: 'Live' });
	await test.rooms.transition('live', 'start');
});
afterAll(() => test.close());
beforeEach(() => void test.logs.splice(0));

const said = () => JSON.stringify(test.logs);

describe('the log', () => {
	it('has one line per request, with ids and without what nobody may read', async () => {
		const answer = await test.app.inject({
			method: 'POST', url: '/v1/rooms/live/listen', payload: OFFER, remoteAddress: '203.0.113.99',
			headers: { 'content-type': 'application/sdp', authorization: `Bearer ${ADMIN_TOKEN}`, 'x-request-id': 'caller-1' },
		});
		expect(answer.headers['x-request-id']).toBe('caller-1');
		expect(test.logs).toHaveLength(1);
		expect(test.logs[0]).toMatchObject({ reqId: 'caller-1', method: 'POST', room: 'live', status: 201, msg: 'request done', level: 20 });
		expect(said()).not.toContain(ADMIN_TOKEN);
		expect(said()).not.toContain('m=audio');
		expect(said()).not.toContain('203.0.113.99');
	});

	it.each([
		'/v1/rooms/live/events?access_token=SECRET',
		'/v1/rooms/live/events?access%5Ftoken=SECRET',
		'/v1/rooms/live/events?%61ccess_token=SECRET',
		'/v1/rooms/live?token=SECRET',
		'/v1/rooms?x=1?access_token=SECRET',
		'/nothing?SECRET',
	])('shows no token of %s', async (url) => {
		await test.app.inject({ method: 'GET', url });
		expect(test.logs).toHaveLength(1);
		expect(said()).not.toContain('SECRET');
	});

	it('shows no token that it just made, and no session that others could end', async () => {
		const made = await test.app.inject({
			method: 'POST', url: '/v1/rooms/live/tokens', headers: { authorization: `Bearer ${ADMIN_TOKEN}` }, payload: { role: 'speaker', name: 'S' },
		});
		expect(made.statusCode).toBe(201);
		expect(said()).not.toContain(made.json<{ token: string }>().token.split('.')[2]);
		const id = '1-0123456789abcdef0123456789abcdef';
		await test.app.inject({ method: 'DELETE', url: `/v1/sessions/${id}` });
		expect(said()).not.toContain(id);
		expect(said()).toContain('1-012345');
	});

	it('has the cause of an unexpected failure, under the id that the caller was given', async () => {
		test.media.failure = new Error('the worker is confused');
		const answer = await test.app.inject({ method: 'POST', url: '/v1/rooms/live/listen', payload: OFFER, headers: { 'content-type': 'application/sdp' } });
		test.media.failure = undefined;
		const failure = test.logs.find((line) => line['msg'] === 'request failed unexpectedly');
		expect(failure).toMatchObject({ level: 50, reqId: answer.headers['x-request-id'], err: { message: 'the worker is confused' } });
	});

	it('gives requests ids of their own when callers send none, or one that could forge a line', async () => {
		const ids = new Set<unknown>();
		for (const given of [undefined, 'a\tb', 'x'.repeat(65), '{"level":50}']) {
			const answer = await test.app.inject({ method: 'GET', url: '/healthz', headers: given === undefined ? {} : { 'x-request-id': given } });
			ids.add(answer.headers['x-request-id']);
			expect(answer.headers['x-request-id']).toMatch(/^[\w-]{5,40}$/);
		}
		expect(ids.size).toBe(4);
	});

	it('keeps what helps', () => {
		expect(loggableUrl('/v1/rooms?limit=5&after=abc&state=live&key=1')).toBe('/v1/rooms?limit=5&after=abc&state=live&key=[redacted]');
		expect(loggableUrl('/v1/rooms/live')).toBe('/v1/rooms/live');
	});
});
