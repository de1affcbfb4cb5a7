import type { FontMetrics } from './font-metrics.ts';

type Font = Pick<FontMetrics, 'has' | 'widthOf'>;

/** Without characters that the font would draw as empty boxes: most emoji, and scripts it does not have. Isolates stay (UAX #9): they are not drawn. */
export function drawable(text: string, font: Font): string {
	return Array.from(text)
		.filter((character) => /[ \u2066-\u2069]/.test(character) || (font.has(character) && !/\p{Variation_Selector}|\u200b|\u200d|\u20e3/u.test(character)))
		.join('')
		.replaceAll(/\s+/g, ' ')
		.trim();
}

/** Whether there is anything to read in it. */
export const isReadable = (text: string): boolean => /[\p{L}\p{N}]/u.test(text);

export interface LineLimits {
	/** In pixels. */
	width: number;
	size: number;
	lines: number;
}

/** Text broken between words into at most so many lines; what does not fit is cut, and says so with an ellipsis. */
export function brokenLines(text: string, font: Font, { width, size, lines: most }: LineLimits): string[] {
	const fits = (line: string) => font.widthOf(line) * size <= width;
	const lines: string[] = [];
	let line = '';
	const words = text.split(' ').flatMap((word) => pieces(word, fits));
	for (const [index, word] of words.entries()) {
		const longer = line === '' ? word : `${line} ${word}`;
		if (fits(longer)) {
			line = longer;
			continue;
		}
		if (lines.length === most - 1) {
			return [...lines, cut([line, ...words.slice(index)].join(' '), fits)];
		}
		lines.push(line);
		line = word;
	}
	return line === '' ? lines : [...lines, line];
}

/** A word that is longer than a line, in parts that are not. */
function pieces(word: string, fits: (line: string) => boolean): string[] {
	const parts: string[] = [];
	let part = '';
	for (const { segment } of graphemes.segment(word)) {
		if (part !== '' && !fits(part + segment)) {
			parts.push(part);
			part = '';
		}
		part += segment;
	}
	return [...parts, part];
}

function cut(text: string, fits: (line: string) => boolean): string {
	let kept = '';
	for (const { segment } of graphemes.segment(text)) {
		if (!fits(`${kept}${segment}…`)) {
			break;
		}
		kept += segment;
	}
	return `${kept.trimEnd()}…`;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
