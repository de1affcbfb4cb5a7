// A real redis-server that is stopped, hung, emptied, and failed over.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisConnection } from '../../server/cluster/redis/redis-connection.ts';
import { asInteger, asText, redisScript, type RedisScript } from '../../server/cluster/redis/redis-script.ts';
import { DomainError } from '../../server/errors.ts';
import { openConnection, redisConfig, silent, whenDown, whenUp } from '../support/redis/connections.ts';
import { RedisClusterServers } from '../support/redis/redis-cluster-servers.ts';
import { RedisSentinelServers } from '../support/redis/redis-sentinel-servers.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

let folder: string;
let count: RedisScript<number>;
let broken: RedisScript<number>;
let slow: RedisScript<number>;
beforeAll(() => {
	folder = mkdtempSync(path.join(tmpdir(), 'rostrum-lua-'));
	const script = (name: string, lua: string): RedisScript<number> => {
		writeFileSync(path.join(folder, name), lua);
		return redisScript(pathToFileURL(path.join(folder, name)), asInteger);
	};
	writeFileSync(path.join(folder, 'part.lua'), 'local step = 2');
	count = script('count-up-1.lua', "-- include part.lua\nreturn redis.call('INCRBY', KEYS[1], step)");
	broken = script('broken-1.lua', "return redis.call('HGET', KEYS[1], 'x')");
	slow = script('slow-0.lua', 'local t = redis.call("TIME")[1] * 1 while redis.call("TIME")[1] * 1 < t + 3 do end return 1');
});
afterAll(() => rmSync(folder, { recursive: true }));

const refusal = async (work: Promise<unknown>): Promise<{ code: string; afterMs: number }> => {
	const startedAt = performance.now();
	const outcome = await work.then(
		() => 'it worked',
		(error: unknown) => error,
	);
	return { code: outcome instanceof DomainError ? outcome.code : String(outcome), afterMs: performance.now() - startedAt };
};

describe('a connection to one Redis', () => {
	let server: RedisServer;
	let connection: RedisConnection;
	beforeAll(async () => {
		server = await RedisServer.start();
	});
	afterEach(() => connection.close());
	afterAll(() => server.stop());

	it('runs scripts and counts what it sends, by name', async () => {
		connection = await openConnection(server.url);
		expect(await connection.run(count, ['a'])).toBe(2);
		expect(await connection.run(count, ['a'])).toBe(4);
		expect(await connection.call('get', 'a')).toBe('4');
		expect(Object.fromEntries(connection.counts)).toEqual({ 'count-up': 2, get: 1 });
		expect(connection.count).toBe(3);
	});

	it('loads a script again when the server has forgotten it', async () => {
		connection = await openConnection(server.url);
		await connection.run(count, ['b']);
		await server.cli('SCRIPT', 'FLUSH');
		expect(await connection.run(count, ['b'])).toBe(4);
	});

	it('takes keys as the script was made for, and nothing else', async () => {
		connection = await openConnection(server.url);
		await expect(connection.run(count, ['a', 'b'])).rejects.toThrow(TypeError);
	});

	it('tells a mistake in a script from a server that does not answer', async () => {
		connection = await openConnection(server.url);
		await connection.run(count, ['wrong-type']);
		expect((await refusal(connection.run(broken, ['wrong-type']))).code).toBe('internal_error');
		expect(connection.answers).toBe(true);
	});

	it('rejects in about a second when the server hangs, at once after that, and works again by itself', async () => {
		connection = await openConnection(server.url);
		await connection.run(count, ['c']);
		server.pause();
		try {
			const first = await refusal(connection.run(count, ['c']));
			expect(first.code).toBe('store_unavailable');
			expect(first.afterMs).toBeGreaterThan(900);
			expect(first.afterMs).toBeLessThan(1_800);
			expect(connection.answers).toBe(false);
			const second = await refusal(connection.run(count, ['c']));
			expect(second.code).toBe('store_unavailable');
			expect(second.afterMs).toBeLessThan(100);
		} finally {
			server.resume();
		}
		await whenUp(connection);
		expect(await connection.run(count, ['c'])).toBeGreaterThanOrEqual(4);
	});

	it('rejects when the server is killed with commands under way, and finds it again when it is back, empty', async () => {
		connection = await openConnection(server.url);
		const down = once(connection, 'down');
		const under = refusal(connection.run(slow, []));
		await server.kill();
		expect((await under).code).toBe('store_unavailable');
		await down;
		expect((await refusal(connection.call('ping'))).code).toBe('store_unavailable');
		await server.restart();
		await whenUp(connection);
		expect(await connection.run(count, ['c'])).toBe(2);
	});

	it('hears messages, and again after the server was away', async () => {
		connection = await openConnection(server.url);
		connection.subscribe('news');
		await once(connection, 'subscribed');
		const first = once(connection, 'message');
		await connection.call('publish', 'news', 'one');
		expect(await first).toEqual(['news', 'one']);

		const again = once(connection, 'subscribed');
		await server.restart();
		await Promise.all([again, whenUp(connection)]);
		const second = once(connection, 'message');
		await connection.call('publish', 'news', 'two');
		expect(await second).toEqual(['news', 'two']);
	});

	it('hears messages again after the server hung, though nobody asked for anything meanwhile', async () => {
		connection = await openConnection(server.url);
		connection.subscribe('news');
		connection.subscribe('more');
		await once(connection, 'subscribed');
		while (!connection.listens) await once(connection, 'subscribed');
		server.pause();
		const again = once(connection, 'subscribed');
		while (connection.listens) await new Promise((resolve) => setTimeout(resolve, 20));
		server.resume();
		await again;
		const heard = once(connection, 'message');
		await server.cli('PUBLISH', 'more', 'there?');
		expect(await heard).toEqual(['more', 'there?']);
	});

	it('starts without a server, says so, and finds it when it comes', async () => {
		await server.kill();
		const { RedisConnection: Connection } = await import('../../server/cluster/redis/redis-connection.ts');
		connection = await Connection.open(redisConfig(server.url), silent, { openTimeoutMs: 200 });
		expect(connection.answers).toBe(false);
		expect((await refusal(connection.call('ping'))).code).toBe('store_unavailable');
		await server.restart();
		await whenUp(connection);
		expect(await connection.call('ping')).toBe('PONG');
	});
});

describe('a password', () => {
	it('is used, and never told when it is wrong', async () => {
		const server = await RedisServer.start({ args: ['--requirepass', 'right-hunter2'] });
		const lines: string[] = [];
		const { default: pino } = await import('pino');
		const { RedisConnection: Connection } = await import('../../server/cluster/redis/redis-connection.ts');
		const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
		const address = (password: string): string => server.url.replace('//', `//:${password}@`);
		const wrong = await Connection.open(redisConfig(address('wrong-hunter2')), log, { openTimeoutMs: 300 });
		const right = await Connection.open(redisConfig(address('right-hunter2')), log);
		try {
			expect(wrong.answers).toBe(false);
			expect(await right.call('ping')).toBe('PONG');
			expect(lines.join('')).toContain('WRONGPASS');
			expect(lines.join('')).not.toContain('hunter2');
		} finally {
			await Promise.all([wrong.close(), right.close(), server.stop()]);
		}
	});
});

describe('a connection through Sentinel', () => {
	it('follows the failover: commands and messages go on', async () => {
		const servers = await RedisSentinelServers.start();
		const connection = await openConnection(servers.url);
		try {
			connection.subscribe('news');
			await once(connection, 'subscribed');
			await connection.run(count, ['a']);
			const again = once(connection, 'subscribed');
			const down = whenDown(connection);
			await servers.killMaster();
			await down;
			await Promise.all([again, whenUp(connection)]);
			expect(await connection.run(count, ['b'])).toBe(2);
			const heard = once(connection, 'message');
			await connection.call('publish', 'news', 'new master');
			expect(await heard).toEqual(['news', 'new master']);
		} finally {
			await connection.close();
			await servers.stop();
		}
	}, 60_000);
});

describe('a connection to a Redis Cluster', () => {
	let servers: RedisClusterServers;
	beforeAll(async () => {
		servers = await RedisClusterServers.start();
	}, 60_000);
	afterAll(() => servers.stop());

	it('finds each key on its master, and hears messages of all of them', async () => {
		const connection = await openConnection(servers.url);
		try {
			const keys = Array.from({ length: 30 }, (_, index) => `{${index}}`);
			expect(await Promise.all(keys.map((key) => connection.run(count, [key])))).toEqual(keys.map(() => 2));
			const holders = await Promise.all(servers.servers.map((server) => server.cli('DBSIZE')));
			expect(holders.map(Number).every((size) => size > 0)).toBe(true);
			connection.subscribe('news');
			await once(connection, 'subscribed');
			for (const server of servers.servers) {
				const heard = once(connection, 'message');
				await server.cli('PUBLISH', 'news', String(server.port));
				expect(await heard).toEqual(['news', String(server.port)]);
			}
		} finally {
			await connection.close();
		}
	});

	it('is down while one master hangs, in about a second, and up again after it', async () => {
		const connection = await openConnection(servers.url);
		const hanging = servers.servers[1]!;
		try {
			const keys = Array.from({ length: 30 }, (_, index) => `{${index}}x`);
			await Promise.all(keys.map((key) => connection.run(count, [key])));
			hanging.pause();
			const outcomes = await Promise.all(keys.map((key) => refusal(connection.run(count, [key]))));
			expect(outcomes.some(({ code }) => code === 'store_unavailable')).toBe(true);
			expect(Math.max(...outcomes.map(({ afterMs }) => afterMs))).toBeLessThan(1_800);
			expect(connection.answers).toBe(false);
			hanging.resume();
			await whenUp(connection);
			for (const key of keys) expect(asText(await connection.call('get', key))).toBeDefined();
		} finally {
			hanging.resume();
			await connection.close();
		}
	});
});
