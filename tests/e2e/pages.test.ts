import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { HlsStub } from '../support/browser/hls-stub.ts';
import { joinStage, listenTo, person } from '../support/browser/people.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { HOST_TEXT, speechWav } from '../support/speech/wav.ts';

/** Pictures for people to look at; the folder is not committed. */
const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');

/** What a finger hits without looking twice. */
const MIN_TARGET_PX = 44;
const SCHEMES = ['light', 'dark'] as const;

/** Nothing may stick out sideways: on a phone that is the first thing that breaks. */
const overflowsSideways = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1);

/** Everything that can be pressed has a name and can be reached by a finger. */
const unusable = (page: Page) =>
	page.evaluate((MIN_TARGET_PX) =>
		[...document.querySelectorAll('button, a[href], input, select, summary')].flatMap((element) => {
			const { width, height } = element.getBoundingClientRect();
			if (width === 0 || height === 0) {
				return [];
			}
			const labelled = element as HTMLInputElement;
			const name = element.getAttribute('aria-label') ?? element.textContent?.trim() ?? '';
			const nameless = name === '' && !element.hasAttribute('aria-labelledby') && !labelled.labels?.length && !element.hasAttribute('title');
			const small = element.matches('button, select, summary') && height < MIN_TARGET_PX;
			return nameless || small ? [`${element.outerHTML.slice(0, 120)} ${nameless ? 'has no name' : `is ${Math.round(height)} px high`}`] : [];
		}), MIN_TARGET_PX);

describe('the pages', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let host: Page;
	let stub: HlsStub;
	const errors: string[] = [];

	beforeAll(async () => {
		mkdirSync(PICTURES, { recursive: true });
		server = await RostrumProcess.start({ mediaPort: 26_200 });
		browser = await launchChromium({ microphone: speechWav({ voice: 'alto', text: HOST_TEXT }) });
		await server.room({ id: 'live-now', title: 'The announcement', description: 'What we want to do for this town, and how.' });
		await server.room({ id: 'tomorrow', title: 'Questions and answers', scheduledAt: new Date(Date.now() + 26 * 3_600_000).toISOString() }, 'scheduled');
		const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
		await server.room({ id: 'doors-later', title: 'The announcement', doorsOpenAt: inHours(1), scheduledAt: inHours(2) }, 'scheduled');
		await server.room({ id: 'doors-open', title: 'The announcement', scheduledAt: inHours(0.5) }, 'open');
		host = await person(browser);
		[stub] = await Promise.all([
			// Its segments are there as if they were live; whoever comes after the last one finds that one.
			HlsStub.of(['-f', 'lavfi', '-i', 'sine=frequency=660:sample_rate=48000:duration=60']),
			server.token('live-now', 'host', 'Hana').then(({ url }) => joinStage(host, url)),
		]);
	});
	afterAll(async () => {
		await closeAll(browser);
		await server?.stop();
	});

	interface View {
		view: (typeof VIEWS)[number];
		language: (typeof LANGUAGES)[number];
	}
	const views = VIEWS.flatMap((view) => LANGUAGES.map((language): View => ({ view, language })));

	async function openAs({ view, language }: View, scheme: (typeof SCHEMES)[number] = 'light'): Promise<Page> {
		const page = await person(browser, {
			viewport: view.viewport,
			isMobile: view.isMobile,
			deviceScaleFactor: view.deviceScaleFactor,
			locale: language === 'ar' ? 'ar-EG' : 'en-GB',
			colorScheme: scheme,
		});
		page.on('pageerror', (error) => errors.push(`${language} ${view.name}: ${error.message}`));
		page.on('console', (message) => {
			if (message.type() === 'error') {
				errors.push(`${language} ${view.name}: ${message.text()}`);
			}
		});
		return page;
	}

	/** A picture, and what must be so in it. */
	async function lookAs({ view, language }: View, page: Page, name: string, scheme: (typeof SCHEMES)[number]): Promise<void> {
		await page.evaluate(() => document.fonts.ready);
		const file = path.join(PICTURES, `${name}-${view.name}-${language}-${scheme}.png`);
		await page.screenshot({ path: file, fullPage: true });
		expect(statSync(file).size).toBeGreaterThan(5_000);
		expect(await page.evaluate(() => [document.documentElement.lang.slice(0, 2), document.documentElement.dir])).toEqual([language, language === 'ar' ? 'rtl' : 'ltr']);
		expect(await overflowsSideways(page), `${name} overflows`).toBe(false);
		expect(await unusable(page), name).toEqual([]);
	}

	it.each(views)('are whole on $view.name in $language, light and dark', async (as) => {
		const { view, language } = as;
		/** The page does not know of the change: its style alone follows it. */
		const look = async (page: Page, name: string) => {
			for (const scheme of SCHEMES) {
				await page.emulateMedia({ colorScheme: scheme });
				expect(await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches)).toBe(scheme === 'dark');
				await lookAs(as, page, name, scheme);
			}
		};

		const listens = async () => {
			const page = await openAs(as);
			await page.goto(`${server.url}/`);
			await page.getByText('The announcement').first().waitFor();
			await look(page, 'landing');

			await page.goto(`${server.url}/r/tomorrow`);
			await page.getByText('Questions and answers').first().waitFor();
			await look(page, 'listen-scheduled');

			await page.goto(`${server.url}/r/live-now`);
			await page.getByText('Hana').first().waitFor();
			await look(page, 'listen-before');
			await page.locator('main button').first().click();
			await page.waitForFunction(() => (globalThis as unknown as { rostrumPeers: RTCPeerConnection[] }).rostrumPeers[0]?.connectionState === 'connected');
			await page.getByText(language === 'ar' ? 'يتحدث' : 'Speaking:').first().waitFor();
			await look(page, 'listen-playing');

			await page.goto(`${server.url}/r/nowhere`);
			await page.locator('main h1, main h2, main p').first().waitFor();
			await look(page, 'no-room');
			await page.context().close();
		};

		const speaks = async () => {
			const stage = await openAs(as);
			await stage.goto((await server.token('live-now', 'host', 'Noor', { subject: `noor-${view.name}-${language}` })).url);
			await stage.getByText('Noor').first().waitFor();
			await look(stage, 'stage-before');
			await stage.locator('main button').first().click();
			await stage.locator('meter, [role=meter], select').first().waitFor();
			await stage.locator('main button').first().click();
			await stage.getByText('Hana').first().waitFor();
			await look(stage, 'stage-on');
			await stage.context().close();
		};

		const operates = async () => {
			const page = await openAs(as);
			await page.goto(`${server.url}/admin`);
			await page.locator('main input').first().fill(ADMIN_TOKEN);
			await page.locator('main button').first().click();
			await page.getByText('Questions and answers').first().waitFor();
			await look(page, 'admin');
			await page.context().close();
		};

		// Different people, who do not wait for one another.
		await Promise.all([listens(), speaks(), operates()]);
	});

	/** Answers every POST for a place in the room with this problem. */
	const refuse = (page: Page, room: string, status: number, problem: object, retryAfterSeconds = 15) =>
		page.route(
			(url) => url.pathname === `/v1/rooms/${room}/listen`,
			(route) => route.fulfill({ status, contentType: 'application/problem+json', headers: { 'retry-after': String(retryAfterSeconds) }, body: JSON.stringify(problem) }),
		);
	const noPlace = (more: object) => ({ code: 'no_capacity', title: 'There is no room for more listeners right now', queue: { ahead: 1_234, place: 'stamp' }, ...more });

	it.each(views)('say how things stand before and in a surge on $view.name in $language', async (as) => {
		const { view, language } = as;
		const scheme = view.name === 'phone' ? 'dark' : 'light';
		const look = (page: Page, name: string) => lookAs(as, page, name, scheme);
		const press = async (page: Page) => page.locator('main .listen-button').click();
		const state = (page: Page, name: string) => page.locator(`[data-state=${name}]`).waitFor();
		const status = async (page: Page) => (await page.locator('.status').textContent()) ?? '';
		const visit = async (room: string): Promise<Page> => {
			const page = await openAs(as, scheme);
			await page.goto(`${server.url}/r/${room}`);
			await page.locator('.chip').waitFor();
			return page;
		};

		const comesEarly = async () => {
			const early = await visit('doors-later');
			await look(early, 'listen-doors');
			expect(await early.locator('.countdown').textContent()).toMatch(language === 'en' ? /^Doors open in .*5\d minutes/ : /^تُفتح الأبواب/);
			expect(await early.locator('.share a').getAttribute('href')).toBe('/v1/rooms/doors-later/calendar.ics');
			await press(early);
			await state(early, 'waiting');
			await look(early, 'listen-doors-waiting');
			await early.context().close();
		};

		const comesIn = async () => {
			const guest = await visit('doors-open');
			await press(guest);
			await state(guest, 'playing');
			if (language === 'en') {
				expect(await status(guest)).toMatch(/^You are connected\. It starts at .*\d\d:\d\d.*: stay here\.$/);
			}
			await look(guest, 'listen-doors-open');
			await guest.context().close();
		};

		const queues = async () => {
			const queued = await openAs(as, scheme);
			await refuse(queued, 'live-now', 503, noPlace({ reason: 'paced' }));
			await queued.goto(`${server.url}/r/live-now`);
			await press(queued);
			await state(queued, 'waiting');
			await queued.locator('.queue').waitFor();
			if (language === 'en') {
				expect(await queued.locator('.queue').textContent()).toMatch(/^1,234 people are ahead of you · Next try in .*1\d seconds/);
			}
			await look(queued, 'listen-queue');
			await queued.context().close();
		};

		const overflows = async () => {
			const overflowing = await openAs(as, scheme);
			await refuse(overflowing, 'live-now', 503, noPlace({ reason: 'full', overflow: { hls: '/v1/rooms/live-now/hls/index.m3u8' } }));
			await stub.serve(overflowing);
			stub.away = true;
			await overflowing.goto(`${server.url}/r/live-now`);
			await press(overflowing);
			await overflowing.locator('.queue').waitFor();
			await look(overflowing, 'listen-overflow-starting');
			stub.away = false;
			await state(overflowing, 'overflow');
			await look(overflowing, 'listen-overflow');
			await overflowing.context().close();
		};

		await Promise.all([comesEarly(), comesIn(), queues(), overflows()]);
	});

	it('threw no errors and asked nobody outside', () => {
		// A room that is not there answers 404, and refusals are refusals: the browser notes them by itself.
		expect(errors.filter((text) => !/\b(404|409|503)\b/.test(text))).toEqual([]);
	});

	it('take a personal link that is opened where the page is already, and leave it out of the address', async () => {
		const page = await person(browser);
		await page.goto(`${server.url}/r/live-now/stage`);
		await page.getByRole('heading', { name: 'This page is for people who speak' }).waitFor();
		// For a browser that is the same page, another fragment.
		await page.goto((await server.token('live-now', 'speaker', 'Noor')).url);
		await page.getByRole('heading', { name: /^Hello, .*Noor/ }).waitFor();
		expect(page.url()).toBe(`${server.url}/r/live-now/stage`);
		await page.context().close();
	});

	it('can be used by keyboard alone', async () => {
		const page = await person(browser);
		await page.goto(`${server.url}/r/live-now`);
		const listen = page.getByRole('button', { name: 'Listen', exact: true });
		await listen.waitFor();
		for (let i = 0; i < 15 && !(await listen.evaluate((element) => element === document.activeElement)); i++) {
			await page.keyboard.press('Tab');
		}
		await page.keyboard.press('Enter');
		await page.getByText('You are listening.').waitFor();
		await page.getByRole('button', { name: 'Stop' }).press('Space');
		await page.getByText('Press Listen to hear the room.').waitFor();
		await page.context().close();
	});

	it('the listening page is the same for everybody, may be kept by caches, and brings little', async () => {
		const [one, other] = await Promise.all([null, undefined].map((token) => server.call('GET', '/r/live-now', undefined, token)));
		expect(await one?.text()).toBe(await other?.text());
		expect(one?.headers.get('cache-control')).toMatch(/max-age|no-cache|s-maxage/);
		expect(one?.headers.get('content-security-policy')).toContain("default-src 'none'");
		const page = await person(browser);
		let bytes = 0;
		page.on('response', async (response) => {
			bytes += Number(response.headers()['content-length'] ?? 0);
		});
		await listenTo(page, `${server.url}/r/live-now`);
		await page.getByText('You are listening.').waitFor();
		console.log('the listening page brought', bytes, 'bytes as announced in content-length');
		expect(bytes).toBeLessThan(120_000);
		await page.context().close();
	});
});
