import { afterAll, beforeAll, expect, it } from 'vitest';
import { HTTP_ACTS } from '../../server/audit/http-acts.ts';
import { STAGE_ACTS } from '../../server/audit/stage-acts.ts';
import { auditedRoutes } from '../../server/http/plugins/audit.ts';
import { STAGE_REQUESTS } from '../../server/stage/protocol.ts';
import { AuthorisationWorld } from '../support/authorisation/world.ts';

/** Everybody may do these, for themselves alone. Whoever adds one says here that nobody needs to know who did it. */
const UNPRIVILEGED = [
	'DELETE /v1/sessions/:session',
	'PATCH /v1/sessions/:session',
	'POST /v1/rooms/:room/guests',
	'POST /v1/rooms/:room/hand',
	'POST /v1/rooms/:room/invitation',
	'POST /v1/rooms/:room/listen',
	'POST /v1/rooms/:room/publish',
	'POST /v1/rooms/:room/quality',
	'POST /v1/rooms/:room/reactions',
	'POST /v1/rooms/:room/reports',
];

let world: AuthorisationWorld;
beforeAll(async () => {
	world = await AuthorisationWorld.start(24_000);
});
afterAll(() => world?.close());

it('every route that changes something has a name in the audit log, or is one that everybody may use', () => {
	const routes = auditedRoutes.get(world.node.app.server) ?? expect.fail('no routes');
	expect(routes.size).toBeGreaterThan(30);
	const undecided = [...routes].filter(([, action]) => action === undefined).map(([route]) => route);
	expect(undecided, 'give them `config: { audit }` or a line in server/audit/http-acts.ts').toEqual([]);
	expect([...routes].filter(([, action]) => action === false).map(([route]) => route).toSorted()).toEqual(UNPRIVILEGED.toSorted());
	const names = [...routes.values()].filter((action) => typeof action === 'string');
	expect(names.filter((name) => !/^[a-z]+\.[a-z-]+$/.test(name))).toEqual([]);
});

it('so has every request on the stage’s socket', () => {
	expect(Object.keys(STAGE_ACTS).toSorted()).toEqual(Object.keys(STAGE_REQUESTS).toSorted());
	const unnamed = Object.entries(STAGE_ACTS).filter(([, act]) => act === null).map(([method]) => method);
	expect(unnamed.filter((method) => /\.(?!create|connect|restartIce|list)|^(room|participant|stage)/.test(method)).filter((method) => method !== 'hands.list')).toEqual([]);
});

it('names no operation that is not there', async () => {
	const { paths } = (await world.node.app.inject('/openapi.json')).json<{ paths: Record<string, Record<string, { operationId: string }>> }>();
	const known = new Set(Object.values(paths).flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId)));
	expect(Object.keys(HTTP_ACTS).filter((id) => !known.has(id))).toEqual([]);
});
