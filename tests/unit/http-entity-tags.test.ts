import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, createTestApp, type TestApp } from '../support/fakes/test-app.ts';

describe('what consoles poll', () => {
	let world: TestApp;
	const get = (url: string, headers: Record<string, string> = { authorization: `Bearer ${ADMIN_TOKEN}` }) => world.app.inject({ method: 'GET', url, headers });
	const again = (url: string, etag: unknown) => get(url, { authorization: `Bearer ${ADMIN_TOKEN}`, 'if-none-match': String(etag) });

	beforeAll(async () => {
		world = await createTestApp();
	});
	afterAll(() => world.close());

	it.each(['/v1/admin/nodes', '/v1/rooms'])('%s is not sent again until it has changed', async (url) => {
		const first = await get(url);
		expect(first.statusCode).toBe(200);
		const { etag } = first.headers;
		expect(etag).toMatch(/^W\/"/);
		expect(first.headers['cache-control']).toContain('private');
		const same = await again(url, etag);
		expect([same.statusCode, same.body, same.headers['etag']]).toEqual([304, '', etag]);
		expect((await again(url, '"another"')).statusCode).toBe(200);
	});

	it('has another tag when it has changed', async () => {
		const before = (await get('/v1/rooms')).headers['etag'];
		await world.rooms.create({ title: 'New' });
		const after = await again('/v1/rooms', before);
		expect(after.statusCode).toBe(200);
		expect(after.headers['etag']).not.toBe(before);
	});

	it('is for admins: a crowd’s requests are not hashed', async () => {
		expect((await get('/v1/rooms', {})).headers['etag']).toBeUndefined();
	});

	it('is not said of refusals', async () => {
		const refused = await again('/v1/rooms/nowhere', '*');
		expect([refused.statusCode, refused.headers['etag']]).toEqual([404, undefined]);
	});
});
