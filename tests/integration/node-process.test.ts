import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RostrumProcess } from '../support/process/rostrum-process.ts';

const MEDIA_PORT = 25_800;

const isAlive = (pid: number): boolean => {
	try {
		// A zombie has ended; only its parent has not looked yet.
		return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
	} catch {
		return false;
	}
};

async function until(holds: () => boolean, deadlineMs: number): Promise<number> {
	const started = performance.now();
	while (!holds()) {
		if (performance.now() - started > deadlineMs) {
			throw new Error(`not so within ${deadlineMs} ms`);
		}
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
	return Math.round(performance.now() - started);
}

describe('the process', () => {
	let dataDir: string;
	const running: RostrumProcess[] = [];
	const start = async (env: Record<string, string> = {}): Promise<RostrumProcess> => {
		const server = await RostrumProcess.start({ mediaPort: MEDIA_PORT, dataDir, env });
		running.push(server);
		return server;
	};
	beforeEach(() => {
		dataDir = mkdtempSync(path.join(tmpdir(), 'rostrum-process-'));
	});
	afterEach(async () => {
		await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')));
		rmSync(dataDir, { recursive: true, force: true });
	});

	it('prints links that work, and keeps its secrets to itself', async () => {
		const server = await start({ ROSTRUM_ADMIN_TOKEN: '' });
		await until(() => server.text.includes('What to do next'), 5_000);
		const link = (name: string) => new RegExp(`${name}\\s+(http\\S+)`).exec(server.text)?.[1] ?? '';
		for (const page of [link('Listen'), link('Host'), link('Admin')]) {
			expect((await fetch(page)).status).toBe(200);
		}
		const adminToken = link('Admin').split('#token=')[1] ?? '';
		const hostToken = link('Host').split('#token=')[1] ?? '';
		expect((await server.call('POST', '/v1/rooms', { title: 'From the link', visibility: 'public' }, adminToken)).status).toBe(201);
		expect((await server.call('POST', '/v1/rooms/demo/start', undefined, hostToken)).status).toBe(200);
		expect((await server.call('DELETE', '/v1/rooms/demo', undefined, hostToken)).status).toBe(403);
		const keys = path.join(dataDir, 'keys');
		expect(statSync(keys).mode & 0o777).toBe(0o700);
		const files = readdirSync(keys);
		expect(files.length).toBeGreaterThan(0);
		for (const file of [...files.map((name) => path.join(keys, name)), ...readdirSync(dataDir).filter((name) => name.startsWith('rostrum.db')).map((name) => path.join(dataDir, name))]) {
			expect(statSync(file).mode & 0o777, file).toBe(0o600);
		}
	});

	it('has everything back after a restart: rooms, their state, keys, bans, numbers', async () => {
		const first = await start();
		const room = await first.room({ id: 'lasting', title: 'Lasting', scheduledAt: '2030-01-01T20:00:00+02:00' }, 'open');
		const { token } = await first.token(room, 'speaker', 'Ann', { subject: 'ann' });
		const jwks = await first.json('GET', '/.well-known/jwks.json');
		await first.stop('SIGKILL');

		const second = await start();
		expect(await second.json('GET', `/v1/rooms/${room}`)).toMatchObject({ title: 'Lasting', state: 'open', scheduledAt: '2030-01-01T18:00:00.000Z' });
		expect(await second.json('GET', '/.well-known/jwks.json')).toEqual(jwks);
		// A token of before still opens the stage: 426 asks for the WebSocket, 401 would be a refusal.
		const stage = await second.call('GET', `/v1/rooms/${room}/stage`, undefined, token);
		expect(stage.status).not.toBe(401);
	});

	it('leaves nobody behind when it is killed', async () => {
		const server = await start();
		const pids = [...(await server.shardPids()).values()].flatMap(({ pid, workerPid }) => [pid, workerPid]);
		expect(pids).toHaveLength(6);
		expect(pids.every(isAlive)).toBe(true);
		await server.stop('SIGKILL');
		console.log('orphans gone after', await until(() => !pids.some(isAlive), 3_000), 'ms');
	});

	it('ends on SIGTERM within its deadline, with exit code 0 and nobody left', async () => {
		const server = await start();
		const pids = [...(await server.shardPids()).values()].flatMap(({ pid, workerPid }) => [pid, workerPid]);
		const started = performance.now();
		expect(await server.stop('SIGTERM')).toBe(0);
		console.log('closed in', Math.round(performance.now() - started), 'ms');
		await until(() => !pids.some(isAlive), 1_000);
		expect(server.logLines.some(({ msg }) => msg === 'closed')).toBe(true);
	});

	it('says in plain words when its port is taken, and leaves nothing running', async () => {
		const blocker = createServer();
		await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
		const address = blocker.address();
		const port = typeof address === 'object' && address ? address.port : 0;
		await expect(start({ ROSTRUM_HTTP_PORT: String(port) })).rejects.toThrow(`port ${port} on 127.0.0.1 is taken`);
		blocker.close();
	});

	it('refuses a second node on the same data folder, and settings that it does not know', async () => {
		await start();
		await expect(start({ ROSTRUM_MEDIA_PORT: '25810' })).rejects.toThrow(/another/i);
		await expect(start({ ROSTRUM_LISTENER_SHARD: '3', ROSTRUM_DATA_DIR: `${dataDir}/other` })).rejects.toThrow('ROSTRUM_LISTENER_SHARDS');
		expect(existsSync(path.join(dataDir, 'other'))).toBe(false);
	});

	it('replaces a killed shard, and a killed worker, on the same port', async () => {
		const server = await start();
		for (const victim of ['pid', 'workerPid'] as const) {
			// One spare for each of the two deaths: it takes a moment until it is warm.
			const deaths = victim === 'pid' ? 0 : 1;
			await until(() => server.logLines.filter(({ msg }) => msg === 'spare shard ready').length > deaths, 5_000);
			const before = (await server.shardPids()).get(1);
			const seen = server.logLines.length;
			const started = performance.now();
			process.kill(before?.[victim] ?? 0, 'SIGKILL');
			await until(() => server.logLines.slice(seen).some(({ msg, shard }) => msg === 'shard up' && shard === 1), 3_000);
			const tookMs = Math.round(performance.now() - started);
			console.log(`shard replaced ${tookMs} ms after its ${victim === 'pid' ? 'process' : 'worker'} was killed`);
			expect(tookMs).toBeLessThan(1_000);
			const line = server.logLines.findLast(({ msg, shard }) => msg === 'shard up' && shard === 1);
			expect(line?.['port']).toBe(MEDIA_PORT + 1);
		}
		expect(await server.json('GET', '/readyz', undefined)).toMatchObject({ status: 'ready' });
	});
});
