// A listening page gives reactions, shows captions, lets people have a name, and takes reports.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAll, launchChromium } from '../support/browser/chromium.ts';
import { listenTo, person } from '../support/browser/people.ts';
import { toneRoom } from '../support/browser/tone-room.ts';
import { RostrumProcess } from '../support/process/rostrum-process.ts';
import type { RtcSpeaker } from '../support/rtc/speaker.ts';

const PICTURES = path.resolve(import.meta.dirname, '../.out/pictures');
const ENGLISH = 'Good evening, and welcome to this hall.';
const ARABIC = 'مساء الخير، أهلًا بكم في هذه القاعة.';

describe('the audience on its page', () => {
	let server: RostrumProcess;
	let browser: Browser;
	let speaker: RtcSpeaker;
	const caption = (text: string, language: string, more: object = {}) => server.json('POST', '/v1/rooms/hall/captions', { text, language, speaker: 'Hana', ...more });

	beforeAll(async () => {
		mkdirSync(PICTURES, { recursive: true });
		[server, browser] = await Promise.all([RostrumProcess.start({ mediaPort: 26_800, env: { ROSTRUM_ROOMS_DEMO: 'false' } }), launchChromium()]);
		speaker = await toneRoom(server, 'hall', 'The announcement');
	});
	afterAll(async () => {
		speaker?.close();
		await closeAll(browser);
		await server?.stop();
	});

	const reaction = (page: Page, which: string) => page.locator(`.reaction[data-reaction="${which}"]`);
	const picture = (page: Page, name: string) => page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });

	it('sees what others react with', async () => {
		const [one, other] = [await person(browser), await person(browser)];
		await Promise.all([listenTo(one, `${server.url}/r/hall`), listenTo(other, `${server.url}/r/hall`)]);
		await reaction(one, '👏').click();
		await reaction(one, '👏').click();
		await reaction(other, '🔥').click();
		for (const page of [one, other]) {
			await reaction(page, '👏').locator('.reaction-count', { hasText: '2' }).waitFor();
			await reaction(page, '🔥').locator('.reaction-count', { hasText: '1' }).waitFor();
		}
		expect(await reaction(one, '❤️').locator('.reaction-count').count()).toBe(0);
		await Promise.all([one.context().close(), other.context().close()]);
	});

	it('reads captions without listening, in its own language and direction, and puts them away for good', async () => {
		await caption(ENGLISH, 'en');
		await caption(ARABIC, 'ar');
		const page = await person(browser, { locale: 'en-GB' });
		await page.goto(`${server.url}/r/hall`);
		const line = page.locator('.caption-lines li');
		await line.filter({ hasText: ENGLISH }).waitFor();
		expect(await line.filter({ hasText: ARABIC }).count()).toBe(0);
		expect(await line.first().getAttribute('dir')).toBe('ltr');
		await caption('And now', 'en', { final: false });
		await page.locator('.caption-lines .is-guess', { hasText: 'And now' }).waitFor();
		await caption('And now to the news.', 'en');
		await line.filter({ hasText: 'And now to the news.' }).waitFor();
		expect(await page.locator('.caption-lines .is-guess').count()).toBe(0);
		await page.getByLabel('Language of the captions').selectOption('ar');
		await line.filter({ hasText: ARABIC }).waitFor();
		expect(await line.first().evaluate((element) => [element.getAttribute('dir'), element.getAttribute('lang'), getComputedStyle(element).direction])).toEqual(['rtl', 'ar', 'rtl']);
		await picture(page, 'listen-captions-en');
		await page.getByRole('button', { name: 'Hide captions' }).click();
		await line.first().waitFor({ state: 'detached' });
		await page.reload();
		await page.getByRole('button', { name: 'Show captions' }).click();
		await line.first().waitFor();
		await page.context().close();
	});

	it('reads Arabic captions on an Arabic page', async () => {
		const page = await person(browser, { locale: 'ar-EG', viewport: { width: 390, height: 844 } });
		await page.goto(`${server.url}/r/hall`);
		await page.locator('.caption-lines li', { hasText: ARABIC }).waitFor();
		expect(await page.locator('.caption-lines li', { hasText: ENGLISH }).count()).toBe(0);
		await page.getByRole('button', { name: 'استمع' }).click();
		await page.locator('.reactions').waitFor();
		expect(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth + 1)).toBe(false);
		await picture(page, 'listen-captions-ar');
		await page.context().close();
	});

	it('has a name if it wants one, and reports what is wrong', async () => {
		const page = await person(browser);
		await listenTo(page, `${server.url}/r/hall`);
		await page.getByText('You are here anonymously.').waitFor();
		await page.getByRole('button', { name: 'Choose a name' }).click();
		await page.getByLabel('Your name', { exact: true }).fill('Nour');
		await page.getByRole('button', { name: 'Use this name' }).click();
		await page.getByText('You are here as').waitFor();
		await page.reload();
		await page.getByRole('button', { name: 'Listen', exact: true }).click();
		await page.getByText(/You are here as .*Nour/).waitFor();

		await page.getByRole('button', { name: 'Report a problem' }).click();
		await page.getByRole('radio', { name: 'What is said or done here' }).check();
		await page.getByLabel('In your own words').fill('This is not the announcement.');
		await picture(page, 'listen-report-en');
		await page.getByRole('button', { name: 'Send report' }).click();
		await page.getByText('Thank you. Those who run this server can see it.').waitFor();
		const { reports } = await server.json<{ reports: object[] }>('GET', '/v1/admin/reports');
		expect(reports).toEqual([expect.objectContaining({ room: 'hall', kind: 'content', text: 'This is not the announcement.', by: expect.objectContaining({ name: 'Nour' }) })]);
		await page.context().close();
	});
});
