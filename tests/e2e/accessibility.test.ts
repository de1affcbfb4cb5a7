import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import ar from '../../server/web/browser/i18n/ar.ts';
import en from '../../server/web/browser/i18n/en.ts';
import { graveFindings } from '../support/browser/axe.ts';
import { closeAll, LANGUAGES, launchChromium, VIEWS } from '../support/browser/chromium.ts';
import { joinStage, person } from '../support/browser/people.ts';
import { ADMIN_TOKEN, RostrumProcess } from '../support/process/rostrum-process.ts';
import { HOST_TEXT, speechWav } from '../support/speech/wav.ts';

const SECTIONS = ['rooms', 'nodes', 'access', 'webhooks', 'audit', 'reports'];
const TIMEOUT_MS = 300_000;
const LOADING = { en: en.loading, ar: ar.loading };

/** Nothing on it is still to come. */
const loaded = (page: Page, language: 'en' | 'ar') => page.waitForFunction((text) => !document.body.innerText.includes(text), LOADING[language]);

describe('everybody can use the pages', () => {
	let server: RostrumProcess;
	let browser: Browser;

	beforeAll(async () => {
		// All that is said ahead of an end is on the pages.
		server = await RostrumProcess.start({ mediaPort: 24_600, env: { ROSTRUM_DOORS_END_WARNING_MS: '3600000' } });
		browser = await launchChromium({ microphone: speechWav({ voice: 'alto', text: HOST_TEXT }) });
		const inHours = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
		const plan = { title: 'The announcement', description: 'What we want to do for this town, and how.', timeZone: 'Asia/Kathmandu' };
		await server.room({ id: 'later', ...plan, doorsOpenAt: inHours(1), scheduledAt: inHours(2), endsAt: inHours(3) }, 'scheduled');
		await server.room({ id: 'doors-open', ...plan, scheduledAt: inHours(0.5) }, 'open');
		await server.room({ id: 'live', ...plan, endsAt: inHours(0.9) });
		await server.room({ id: 'over', ...plan });
		await server.json('POST', '/v1/rooms/over/end');
		await server.room({ id: 'called-off', ...plan, scheduledAt: inHours(1) }, 'open');
		await server.json('POST', '/v1/rooms/called-off/cancel', { reason: 'Too much snow' });
		await server.room({ id: 'secret', ...plan, visibility: 'private' });
		const { token } = await server.token('live', 'listener', 'Lena');
		await server.json('POST', '/v1/rooms/live/hand', { raised: true }, token);
		await server.json('POST', '/v1/admin/webhooks', { url: 'https://hooks.example.org/rostrum', description: 'The website', rooms: ['live'] });
		const host = await person(browser);
		await joinStage(host, (await server.token('live', 'host', 'Hana')).url);
	});
	afterAll(async () => {
		await closeAll(browser);
		await server?.stop();
	});

	// Light and dark, each on both sizes and in both languages as often as the other.
	const ways = VIEWS.flatMap((view, index) => LANGUAGES.map((language) => ({ view, language, scheme: (language === 'en') === (index === 0) ? ('dark' as const) : ('light' as const) })));

	it.each(ways)('on $view.name in $language, $scheme', { timeout: TIMEOUT_MS }, async ({ view, language, scheme }) => {
		const found: Record<string, string[]> = {};
		const looked: string[] = [];
		const look = async (page: Page, name: string) => {
			looked.push(name);
			const findings = await graveFindings(page);
			if (findings.length > 0) found[name] = findings;
			expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]), name).toEqual([language, language === 'ar' ? 'rtl' : 'ltr']);
		};
		const visitor = () =>
			person(browser, { viewport: view.viewport, isMobile: view.isMobile, deviceScaleFactor: view.deviceScaleFactor, locale: language === 'ar' ? 'ar-EG' : 'en-GB', colorScheme: scheme, reducedMotion: 'reduce' });
		const open = async (page: Page, url: string, until: string) => {
			await page.goto(new URL(url, server.url).href);
			await page.locator(until).first().waitFor();
		};

		const listens = async () => {
			const page = await visitor();
			await open(page, '/', '.room-card');
			await look(page, 'rooms');
			for (const room of ['later', 'doors-open', 'over', 'called-off']) {
				await open(page, `/r/${room}`, '.chip');
				await look(page, `listen: ${room}`);
			}
			for (const [room, code] of [['secret', 'private'], ['nowhere', 'no room']] as const) {
				await open(page, `/r/${room}`, '.page-message');
				await look(page, `listen: ${code}`);
			}
			await open(page, '/r/live', '.chip');
			await look(page, 'listen: live');
			await page.locator('main .listen-button').click();
			await page.locator('[data-state=playing]').waitFor();
			await page.locator('.hand-panel button').first().waitFor();
			await look(page, 'listen: playing');
			await page.locator('.hand-panel button').first().click();
			await page.locator('.hand-name input').fill('Sami');
			await look(page, 'listen: a name for the hand');
			await page.locator('.hand-name button').first().click();
			await page.locator('[data-hand=up]').waitFor();
			await look(page, 'listen: hand up');
			await page.context().close();
		};

		const speaks = async () => {
			const stage = await visitor();
			await open(stage, '/r/live/stage', '.page-message');
			await look(stage, 'stage: no link');
			await open(stage, (await server.token('live', 'host', 'Noor', { subject: `noor-${view.name}-${language}` })).url, 'main button');
			await look(stage, 'stage: before');
			await stage.locator('main button').first().click();
			await stage.locator('meter, [role=meter], select').first().waitFor();
			await look(stage, 'stage: microphone');
			await stage.locator('main button').first().click();
			await stage.locator('.host').waitFor();
			await stage.locator('.hand').first().waitFor();
			await look(stage, 'stage: on air, a hand is up');
			await stage.locator('.menu summary').first().click();
			await stage.locator('.menu[open] .is-grave').first().waitFor();
			await look(stage, 'stage: a menu');
			await stage.locator('.menu[open] .is-grave').first().click();
			await stage.locator('dialog[open]').waitFor();
			await look(stage, 'stage: a question');
			await stage.context().close();
		};

		const operates = async () => {
			const page = await visitor();
			await open(page, '/admin', 'main input');
			await look(page, 'admin: sign in');
			await page.locator('main input').first().fill(ADMIN_TOKEN);
			await page.locator('main button').first().click();
			await page.getByText('The announcement').first().waitFor();
			for (const section of SECTIONS) {
				await page.evaluate((name) => void (location.hash = name), section);
				await page.locator('main h2').first().waitFor();
				await loaded(page, language);
				if (section === 'webhooks') {
					for (const fold of await page.locator('[data-webhook] summary').all()) await fold.click();
					await page.locator('[data-webhook] form').waitFor();
					await loaded(page, language);
				}
				await look(page, `admin: ${section}`);
			}
			await page.evaluate(() => void (location.hash = 'rooms/live'));
			await page.locator('.stage-settings').waitFor();
			await page.locator('[data-hand]').first().waitFor();
			await loaded(page, language);
			await look(page, 'admin: a room');

			for (const [url, name] of [['/embed/live', 'embedded'], ['/embed/called-off', 'embedded, cancelled'], ['/r/over/replay', 'replay']] as const) {
				await open(page, url, 'main h1');
				await loaded(page, language);
				await look(page, name);
			}
			await page.context().close();
		};

		// Different people, who do not wait for one another.
		await Promise.all([listens(), speaks(), operates()]);
		expect(found).toEqual({});
		expect(looked).toHaveLength(28);
	});

	it('the list of problems, which is English alone', async () => {
		const page = await person(browser);
		for (const colorScheme of ['light', 'dark'] as const) {
			await page.emulateMedia({ colorScheme });
			await page.goto(`${server.url}/docs/problems`);
			expect(await graveFindings(page)).toEqual([]);
		}
		await page.context().close();
	});
});
