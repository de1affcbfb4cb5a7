import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { configLeaves } from '../../config/leaves.ts';
import { loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { readmeCommands } from '../support/readme-commands.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const README = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const SECRET = '0123456789abcdef'.repeat(4);
const output = (command: string) => (command === 'openssl rand -hex 32' ? SECRET : command);
const known = new Set(configLeaves.map(({ env }) => env));

const configOf = (env: Record<string, string>) => loadConfig({ env, cores: 4, readFile: () => '' });
const portsOf = ({ http, cluster, sfu }: Config): [number, number][] => [
	[http.port, http.port],
	[cluster.internalPort, cluster.internalPort],
	[sfu.mediaPort, sfu.mediaPort + sfu.stageShards + sfu.listenerShards - 1],
	[sfu.linkPortMin, sfu.linkPortMax],
];

describe('the commands for two nodes on one machine', () => {
	const commands = readmeCommands(README, 'Two nodes on one machine', { output });
	const nodes = commands.filter(({ argv }) => argv[0] === 'npm');

	it('prepare once, in the foreground, and then start Redis and two nodes', () => {
		expect(commands.map(({ argv, background }) => [argv.slice(0, 2).join(' '), background])).toEqual([
			// Two first starts at once would install into the same folder.
			['node config/setup/dependencies.mjs', false], ['node sfu/worker/ensure.mjs', false], ['mkdir -p', false], ['redis-server --port', true], ['npm start', true], ['npm start', true],
		]);
		const scripts = (JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts;
		expect(scripts['start']).toMatch(/^node config\/setup\/dependencies\.mjs && node sfu\/worker\/ensure\.mjs && .* server\/main\.ts$/);
	});

	it('give them settings that the program takes, and the Redis that was started', () => {
		const [redis] = commands.filter(({ argv }) => argv[0] === 'redis-server');
		const port = redis?.argv[redis.argv.indexOf('--port') + 1];
		for (const { env } of nodes) {
			expect(configOf(env)).toMatchObject({ redis: { url: `redis://127.0.0.1:${port}/0` }, cluster: { secret: SECRET }, admin: { token: SECRET } });
			expect(Object.keys(env).filter((name) => !known.has(name))).toEqual([]);
		}
	});

	it('make them two: names, folders and ports apart', () => {
		const configs = nodes.map(({ env }) => configOf(env));
		expect(new Set(configs.map(({ nodeId }) => nodeId)).size).toBe(2);
		expect(new Set(configs.map(({ dataDir }) => dataDir)).size).toBe(2);
		const taken = configs.flatMap(portsOf).toSorted(([a], [b]) => a - b);
		expect(taken.slice(1).filter(([first], index) => first <= (taken[index]?.[1] ?? 0))).toEqual([]);
	});

	it('are found again by whoever mistypes one', () => {
		expect(() => configOf({ ...nodes[0]?.env, ROSTRUM_NODEID: 'node-a' })).toThrow('ROSTRUM_NODE_ID');
	});
});

describe('the commands for several hosts', () => {
	it('give each a configuration that the program takes', () => {
		const commands = readmeCommands(README, 'Several hosts', { output, env: { SECRET, PASSWORD: SECRET, TOKEN: SECRET, ROSTRUM_ADMIN_TOKEN: SECRET } });
		const [node, ...others] = commands.filter(({ argv }) => argv[0] === 'npm');
		expect(others).toEqual([]);
		expect(configOf(node?.env ?? {})).toMatchObject({ nodeId: 'node-a', redis: { url: expect.stringContaining(SECRET) as string }, sfu: { mediaAddress: 'auto' } });
	});
});

describe('reading commands', () => {
	const read = (...lines: string[]) => readmeCommands(['# A', '```sh', ...lines, '```'].join('\n'), 'A', { output, env: { OUT: 'side' } });

	it.each([
		['npm start', { env: {}, argv: ['npm', 'start'], background: false }],
		['A=1 B="2 3" run \'x y\' z # comment', { env: { A: '1', B: '2 3' }, argv: ['run', 'x y', 'z'], background: false }],
		['A=$(openssl rand -hex 32) run "in $OUT" $OUT/${OUT} a#b &', { env: { A: SECRET }, argv: ['run', 'in side', 'side/side', 'a#b'], background: true }],
		["run '$OUT' '&'", { env: {}, argv: ['run', '$OUT', '&'], background: false }],
	])('%s', (line, expected) => {
		expect(read(line)).toEqual([{ line, ...expected }]);
	});

	it('carries exported variables on, and those in front of a command no further', () => {
		const [first, second] = read('export A=1', 'export B=$A$A C=3', 'D=4 one', 'two \\', '  more');
		expect(first?.env).toEqual({ A: '1', B: '11', C: '3', D: '4' });
		expect(second).toEqual({ line: 'two more', env: { A: '1', B: '11', C: '3' }, argv: ['two', 'more'], background: false });
	});

	it('takes the blocks of its section alone', () => {
		const text = ['# A', '```sh', 'one', '```', '## A.1', '```ts', 'no()', '```', '```sh', '# Not a heading', 'two', '```', '# B', '```sh', 'three', '```'].join('\n');
		expect(readmeCommands(text, 'A').map(({ line }) => line)).toEqual(['one', 'two']);
		expect(() => readmeCommands(text, 'C')).toThrow('no heading "C"');
	});

	it.each(['one | two', 'one && two', 'one; two', 'one > file', 'one & two', 'echo "open', 'echo $UNSET', 'export lonely'])('refuses what it would get wrong: %s', (line) => {
		expect(() => read(line)).toThrow('not understood');
	});
});
