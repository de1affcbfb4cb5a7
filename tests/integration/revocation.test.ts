import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { followRoom, issueToken, listenTo, refusalOf, revoke } from '../support/sessions.ts';
import { StageClient } from '../support/stage-client.ts';

const MEDIA_PORT = 31_100;
const EFFECTIVE_MS = 2_000;

describe('a node alone', () => {
	let server: RostrumProcess;
	let dataDir: string;
	// Shards of a process that was killed need a moment to notice; the next one has ports of its own.
	let mediaPort = MEDIA_PORT - 100;
	const options = () => ({ mediaPort: (mediaPort += 100), dataDir, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1' } });
	beforeAll(async () => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-revocation-'));
		server = await RostrumProcess.start(options());
	});
	afterAll(async () => {
		await server?.stop('SIGKILL');
		rmSync(dataDir, { recursive: true, force: true });
	});

	it('ends what is open with a revoked token, and refuses it from then on, for good', async () => {
		const room = await server.room({ id: 'hall', visibility: 'private' });
		const mine = await issueToken(server, room, 'host', 'hana');
		const theirs = await issueToken(server, room, 'host', 'omar');
		const listeners = await Promise.all([mine, theirs].map(({ token }) => listenTo(server, room, token)));
		const stages = await Promise.all([mine, theirs].map(({ token }) => StageClient.connect(server.url, room, { token })));
		await Promise.all(stages.map((stage) => stage.welcome()));
		const streams = await Promise.all([mine, theirs].map(({ token }) => followRoom(server, room, token)));
		await Promise.all(streams.map(({ opened }) => opened));

		const startedAt = performance.now();
		await revoke(server, { tokenId: mine.tokenId, reason: 'leaked' });
		const [bye, closed, words] = await Promise.all([stages[0]!.next('bye'), stages[0]!.closed, streams[0]!.ended, listeners[0]!.closed()]);
		expect(performance.now() - startedAt).toBeLessThan(EFFECTIVE_MS);
		expect(bye).toMatchObject({ code: 'token_revoked', reconnect: false });
		expect(closed.code).toBe(4401);
		expect(words).toMatch(/event: bye\ndata: \{"reason":"token_revoked","reconnect":false[^\n]*\}\n\n$/);
		expect(await refusalOf(server, room, mine.token)).toBe('token_revoked');

		// Nobody else is touched, and the place on stage is free at once.
		await stages[1]!.next('stage', ({ roster }) => roster.length === 1);
		expect(listeners[1]!.state).toBe('connected');
		expect(await refusalOf(server, room, theirs.token)).toBe('ok');
		await stages[1]!.close();
		for (const each of listeners) each.close();

		await server.stop('SIGKILL');
		server = await RostrumProcess.start(options());
		expect(await refusalOf(server, room, mine.token)).toBe('token_revoked');
		expect(await refusalOf(server, room, theirs.token)).toBe('ok');
		const { revocations } = await server.json<{ revocations: { id: string; tokenId: string; reason: string; by: string }[] }>('GET', '/v1/admin/tokens/revoke');
		expect(revocations).toMatchObject([{ tokenId: mine.tokenId, reason: 'leaked', by: 'admin' }]);
		expect((await server.call('DELETE', `/v1/admin/tokens/revoke/${revocations[0]!.id}`)).status).toBe(204);
		expect(await refusalOf(server, room, mine.token)).toBe('ok');
		expect((await server.call('DELETE', `/v1/admin/tokens/revoke/${revocations[0]!.id}`)).status).toBe(404);
	}, 120_000);

	it('revokes all that somebody has, in one room or everywhere, and nothing that is made later', async () => {
		const [one, two] = [await server.room({ id: 'one', visibility: 'private' }), await server.room({ id: 'two', visibility: 'private' })];
		const tokens = [await issueToken(server, one, 'speaker', 'sam'), await issueToken(server, one, 'listener', 'sam'), await issueToken(server, two, 'listener', 'sam'), await issueToken(server, one, 'listener', 'tim')];
		const states = () => Promise.all(tokens.map(({ token }, index) => refusalOf(server, index === 2 ? two : one, token)));
		await revoke(server, { subject: 'sam', room: one });
		expect(await states()).toEqual(['token_revoked', 'token_revoked', 'ok', 'ok']);
		expect(await refusalOf(server, one, (await issueToken(server, one, 'listener', 'sam')).token)).toBe('ok');
		await revoke(server, { subject: 'sam' });
		expect(await states()).toEqual(['token_revoked', 'token_revoked', 'token_revoked', 'ok']);
	});

	it('refuses what is no revocation', async () => {
		for (const body of [{}, { tokenId: 'a', subject: 'b' }, { tokenId: 'static-admin-token' }, { tokenId: '' }]) {
			expect((await server.call('POST', '/v1/admin/tokens/revoke', body)).status, JSON.stringify(body)).toBe(400);
		}
		expect((await server.call('POST', '/v1/admin/tokens/revoke', { subject: 'x' }, null)).status).toBe(401);
	});

	it('lists its keys', async () => {
		const before = await server.json<{ keys: { kid: string; signing: boolean }[] }>('GET', '/v1/admin/keys');
		expect(before.keys).toMatchObject([{ signing: true }]);
		const { kid } = await server.json<{ kid: string }>('POST', '/v1/admin/keys');
		await server.call('DELETE', `/v1/admin/keys/${before.keys[0]!.kid}`);
		expect(await server.json('GET', '/v1/admin/keys')).toMatchObject({ keys: [{ kid, signing: true }], retired: [{ kid: before.keys[0]!.kid }] });
	});
});
