// The small player in other people's pages: it plays where the operator lets it, and nowhere else.
import type { Browser, Frame, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { HostSite } from '../support/browser/host-site.ts';
import { person } from '../support/browser/people.ts';
import { toneRoom } from '../support/browser/tone-room.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';

describe('the small player', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let speaker: RtcSpeaker;
	let friend: HostSite;
	let stranger: HostSite;

	beforeAll(async () => {
		[friend, stranger] = await Promise.all([HostSite.open(), HostSite.open()]);
		[server, browser] = await Promise.all([
			RostrumProcess.start({ mediaPort: 27_900, env: { ROSTRUM_HTTP_EMBED_ORIGINS: friend.origin, ROSTRUM_ROOMS_DEMO: 'false' } }),
			launchChromium(),
		]);
		speaker = await toneRoom(server, 'hall', 'The announcement');
		for (const { pages } of [friend, stranger]) {
			pages.set('/script', `<script src="${server.url}/embed.js" data-room="hall" data-title="The announcement" async></script>`);
			pages.set('/frame', `<iframe src="${server.url}/embed/hall" title="The announcement" allow="autoplay" width="480" height="340"></iframe>`);
			pages.set('/whole', `<iframe src="${server.url}/r/hall" title="The announcement"></iframe>`);
		}
	});
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
		friend?.close();
		stranger?.close();
	});

	/** The frame, once something is in it: the player, or the browser's word that it may not be. */
	async function frameOf(page: Page, address: string): Promise<Frame> {
		await page.goto(address);
		const element = await page.waitForSelector('iframe');
		const frame = await element.contentFrame();
		if (frame === null) throw new Error('the frame has no document');
		await frame.waitForLoadState('load');
		return frame;
	}

	it.each(['/script', '/frame'])('plays on a page of the list, put there by %s', async (path) => {
		const page = await person(browser);
		const frame = await frameOf(page, friend.origin + path);
		expect(new URL(page.url()).origin).not.toBe(new URL(server.url).origin);
		await frame.getByRole('heading', { name: 'The announcement' }).waitFor();
		await frame.getByRole('button', { name: 'Listen', exact: true }).click();
		await frame.locator('[data-state=playing]').waitFor({ timeout: 30_000 });
		await frame.waitForFunction(async () => {
			const [peer] = (globalThis as unknown as { rostrumPeers: { getStats(): Promise<Iterable<[string, { type: string; packetsReceived?: number }]>> }[] }).rostrumPeers;
			for (const [, stats] of (await peer?.getStats()) ?? []) if (stats.type === 'inbound-rtp' && (stats.packetsReceived ?? 0) > 20) return true;
			return false;
		});
		await frame.getByRole('button', { name: 'Stop' }).click();
		await frame.locator('[data-state=idle]').waitFor();
		expect(await frame.getByRole('link', { name: 'Open the room' }).getAttribute('href')).toBe('/r/hall');
		await page.context().close();
	});

	it.each(['/script', '/frame'])('is refused to a page that is not on the list, put there by %s', async (path) => {
		const page = await person(browser);
		const complaint = page.waitForEvent('console', { predicate: (message) => message.text().includes('frame-ancestors') });
		const frame = await frameOf(page, stranger.origin + path);
		await complaint;
		expect(await frame.getByRole('button').count()).toBe(0);
		expect(frame.url()).toMatch(/^chrome-error:/);
		await page.context().close();
	});

	it('is passed on by hosts: their page has the code to copy, and it plays where it is put; a private room has none', async () => {
		const page = await person(browser, { permissions: ['clipboard-read', 'clipboard-write'] });
		const goOnStage = async (room: string) => {
			await page.goto((await server.token(room, 'host', 'Hana')).url);
			await page.getByRole('button', { name: 'Join without a microphone' }).click();
			await page.getByRole('heading', { name: 'Run the room' }).waitFor();
		};
		await goOnStage('hall');
		const field = page.locator('label', { hasText: 'Put the player on your page' });
		await field.getByRole('button', { name: 'Copy' }).click();
		await field.getByRole('button', { name: 'Copied' }).waitFor();
		const code = await page.evaluate(() => navigator.clipboard.readText());
		expect(code).toBe(`<script src="${server.url}/embed.js" data-room="hall" async></script>`);
		expect(await page.getByLabel('Link for listeners').inputValue()).toBe(`${server.url}/r/hall`);
		friend.pages.set('/code', code);
		await (await frameOf(page, `${friend.origin}/code`)).getByRole('heading', { name: 'The announcement' }).waitFor();

		await server.room({ id: 'closed', visibility: 'private' });
		const asked = page.waitForResponse((response) => response.url().endsWith('/v1/rooms/closed'));
		await goOnStage('closed');
		await (await asked).finished();
		await page.getByLabel('Name').waitFor();
		expect(await page.getByLabel(/Link for listeners|Put the player/).count()).toBe(0);
		await page.context().close();
	});

	it('is all that may be framed: the whole page is refused even to a page of the list', async () => {
		const page = await person(browser);
		const frame = await frameOf(page, `${friend.origin}/whole`);
		await page.waitForFunction(() => document.readyState === 'complete');
		expect(await frame.getByRole('button').count()).toBe(0);
		expect(frame.url()).toMatch(/^chrome-error:/);
		await page.context().close();
	});

	it('says in its policy who may frame it, and that of nobody for all other pages', async () => {
		const policyOf = async (path: string) => (await fetch(server.url + path)).headers.get('content-security-policy') ?? '';
		expect(await policyOf('/embed/hall')).toContain(`frame-ancestors 'self' ${friend.origin};`);
		for (const path of ['/', '/r/hall', '/r/hall/stage', '/admin']) expect(await policyOf(path)).toContain("frame-ancestors 'none';");
		const script = await fetch(`${server.url}/embed.js`);
		expect([script.status, script.headers.get('content-type'), script.headers.get('cross-origin-resource-policy')]).toEqual([200, 'text/javascript; charset=utf-8', 'cross-origin']);
		expect((await fetch(`${server.url}/embed.js`, { headers: { 'if-none-match': script.headers.get('etag') ?? '' } })).status).toBe(304);
	});
});
