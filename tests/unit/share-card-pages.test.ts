import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fastify, type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Room } from '../../server/rooms/room.ts';
import { registerPages } from '../../server/web/pages.ts';
import { linkPreviews } from '../../server/web/share/link-preview.ts';
import { aRoom } from '../support/rooms.ts';

/** Attribute → content of every tag that previews read. */
const metaOf = (body: string) => new Map([...body.matchAll(/<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)">/g)].map(([, name = '', content = '']) => [name, content]));

describe('a shared link to a listening page', () => {
	const rooms = new Map<string, Room>();
	let outDir: string;
	let app: FastifyInstance;
	beforeAll(async () => {
		outDir = mkdtempSync(path.join(tmpdir(), 'rostrum-share-'));
		app = fastify();
		await registerPages(app, { outDir, title: 'Town <Radio>', linkPreview: linkPreviews({ rooms, publicUrl: () => 'https://rooms.example.org' }) });
		await app.ready();
	}, 60_000);
	afterAll(async () => {
		await app?.close();
		rmSync(outDir, { recursive: true, force: true });
	});
	beforeEach(() => {
		rooms.clear();
		rooms.set('launch', aRoom({ title: 'Launch', version: 3 }));
		rooms.set('secret', aRoom({ id: 'secret', title: 'Top secret', description: 'Not for you', visibility: 'private' }));
	});
	const get = (room: string, headers: Record<string, string> = {}) => app.inject({ url: `/r/${room}`, headers });

	it('shows title, description and card of a public room', async () => {
		const { body } = await get('launch');
		expect(Object.fromEntries(metaOf(body))).toMatchObject({
			'og:site_name': 'Town &lt;Radio&gt;', 'og:title': 'Launch', 'og:type': 'website', 'og:url': 'https://rooms.example.org/r/launch',
			'og:image': 'https://rooms.example.org/v1/rooms/launch/card.png?v=3', 'twitter:card': 'summary_large_image',
		});
		expect(body.match(/og:title/g)).toHaveLength(1);
		expect(body.endsWith('</html>\n')).toBe(true);
		expect(body).toContain('<meta name="twitter:card"');
	});

	it('says of a private room no more than of one that does not exist: the same bytes', async () => {
		const [secret, nowhere] = [await get('secret'), await get('nowhere')];
		expect(secret.body).toBe(nowhere.body);
		expect(secret.headers.etag).toBe(nowhere.headers.etag);
		expect(secret.body).not.toMatch(/secret|Not for you/i);
	});

	it('is the same document for everybody, which caches keep until the room changes', async () => {
		const first = await get('launch');
		const again = await get('launch', { authorization: 'Bearer x', 'accept-language': 'ar', cookie: 'a=b' });
		expect(again.body).toBe(first.body);
		expect(first.headers['cache-control']).toBe('public, max-age=60');
		expect([first.headers.vary, first.headers['set-cookie']]).toEqual([undefined, undefined]);
		const known = { 'if-none-match': String(first.headers.etag) };
		expect((await get('launch', known)).statusCode).toBe(304);
		rooms.set('launch', aRoom({ title: 'Renamed', version: 4 }));
		const changed = await get('launch', known);
		expect(changed.statusCode).toBe(200);
		expect(metaOf(changed.body).get('og:title')).toBe('Renamed');
		rooms.set('launch', aRoom({ title: 'Renamed', version: 5, visibility: 'private' }));
		expect((await get('launch')).body).toBe((await get('nowhere')).body);
	});

	it('lets no title break out of its tag, and adds little', async () => {
		const title = '"><script src=//evil.example/x.js></script><meta http-equiv="refresh" content="0;url=//evil.example">';
		rooms.set('launch', aRoom({ title, description: `${'&<>"\''.repeat(900)}$1$&` }));
		const [hostile, plain] = [await get('launch'), await get('nowhere')];
		const tags = (body: string) => body.match(/<[a-z!/][^>]*>/gi)?.map((tag) => tag.split(/[\s>]/)[0]).filter((tag) => tag !== '<meta');
		expect(tags(hostile.body)).toEqual(tags(plain.body));
		expect(hostile.body).not.toMatch(/<meta http-equiv|<script src=\/\/evil/);
		expect(hostile.body.length - plain.body.length).toBeLessThan(4_000);
		expect(hostile.headers['content-security-policy']).toBe(plain.headers['content-security-policy']);
	});

	it('concerns the listening page alone', async () => {
		for (const url of ['/', '/r/launch/stage', '/admin']) {
			expect((await app.inject(url)).body, url).not.toContain('og:image');
		}
	});
});
