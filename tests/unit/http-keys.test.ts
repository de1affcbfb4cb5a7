import { afterAll, beforeAll, expect, it } from 'vitest';
import { ADMIN_TOKEN, createTestApp, type TestApp } from '../support/fakes/test-app.ts';

let test: TestApp;
beforeAll(async () => {
	test = await createTestApp();
	await test.rooms.create({ id: 'hall', title: 'Hall', visibility: 'private' });
});
afterAll(() => test.close());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const kids = async () => (await test.app.inject('/.well-known/jwks.json')).json<{ keys: { kid: string }[] }>().keys.map(({ kid }) => kid);
const kidOf = (bearer: string) => (JSON.parse(Buffer.from(bearer.replace('Bearer ', '').split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;

it('keys rotate by kid: new tokens are signed with the new key, old ones are good until theirs is retired', async () => {
	const [old = ''] = await kids();
	const before = await test.bearer('host', 'hall');
	const read = async (authorization: string) => (await test.app.inject({ url: '/v1/rooms/hall', headers: { authorization } })).statusCode;
	expect(kidOf(before)).toBe(old);

	const rotated = await test.app.inject({ method: 'POST', url: '/v1/admin/keys', headers: admin });
	expect(rotated.statusCode).toBe(201);
	const { kid } = rotated.json<{ kid: string }>();
	expect(await kids()).toEqual([kid, old]);
	const after = await test.bearer('host', 'hall');
	expect(kidOf(after)).toBe(kid);
	expect([await read(before), await read(after)]).toEqual([200, 200]);

	const retire = (which: string) => test.app.inject({ method: 'DELETE', url: `/v1/admin/keys/${which}`, headers: admin });
	expect((await retire(kid)).json<{ code: string; detail: string }>()).toMatchObject({ code: 'invalid_request', detail: expect.stringContaining('rotate before') as string });
	expect((await retire(old)).statusCode).toBe(204);
	expect(await kids()).toEqual([kid]);
	expect([await read(before), await read(after)]).toEqual([401, 200]);
	expect((await retire(old)).statusCode).toBe(404);
});
