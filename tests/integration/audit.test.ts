import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../server/audit/audit-entry.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import { StageClient } from '../support/stage-client.ts';

interface Page { entries: AuditEntry[]; next?: string; missing: string[] }

describe('the audit log', () => {
	let server: RostrumProcess;
	let dataDir: string;
	// Shards of a process that was killed need a moment to notice; the next one has ports of its own.
	let mediaPort = 31_800;
	const options = () => ({ mediaPort: (mediaPort += 100), dataDir, env: { ROSTRUM_ROOMS_DEMO: 'false', ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_HTTP_TRUST_PROXY: 'true' } });
	const find = (query: string) => server.json<Page>('GET', `/v1/admin/audit?${query}`);
	beforeAll(async () => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-audit-'));
		server = await RostrumProcess.start(options());
	});
	afterAll(async () => {
		await server?.stop('SIGKILL');
		rmSync(dataDir, { recursive: true, force: true });
	});

	it('has who did what to whom, from where, and what came of it, over the API and on stage', async () => {
		const room = await server.room({ id: 'hall' });
		const host = await server.token(room, 'host', 'Hana', { subject: 'hana' });
		const speaker = await server.token(room, 'speaker', 'Sam', { subject: 'sam' });
		const [hana, sam] = await Promise.all([host, speaker].map(({ token }) => StageClient.connect(server.url, room, { token })));
		const { roster } = await hana!.welcome();
		await sam!.welcome();
		const samId = roster.find(({ name }) => name === 'Sam')?.id ?? (await hana!.next('stage', (stage) => stage.roster.length === 2)).roster.find(({ name }) => name === 'Sam')!.id;
		await hana!.request('participant.mute', { participantId: samId });
		await expect(sam!.request('participant.kick', { participantId: samId })).rejects.toMatchObject({ code: 'forbidden' });
		const refused = await fetch(`${server.url}/v1/rooms/${room}/end`, { method: 'POST', headers: { authorization: `Bearer ${speaker.token}`, 'x-forwarded-for': '203.0.113.9', 'x-request-id': 'a-refused-end' } });
		expect(refused.status).toBe(403);

		const { entries } = await find(`room=${room}`);
		const shown = entries.map(({ actor, action, target, outcome, via, code }) => [actor.subject, action, target, outcome, via, code]);
		expect(shown).toEqual([
			['sam', 'room.end', undefined, 'refused', 'http', 'forbidden'],
			['sam', 'participant.kick', samId, 'refused', 'stage', 'forbidden'],
			['hana', 'participant.mute', samId, 'done', 'stage', undefined],
			['admin', 'token.create', 'sam', 'done', 'http', undefined],
			['admin', 'token.create', 'hana', 'done', 'http', undefined],
			['admin', 'room.start', undefined, 'done', 'http', undefined],
			['admin', 'room.open', undefined, 'done', 'http', undefined],
			['admin', 'room.create', undefined, 'done', 'http', undefined],
		]);
		expect(entries[0]).toMatchObject({ ip: '203.0.113.9', requestId: 'a-refused-end', actor: { role: 'speaker', name: 'Sam' } });
		expect(entries.every(({ at, id, ip }) => Date.parse(at) > 0 && id !== '' && ip !== '')).toBe(true);
		const text = readdirSync(path.join(dataDir, 'audit')).map((name) => readFileSync(path.join(dataDir, 'audit', name), 'utf8')).join('');
		expect(text).not.toContain(host.token);
		for (const socket of [hana, sam]) await socket!.close();
	});

	it('is asked by room, act, and person, page by page', async () => {
		expect((await find('action=participant')).entries.map(({ action }) => action)).toEqual(['participant.kick', 'participant.mute']);
		expect((await find('action=room.end&subject=sam')).entries).toHaveLength(1);
		expect((await find('room=nowhere')).entries).toEqual([]);
		const all = (await find('limit=500')).entries.map(({ id }) => id);
		const paged: string[] = [];
		for (let after: string | undefined; ; ) {
			const page = await find(`limit=3${after === undefined ? '' : `&after=${after}`}`);
			paged.push(...page.entries.map(({ id }) => id));
			after = page.next;
			if (after === undefined) break;
		}
		expect(paged).toEqual(all);
	});

	it('has who wrote captions once for all their lines, and not what they wrote', async () => {
		const room = 'hall';
		const { token } = await server.token(room, 'cohost', 'Cara', { subject: 'cara' });
		for (const text of ['Good evening', 'everybody', 'who reads']) {
			const said = await fetch(`${server.url}/v1/rooms/${room}/captions`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify({ text }) });
			expect(said.status).toBe(202);
		}
		const listener = await server.token(room, 'listener', 'Lou', { subject: 'lou' });
		expect((await server.call('POST', `/v1/rooms/${room}/captions`, { text: 'not mine to say' }, listener.token)).status).toBe(403);
		const { entries } = await find('action=caption');
		expect(entries.map(({ actor, action, outcome }) => [actor.subject, action, outcome])).toEqual([['lou', 'caption.write', 'refused'], ['cara', 'caption.write', 'done']]);
		expect(entries[1]).toMatchObject({ room, actor: { role: 'cohost', name: 'Cara' }, via: 'http' });
		expect(JSON.stringify(entries)).not.toMatch(/Good evening|everybody|not mine/);
	});

	it('has no secret of what was asked for, and nobody but admins reads it', async () => {
		const { secret } = await server.json<{ secret: string }>('POST', '/v1/admin/webhooks', { url: 'https://example.org/hook', description: 'ours' });
		const [entry] = (await find('action=webhook')).entries;
		expect(entry).toMatchObject({ action: 'webhook.create', detail: { url: 'https://example.org/hook', description: 'ours' } });
		expect(JSON.stringify(entry)).not.toContain(secret);
		const { token } = await server.token('hall', 'host', 'Hana');
		expect((await server.call('GET', '/v1/admin/audit', undefined, token)).status).toBe(403);
	});

	it('has lost nothing that was answered when the process is killed, and goes on behind a torn line', async () => {
		await Promise.all(Array.from({ length: 20 }, (_, index) => server.token('hall', 'listener', 'Lea', { subject: `lea-${index}` })));
		await server.stop('SIGKILL');
		const folder = path.join(dataDir, 'audit');
		expect(statSync(folder).mode & 0o777).toBe(0o700);
		const [file = ''] = readdirSync(folder);
		expect(statSync(path.join(folder, file)).mode & 0o777).toBe(0o600);
		appendFileSync(path.join(folder, file), '{"id":"torn');
		const before = readFileSync(path.join(folder, file), 'utf8');
		server = await RostrumProcess.start(options());
		await server.token('hall', 'listener', 'Mia', { subject: 'mia' });
		const targets = (await find('action=token.create&limit=100')).entries.map(({ target }) => target);
		expect(targets[0]).toBe('mia');
		expect(targets.filter((target) => target?.startsWith('lea-'))).toHaveLength(20);
		// Appended to, and nothing else.
		expect(readFileSync(path.join(folder, file), 'utf8').startsWith(before)).toBe(true);
	});
});
