import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const dockerfile = readFileSync(path.join(ROOT, 'docker/Dockerfile'), 'utf8');
const lines = (instruction: string) => dockerfile.split('\n').filter((line) => line.startsWith(`${instruction} `)).map((line) => line.slice(instruction.length + 1).split(' '));

describe('the Dockerfile', () => {
	it('copies what exists', () => {
		const copied = lines('COPY').filter(([first]) => first !== '--from=build').flatMap((words) => words.slice(0, -1));
		expect(copied.length).toBeGreaterThan(5);
		expect(copied.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([]);
	});

	it('sets variables that the configuration takes', () => {
		const env = Object.fromEntries(lines('ENV').flat().map((setting) => setting.split('=') as [string, string]));
		expect(loadConfig({ env, cores: 2, readFile: () => '' })).toMatchObject({ dataDir: '/data', http: { host: '0.0.0.0' }, sfu: { mediaAddress: 'auto' } });
	});

	it('runs a program that exists, and not as root', () => {
		expect(existsSync(path.join(ROOT, 'server/main.ts'))).toBe(true);
		expect(dockerfile).toMatch(/^CMD \["node", "server\/main\.ts"\]$/m);
		expect(lines('USER')).toEqual([['node']]);
	});
});
