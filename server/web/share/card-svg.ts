import { CARD_HEIGHT, CARD_WIDTH } from './card-size.ts';
import { brokenLines, drawable, isReadable } from './card-text.ts';
import type { FontMetrics } from './font-metrics.ts';
import { directionOf, type ShareFacts, shareWords, untitled } from './share-facts.ts';

export const CARD_FONT = 'DejaVu Sans';

export interface CardFonts {
	regular: FontMetrics;
	bold: FontMetrics;
}

// The colours of the pages in the dark: a card stands out among others on light ground, and is no lamp on dark.
const GROUND = '#141210';
const INK = '#f4efe6';
const QUIET = '#b3aa9b';
const ACCENT = '#ff8c69';
const ON_ACCENT = '#2a0f05';
const SEAT = '#453f37';

const MARGIN = 80;
const WIDTH = CARD_WIDTH - 2 * MARGIN;
/** Short titles are large; a long one is smaller and has a line more. */
const TITLES = [{ size: 80, lines: 2, leading: 98 }, { size: 62, lines: 3, leading: 78 }, { size: 48, lines: 4, leading: 60 }] as const;
const TITLE_TOP = 190;
const SMALL = 34;

/** The share card of a room. All that people have written is escaped; letters that the fonts lack are left out. */
export function cardSvg(facts: ShareFacts, { regular, bold }: CardFonts): string {
	const words = shareWords(facts);
	const written = drawable(facts.title, bold);
	// A title of which nothing could be read: the name in the address says more.
	const title = isReadable(written) ? written : (isReadable(facts.title) ? facts.id : written || untitled(facts));
	const rtl = directionOf(title) === 'rtl';
	const line = (text: string, y: number, size: number, fill: string, weight: 400 | 700) =>
		`<text x="${rtl ? CARD_WIDTH - MARGIN : MARGIN}" y="${y}" text-anchor="${rtl ? 'end' : 'start'}" font-size="${size}" font-weight="${weight}" fill="${fill}">${directed(text, rtl)}</text>`;
	const { lines, size, leading } = titleLines(title, bold);
	const host = isReadable(drawable(facts.host ?? '', regular)) ? words.host : undefined;
	const details = [words.when, host].flatMap((text) => (text === undefined ? [] : brokenLines(drawable(text, regular), regular, { width: WIDTH, size: SMALL, lines: 1 })));
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${CARD_WIDTH}" height="${CARD_HEIGHT}" viewBox="0 0 ${CARD_WIDTH} ${CARD_HEIGHT}" font-family="${CARD_FONT}">`,
		`<rect width="${CARD_WIDTH}" height="${CARD_HEIGHT}" fill="${GROUND}"/>`,
		auditorium(rtl, facts.state === 'live'),
		statePill(drawable(words.state, bold), facts.state, rtl, bold),
		...lines.map((text, index) => line(text, TITLE_TOP + size + index * leading, size, INK, 700)),
		...details.map((text, index) => line(text, CARD_HEIGHT - MARGIN - (details.length - 1 - index) * 52, SMALL, index === 0 ? INK : QUIET, 400)),
		'</svg>',
	].join('');
}

function titleLines(title: string, font: FontMetrics): { lines: string[]; size: number; leading: number } {
	for (const { size, lines: most, leading } of TITLES) {
		const lines = brokenLines(title, font, { width: WIDTH, size, lines: most + 1 });
		if (lines.length <= most) {
			return { lines, size, leading };
		}
	}
	const { size, lines, leading } = TITLES[TITLES.length - 1]!;
	return { lines: brokenLines(title, font, { width: WIDTH, size, lines }), size, leading };
}

function statePill(text: string, state: ShareFacts['state'], rtl: boolean, font: FontMetrics): string {
	const width = Math.ceil(font.widthOf(text) * 28) + 56;
	const x = rtl ? CARD_WIDTH - MARGIN - width : MARGIN;
	const bright = state === 'live' || state === 'open';
	return (
		`<rect x="${x}" y="${MARGIN}" width="${width}" height="56" rx="28" fill="${bright ? ACCENT : SEAT}"/>` +
		`<text x="${x + width / 2}" y="${MARGIN + 38}" text-anchor="middle" font-size="28" font-weight="700" fill="${bright ? ON_ACCENT : INK}">${directed(text, rtl)}</text>`
	);
}

/** Rows of seats around a stage, as on the pages: in the corner away from the text. */
function auditorium(rtl: boolean, lit: boolean): string {
	const x = rtl ? MARGIN + 110 : CARD_WIDTH - MARGIN - 110;
	const rows = [48, 78, 108].map((radius, row) => {
		// A hair short of an even share of the half circle, so that the last seat is drawn too.
		const seatEvery = ((Math.PI * radius) / (7 + 4 * row)) * 0.997;
		return `<path d="M${x - radius} 148a${radius} ${radius} 0 0 1 ${2 * radius} 0" stroke-width="${12 - 2 * row}" stroke-dasharray="0 ${seatEvery.toFixed(2)}" opacity="${1 - 0.25 * row}"/>`;
	});
	return `<circle cx="${x}" cy="148" r="20" fill="${lit ? ACCENT : QUIET}"/><g fill="none" stroke="${SEAT}" stroke-linecap="round">${rows.join('')}</g>`;
}

/** In an isolate of its own (UAX #9), so that full stops and brackets stand where readers of the language expect them. */
const directed = (text: string, rtl: boolean): string => (rtl ? `\u2067${escapeXml(text)}\u2069` : escapeXml(text));

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
