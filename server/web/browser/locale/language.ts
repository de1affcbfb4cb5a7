import { computed, signal } from '@preact/signals';
import { trusted } from '../sdk/boundary.ts';
import en from '../i18n/en.ts';
import { chooseLanguage, directionOf, fill, type TextValue } from './text.ts';
import type { Messages, PluralKey, TextKey } from './messages.ts';

/** Codes of the files in i18n/, put in by the build: adding a language is adding a file. */
declare const LANGUAGES: readonly string[];

const STORAGE_KEY = 'rostrum.language';
export const languages = LANGUAGES;
const current = signal<{ code: string; messages: Messages }>({ code: 'en', messages: en });

/** The language shown now. */
export const language = computed(() => current.value.code);

/** For Intl: the reader's own region where it is in the language shown (en-GB has another clock than en-US). */
export const formatLocale = computed(() => {
	const { code } = current.value;
	return navigator.languages.find((tag) => tag.toLowerCase().split('-')[0] === code) ?? code;
});

const nameOf = (code: string): string => new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;

/** The languages with their own names. */
export const languageNames: readonly { code: string; name: string }[] = languages.map((code) => ({ code, name: nameOf(code) }));

const stored = (): string | null => {
	try {
		return localStorage.getItem(STORAGE_KEY);
	} catch {
		// Storage is forbidden to this page: the choice lasts as long as the page.
		return null;
	}
};

/** Texts of parts that a page has loaded later. */
let moreOf: ((code: string) => Promise<Partial<Messages>>) | undefined;

const show = async (code: string): Promise<void> => {
	const [{ default: first }, more] = await Promise.all([
		code === 'en' ? { default: en } : trusted<Promise<{ default: Messages }>>(import(`../i18n/${code}.ts`)),
		moreOf?.(code),
	]);
	const messages = { ...first, ...more };
	document.documentElement.lang = code;
	document.documentElement.dir = directionOf(code);
	current.value = { code, messages };
};

/** Shows the language of `?lang=`, of an earlier choice, or of the browser, in this order. */
export const startLanguage = async (): Promise<void> => {
	const wanted = [new URLSearchParams(location.search).get('lang'), stored(), ...navigator.languages];
	// Without its language file a page in English is better than none.
	await show(chooseLanguage(wanted, languages)).catch(() => undefined);
};

/** Of a part of the page that is loaded later: from now on its texts are there, too, in whichever language is shown. */
export const addTexts = async (textsOf: (code: string) => Promise<Partial<Messages>>): Promise<void> => {
	moreOf = textsOf;
	await show(language.value);
};

export const switchLanguage = async (code: string): Promise<void> => {
	try {
		localStorage.setItem(STORAGE_KEY, code);
	} catch {
		// As above.
	}
	await show(code);
};

/** The text for a key in the language shown now. Read it while rendering, and the page follows a switch. */
export const t = (key: TextKey, values: Readonly<Record<string, TextValue>> = {}): string => fill(current.value.messages[key], values, listOf);

const listOf = (items: readonly string[]): string => new Intl.ListFormat(formatLocale.value, { type: 'conjunction' }).format(items);

export const tCount = (key: PluralKey, count: number): string => {
	const { code, messages } = current.value;
	const forms = messages[key];
	const form = forms[new Intl.PluralRules(code).select(count)] ?? forms.other;
	return form.replaceAll('{count}', new Intl.NumberFormat(formatLocale.value).format(count));
};
