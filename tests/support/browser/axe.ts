import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';

const SCRIPT = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Findings that keep somebody from using a page. */
const GRAVE: readonly unknown[] = ['serious', 'critical'];

interface WithAxe {
	axe?: { run(options: object): Promise<AxeResults> };
}

/** What axe-core finds serious or critical on a page as it is now: rule, element and what is wrong, one line each. */
export async function graveFindings(page: Page): Promise<string[]> {
	if (!(await page.evaluate(() => 'axe' in globalThis))) {
		await page.evaluate(await SCRIPT);
	}
	// What fades in is judged by what it will be.
	await page.evaluate(() => Promise.allSettled(document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime !== Number.POSITIVE_INFINITY).map(({ finished }) => finished)));
	const { violations, passes } = await page.evaluate(() => (globalThis as WithAxe).axe?.run({ resultTypes: ['violations'] }) ?? Promise.reject(new Error('axe is not there')));
	if (passes.length === 0) {
		throw new Error('axe looked at nothing');
	}
	return violations
		.filter(({ impact }) => GRAVE.includes(impact))
		.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} (${(failureSummary ?? '').replaceAll(/\s+/g, ' ').slice(0, 220)})`));
}
