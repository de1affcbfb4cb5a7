import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { probe } from './probe.ts';

/** Somebody in a browser of their own: a page with nothing kept from others, looked at by the probe. */
export async function person(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
	const context: BrowserContext = await browser.newContext(options);
	const page = await context.newPage();
	await probe(page);
	return page;
}

/** From a personal link to a place on stage with the microphone on. */
export async function joinStage(page: Page, link: string): Promise<void> {
	await page.goto(link);
	await page.getByRole('button', { name: 'Allow microphone' }).click();
	await page.getByRole('button', { name: 'Join the stage' }).click();
	await page.getByRole('button', { name: 'Leave the stage' }).waitFor();
}

/** Opens the listening page and presses the one big button. */
export async function listenTo(page: Page, url: string): Promise<void> {
	await page.goto(url);
	await page.getByRole('button', { name: 'Listen', exact: true }).click();
}
