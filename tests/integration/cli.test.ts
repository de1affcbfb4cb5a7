// The command line against a real node: what it prints, what it does, and how it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcListener } from '../support/rtc/listener.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Ran {
	code: number | null;
	out: string;
	err: string;
}

describe('rostrum, the command line', () => {
	let server: RostrumProcess;
	let node: string;

	beforeAll(async () => {
		server = await RostrumProcess.start({ mediaPort: 24_700 });
		const { nodes } = await server.json<{ nodes: { id: string }[] }>('GET', '/v1/admin/nodes');
		node = nodes[0]?.id ?? '';
	}, 60_000);
	afterAll(() => server?.stop());

	async function run(args: string[], env: Record<string, string> = {}): Promise<Ran> {
		const child = spawn(path.join(ROOT, 'node_modules/.bin/node'), ['server/cli/rostrum.ts', ...args], {
			cwd: ROOT,
			stdio: ['ignore', 'pipe', 'pipe'],
			env: { PATH: process.env['PATH'], ROSTRUM_URL: server.url, ROSTRUM_ADMIN_TOKEN: ADMIN_TOKEN, ...env },
		});
		const ran: Ran = { code: null, out: '', err: '' };
		child.stdout.on('data', (data: Buffer) => (ran.out += data.toString()));
		child.stderr.on('data', (data: Buffer) => (ran.err += data.toString()));
		const [code] = (await once(child, 'close')) as [number | null];
		return { ...ran, code };
	}
	const json = async <T>(...args: string[]): Promise<T> => {
		const { code, out, err } = await run([...args, '--json']);
		expect(err).toBe('');
		expect(code).toBe(0);
		return JSON.parse(out) as T;
	};

	it('makes a room, changes it, brings it on air, ends it and removes it', async () => {
		const made = await json<{ id: string; scheduledAt: string; visibility: string; expectedListeners: number }>(
			'room', 'create', '--id', 'cli-room', '--title', 'From a terminal', '--at', '2099-05-24T18:00:00+02:00', '--expect', '5000', '--private',
		);
		expect(made).toMatchObject({ id: 'cli-room', scheduledAt: '2099-05-24T16:00:00.000Z', visibility: 'private', expectedListeners: 5_000 });
		expect((await json<{ title: string }>('room', 'edit', 'cli-room', '--title', 'Another title')).title).toBe('Another title');
		const listed = await run(['room', 'list']);
		expect(listed.out.split('\n').find((line) => line.startsWith('cli-room'))).toMatch(/^cli-room +scheduled +0 +2099-05-24T16:00:00\.000Z +Another title$/);
		expect((await run(['room', 'open', 'cli-room'])).out).toBe('The doors are open.\n');
		expect((await run(['room', 'start', 'cli-room'])).code).toBe(0);
		expect((await json<{ state: string }>('room', 'show', 'cli-room')).state).toBe('live');
		expect((await run(['room', 'end', 'cli-room'])).code).toBe(0);
		expect((await server.json<{ state: string }>('GET', '/v1/rooms/cli-room')).state).toBe('ended');
		expect((await run(['room', 'delete', 'cli-room'])).out).toBe('Deleted.\n');
		expect((await server.call('GET', '/v1/rooms/cli-room')).status).toBe(404);
	});

	it('makes links that work, and keys that sign the next ones while old links stay good', async () => {
		await server.room({ id: 'cli-links' }, 'open');
		const before = await json<{ token: string; url: string }>('token', 'create', 'cli-links', '--name', 'Hana', '--role', 'host');
		expect(before.url).toContain('/r/cli-links/stage#token=');
		const { kid } = await json<{ kid: string }>('keys', 'rotate');
		const after = await json<{ token: string }>('token', 'create', 'cli-links', '--name', 'Noor', '--expires', '60');
		expect(JSON.parse(Buffer.from(after.token.split('.')[0] ?? '', 'base64url').toString())).toMatchObject({ kid });
		for (const { token } of [before, after]) expect((await server.call('GET', '/v1/rooms/cli-links', undefined, token)).status).toBe(200);
		expect((await run(['keys', 'list'])).out).toContain(kid);
	});

	it('revokes a link, and takes that back', async () => {
		await server.room({ id: 'cli-revoke', visibility: 'private' }, 'open');
		const { token, url } = await json<{ token: string; url: string }>('token', 'create', 'cli-revoke', '--name', 'Hana', '--role', 'host');
		const { id } = await json<{ id: string }>('token', 'revoke', '--link', url);
		expect((await server.call('GET', '/v1/rooms/cli-revoke', undefined, token)).status).toBe(401);
		expect((await run(['token', 'revocations'])).out).toContain(id);
		expect((await run(['token', 'unrevoke', id])).code).toBe(0);
		expect((await server.call('GET', '/v1/rooms/cli-revoke', undefined, token)).status).toBe(200);
	});

	it('bans, lists bans and lifts them; the audit log has it', async () => {
		await server.room({ id: 'cli-bans' }, 'open');
		expect((await run(['bans', 'add', 'cli-bans', 'somebody', '--name', 'Some Body'])).code).toBe(0);
		expect((await run(['bans', 'list', 'cli-bans'])).out).toMatch(/somebody .*Some Body/);
		expect((await run(['bans', 'lift', 'cli-bans', 'somebody'])).code).toBe(0);
		expect((await run(['bans', 'list', 'cli-bans'])).out).toBe('Nobody is banned.\n');
		const { entries } = await json<{ entries: { action: string; room: string; outcome: string }[] }>('audit', '--room', 'cli-bans');
		expect(entries.filter(({ outcome }) => outcome === 'done').map(({ action }) => action)).toEqual([expect.stringContaining('ban'), expect.stringContaining('ban'), 'room.open', 'room.create']);
	});

	it('drains a shard with a listener on it, tells how far it is, and calls it off', async () => {
		await server.room({ id: 'cli-drain' });
		const listener = await RtcListener.join(async (offer) => {
			const response = await fetch(new URL('/v1/rooms/cli-drain/listen', server.url), { method: 'POST', headers: { 'content-type': 'application/sdp' }, body: offer });
			return response.text();
		});
		const seated = (nodes: { shards: { index: number; listeners: number }[] }[]) => nodes[0]?.shards.find(({ listeners }) => listeners > 0)?.index;
		const { nodes } = await json<{ nodes: { shards: { index: number; listeners: number }[] }[] }>('nodes');
		const shard = seated(nodes);
		expect(shard).toBeDefined();
		// A listener that is no page does not move by itself: the deadline ends it.
		const drained = await run(['drain', node, '--shard', String(shard), '--deadline', '2']);
		expect(drained).toMatchObject({ code: 0, out: `${node} shard ${shard} is drained.\n` });
		expect(drained.err.split('\n')[0]).toContain('1 of 1 listeners left');
		expect(drained.err).toContain('0 of 1 listeners left');
		expect((await run(['nodes'])).out).toMatch(new RegExp(`^${node} +${shard} +listener +draining`, 'm'));
		expect((await run(['undrain', node, '--shard', String(shard)])).code).toBe(0);
		expect((await run(['nodes'])).out).toMatch(new RegExp(`^${node} +${shard} +listener +up`, 'm'));
		listener.close();
	});

	it('tells capacity, and whether a room is ready: exit code 1 when it is not', async () => {
		await server.room({ id: 'cli-preflight' }, 'scheduled');
		expect((await run(['capacity'])).out).toMatch(/^the fleet +\d+ +\d+ +\d+ % +\d+ +\d+$/m);
		const ready = await run(['preflight', 'cli-preflight', '--no-calibrate', '--expect', '10000000', '--within', '1', '--json']);
		expect(JSON.parse(ready.out)).toMatchObject({ ready: false });
		expect(ready.code).toBe(1);
	});

	it('says in one line what was refused, and ends with 1', async () => {
		expect(await run(['room', 'show', 'nowhere'])).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/^rostrum: .*\(room_not_found\)\n$/) as string });
		expect(await run(['nodes'], { ROSTRUM_ADMIN_TOKEN: 'x'.repeat(40) })).toMatchObject({ code: 1, err: expect.stringMatching(/^rostrum: .*\(token_invalid\)\n$/) as string });
		expect(await run(['drain', 'no-such-node'])).toMatchObject({ code: 1, err: expect.stringContaining('(node_not_found)') as string });
	});

	it('says that nobody answers, and that a proxy has no server behind it', async () => {
		const proxy = createServer((_request, response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'));
		await once(proxy.listen(0, '127.0.0.1'), 'listening');
		const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
		expect(await run(['nodes'], { ROSTRUM_URL: url })).toMatchObject({ code: 1, err: 'rostrum: Bad Gateway (502)\n' });
		await new Promise((resolve) => proxy.close(resolve));
		expect(await run(['nodes'], { ROSTRUM_URL: url })).toMatchObject({ code: 1, err: expect.stringMatching(/^rostrum: .* does not answer: .*ECONNREFUSED/) as string });
	});

	it.each([
		[['room', 'create'], /--title/],
		[['room', 'list', '--state', 'sleeping'], /--state is one of/],
		[['room', 'create', '--title', 'x', '--at', 'tomorrow'], /--at is a time with its zone/],
		[['drain', 'n', '--shard', 'two'], /--shard is a whole number/],
		[['token', 'revoke'], /one of --id, --link and --subject/],
		[['frobnicate'], /unknown command/],
		[['--url', 'nonsense', 'nodes'], /--url .* must be an http/],
	])('refuses %j as wrong use, with 2', async (args, words) => {
		const { code, out, err } = await run(args);
		expect(err).toMatch(words);
		expect({ code, out }).toEqual({ code: 2, out: '' });
	});

	it('wants a token, and helps without one', async () => {
		expect(await run(['nodes'], { ROSTRUM_ADMIN_TOKEN: '' })).toMatchObject({ code: 2, err: expect.stringContaining('ROSTRUM_ADMIN_TOKEN') as string });
		const help = await run(['--help'], { ROSTRUM_ADMIN_TOKEN: '' });
		expect(help.code).toBe(0);
		for (const command of ['room', 'token', 'drain', 'undrain', 'nodes', 'capacity', 'preflight', 'bans', 'keys', 'webhooks', 'audit']) expect(help.out).toContain(`  ${command} `);
	});
});
