import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
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

describe('the image', () => {
	/** Whether a file of a checkout is in it: copied, and not held back. */
	const copied = lines('COPY').filter(([first]) => first !== '--from=build').flatMap((words) => words.slice(0, -1));
	const heldBack = readFileSync(path.join(ROOT, 'docker/Dockerfile.dockerignore'), 'utf8').split('\n').filter((line) => line.startsWith('**/')).map((line) => line.slice(3));
	const isInImage = (file: string) => copied.some((name) => file === name || file.startsWith(`${name}/`)) && !heldBack.includes(path.basename(file));
	/** Comments may name whatever they like. */
	const codeOf = (file: string) => readFileSync(path.join(ROOT, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
	const IMPORT = /(?:^|[\s;}])(?:import|export)\s+(?:type\s)?[^'"`;]*?from\s*'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)|import\.meta\.resolve\([`']([^`']+)/gm;
	const FILE = /new URL\(\s*[`']([^`']+)[`'],\s*import\.meta\.url\)|path\.(?:join|resolve)\(import\.meta\.dirname,\s*[`']([^`']+)[`']/g;
	/** Made while the image is built, or where the program runs. */
	const isMade = (file: string) => file.startsWith('.cache/');

	/** Modules that the pages' builder makes up. */
	const isVirtual = (name: string) => /^[a-z-]+:/.test(name);

	/** What is imported, started or read from there on, by code; paths below the root, and packages. */
	function reachedFrom(entry: string): { files: Set<string>; packages: Map<string, string> } {
		const files = new Set<string>();
		const packages = new Map<string, string>();
		const look = (file: string): void => {
			// The root itself is there.
			if (files.has(file) || isMade(file) || file === '') return;
			files.add(file);
			if (!/\.(ts|mjs|js)$/.test(file) || !existsSync(path.join(ROOT, file))) return;
			const code = codeOf(file);
			const relative = (name: string) => path.relative(ROOT, path.resolve(ROOT, path.dirname(file), name));
			for (const match of code.matchAll(IMPORT)) {
				const name = match.slice(1).find((each) => each !== undefined) ?? '';
				if (name.startsWith('.')) look(relative(name));
				else if (!isBuiltin(name) && !isVirtual(name)) packages.set(name.split('/').slice(0, name.startsWith('@') ? 2 : 1).join('/'), file);
			}
			for (const match of code.matchAll(FILE)) {
				const name = match[1] ?? match[2] ?? '';
				// Which one is known when it runs: then it is the folder that must be there.
				look(relative(name.includes('${') ? path.dirname(name) : name));
			}
		};
		look(entry);
		return { files, packages };
	}

	const { files, packages } = reachedFrom('server/main.ts');

	it('has every module that the server imports or starts, and every file that it opens beside them', () => {
		expect(files.size).toBeGreaterThan(200);
		// If the scan were blind it would not know of these.
		for (const file of ['server/web/embed.js', 'sfu/shard/main.ts', 'server/web/share/card-worker.ts', 'package.json', 'server/cluster/lease/lua/renew-3.lua', 'server/rooms/store/lua']) expect([...files]).toContain(file);
		expect([...files].filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
		expect([...files].filter((file) => !isInImage(file))).toEqual([]);
	});

	it('has whatever those folders hold that is not code', () => {
		const all = ['server', 'sfu', 'auth', 'config'].flatMap((folder) => readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => path.join(folder, name)));
		const missing = all.filter((file) => statSync(path.join(ROOT, file)).isFile() && !isInImage(file));
		expect(missing.filter((file) => path.basename(file) !== 'README.md')).toEqual([]);
	});

	it('has the packages that those import, which are not such as only tests need', () => {
		const { dependencies } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
		expect(packages.size).toBeGreaterThan(15);
		expect([...packages].filter(([name]) => !(name in dependencies))).toEqual([]);
	});
});
