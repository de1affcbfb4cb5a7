import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fastify, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import en from '../../server/web/browser/i18n/en.ts';
import { type AssetManifest, buildAssets } from '../../server/web/build.ts';
import { registerPages } from '../../server/web/pages.ts';

const PAGES = ['/', '/r/some-room', '/r/some-room/stage', '/admin'] as const;

describe('the web build and its pages', () => {
	let outDir: string;
	let otherDir: string;
	let manifest: AssetManifest;
	let app: FastifyInstance;
	let nodes = ['https://node-2.example.org/radio'];
	beforeAll(async () => {
		outDir = mkdtempSync(path.join(tmpdir(), 'rostrum-web-'));
		otherDir = mkdtempSync(path.join(tmpdir(), 'rostrum-web-'));
		manifest = await buildAssets({ outDir });
		app = fastify();
		await registerPages(app, { outDir, title: 'Town <Radio>', connectOrigins: () => nodes });
		await app.ready();
	}, 60_000);
	afterAll(async () => {
		await app?.close();
		rmSync(outDir, { recursive: true, force: true });
		rmSync(otherDir, { recursive: true, force: true });
	});

	it('builds the same files from the same sources', async () => {
		expect(await buildAssets({ outDir: otherDir })).toEqual(manifest);
		const names = readdirSync(path.join(outDir, 'assets')).toSorted();
		expect(readdirSync(path.join(otherDir, 'assets')).toSorted()).toEqual(names);
		for (const name of names) {
			expect(readFileSync(path.join(otherDir, 'assets', name)).equals(readFileSync(path.join(outDir, 'assets', name))), name).toBe(true);
		}
	});

	it('builds once: a second start only reads what is there', async () => {
		const modified = () => readdirSync(outDir, { recursive: true }).map((name) => statSync(path.join(outDir, String(name))).mtimeMs);
		const before = modified();
		expect(await buildAssets({ outDir })).toEqual(manifest);
		expect(modified()).toEqual(before);
	});

	it('keeps the listen page small: under 31 KB gzipped, no mediasoup-client, few requests', () => {
		const { listen, stage } = manifest.pages;
		expect(listen.gzipBytes).toBeLessThan(31 * 1_024);
		expect(listen.imports.length).toBeLessThanOrEqual(3);
		const code = (assets: typeof listen) =>
			[assets.script, ...assets.imports].map((url) => readFileSync(path.join(outDir, url), 'utf8')).join('\n');
		expect(code(stage)).toContain('mediasoup');
		expect(code(listen)).not.toContain('mediasoup');
	});

	it('brings the stage to listeners in one file of its own, and everything else that can wait in one more', () => {
		const { listen, stage } = manifest.pages;
		const first = [listen.script, ...listen.imports];
		const scripts = manifest.files.filter((name) => name.endsWith('.js'));
		const code = (name: string) => readFileSync(path.join(outDir, 'assets', name), 'utf8');
		const [onStage, ...others] = scripts.filter((name) => name.startsWith('on-stage-'));
		expect(others).toEqual([]);
		expect(code(onStage ?? '')).toContain('mediasoup');
		expect(code(onStage ?? '')).not.toMatch(/from"|import"/);
		const laterOfListen = scripts.filter((name) => !first.includes(`/assets/${name}`) && code(name).includes(`./${onStage}`));
		// One for the listening page, and one for its small form that other sites embed.
		expect(laterOfListen.length).toBeGreaterThan(0);
		expect(laterOfListen.length).toBeLessThanOrEqual(2);
		for (const name of laterOfListen) expect([stage.script, ...stage.imports]).not.toContain(`/assets/${name}`);
		const texts = scripts.filter((name) => code(name).includes(en.raiseHandHelp));
		expect(texts.length).toBeGreaterThan(0);
		for (const name of texts) expect(first).not.toContain(`/assets/${name}`);
	});

	it('brings hls.js in one file of its own, which only those load who hear the overflow stream', () => {
		const { listen } = manifest.pages;
		const holdsHls = (name: string) => readFileSync(path.join(outDir, 'assets', name), 'utf8').includes('_HLS_msn');
		const [file, ...others] = manifest.files.filter((name) => name.endsWith('.js') && holdsHls(name));
		expect(others).toEqual([]);
		expect([listen.script, ...listen.imports]).not.toContain(`/assets/${file}`);
		expect(statSync(path.join(outDir, 'assets', `${file}.gz`)).size).toBeLessThan(125 * 1_024);
	});

	it('brings listeners the texts they may see, and not those of hosts', async () => {
		const { listen, stage } = manifest.pages;
		const codeOf = ({ script, imports }: typeof listen) => [script, ...imports].map((url) => readFileSync(path.join(outDir, url), 'utf8')).join('\n');
		for (const text of [en.listen, en.listenServerAway, en.roleCohost, en.stageEmpty]) expect(codeOf(listen)).toContain(text);
		for (const text of [en.inviteHelp, en.stageMoving, en.adminTokenHelp]) {
			expect(codeOf(stage)).toContain(text);
			expect(codeOf(listen)).not.toContain(text);
		}
	});

	it('puts every asset where the page asks for it, to be kept for good and compressed', async () => {
		for (const url of PAGES) {
			const { body } = await app.inject(url);
			const assets = [...body.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, asset]) => asset ?? '');
			expect(assets.length).toBeGreaterThanOrEqual(3);
			for (const asset of assets) {
				const response = await app.inject({ url: asset, headers: { 'accept-encoding': 'br' } });
				expect(response.statusCode, asset).toBe(200);
				expect(response.headers['cache-control']).toBe('public, max-age=31536000, immutable');
				expect(response.headers['content-encoding']).toBe('br');
			}
		}
	});

	it('gives one and the same listen page for every room, that caches may keep', async () => {
		const first = await app.inject('/r/some-room');
		const second = await app.inject({ url: '/r/quite-another', headers: { 'accept-language': 'ar', authorization: 'Bearer x' } });
		expect(second.body).toBe(first.body);
		expect(second.headers.etag).toBe(first.headers.etag);
		expect(first.headers['cache-control']).toMatch(/^public, max-age=\d+$/);
		expect(first.headers['set-cookie']).toBeUndefined();
		expect(first.headers.vary).toBeUndefined();
		const known = await app.inject({ url: '/r/third', headers: { 'if-none-match': String(first.headers.etag) } });
		expect(known.statusCode).toBe(304);
		expect(known.body).toBe('');
	});

	it.each(PAGES)('%s has a strict policy and nothing inline', async (url) => {
		const { body, headers, statusCode } = await app.inject(url);
		expect(statusCode).toBe(200);
		expect(headers['content-type']).toBe('text/html; charset=utf-8');
		const policy = new Map(String(headers['content-security-policy']).split('; ').map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]));
		expect(policy.get('default-src')).toBe("'none'");
		expect(policy.get('script-src')).toBe("'self'");
		expect(policy.get('style-src')).toBe("'self'");
		expect(policy.get('connect-src')).toBe("'self' https://node-2.example.org wss://node-2.example.org");
		expect(policy.get('frame-ancestors')).toBe("'none'");
		expect(headers['x-content-type-options']).toBe('nosniff');
		// Listeners may come on stage.
		expect(headers['permissions-policy']).toContain(url.startsWith('/r/') ? 'microphone=(self)' : 'microphone=()');
		expect(body).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
		expect(body.match(/https?:\/\//)).toBeNull();
		expect(body).toContain('<title>Town &lt;Radio&gt;</title>');
	});

	it('may connect to nodes that come later, also from a page that was cached', async () => {
		const before = await app.inject('/r/some-room');
		nodes = ['https://node-2.example.org', 'http://10.0.0.3:3000', 'not a url; script-src *'];
		const after = await app.inject({ url: '/r/some-room', headers: { 'if-none-match': String(before.headers.etag) } });
		expect(after.statusCode).toBe(200);
		expect(after.body).toBe(before.body);
		expect(String(after.headers['content-security-policy'])).toContain("connect-src 'self' https://node-2.example.org wss://node-2.example.org http://10.0.0.3:3000 ws://10.0.0.3:3000; base-uri");
	});

	it('is not found by search engines where only invited people belong', async () => {
		for (const url of PAGES) {
			const { body } = await app.inject(url);
			expect(body.includes('noindex'), url).toBe(url.endsWith('/stage') || url === '/admin');
		}
	});
});
