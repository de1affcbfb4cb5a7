// The admin console as an operator uses it on the day: a room, links, a drain that nobody hears, new keys.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureAudible, startMeasuring, stopMeasuring } from '../support/browser/audible.ts';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { listenTo, person } from '../support/browser/people.ts';
import { hearsSound } from '../support/browser/probe.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';

/** Pictures for people to look at; the folder is not committed. */
const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');
const PACKET_MS = 60;
const LISTENERS = 3;

interface NodeAnswer {
	nodes: { id: string; shards: { index: number; role: string; listeners: number }[] }[];
}

describe('the admin console', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let page: Page;
	let speaker: RtcSpeaker | undefined;
	const errors: string[] = [];

	beforeAll(async () => {
		mkdirSync(PICTURES, { recursive: true });
		[server, browser] = await Promise.all([RostrumProcess.start({ mediaPort: 26_900 }), launchChromium()]);
		page = await person(browser);
		page.on('pageerror', (error) => errors.push(error.message));
		await page.goto(`${server.url}/admin`);
	}, 120_000);
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
	});

	const go = (section: string) => page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: section }).click();
	const confirm = (words: string) => page.getByRole('dialog').getByRole('button', { name: words }).click();
	const shardsWithListeners = async () => {
		const { nodes } = await server.json<NodeAnswer>('GET', '/v1/admin/nodes');
		return (nodes[0]?.shards ?? []).filter(({ role }) => role === 'listener');
	};

	it('lets nobody in with a wrong token, and whoever has the right one', async () => {
		await page.getByLabel('Admin token').fill('not-the-token');
		await page.getByRole('button', { name: 'Sign in' }).click();
		await page.getByText('This token does not give the right to administer.').waitFor();
		await page.getByLabel('Admin token').fill(ADMIN_TOKEN);
		await page.getByRole('button', { name: 'Sign in' }).click();
		await page.getByRole('heading', { name: 'Rooms', exact: true }).waitFor();
	});

	it('makes a room, opens its doors and brings it on air', async () => {
		await page.getByLabel('Title').fill('Town hall');
		await page.getByLabel('Address (optional)').fill('town-hall');
		await page.getByRole('button', { name: 'Make room' }).click();
		await page.getByRole('heading', { name: 'Town hall' }).waitFor();
		expect(new URL(page.url()).hash).toBe('#rooms/town-hall');
		await page.getByRole('button', { name: 'Open the doors' }).click();
		await page.getByRole('button', { name: 'Go live' }).click();
		await page.locator('.admin-head .chip-live').waitFor();
		expect((await server.json<{ state: string }>('GET', '/v1/rooms/town-hall')).state).toBe('live');
	});

	it('changes what was changed in the form, and leaves alone what somebody else changed meanwhile', async () => {
		const form = page.locator('form', { has: page.getByRole('heading', { name: 'Settings' }) });
		await form.getByLabel('Description (optional)').fill('What we plan for the town');
		await server.json('PATCH', '/v1/rooms/town-hall', { packingMs: PACKET_MS, expectedListeners: 500 });
		await form.getByRole('button', { name: 'Save' }).click();
		await page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor({ state: 'attached' });
		expect(await server.json('GET', '/v1/rooms/town-hall')).toMatchObject({ description: 'What we plan for the town', packingMs: PACKET_MS, expectedListeners: 500 });
		await expect.poll(() => form.getByLabel('Expected listeners (optional)').inputValue()).toBe('500');
	});

	it('makes a personal link that lets one person speak', async () => {
		const links = page.locator('section', { has: page.getByRole('heading', { name: 'Links', exact: true }) });
		await links.getByLabel('Name').fill('Tone');
		await links.getByLabel('Role').selectOption('speaker');
		await links.getByRole('button', { name: 'Make link' }).click();
		const link = await links.getByLabel('Link for \u2068Tone\u2069 (\u2068Speaker\u2069)').inputValue();
		const token = new URLSearchParams(new URL(link).hash.slice(1)).get('token') ?? '';
		speaker = await RtcSpeaker.publish(async (offer) => {
			const response = await fetch(new URL('/v1/rooms/town-hall/publish', server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
			return response.text();
		});
		speaker.talk(await tone(440, 5));
		// Nobody reloads: the page sees who has come.
		await page.locator('section', { has: page.getByRole('heading', { name: 'On stage' }) }).getByText('Tone').waitFor();
	});

	it('drains a shard with listeners on it, and none of them hears a gap; then calls it off', async () => {
		const ears: Page[] = [];
		for (let count = 0; count < LISTENERS; count++) {
			// The page's policy allows no worklet of the test's own.
			const ear = await person(browser, { bypassCSP: true });
			await measureAudible(ear);
			await listenTo(ear, `${server.url}/r/town-hall`);
			await hearsSound(ear);
			ears.push(ear);
		}
		await expect.poll(async () => (await shardsWithListeners()).reduce((sum, { listeners }) => sum + listeners, 0)).toBe(LISTENERS);
		const fullest = (await shardsWithListeners()).toSorted((a, b) => b.listeners - a.listeners)[0];
		const index = fullest?.index ?? 0;
		expect(fullest?.listeners).toBeGreaterThan(0);
		await Promise.all(ears.map(startMeasuring));

		await go('Nodes');
		const card = page.locator(`[data-shard="${index}"]`);
		await card.getByRole('button', { name: /^Drain/ }).click();
		await confirm('Yes, drain it');
		await card.locator('[data-drain=drained]').waitFor({ timeout: 60_000 });
		expect((await shardsWithListeners()).find((shard) => shard.index === index)?.listeners).toBe(0);
		expect((await shardsWithListeners()).reduce((sum, { listeners }) => sum + listeners, 0)).toBe(LISTENERS);

		const reports = await Promise.all(ears.map(stopMeasuring));
		console.log('heard during the drain:', JSON.stringify(reports));
		expect(reports.reduce((sum, { beginnings }) => sum + beginnings, 0)).toBe(fullest?.listeners);
		for (const { longestGapMs, measuredMs, coldBeginnings } of reports) {
			expect(measuredMs).toBeGreaterThan(500);
			expect(longestGapMs).toBeLessThan(PACKET_MS);
			expect(coldBeginnings).toBe(0);
		}
		await card.getByRole('button', { name: /^Undrain/ }).click();
		await card.getByRole('button', { name: /^Drain/ }).waitFor();
	});

	it('draws where the sound goes, as a tree that keys walk through', async () => {
		await page.evaluate(() => {
			location.hash = '#rooms/town-hall';
		});
		const tree = page.getByRole('tree', { name: 'Links of this room' });
		await tree.getByRole('treeitem').nth(1).waitFor();
		// Edges that hang on nothing are in the list, and not in the drawing.
		const [drawn, listed] = await page.evaluate(() => ['.tree-link', '[role=tree] [aria-level="2"]'].map((each) => document.querySelectorAll(each).length));
		expect(drawn, await tree.innerHTML()).toBeGreaterThan(0);
		expect(drawn, await tree.innerHTML()).toBe(listed);
		await tree.getByRole('treeitem').first().focus();
		await page.keyboard.press('ArrowDown');
		expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-level'))).toBe('2');
		await page.keyboard.press('ArrowLeft');
		expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.outerHTML)).toContain('Origin');
	});

	it('makes a new signing key, and links that are out stay good', async () => {
		const { token } = await server.token('town-hall', 'host', 'Hana');
		await go('Keys and tokens');
		await page.locator('[data-keys]').waitFor();
		const before = Number(await page.locator('[data-keys]').getAttribute('data-keys'));
		await page.getByRole('button', { name: 'Make a new key' }).click();
		await confirm('Yes, make one');
		await page.locator(`[data-keys="${before + 1}"]`).waitFor();
		expect((await server.call('GET', '/v1/rooms/town-hall', undefined, token)).status).toBe(200);
	});

	it('asks for nothing while it cannot be seen', async () => {
		await go('Nodes');
		await page.locator('[data-node]').waitFor();
		await page.evaluate(() => {
			Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'hidden' });
			document.dispatchEvent(new Event('visibilitychange'));
		});
		let asked = 0;
		page.on('request', (request) => (asked += Number(request.url().includes('/v1/'))));
		await page.waitForTimeout(2_500);
		// One may have been under way.
		expect(asked).toBeLessThanOrEqual(1);
		const again = page.waitForResponse((response) => response.url().endsWith('/v1/admin/nodes'));
		await page.evaluate(() => {
			Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => 'visible' });
			document.dispatchEvent(new Event('visibilitychange'));
		});
		await again;
	});

	const looks = VIEWS.flatMap((view) => LANGUAGES.map((language) => ({ view, language })));
	it.each(looks)('is whole on $view.name in $language', async ({ view, language }) => {
		const visitor = await person(browser, { viewport: view.viewport, isMobile: view.isMobile, deviceScaleFactor: view.deviceScaleFactor, locale: language === 'ar' ? 'ar-EG' : 'en-GB' });
		visitor.on('pageerror', (error) => errors.push(error.message));
		await visitor.goto(`${server.url}/admin#token=${ADMIN_TOKEN}`);
		await visitor.locator('.admin-nav').waitFor();
		for (const [section, there] of [
			['rooms', '.admin-room'],
			['rooms/town-hall', '.admin-tree-drawing'],
			['nodes', '[data-node]'],
			['access', '[data-keys]'],
			['webhooks', '#webhooks-heading'],
			['audit', '#audit-heading'],
			['reports', '#reports-heading'],
		] as const) {
			await visitor.evaluate((hash) => {
				location.hash = hash;
			}, section);
			await visitor.locator(there).first().waitFor();
			await visitor.screenshot({ path: path.join(PICTURES, `admin-${section.replace('/', '-')}-${view.name}-${language}.png`), fullPage: true });
			const { lang, direction, sideways } = await visitor.evaluate(() => ({
				lang: document.documentElement.lang,
				direction: document.documentElement.dir,
				sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
			}));
			expect([lang, direction], section).toEqual([language, language === 'ar' ? 'rtl' : 'ltr']);
			expect(sideways, `${section} sticks out`).toBeLessThanOrEqual(1);
		}
		await visitor.context().close();
	});

	it('made no errors', () => expect(errors).toEqual([]));
});
