import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigError } from '../../config/config-error.ts';
import { configLeaves } from '../../config/leaves.ts';
import { loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';

const DOCKER = path.resolve(import.meta.dirname, '../../docker');
const read = (name: string) => readFileSync(path.join(DOCKER, name), 'utf8');

interface Service {
	image: string;
	build?: { context: string; dockerfile: string };
	network_mode?: string;
	environment: Record<string, string | number>;
	command?: string[];
	ports?: string[];
	volumes: string[];
	restart: string;
	stop_grace_period: string;
	ulimits?: { nofile: number };
	healthcheck: { test: string[] };
	depends_on?: Record<string, { condition: string }>;
}

/** What compose puts in place of `$NAME`: `${A}`, `${A:-default}`, `${A:?message}`, defaults within defaults, `$$`. */
function interpolated(text: string, env: Record<string, string>): string {
	let result = '';
	for (let at = 0; at < text.length; at++) {
		if (text[at] !== '$') {
			result += text[at];
		} else if (text[at + 1] === '$') {
			result += '$';
			at++;
		} else if (text[at + 1] === '{') {
			let depth = 1;
			const start = at + 2;
			for (at = start; depth > 0; at++) depth += text.startsWith('${', at) ? 1 : text[at] === '}' ? -1 : 0;
			at--;
			const [, name = '', operator, rest = ''] = /^(\w+)(:-|:\?)?([^]*)$/.exec(text.slice(start, at)) ?? [];
			if (name === '') throw new Error(`not understood: ${text}`);
			if (!env[name] && operator === ':?') throw new Error(`${name}: ${rest}`);
			result += env[name] || (operator === ':-' ? interpolated(rest, env) : '');
		} else throw new Error(`not understood: ${text}`);
	}
	return result;
}

/** The text of an env file, as compose and systemd read it. */
const envFile = (text: string): Record<string, string> =>
	Object.fromEntries(text.split('\n').flatMap((line) => {
		const [, name, value = ''] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
		return name === undefined ? [] : [[name, value]];
	}));

const example = read('cluster.env.example');
/** As somebody fills it in: all secrets made by `openssl rand -hex 32`. */
const SECRET = '0123456789abcdef'.repeat(4);
const filled = envFile(example.replaceAll('=CHANGE', `=${SECRET}`));
const compose = (env: Record<string, string>) => {
	const { services } = parse(read('compose.cluster.yaml'), { merge: true }) as { services: Record<string, Service> };
	for (const service of Object.values(services)) {
		service.environment = Object.fromEntries(Object.entries(service.environment).map(([name, value]) => [name, interpolated(String(value), env)]));
		service.command = service.command?.map((word) => interpolated(word, env));
		service.ports = service.ports?.map((word) => interpolated(word, env));
	}
	return services;
};

const services = compose(filled);
const nodes = Object.values(services).filter(({ image }) => image === 'rostrum');
const environmentOf = (service: Service) => ({ ...imageEnvironment(), ...(service.environment as Record<string, string>) });
const imageEnvironment = () => Object.fromEntries((/^ENV (.*)$/m.exec(read('Dockerfile'))?.[1] ?? '').split(' ').map((setting) => setting.split('=') as [string, string]));
const configOf = (env: Record<string, string>) => loadConfig({ env, cores: 4, readFile: () => '' });
const configs = () => nodes.map((node) => configOf(environmentOf(node)));

/** What a variable sets, as the program will have it. */
function setting(config: Config, variable: string): unknown {
	const leaf = configLeaves.find(({ env }) => env === variable);
	return leaf?.path.reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], config);
}

/** From SIGTERM until a node has ended by itself at the latest. */
const endMs = (config: Config) => Number(setting(config, 'ROSTRUM_CLUSTER_DRAIN_MS')) + config.shutdown.deadlineMs;
const seconds = (text: string) => Number(/^(\d+)s$/.exec(text)?.[1]);

/** Everything a node binds, as `[first, last]`. */
const portsOf = ({ http, cluster, sfu }: Config): [number, number][] => [
	[http.port, http.port],
	[cluster.internalPort, cluster.internalPort],
	[sfu.mediaPort, sfu.mediaPort + sfu.stageShards + sfu.listenerShards - 1],
	[sfu.linkPortMin, sfu.linkPortMax],
];

describe('the compose file of a cluster', () => {
	it('runs three nodes, Redis and a proxy, each watched, started again, and ended with patience', () => {
		expect(Object.keys(services).toSorted()).toEqual(['node-a', 'node-b', 'node-c', 'proxy', 'redis']);
		for (const service of Object.values(services)) {
			expect(service).toMatchObject({ restart: 'unless-stopped', healthcheck: { test: expect.arrayContaining([expect.stringMatching(/^CMD/)]) as string[] } });
		}
		for (const node of nodes) {
			expect(node).toMatchObject({ network_mode: 'host', depends_on: { redis: { condition: 'service_healthy' } } });
			expect(seconds(node.stop_grace_period) * 1000).toBeGreaterThan(endMs(configOf(environmentOf(node))));
			expect(node.ulimits?.nofile).toBeGreaterThan(2 * configOf(environmentOf(node)).http.maxEventStreams);
		}
	});

	it('gives each node a configuration that the program takes, all of one cluster', () => {
		const all = configs();
		expect(all.map(({ nodeId }) => nodeId)).toEqual(['node-a', 'node-b', 'node-c']);
		for (const config of all) {
			expect(config).toMatchObject({
				dataDir: '/data',
				http: { publicUrl: 'https://rooms.example.org', host: '127.0.0.1', trustProxy: ['loopback'] },
				cluster: { secret: SECRET, internalAddress: '127.0.0.1' },
				redis: { url: `redis://:${SECRET}@127.0.0.1:6379/0` },
				sfu: { mediaAddress: 'auto', listenerShards: 2 },
			});
		}
	});

	it('sets no variable that the program does not know, and its test would tell', () => {
		const known = configLeaves.map(({ env }) => env);
		const set = [...nodes.flatMap((node) => Object.keys(node.environment)), ...Object.keys(filled), ...[...example.matchAll(/^#([A-Z_]+)=/gm)].map(([, name = '']) => name)];
		expect(set.filter((name) => name.startsWith('ROSTRUM_') && !known.includes(name))).toEqual([]);
		expect(() => configOf({ ROSTRUM_CLUSTER_SECRETS: SECRET })).toThrow(ConfigError);
	});

	it('keeps the ports of all nodes apart, so that they fit on one machine', () => {
		const taken = [...configs().flatMap(portsOf), [6379, 6379], [2020, 2020], [80, 80], [443, 443]].toSorted(([a = 0], [b = 0]) => a - b);
		expect(taken.slice(1).filter(([first = 0], index) => first <= (taken[index]?.[1] ?? 0))).toEqual([]);
	});

	it('leads the proxy to every node', () => {
		const upstreams = String(services['proxy']?.environment['UPSTREAMS']).split(' ');
		expect(upstreams).toEqual(configs().map(({ http }) => `${http.host}:${http.port}`));
		expect(read('Caddyfile.cluster')).toContain(`{$UPSTREAMS:${upstreams.join(' ')}}`);
		expect(services['proxy']?.environment['SITE_ADDRESS']).toBe('https://rooms.example.org');
	});

	it('mounts and builds from what exists, and keeps data in volumes that are declared', () => {
		const { volumes } = parse(read('compose.cluster.yaml'), { merge: true }) as { volumes: Record<string, null> };
		const sources = Object.values(services).flatMap((service) => service.volumes.map((volume) => volume.split(':')[0] ?? ''));
		expect(sources.filter((source) => (source.startsWith('.') ? !existsSync(path.join(DOCKER, source)) : !(source in volumes)))).toEqual([]);
		expect(new Set(sources).size).toBe(sources.filter((source) => !source.startsWith('.')).length + 2);
		for (const { build } of nodes) expect(existsSync(path.resolve(DOCKER, build?.context ?? '', build?.dockerfile ?? ''))).toBe(true);
	});

	it.each(['ROSTRUM_CLUSTER_SECRET', 'ROSTRUM_ADMIN_TOKEN', 'REDIS_PASSWORD', 'ROSTRUM_PUBLIC_URL'])('does not start without %s', (name) => {
		expect(() => compose({ ...filled, [name]: '' })).toThrow(new RegExp(`^${name}: set it`));
	});

	it('takes a Redis elsewhere instead', () => {
		const elsewhere = compose({ ...filled, REDIS_URL: `redis+sentinel://:${SECRET}@10.0.0.7,10.0.0.8,10.0.0.9/rostrum` });
		for (const name of ['node-a', 'node-b', 'node-c']) expect(configOf(environmentOf(elsewhere[name] as Service)).redis.url).toContain('sentinel');
	});

	it('shows no secret that works: those who forget to replace one are refused', () => {
		expect(() => configOf(environmentOf(compose(envFile(example))['node-a'] as Service))).toThrow(ConfigError);
	});
});

describe('the systemd unit', () => {
	const unit = read('rostrum.service');
	const value = (key: string) => [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, text]) => text ?? '');

	it('ends the node alone, with more patience than a drain takes, and lets wrong settings be', () => {
		expect(value('KillMode')).toEqual(['mixed']);
		expect(value('RestartPreventExitStatus')).toEqual(['78']);
		expect(Number(value('TimeoutStopSec')[0]) * 1000).toBeGreaterThan(endMs(configOf({})));
	});

	it('sets variables and starts files that exist', () => {
		expect(configOf(envFile(value('Environment').join('\n'))).dataDir).toBe('/var/lib/rostrum');
		const files = [...unit.matchAll(/(?:server|sfu|docker)\/[\w./-]+/g)].map(([file]) => file);
		expect(files.length).toBeGreaterThan(2);
		expect(files.filter((file) => !existsSync(path.resolve(DOCKER, '..', file)))).toEqual([]);
	});
});

describe('its Redis, on a real redis-server', () => {
	const PORT = 28_159;
	let dir: string;
	let server: ChildProcess;
	let redis: Redis;

	beforeAll(async () => {
		dir = mkdtempSync(path.join(tmpdir(), 'rostrum-redis-'));
		mkdirSync(path.join(dir, 'run'));
		const [shell = '', flag = '', script = ''] = services['redis']?.command ?? [];
		// The container's paths are the test's, and so is the port; all else is run as it stands.
		const here = `${script.replaceAll('/etc/rostrum-redis.conf', path.join(DOCKER, 'redis.conf')).replaceAll('/run/rostrum', path.join(dir, 'run'))} --port ${PORT}`;
		server = spawn(shell, [flag, here], { cwd: dir, env: { ...process.env, REDIS_PASSWORD: SECRET }, stdio: ['ignore', 'pipe', 'inherit'] });
		await new Promise<void>((resolve, reject) => {
			let said = '';
			server.stdout?.on('data', (chunk: Buffer) => {
				said += chunk.toString();
				if (said.includes('Ready to accept connections')) resolve();
			});
			server.once('exit', () => reject(new Error(said)));
		});
		redis = new Redis({ host: '127.0.0.1', port: PORT, password: SECRET, lazyConnect: true });
		await redis.connect();
	});
	afterAll(async () => {
		redis?.disconnect();
		const exited = once(server, 'exit');
		server.kill('SIGKILL');
		await exited;
		rmSync(dir, { recursive: true, force: true });
	});

	it('keeps what it has, on disk, and refuses rather than forgets when full', async () => {
		const answer = await redis.config('GET', 'maxmemory-policy', 'appendonly', 'appendfsync', 'maxmemory');
		const pairs = Object.fromEntries(Array.from({ length: answer.length / 2 }, (_none, index) => answer.slice(2 * index, 2 * index + 2) as [string, string]));
		expect(pairs).toEqual({ 'maxmemory-policy': 'noeviction', appendonly: 'yes', appendfsync: 'everysec', maxmemory: String(256 * 1024 * 1024) });
	});

	it('lets nobody in without the password', async () => {
		const stranger = connect(PORT, '127.0.0.1', () => stranger.write('GET x\r\n'));
		const [answer] = (await once(stranger, 'data')) as [Buffer];
		expect(answer.toString()).toMatch(/^-NOAUTH /);
		stranger.destroy();
	});

	it('is the process that is told to end: nothing stands between it and the signal', () => {
		expect(readFileSync(`/proc/${server.pid}/comm`, 'utf8').trim()).toBe('redis-server');
		expect(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8')).not.toContain(SECRET);
	});
});
