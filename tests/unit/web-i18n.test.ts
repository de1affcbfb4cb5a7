import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import en from '../../server/web/browser/i18n/en.ts';
import { chooseLanguage, directionOf, fill } from '../../server/web/browser/locale/text.ts';

type Forms = Record<string, string>;
type Dictionary = Record<string, string | Forms>;

const folder = path.resolve(import.meta.dirname, '../../server/web/browser/i18n');
const codes = readdirSync(folder).map((name) => path.basename(name, '.ts'));
const load = async (code: string): Promise<Dictionary> => ((await import(path.join(folder, `${code}.ts`))) as { default: Dictionary }).default;

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
});
