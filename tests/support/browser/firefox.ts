import type { Page as ProbedPage } from 'playwright-core';
import puppeteer, { type Browser, type ElementHandle, type Page } from 'puppeteer-core';
import { probe } from './probe.ts';
import type { NetworkNamespace } from './netns.ts';

/**
 * Debian's Firefox in a network namespace, with a microphone that hums a tone, no questions, and sound that may start
 * by itself. Puppeteer speaks to it over a port that the namespace shares.
 */
export async function launchFirefox(namespace: NetworkNamespace): Promise<Browser> {
	return puppeteer.launch({
		browser: 'firefox',
		executablePath: namespace.wrapper(process.env['FIREFOX_BIN'] ?? '/usr/bin/firefox-esr'),
		headless: true,
		debuggingPort: await namespace.share(),
		extraPrefsFirefox: {
			'media.autoplay.default': 0,
			'media.navigator.permission.disabled': true,
			'media.navigator.streams.fake': true,
		},
	});
}

/** A Firefox page, and the same page as the probe's functions know it. */
export interface FirefoxPage {
	page: Page;
	probed: ProbedPage;
}

/** A page that nobody else shares anything with, looked at by the probe. */
export async function firefoxPerson(browser: Browser): Promise<FirefoxPage> {
	const context = await browser.createBrowserContext();
	const page = await context.newPage();
	// The probe is written for the other browser's driver but asks these three things alone, which both drivers do alike.
	const probed = {
		addInitScript: (script: () => void) => page.evaluateOnNewDocument(script),
		evaluate: (script: () => unknown) => page.evaluate(script),
		waitForTimeout: (ms: number) => new Promise((resolve) => setTimeout(resolve, ms)),
	} as unknown as ProbedPage;
	await probe(probed);
	return { page, probed };
}

/**
 * Clicks the button of this accessible name as soon as there is one; when that was, `Date.now()`.
 * @param within a CSS selector
 */
export async function clickButton(page: Page, name: string, within = 'body'): Promise<number> {
	const button = await waitForButton(page, name, within);
	const clickedAtMs = Date.now();
	await button.click();
	return clickedAtMs;
}

export async function waitForButton(page: Page, name: string, within = 'body'): Promise<ElementHandle> {
	const button = await page.waitForSelector(`${within} ::-p-aria([name="${name}"][role="button"])`, { visible: true, timeout: 20_000 });
	if (button === null) {
		throw new Error(`no button "${name}"`);
	}
	return button;
}

/** Resolves once the page shows a text that fits. */
export async function waitForText(page: Page, pattern: RegExp, timeoutMs = 20_000): Promise<void> {
	await page.waitForFunction((source: string) => new RegExp(source).test(document.body.innerText), { timeout: timeoutMs, polling: 100 }, pattern.source);
}
