// The admin console as an operator uses it on the day: a room, links, a drain that nobody hears, new keys.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import ar from '../../server/web/browser/i18n/ar.ts';
import en from '../../server/web/browser/i18n/en.ts';
import { measureAudible, NO_STALL_MS, startMeasuring, stopMeasuring, tolerableGapMs } from '../support/browser/audible.ts';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { listenTo, person } from '../support/browser/people.ts';
import { hearsSound } from '../support/browser/probe.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { RtcSpeaker } from '../support/rtc/speaker.ts';
import { tone } from '../support/speech/speech.ts';
import { isSigned, Receiver } from '../support/webhooks/receiver.ts';

/** Pictures for people to look at; the folder is not committed. */
const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');
const PACKET_MS = 60;
const LISTENERS = 3;
const LOADING = { en: en.loading, ar: ar.loading };

interface NodeAnswer {
	nodes: { id: string; shards: { index: number; role: string; listeners: number }[] }[];
}

describe('the admin console', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let page: Page;
	let receiver: Receiver;
	let speaker: RtcSpeaker | undefined;
	const errors: string[] = [];

	beforeAll(async () => {
		mkdirSync(PICTURES, { recursive: true });
		[server, browser, receiver] = await Promise.all([RostrumProcess.start({ mediaPort: 26_900, env: { ROSTRUM_WEBHOOKS_ALLOW_PRIVATE_ADDRESSES: 'true' } }), launchChromium(), Receiver.start()]);
		page = await person(browser);
		page.on('pageerror', (error) => errors.push(error.message));
		await page.goto(`${server.url}/admin`);
	}, 120_000);
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
		await receiver?.stop();
	});

	const go = (section: string) => page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name: section }).click();
	const confirm = (words: string) => page.getByRole('dialog').getByRole('button', { name: words }).click();
	const publishAs = (token: string) =>
		RtcSpeaker.publish(async (offer) => {
			const response = await fetch(new URL('/v1/rooms/town-hall/publish', server.url), { method: 'POST', headers: { 'content-type': 'application/sdp', authorization: `Bearer ${token}` }, body: offer });
			return response.text();
		});
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
		speaker = await publishAs(token);
		speaker.talk(await tone(440, 5));
		// Nobody reloads: the page sees who has come.
		await page.locator('section', { has: page.getByRole('heading', { name: 'On stage' }) }).getByText('Tone').waitFor();
	});

	it('orders the stage, sets its size and locks it', async () => {
		const { token } = await server.token('town-hall', 'speaker', 'Second');
		const second = await publishAs(token);
		const stage = page.locator('section', { has: page.getByRole('heading', { name: 'On stage' }) });
		const order = async () => (await server.json<{ stage: { name: string }[] }>('GET', '/v1/rooms/town-hall')).stage.map(({ name }) => name);
		await stage.getByText('Second').waitFor();
		expect(await order()).toEqual(['Tone', 'Second']);
		expect(await stage.getByRole('button', { name: /^Move .Tone. up$/ }).isDisabled()).toBe(true);
		await stage.getByRole('button', { name: /^Move .Second. up$/ }).click();
		await expect.poll(order).toEqual(['Second', 'Tone']);
		await stage.getByRole('button', { name: /^Move .Tone. up$/ }).click();
		await expect.poll(order).toEqual(['Tone', 'Second']);

		const settings = () => server.json<{ locked: boolean; maxSize: number }>('GET', '/v1/rooms/town-hall/stage/settings');
		await stage.getByLabel('Places on stage').fill('7');
		await stage.getByLabel('Places on stage').press('Enter');
		await stage.getByText(/2. of .7. places taken/).waitFor();
		expect(await settings()).toMatchObject({ locked: false, maxSize: 7 });
		await stage.getByRole('button', { name: 'Lock the stage' }).click();
		await stage.getByText('Locked: nobody new comes on stage.').waitFor();
		expect(await settings()).toMatchObject({ locked: true, maxSize: 7 });
		await stage.getByRole('button', { name: 'Unlock the stage' }).click();
		await stage.getByRole('button', { name: 'Lock the stage' }).waitFor();
		expect(await settings()).toMatchObject({ locked: false });
		second.close();
	});

	it('lowers a hand, and whoever raised it is told', async () => {
		const { token } = await server.token('town-hall', 'listener', 'Lena');
		await server.json('POST', '/v1/rooms/town-hall/hand', { raised: true }, token);
		const hand = page.locator('[data-hand]', { hasText: 'Lena' });
		await hand.getByRole('button', { name: /^Lower the hand of .Lena.$/ }).click();
		await hand.waitFor({ state: 'detached' });
		expect(await server.json('GET', '/v1/rooms/town-hall/hand', undefined, token)).toMatchObject({ raised: false, position: null });
		const { entries } = await server.json<{ entries: { action: string; room: string }[] }>('GET', '/v1/admin/audit?action=hand.lower');
		expect(entries).toEqual([expect.objectContaining({ action: 'hand.lower', room: 'town-hall', outcome: 'done' })]);
	});

	it('changes a webhook, and signs with both secrets while its receiver changes over', async () => {
		await go('Webhooks');
		const fresh = page.locator('section', { has: page.getByRole('heading', { name: 'New webhook' }) });
		await fresh.getByLabel('Address that is told').fill(`${receiver.url}/before`);
		for (const event of await fresh.getByRole('checkbox').all()) await event.uncheck();
		await fresh.getByRole('button', { name: 'Make webhook' }).click();
		await fresh.getByRole('alert').getByText('Choose at least one thing').waitFor();
		expect(await server.json('GET', '/v1/admin/webhooks')).toEqual({ webhooks: [] });
		await fresh.getByRole('checkbox', { name: 'room.created' }).check();
		await fresh.getByRole('button', { name: 'Make webhook' }).click();
		const first = await fresh.getByLabel('Signing secret').inputValue();

		const row = page.locator('[data-webhook]');
		await row.getByText('Edit', { exact: true }).click();
		const form = row.locator('form');
		await form.getByLabel('Address that is told').fill(`${receiver.url}/after`);
		await form.getByRole('checkbox', { name: 'room.live' }).check();
		await form.getByRole('checkbox', { name: 'room.created' }).uncheck();
		await form.getByRole('button', { name: 'Save' }).click();
		await form.waitFor({ state: 'detached' });
		await row.getByText('room.live', { exact: true }).waitFor();
		const listed = async () => (await server.json<{ webhooks: object[] }>('GET', '/v1/admin/webhooks')).webhooks[0];
		expect(await listed()).toMatchObject({ url: `${receiver.url}/after`, events: ['room.live'], rooms: [], enabled: true });
		await row.getByRole('button', { name: 'Switch off' }).click();
		await row.getByText('Switched off.').waitFor();
		expect(await listed()).toMatchObject({ enabled: false });
		await row.getByRole('button', { name: 'Switch on' }).click();
		await row.getByRole('button', { name: 'Switch off' }).waitFor();

		await row.getByText('New signing secret', { exact: true }).click();
		await row.getByLabel('The old secret signs too').selectOption({ label: 'for one hour' });
		await row.getByRole('button', { name: 'Make a new secret' }).click();
		await confirm('Yes, make one');
		const next = await row.getByLabel('Signing secret').inputValue();
		await row.getByText(/^The old secret signs too until/).waitFor();
		expect(next).not.toBe(first);
		await row.getByRole('button', { name: 'Send a test' }).click();
		const { headers, body, path: told } = await receiver.next(({ type }) => type === 'webhook.test');
		expect([told, isSigned(first, headers, body), isSigned(next, headers, body)]).toEqual([new URL(`${receiver.url}/after`).pathname, true, true]);
	});

	it('drains a shard with listeners on it, and none of them hears a gap; then calls it off', async () => {
		const ears = await Promise.all(
			Array.from({ length: LISTENERS }, async () => {
				// The page's policy allows no worklet of the test's own.
				const ear = await person(browser, { bypassCSP: true });
				await measureAudible(ear);
				await listenTo(ear, `${server.url}/r/town-hall`);
				await hearsSound(ear);
				return ear;
			}),
		);
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
		for (const report of reports) {
			expect(report.measuredMs).toBeGreaterThan(500);
			expect(report.handOverGapMs).toBeLessThan(tolerableGapMs(PACKET_MS, ...reports));
			expect(report.otherGapMs).toBeLessThan(NO_STALL_MS);
			expect(report.coldBeginnings).toBe(0);
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

	it.each(LANGUAGES)('says what hinders a recording, and what becomes of it, in %s', async (language) => {
		const visitor = await person(browser, { viewport: { width: 390, height: 844 }, locale: language === 'ar' ? 'ar-EG' : 'en-GB' });
		// A disk that is full is a failure; recording-disk.test.ts has a real one.
		const since = new Date().toISOString();
		const recording = { startedAt: since, durationMs: 61_000, title: 'Town hall', incomplete: false };
		await visitor.route('**/v1/rooms/town-hall/recordings', (route) =>
			route.fulfill({
				json: {
					recordings: [
						{ ...recording, id: 'c', state: 'recording', problem: { code: 'disk_full', since, cause: 'ENOSPC' } },
						{ ...recording, id: 'b', state: 'processing', problem: { code: 'not_known_yet', since } },
						{ ...recording, id: 'a', state: 'ready' },
					],
				},
			}),
		);
		await visitor.goto(`${server.url}/admin#token=${ADMIN_TOKEN}`);
		await visitor.locator('.admin-nav').waitFor();
		await visitor.evaluate(() => {
			location.hash = 'rooms/town-hall';
		});
		const notices = visitor.getByRole('region', { name: (language === 'ar' ? ar : en).adminRecordings }).locator('.notice');
		await notices.nth(1).waitFor();
		expect(await notices.allInnerTexts()).toEqual([(language === 'ar' ? ar : en).recordDiskFull, 'not_known_yet']);
		await notices.first().scrollIntoViewIfNeeded();
		await visitor.screenshot({ path: path.join(PICTURES, `admin-recording-problem-${language}.png`) });
		await visitor.context().close();
	});

	it('asks for nothing while it cannot be seen', async () => {
		const watched = await person(browser);
		watched.on('pageerror', (error) => errors.push(error.message));
		// The page's own clock, which goes as fast as the test likes.
		await watched.clock.install();
		await watched.goto(`${server.url}/admin#token=${ADMIN_TOKEN}`);
		await watched.evaluate(() => void (location.hash = '#nodes'));
		await watched.locator('[data-node]').waitFor();
		let asked = 0;
		const counts = () => watched.waitForResponse((response) => response.url().endsWith('/v1/admin/nodes'));
		watched.on('request', (request) => (asked += Number(request.url().includes('/v1/'))));
		const shown = (state: 'hidden' | 'visible') =>
			watched.evaluate((visibility) => {
				Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => visibility });
				document.dispatchEvent(new Event('visibilitychange'));
			}, state);
		// While it is seen, it asks.
		const seen = counts();
		await watched.clock.runFor(3_000);
		await seen;
		await shown('hidden');
		const before = asked;
		await watched.clock.runFor(60_000);
		// What was asked for in this minute has been sent by the time another request is answered.
		await watched.evaluate(() => fetch('/healthz').then((response) => response.text()));
		// One may have been under way.
		expect(asked - before).toBeLessThanOrEqual(1);
		const again = counts();
		await shown('visible');
		await again;
		await watched.context().close();
	});

	const looks = VIEWS.flatMap((view) => LANGUAGES.map((language) => ({ view, language })));
	it.concurrent.each(looks)('is whole on $view.name in $language', async ({ view, language }) => {
		const visitor = await person(browser, { viewport: view.viewport, isMobile: view.isMobile, deviceScaleFactor: view.deviceScaleFactor, locale: language === 'ar' ? 'ar-EG' : 'en-GB' });
		visitor.on('pageerror', (error) => errors.push(error.message));
		await visitor.goto(`${server.url}/admin#token=${ADMIN_TOKEN}`);
		await visitor.locator('.admin-nav').waitFor();
		for (const [section, there] of [
			['rooms', '.admin-room'],
			['rooms/town-hall', '.admin-tree-drawing'],
			['nodes', '[data-node]'],
			['access', '[data-keys]'],
			['webhooks', '[data-webhook]'],
			['audit', 'ol.admin-list > li'],
			['reports', '#reports-heading'],
		] as const) {
			await visitor.evaluate((hash) => {
				location.hash = hash;
			}, section);
			await visitor.locator(there).first().waitFor();
			// Whole means that nothing is still being read.
			await visitor.waitForFunction((text) => !document.body.innerText.includes(text), LOADING[language]);
			// Of so many sections, the one that is looked at is in sight.
			expect(await visitor.evaluate(() => {
				const [tab, nav] = ['.admin-nav [aria-current]', '.admin-nav'].map((each) => document.querySelector(each)?.getBoundingClientRect());
				return tab !== undefined && nav !== undefined && tab.left >= nav.left - 1 && tab.right <= nav.right + 1;
			}), `${section} is in sight`).toBe(true);
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
