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

	it('is built from all it copies, and from nothing else in a checkout: neither data nor secrets', () => {
		const ignore = readFileSync(path.join(ROOT, 'docker/Dockerfile.dockerignore'), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
		expect(ignore[0]).toBe('*');
		const kept = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
		const copied = lines('COPY').filter(([first]) => first !== '--from=build').flatMap((words) => words.slice(0, -1));
		expect(new Set(copied.map((name) => name.split('/')[0])).size).toBe(kept.length);
		expect(copied.filter((name) => !kept.includes(name.split('/')[0] ?? ''))).toEqual([]);
		expect(kept.filter((name) => /data|env|git|node_modules|cache|docker|tests/.test(name))).toEqual([]);
	});

	it('has the pages in it, made in its first stage, and leaves behind what only building needs', async () => {
		const [build = '', run = ''] = dockerfile.split(/^FROM .*$/m).slice(1);
		expect(build).toContain("import('./server/web/build.ts').then(({ buildAssets }) => buildAssets())");
		expect(await import('../../server/web/build.ts')).toHaveProperty('buildAssets', expect.any(Function));
		expect(build.indexOf('COPY server')).toBeLessThan(build.indexOf('buildAssets'));
		expect(run).not.toMatch(/^RUN .*(npm|g\+\+|make |-dev)/m);
		expect(run).toContain('COPY --from=build /rostrum ./');
		expect(lines('FROM').map(([image]) => image)).toEqual(['node:24-bookworm-slim', 'node:24-bookworm-slim']);
	});

	it('asks for its health at a path and a port that the program has', () => {
		expect(dockerfile).toMatch(/^HEALTHCHECK .*'\/healthz'/m);
		const { port } = loadConfig({ env: {}, cores: 2, readFile: () => '' }).http;
		expect(dockerfile).toContain(`ROSTRUM_HTTP_PORT ?? ${port}`);
		expect(lines('EXPOSE')).toEqual([[String(port)]]);
	});

	it('runs a program that exists, and not as root', () => {
		expect(existsSync(path.join(ROOT, 'server/main.ts'))).toBe(true);
		expect(dockerfile).toMatch(/^CMD \["node", "server\/main\.ts"\]$/m);
		expect(lines('USER')).toEqual([['node']]);
	});
});
