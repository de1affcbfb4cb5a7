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

/**
 * Fills `{name}` in. What is filled in may run in another direction than the text around it (a name, a
 * title), so it is set apart with FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE.
 */
export const fill = (template: string, values: Readonly<Record<string, string>>): string =>
	template.replaceAll(/\{(\w+)\}/g, (placeholder, name: string) => {
		const value = values[name];
		return value === undefined ? placeholder : `\u2068${value}\u2069`;
	});
