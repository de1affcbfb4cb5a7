// One node by Docker: compose.yaml, its proxy, its TURN server, and what OPERATIONS.md says of all of them.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigError } from '../../config/config-error.ts';
import { configLeaves } from '../../config/leaves.ts';
import { loadConfig } from '../../config/load.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const DOCKER = path.join(ROOT, 'docker');
const read = (name: string) => readFileSync(path.join(DOCKER, name), 'utf8');
const SECRET = '0123456789abcdef'.repeat(4);

interface Service {
	image: string;
	network_mode: string;
	profiles?: string[];
	restart: string;
	read_only?: boolean;
	stop_grace_period?: string;
	environment?: Record<string, string | number>;
	volumes?: string[];
	entrypoint?: string[];
	command?: string[];
	ulimits?: { nofile: number };
	healthcheck?: { test: string[] };
}

const { services, volumes } = parse(read('compose.yaml'), { merge: true }) as { services: Record<string, Service>; volumes: Record<string, null> };
const example = read('node.env.example');
const envOf = (text: string) => Object.fromEntries([...text.matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
/** All of it filled in, what is optional too. */
const filled: Record<string, string> = envOf(example.replaceAll('=CHANGE', `=${SECRET}`));
/** `${A}`, `${A:-default}`, `${A:?message}`. */
const interpolated = (text: string, env: Record<string, string>) =>
	text.replaceAll(/\$\{(\w+)(?:(:-|:\?)([^}]*))?\}/g, (_all, name: string, operator: string | undefined, rest = '') => {
		if (!env[name] && operator === ':?') throw new Error(`${name}: ${String(rest)}`);
		return env[name] || (operator === ':-' ? String(rest) : '');
	});
const nodeEnvironment = (env: Record<string, string>) => ({
	ROSTRUM_DATA_DIR: '/data',
	...Object.fromEntries(Object.entries(services['node']?.environment ?? {}).map(([name, value]) => [name, interpolated(String(value), env)])),
});
const configOf = (env: Record<string, string>) => loadConfig({ env, cores: 4, readFile: () => '' });

describe('compose.yaml', () => {
	it('runs a node and a proxy, and a TURN server, Prometheus and Grafana when asked to', () => {
		expect(Object.entries(services).map(([name, { profiles = [] }]) => [name, ...profiles])).toEqual([['node'], ['proxy'], ['turn', 'turn'], ['prometheus', 'monitoring'], ['grafana', 'monitoring']]);
		for (const service of Object.values(services)) expect(service).toMatchObject({ restart: 'unless-stopped', network_mode: 'host' });
		for (const name of ['node', 'proxy']) expect(services[name]?.healthcheck?.test[0]).toBe('CMD');
	});

	it('gives the node a configuration that the program takes, with as little as must be said and with all that can be', () => {
		const little = { ROSTRUM_PUBLIC_URL: 'https://rooms.example.org', ROSTRUM_ADMIN_TOKEN: SECRET };
		expect(configOf(nodeEnvironment(little))).toMatchObject({
			dataDir: '/data', http: { host: '127.0.0.1', port: 3000, trustProxy: ['loopback'], publicUrl: 'https://rooms.example.org' }, sfu: { mediaAddress: 'auto', listenerShards: 3 }, turn: { urls: [] },
		});
		expect(configOf(nodeEnvironment(filled))).toMatchObject({ turn: { urls: [expect.stringContaining('turn:'), expect.stringContaining('tcp')], secret: SECRET }, sfu: { announcedAddress: '203.0.113.7' }, tracing: { endpoint: expect.stringContaining('4318') as string } });
		expect(() => nodeEnvironment({ ...little, ROSTRUM_ADMIN_TOKEN: '' })).toThrow(/^ROSTRUM_ADMIN_TOKEN: set it/);
		expect(() => configOf(nodeEnvironment(envOf(example)))).toThrow(ConfigError);
	});

	it('sets only variables there are, and says all of them in the example', () => {
		const known = new Set(configLeaves.map(({ env }) => env));
		expect(Object.keys(nodeEnvironment(filled)).filter((name) => !known.has(name))).toEqual([]);
		const asked = [...read('compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name = '']) => name);
		expect([...new Set(asked)].filter((name) => !(name in filled)).toSorted()).toEqual([]);
		expect(Object.keys(filled).filter((name) => !asked.includes(name))).toEqual([]);
	});

	it('waits until the node has ended, gives it descriptors enough, and lets it write to its data alone', () => {
		const { node } = services;
		const config = configOf(nodeEnvironment(filled));
		expect(Number(/^(\d+)s$/.exec(node?.stop_grace_period ?? '')?.[1]) * 1_000).toBeGreaterThan(config.shutdown.deadlineMs);
		expect(node?.ulimits?.nofile).toBeGreaterThan(2 * config.http.maxEventStreams);
		expect(node).toMatchObject({ read_only: true, volumes: ['node-data:/data'] });
	});

	it('mounts what exists, and declares every volume', () => {
		const sources = Object.values(services).flatMap((service) => (service.volumes ?? []).map((volume) => volume.split(':')[0] ?? ''));
		expect(sources.filter((source) => (source.startsWith('.') ? !existsSync(path.join(DOCKER, source)) : !(source in volumes)))).toEqual([]);
		expect(Object.keys(volumes).filter((name) => !sources.includes(name))).toEqual([]);
	});

	it.each(['turn', 'grafana'])('has no %s that starts without a secret of its own', (name) => {
		const [shell = '', flag = '', script = ''] = services[name]?.entrypoint ?? [];
		const test = script.replaceAll('$$', '$').replace(/\{ cat.*$/s, 'true').replace(/exec .*$/s, 'true');
		const run = (env: Record<string, string>) => spawnSync(shell, [flag, test], { env: { PATH: process.env['PATH'], ...env } }).status;
		expect(run({ TURN_SECRET: '', TURN_PEER: '', GF_SECURITY_ADMIN_PASSWORD: '' })).not.toBe(0);
		expect(run({ TURN_SECRET: 'x', TURN_PEER: '203.0.113.7', GF_SECURITY_ADMIN_PASSWORD: 'x' })).toBe(0);
	});
});

describe('its proxy', () => {
	const caddy = ['/usr/bin/caddy', '/usr/local/bin/caddy'].find((file) => existsSync(file));

	it('asks the node where it is, by default too', () => {
		expect(services['proxy']?.environment).toMatchObject({ UPSTREAM: '127.0.0.1:3000', SITE_ADDRESS: '${ROSTRUM_PUBLIC_URL}' });
		expect(read('Caddyfile')).toContain('{$UPSTREAM:127.0.0.1:3000}');
		expect(services['proxy']?.healthcheck?.test.at(-1)).toContain(':2020/');
	});

	it('is a configuration that Caddy takes', () => {
		expect(caddy).toBeDefined();
		for (const file of ['Caddyfile', 'Caddyfile.cluster']) {
			const { status, stderr } = spawnSync(caddy ?? '', ['adapt', '--adapter', 'caddyfile', '--config', path.join(DOCKER, file)], { encoding: 'utf8', env: { ...process.env, SITE_ADDRESS: 'https://rooms.example.org' } });
			expect({ file, status, stderr: status === 0 ? '' : stderr }).toEqual({ file, status: 0, stderr: '' });
		}
	});

	it('keeps what the node counts to itself, and idle connections shorter than the node does', () => {
		const adapted = spawnSync(caddy ?? '', ['adapt', '--adapter', 'caddyfile', '--config', path.join(DOCKER, 'Caddyfile')], { encoding: 'utf8' }).stdout;
		expect(adapted).toMatch(/"path":\["\/metrics"\]/);
		expect(adapted).toContain('"keep_alive":{"idle_timeout":60000000000');
	});
});

describe('its TURN server', () => {
	const conf = Object.fromEntries(read('coturn.conf').split('\n').filter((line) => /^[a-z]/.test(line)).map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string | undefined]));

	it('relays to this server and to nothing else, for holders of credentials', () => {
		expect(read('coturn.conf')).toMatch(/^denied-peer-ip=0\.0\.0\.0-255\.255\.255\.255$/m);
		expect(read('coturn.conf')).toMatch(/^denied-peer-ip=::-ffff/m);
		expect(conf).toHaveProperty('use-auth-secret');
		expect(conf).toHaveProperty('no-cli');
		expect(services['turn']?.entrypoint?.at(-1)).toContain('allowed-peer-ip=%s');
	});

	it('uses ports that nothing else here has, and that the firewall table names', () => {
		const { sfu } = configOf({});
		expect(Number(conf['min-port'])).toBeGreaterThan(Math.max(sfu.linkPortMax, sfu.mediaPort + 300));
		expect(read('OPERATIONS.md')).toContain(`${conf['listening-port']} UDP and TCP, ${conf['min-port']}–${conf['max-port']} UDP`);
		expect(filled['ROSTRUM_TURN_URLS']).toContain(`:${conf['listening-port']}?`);
	});
});

describe('OPERATIONS.md', () => {
	const text = read('OPERATIONS.md');

	it('names settings, files and scripts that exist', () => {
		const known = new Set([...configLeaves.map(({ env }) => env), 'ROSTRUM_CONFIG']);
		expect([...text.matchAll(/ROSTRUM_[A-Z_]+/g)].map(([name]) => name).filter((name) => !known.has(name))).toEqual([]);
		const files = [...text.matchAll(/`((?:kubernetes|prometheus|grafana|compose|Caddyfile|rostrum(?=[.-]))[\w./-]*\.?\w*)`/g)].map(([, file = '']) => file);
		expect(files.length).toBeGreaterThan(6);
		expect(files.filter((file) => !existsSync(path.join(DOCKER, file)))).toEqual([]);
		for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)\)/g)) expect(existsSync(path.join(DOCKER, target)), target).toBe(true);
		const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
		for (const [, name = ''] of text.matchAll(/npm run (\w+)/g)) expect(scripts).toHaveProperty(name);
	});

	it('names the ports that the program has', () => {
		const { http, cluster, sfu } = configOf({});
		for (const port of [`| ${http.port} TCP |`, `| ${cluster.internalPort} TCP, ${sfu.linkPortMin}–${sfu.linkPortMax} UDP |`, `| ${sfu.mediaPort} and on`]) expect(text).toContain(port);
	});

	it('sizes machines by what was measured', () => {
		const figures = readFileSync(path.join(ROOT, 'tests/load/figures.md'), 'utf8');
		const usPerListener = Number(/Rostrum (\d+) µs a further listener-second/.exec(figures)?.[1]);
		// What heaps that have grown already need not take again is there for a first thousand or two: larger audiences need a little more.
		const kbPerListener = 110;
		for (const [, kb] of figures.matchAll(/\| \d+ \| 1 \| Rostrum \| 60 \| \d+ \| (\d+) \|/g)) expect(Number(kb)).toBeLessThanOrEqual(kbPerListener);
		expect(text).toContain(`${usPerListener} µs of processor time a listener-second; ${kbPerListener} KB`);
		const rows = [...text.matchAll(/^\| (\d+) \| (\d+) \| ([\d,]+) \| ([\d.]+) GB \| ([\d.]+) Gbit\/s \|$/gm)].map((row) => row.slice(1).map((cell) => Number(cell.replaceAll(',', ''))));
		expect(rows).toHaveLength(5);
		for (const [cores = 0, shards = 0, listeners = 0, memoryGb = 0, gbitPerSecond = 0] of rows) {
			expect(shards).toBe(loadConfig({ env: {}, cores, readFile: () => '' }).sfu.listenerShards);
			// Never more than was measured, and not much less.
			const holds = (shards * 0.7 * 1e6) / usPerListener;
			expect(listeners).toBeLessThanOrEqual(holds);
			expect(listeners).toBeGreaterThan(holds * 0.95);
			expect(memoryGb).toBeCloseTo((listeners * kbPerListener) / 1e6, 0);
			expect(gbitPerSecond).toBeCloseTo((listeners * 50) / 1e6, 2);
		}
		const machines = Number(/A million listeners are (\d+) machines of 16 cores/.exec(text)?.[1]);
		expect(machines).toBe(Math.ceil(1e6 / (rows.find(([cores]) => cores === 16)?.[2] ?? 1)));
	});
});

describe('the folder', () => {
	it('has nothing that its README does not name', () => {
		const named = read('README.md');
		const unnamed = globSync('*', { cwd: DOCKER }).filter((name) => !named.includes(name) && !name.endsWith('.env') && name !== 'README.md');
		expect(unnamed).toEqual([]);
	});
});
