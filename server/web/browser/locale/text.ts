// What can be said of languages and texts without a page: pure, so that it can be tested anywhere.
import { trusted } from '../sdk/boundary.ts';

/** For browsers that do not know Intl.Locale's text info yet. */
const RIGHT_TO_LEFT = new Set(['ar', 'arc', 'ckb', 'dv', 'fa', 'he', 'ps', 'sd', 'ug', 'ur', 'yi']);

interface TextInfo {
	direction?: 'ltr' | 'rtl';
}

export const directionOf = (code: string): 'ltr' | 'rtl' => {
	const locale = trusted<Intl.Locale & { getTextInfo?: () => TextInfo; textInfo?: TextInfo }>(new Intl.Locale(code));
	return (locale.getTextInfo?.() ?? locale.textInfo)?.direction ?? (RIGHT_TO_LEFT.has(locale.language) ? 'rtl' : 'ltr');
};

/** The first of the wanted languages that is there, by exact code or by language alone. */
export const chooseLanguage = (wanted: readonly (string | null | undefined)[], offered: readonly string[]): string => {
	for (const tag of wanted) {
		const lower = tag?.toLowerCase() ?? '';
		const match = offered.find((code) => code.toLowerCase() === lower) ?? offered.find((code) => code === lower.split('-')[0]);
		if (match !== undefined) {
			return match;
		}
	}
	return offered.includes('en') ? 'en' : (offered[0] ?? 'en');
};

/** What is filled into a text; of several things, e.g. names, a list is made. */
export type TextValue = string | readonly string[];

/** What may run in another direction than the text around it, with FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE. */
const apart = (value: string): string => `\u2068${value}\u2069`;

/**
 * Fills `{name}` in. What is filled in (a name, a title) is set apart from the text; so is each thing of a list, which
 * itself runs as the text does: its first name does not lay down the direction of the others.
 */
export const fill = (template: string, values: Readonly<Record<string, TextValue>>, list: (items: readonly string[]) => string = (items) => items.join(', ')): string =>
	template.replaceAll(/\{(\w+)\}/g, (placeholder, name: string) => {
		const value = values[name];
		return value === undefined ? placeholder : typeof value === 'string' ? apart(value) : list(value.map(apart));
	});
