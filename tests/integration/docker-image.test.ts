// What the image is made of, as far as that can be seen without an engine: the files that the Dockerfile copies, and nothing else of a checkout,
// run by somebody who may write to nothing but the data.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const NOBODY = 65_534;
const MEDIA_PORT = 23_100;
const NODE = path.join(ROOT, 'node_modules/.bin/node');
const isRoot = process.getuid?.() === 0;

const dockerfile = readFileSync(path.join(ROOT, 'docker/Dockerfile'), 'utf8');
const copied = dockerfile.split('\n').filter((line) => line.startsWith('COPY ') && !line.includes('--from=')).flatMap((line) => line.split(' ').slice(1, -1));
const heldBack = readFileSync(path.join(ROOT, 'docker/Dockerfile.dockerignore'), 'utf8').split('\n').filter((line) => line.startsWith('**/')).map((line) => line.slice(3));

describe('the files of the image', () => {
	let image: string;
	let data: string;
	let url = '';
	let child: ReturnType<typeof spawn>;
	const said: string[] = [];

	beforeAll(async () => {
		const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-image-'));
		// Somebody else must be able to read it, as in the image.
		spawnSync('chmod', ['755', folder]);
		image = path.join(folder, 'rostrum');
		data = path.join(folder, 'data');
		mkdirSync(data, { mode: 0o700 });
		for (const name of copied) cpSync(path.join(ROOT, name), path.join(image, name), { recursive: true, filter: (file) => !heldBack.includes(path.basename(file)) });
		symlinkSync(path.join(ROOT, 'node_modules'), path.join(image, 'node_modules'));
		// What `node sfu/worker/ensure.mjs` leaves, where the worker is not in node_modules.
		if (existsSync(path.join(ROOT, '.cache/worker'))) {
			mkdirSync(path.join(image, '.cache'));
			symlinkSync(path.join(ROOT, '.cache/worker'), path.join(image, '.cache/worker'));
		}
		const [, build = ''] = /^RUN node -e "(import\('\.\/server\/web\/build\.ts'\)[^"]*)"/m.exec(dockerfile) ?? [];
		const built = spawnSync(NODE, ['-e', build], { cwd: image, encoding: 'utf8' });
		expect(built.stderr + built.stdout, 'the pages').not.toMatch(/error/i);
		expect(built.status).toBe(0);
		if (isRoot) chownSync(data, NOBODY, NOBODY);
		child = spawn(NODE, ['server/main.ts'], {
			cwd: image,
			stdio: ['ignore', 'pipe', 'pipe'],
			...(isRoot && { uid: NOBODY, gid: NOBODY }),
			env: {
				PATH: process.env['PATH'], NODE_ENV: 'production', ROSTRUM_DATA_DIR: data, ROSTRUM_HTTP_PORT: '0', ROSTRUM_MEDIA_PORT: String(MEDIA_PORT), ROSTRUM_SFU_LINK_PORT_MIN: String(MEDIA_PORT + 20),
				ROSTRUM_SFU_LINK_PORT_MAX: String(MEDIA_PORT + 40), ROSTRUM_LISTENER_SHARDS: '1', ROSTRUM_LOG_PRETTY: 'false', ROSTRUM_HTTP_EMBED_ORIGINS: 'https://example.org',
			},
		});
		url = await new Promise<string>((resolve, reject) => {
			for (const stream of [child.stdout, child.stderr]) {
				if (stream) {
					createInterface({ input: stream }).on('line', (line) => {
						said.push(line);
						const found = line.startsWith('{') && line.includes('"Rostrum is up"') ? (JSON.parse(line) as { url: string }).url : undefined;
						if (found !== undefined) resolve(found);
					});
				}
			}
			child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${said.join('\n')}`)));
		});
	});
	afterAll(async () => {
		if (child?.exitCode === null) {
			child.kill();
			await once(child, 'exit');
		}
		if (image) rmSync(path.dirname(image), { recursive: true, force: true });
	});

	it('are enough for every page and document, and for all that those ask for', async () => {
		const asked = new Set<string>();
		const fetched = async (target: string): Promise<string> => {
			const response = await fetch(new URL(target, url));
			asked.add(target);
			expect([target, response.status]).toEqual([target, 200]);
			return response.text();
		};
		const room = /\/r\/([a-z0-9-]+)/.exec(said.join(' '))?.[1] ?? 'demo';
		for (const page of ['/', `/r/${room}`, `/r/${room}/stage`, `/r/${room}/replay`, '/admin', `/embed/${room}`]) {
			const html = await fetched(page);
			const assets = [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css|svg|png|ico|woff2|webmanifest)[^"]*)"/g)].flatMap(([, asset = '']) => (asset === '' ? [] : [asset.replaceAll('&amp;', '&')]));
			expect(assets.length, page).toBeGreaterThan(0);
			for (const asset of assets) if (!asked.has(asset)) await fetched(asset);
		}
		const embed = await fetched('/embed.js');
		expect(embed.length).toBeGreaterThan(200);
		for (const document of ['/openapi.json', '/docs', '/healthz', '/readyz', '/metrics', '/docs/problems']) await fetched(document);
		// The picture of a shared link is drawn with fonts of a package, by a thread of its own.
		const card = /property="og:image" content="([^"]+)"/.exec(await fetched(`/r/${room}`))?.[1];
		const drawn = await fetch(new URL(new URL(card ?? 'no card', url).pathname, url));
		expect([drawn.status, drawn.headers.get('content-type')]).toEqual([200, 'image/png']);
	});

	it('are written to by nobody', () => {
		expect(existsSync(path.join(data, 'recordings')) || existsSync(path.join(data, 'audit'))).toBe(true);
		expect(said.filter((line) => /EACCES|EROFS|EPERM/.test(line))).toEqual([]);
		if (!isRoot) return; // Else it was run by whoever owns them.
		expect(spawnSync('find', [image, '-uid', String(NOBODY)], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' });
		expect(spawnSync('find', [data, '-uid', String(NOBODY), '-type', 'f'], { encoding: 'utf8' }).stdout).not.toBe('');
	});
});
