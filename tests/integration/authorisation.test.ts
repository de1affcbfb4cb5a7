import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STAGE_REQUESTS } from '../../server/stage/protocol.ts';
import { type Caller, CALLERS, type Cell, cellsOf, REFUSALS, ROUTES, type Row, type StageCaller, STAGE_CALLERS, STAGE_COMMANDS } from '../support/authorisation/matrix.ts';
import { AuthorisationWorld, type State, type Visibility } from '../support/authorisation/world.ts';
import { HandshakeRefused, RequestRefused, StageClient } from '../support/stage-client.ts';

const isCell = (text: string): text is Cell => text === 'yes' || text in REFUSALS;
const isText = (text: string): text is string => text !== '';

describe('who may do what', () => {
	let world: AuthorisationWorld;
	const shared = new Map<string, string>();
	beforeAll(async () => {
		world = await AuthorisationWorld.start(23_400);
		for (const visibility of ['public', 'private'] as const) {
			for (const state of ['scheduled', 'open', 'live', 'ended'] as const) shared.set(`${visibility} ${state}`, await world.room(visibility, state));
		}
	});
	afterAll(() => world?.close());
	const sharedRoom = (visibility: Visibility, state: State): string => shared.get(`${visibility} ${state}`) ?? expect.fail('no such room');

	it('is said of every route there is, and of none that is not', () => {
		const routes = world.node.app.allRoutes().filter((route) => !route.startsWith('HEAD ') && !/^(?:OPTIONS \/?\*|GET \/docs(?:\/(?!problems)|$))/.test(route));
		expect(routes.toSorted()).toEqual(Object.keys(ROUTES).toSorted());
		expect(Object.keys(STAGE_COMMANDS).toSorted()).toEqual(Object.keys(STAGE_REQUESTS).toSorted());
		// What HEAD tells, GET tells.
		const heads = world.node.app.allRoutes().filter((route) => route.startsWith('HEAD '));
		expect(heads.filter((route) => !routes.includes(route.replace('HEAD', 'GET')) && !route.startsWith('HEAD /docs'))).toEqual([]);
	});

	const cases = Object.entries<Row>(ROUTES).flatMap(([route, row]) => (['public', 'private'] as const).map((visibility) => ({ route, visibility, row })));
	it.each(cases)('$route, of a $visibility room', async ({ route, visibility, row }) => {
		const [method = '', pattern = ''] = route.split(' ');
		const grid = (visibility === 'private' ? row.privateGrid : undefined) ?? row.grid;
		const said: Partial<Record<Caller, unknown>> = {};
		const wanted: Partial<Record<Caller, unknown>> = {};
		for (const [caller, cell] of cellsOf(grid, CALLERS, isCell)) {
			const isRefused = cell !== 'yes';
			// What is refused changes nothing, so one room serves for all of that.
			const room = row.fresh === undefined || isRefused ? sharedRoom(visibility, row.fresh ?? 'live') : await world.room(visibility, row.fresh);
			const token = await world.token(caller, room);
			const before = world.node.rooms.get(room);
			const answer = await world.ask({
				method, url: (row.path ?? pattern).replace(':room', room), token,
				...(row.body && { body: row.body }), ...(row.raw && { raw: row.raw }), ...(row.endless && { endless: row.endless }),
			});
			const expected = isRefused ? REFUSALS[cell] : row.answer;
			wanted[caller] = expected;
			const matches = Object.entries(expected).every(([key, value]) => answer[key as keyof typeof answer] === value);
			said[caller] = matches ? expected : answer;
			// A refusal that changes something is none.
			if (isRefused) expect(world.node.rooms.get(room), `${caller} changed the room`).toEqual(before);
		}
		expect(said).toEqual(wanted);
	});

	it.each(['public', 'private'] as const)('the stage of a %s room lets in those alone who may speak there', async (visibility) => {
		const room = sharedRoom(visibility, 'live');
		const said: Partial<Record<Caller, unknown>> = {};
		const wanted: Partial<Record<Caller, unknown>> = {};
		for (const [caller, cell] of cellsOf(ROUTES['GET /v1/rooms/:room/stage']?.grid ?? '', CALLERS, isCell)) {
			const token = await world.token(caller, room);
			wanted[caller] = cell === 'yes' ? 'in' : REFUSALS[cell].code;
			try {
				const client = await StageClient.connect(world.node.url, room, token === undefined ? {} : { token });
				await client.welcome();
				said[caller] = 'in';
				await client.close();
			} catch (error) {
				said[caller] = error instanceof HandshakeRefused ? error.code : error;
			}
		}
		expect(said).toEqual(wanted);
	});

	const commands = Object.entries(STAGE_COMMANDS).map(([method, command]) => ({ method, ...command }));
	it.each(commands)('on stage: $method', async ({ method, grid, params, code, fresh }) => {
		const said: Partial<Record<StageCaller, string>> = {};
		const wanted: Partial<Record<StageCaller, string>> = {};
		for (const [caller, cell] of cellsOf(grid, STAGE_CALLERS, isText)) {
			wanted[caller] = cell === 'yes' ? (code ?? 'done') : cell;
			const room = fresh ? await world.room('public', 'open') : sharedRoom('public', 'live');
			const client = await world.stage(room, await world.token(caller, room) ?? '');
			try {
				await client.requestAnything(method, params);
				said[caller] = 'done';
			} catch (error) {
				if (!(error instanceof RequestRefused)) throw error;
				said[caller] = error.code;
			}
			await world.leave(client);
		}
		expect(said).toEqual(wanted);
	});

	it('a ban ends what is open, and shuts every way back, whatever token the person holds', async () => {
		const room = await world.room('public', 'live');
		const token = await world.fresh('speaker', room, 'sam');
		const client = await StageClient.connect(world.node.url, room, { token });
		const { participantId } = await client.welcome();
		const banned = await world.ask({ method: 'POST', url: `/v1/rooms/${room}/participants/${participantId}/ban`, token: await world.token('cohost', room) });
		expect(banned.status).toBe(204);
		expect((await client.closed).code).toBe(4403);
		// Another token of the same person is the same person.
		const another = await world.fresh('host', room, 'sam');
		for (const mine of [token, another]) {
			await expect(StageClient.connect(world.node.url, room, { token: mine })).rejects.toMatchObject({ code: 'banned' });
		}
	});

	it('a token that is revoked ends what is open with it, and leaves the person other tokens', async () => {
		const room = await world.room('public', 'live');
		const { token, tokenId } = await world.issue('speaker', room, 'sam');
		const other = await world.fresh('speaker', room, 'sam');
		const client = await world.stage(room, token);
		const revoked = await world.ask({ method: 'POST', url: '/v1/admin/tokens/revoke', token: await world.token('admin', room), body: { tokenId } });
		expect(revoked.status).toBe(201);
		await client.closed;
		await expect(StageClient.connect(world.node.url, room, { token })).rejects.toMatchObject({ code: 'token_revoked' });
		await world.leave(await world.stage(room, other));
	});
});
