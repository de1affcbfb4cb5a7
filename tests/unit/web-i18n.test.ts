import { cpSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import en from '../../server/web/browser/i18n/en.ts';
import { chooseLanguage, directionOf, fill } from '../../server/web/browser/locale/text.ts';
import { isElsewhere } from '../../server/web/browser/locale/zones.ts';

type Forms = Record<string, string>;
type Dictionary = Record<string, string | Forms>;

const browser = path.resolve(import.meta.dirname, '../../server/web/browser');
const folder = path.join(browser, 'i18n');
const codes = readdirSync(folder).map((name) => path.basename(name, '.ts'));
const load = async (code: string): Promise<Dictionary> => ((await import(path.join(folder, `${code}.ts`))) as { default: Dictionary }).default;

/** Without what stands in brackets, however deep. */
const withoutBrackets = (code: string): string => {
	const without = code.replaceAll(/\([^()]*\)|\[[^[\]]*\]|`[^`]*`/g, '');
	return without === code ? code : withoutBrackets(without);
};

/** The `{…}` in a text, each once. */
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].toSorted();

describe.each(codes)('the texts in %s', (code) => {
	it('have the same keys and placeholders as English', async () => {
		const texts = await load(code);
		expect(Object.keys(texts).toSorted()).toEqual(Object.keys(en).toSorted());
		for (const [key, model] of Object.entries(en as Dictionary)) {
			const text = texts[key];
			expect(typeof text, key).toBe(typeof model);
			if (typeof text === 'string' && typeof model === 'string') {
				expect(text.trim(), key).not.toBe('');
				expect(placeholders(text), key).toEqual(placeholders(model));
			}
		}
	});

	it('have a form for every plural category of the language', async () => {
		const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories.toSorted();
		for (const [key, forms] of Object.entries(await load(code))) {
			if (typeof forms !== 'string') {
				expect(Object.keys(forms).toSorted(), key).toEqual(categories);
				// Only a form for exactly one number may leave the number out.
				for (const category of ['few', 'many', 'other']) {
					expect(forms[category] ?? '{count}', `${key}.${category}`).toContain('{count}');
				}
			}
		}
	});
});

describe('the texts', () => {
	it('are all used, as keys that stand in the sources word for word', () => {
		const sources = globSync('**/*.{ts,tsx}', { cwd: browser, exclude: ['i18n/**'] }).map((file) => readFileSync(path.join(browser, file), 'utf8'));
		const named = new Set(sources.flatMap((source) => [...source.matchAll(/['"](\w+)['"]/g)].map(([, key]) => key)));
		expect(Object.keys(en).filter((key) => !named.has(key))).toEqual([]);
	});

	// A page asks for a placeholder that its text does not have, or forgets one: people would read braces.
	it('have in every call the values that their placeholders ask for', () => {
		const sources = globSync('**/*.{ts,tsx}', { cwd: browser, exclude: ['i18n/**'] }).map((file) => readFileSync(path.join(browser, file), 'utf8'));
		const calls = sources.flatMap((source) => [...source.matchAll(/\bt\('(\w+)'(?:, \{ ([^{}]*) \})?\)/g)]);
		const wrong = calls.flatMap(([call, key = '', given = '']) => {
			const text = (en as Dictionary)[key];
			const names = [...withoutBrackets(given).matchAll(/(?:^|, )(\w+)/g)].map(([, name]) => name ?? '');
			return typeof text === 'string' && placeholders(text).join() === names.toSorted().map((name) => `{${name}}`).join() ? [] : [call];
		});
		expect(calls.length).toBeGreaterThan(100);
		expect(wrong).toEqual([]);
	});
});

describe('a further language', () => {
	it('is one file: the build finds it, and its texts are in the pages', { timeout: 60_000 }, async () => {
		const copy = mkdtempSync(path.join(tmpdir(), 'rostrum-language-'));
		try {
			const root = path.resolve(import.meta.dirname, '../..');
			cpSync(path.join(root, 'server'), path.join(copy, 'server'), { recursive: true });
			for (const name of ['node_modules', 'package.json', 'tsconfig.json', 'sfu', 'auth', 'config']) symlinkSync(path.join(root, name), path.join(copy, name));
			const texts = readFileSync(path.join(folder, 'en.ts'), 'utf8');
			writeFileSync(path.join(copy, 'server/web/browser/i18n/eo.ts'), texts.replace("listen: 'Listen',", "listen: 'Aŭskulti',").replace("rooms: 'Rooms',", "rooms: 'Ĉambroj',"));
			const { buildAssets } = (await import(path.join(copy, 'server/web/build.ts'))) as { buildAssets: (options: { outDir: string }) => Promise<{ files: string[] }> };
			const outDir = path.join(copy, 'out');
			const { files } = await buildAssets({ outDir });
			const scripts = files.filter((file) => file.endsWith('.js')).map((file) => readFileSync(path.join(outDir, 'assets', file), 'utf8'));
			// In the listening page's own, and in that of all other pages.
			expect(scripts.filter((script) => script.includes('Aŭskulti')).length).toBeGreaterThanOrEqual(2);
			expect(scripts.filter((script) => script.includes('Ĉambroj')).length).toBeGreaterThanOrEqual(1);
			expect(scripts.some((script) => script.includes('["ar","en","eo"]'))).toBe(true);
		} finally {
			rmSync(copy, { recursive: true, force: true });
		}
	});
});

describe('what clocks show elsewhere', () => {
	it.each<[string, string, string, boolean]>([
		['2026-07-01T12:00:00Z', 'Europe/Berlin', 'Europe/Paris', false],
		['2026-07-01T12:00:00Z', 'Europe/Berlin', 'America/New_York', true],
		// London and Lisbon go together, Reykjavik goes with them in winter alone.
		['2026-01-01T12:00:00Z', 'Atlantic/Reykjavik', 'Europe/London', false],
		['2026-07-01T12:00:00Z', 'Atlantic/Reykjavik', 'Europe/London', true],
		// Clocks go forward in New York on 8 March 2026, in Berlin on 29 March: an hour before, and an hour after.
		['2026-03-08T06:59:59Z', 'America/New_York', 'America/Panama', false],
		['2026-03-08T07:00:00Z', 'America/New_York', 'America/Panama', true],
		['2026-03-29T00:59:59Z', 'Europe/Berlin', 'Africa/Lagos', false],
		['2026-03-29T01:00:00Z', 'Europe/Berlin', 'Africa/Lagos', true],
		['2026-07-01T12:00:00Z', 'Nowhere/At_All', 'Europe/Paris', false],
	])('at %s in %s, for somebody in %s: another time: %s', (instant, zone, own, elsewhere) => {
		expect(isElsewhere(instant, zone, own)).toBe(elsewhere);
	});
});

describe('English and Arabic', () => {
	it('are there, and Arabic is translated', async () => {
		expect(codes).toEqual(expect.arrayContaining(['ar', 'en']));
		const arabic = await load('ar');
		const same = Object.entries(arabic).filter(([key, text]) => text === (en as Dictionary)[key]);
		expect(same.map(([key]) => key)).toEqual(['appName']);
	});

	it('run in their directions', () => {
		expect(directionOf('en')).toBe('ltr');
		expect(directionOf('ar')).toBe('rtl');
		expect(directionOf('ar-EG')).toBe('rtl');
		expect(directionOf('fa')).toBe('rtl');
	});
});

describe('chooseLanguage', () => {
	it.each([
		[['ar', 'en-US'], 'ar'],
		[['AR-eg', 'en'], 'ar'],
		[[null, undefined, 'de-DE', 'en-GB'], 'en'],
		[['de', 'fr'], 'en'],
		[['pt-BR'], 'pt-BR'],
		[['', 'xx', 'ar'], 'ar'],
	])('takes the first of %j that is there', (wanted, chosen) => {
		expect(chooseLanguage(wanted, ['ar', 'en', 'pt-BR'])).toBe(chosen);
	});
});

describe('fill', () => {
	it('sets what is filled in apart, so that a name of the other direction does not turn the sentence around', () => {
		expect(fill('Hello, {name}', { name: 'نور' })).toBe('Hello, \u2068نور\u2069');
	});
	it('leaves unknown placeholders and never reads those inside a value', () => {
		expect(fill('{a} {b}', { a: '{b}' })).toBe('\u2068{b}\u2069 {b}');
	});
	it('sets each thing of a list apart and the list itself not, so that the first name does not turn the others around', () => {
		const list = (items: readonly string[]) => new Intl.ListFormat('ar', { type: 'conjunction' }).format(items);
		expect(fill('يتحدث الآن: {names}', { names: ['Hana', 'سامي'] }, list)).toBe('يتحدث الآن: \u2068Hana\u2069 و\u2068سامي\u2069');
		expect(fill('Speaking: {names}', { names: ['سامي'] }, list)).toBe('Speaking: \u2068سامي\u2069');
		expect(fill('Nodes: {nodes}', { nodes: ['a', 'b'] })).toBe('Nodes: \u2068a\u2069, \u2068b\u2069');
	});
});
