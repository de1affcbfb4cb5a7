import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cardSvg, type CardFonts } from '../../server/web/share/card-svg.ts';
import { brokenLines } from '../../server/web/share/card-text.ts';
import { FontMetrics } from '../../server/web/share/font-metrics.ts';
import { linkPreviews } from '../../server/web/share/link-preview.ts';
import { ShareCards } from '../../server/web/share/share-cards.ts';
import { type ShareFacts, shareFacts } from '../../server/web/share/share-facts.ts';
import { createTestApp, type TestApp } from '../support/fakes/test-app.ts';
import { aRoom } from '../support/rooms.ts';

const START = '2026-05-24T20:00:00.000Z';
const facts = (changes: Partial<ShareFacts> = {}): ShareFacts => ({
	id: 'launch', title: 'The announcement', description: undefined, state: 'scheduled', startMs: Date.parse(START), host: undefined, ...changes,
});
/** Width and height as they stand in a PNG's header. */
const sizeOf = (png: Buffer) => {
	expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
	return [png.readUInt32BE(16), png.readUInt32BE(20)];
};

let fonts: CardFonts;
beforeAll(() => {
	const read = (name: string) => FontMetrics.read(readFileSync(fileURLToPath(import.meta.resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`))));
	fonts = { regular: read('DejaVuSans'), bold: read('DejaVuSans-Bold') };
});

/** The texts of the card, in order, as XML has them. */
const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text);

describe('what stands on a share card', () => {
	it('is the state, the title, the time in words and UTC, and the host', () => {
		expect(textsOf(cardSvg(facts({ host: 'Hana' }), fonts))).toEqual(['Live audio', 'The announcement', 'Sunday, 24 May 2026 · 20:00 UTC', 'with Hana']);
		expect(textsOf(cardSvg(facts({ state: 'live', startMs: undefined }), fonts))).toEqual(['Live now', 'The announcement']);
	});

	it('runs from right to left, and in Arabic, for an Arabic title', () => {
		const svg = cardSvg(facts({ title: 'إعلان كبير (2026)!', host: 'هناء' }), fonts);
		expect(textsOf(svg)).toEqual(['\u2067بث صوتي\u2069', '\u2067إعلان كبير (2026)!\u2069', '\u2067الأحد، 24 مايو 2026 · \u206620:00 UTC\u2069\u2069', '\u2067مع هناء\u2069']);
		expect([...svg.matchAll(/text-anchor="(\w+)"/g)].map(([, anchor]) => anchor)).toEqual(['middle', 'end', 'end', 'end']);
	});

	it('goes on in the next line when the title is long, and ends with an ellipsis when it is too long', () => {
		const words = Array.from({ length: 40 }, (_, index) => `word${index}`);
		expect(textsOf(cardSvg(facts({ title: words.slice(0, 8).join(' ') }), fonts)).slice(1, -1).join(' ')).toBe(words.slice(0, 8).join(' '));
		const lines = textsOf(cardSvg(facts({ title: words.join(' ') }), fonts)).slice(1, -1);
		expect(lines).toHaveLength(4);
		expect(lines.at(-1)).toMatch(/^[^…]+…$/);
		expect(textsOf(cardSvg(facts({ title: 'x'.repeat(200) }), fonts)).slice(1, -1).length).toBeGreaterThan(1);
	});

	it.each([
		['<a href="x">b</a> & c', '&lt;a href=&quot;x&quot;&gt;b&lt;/a&gt; &amp; c'],
		[']]><!-- &amp; -->', ']]&gt;&lt;!-- &amp;amp; --&gt;'],
		['Launch 🎙️👩‍👩‍👧 now', 'Launch now'],
		['東京からの放送', 'launch'],
		['🪩🪩', 'Live audio room'],
	])('%s is shown as %s', (title, shown) => {
		expect(textsOf(cardSvg(shareFactsOf(title), fonts)).slice(1, -1).join(' ')).toBe(shown);
	});

	it('holds no control characters and nothing that turns the direction of what follows', () => {
		expect(shareFactsOf('\u202egnp.exe\u0000\r\n\u2066next').title).toBe('gnp.exe next');
	});

	it('keeps every line within the card, whatever the title', () => {
		const text = fc.array(fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('مرحبا', 'WWWWWWWWWWWWWWWWWW', '\u202e', '👩‍👩‍👧', '&<>"')), { minLength: 1, maxLength: 20 });
		fc.assert(
			fc.property(text, (words) => {
				const svg = cardSvg(shareFactsOf(words.join(' ')), fonts);
				const widths: number[] = [];
				for (const [, size = '', content = ''] of svg.matchAll(/font-size="(\d+)" font-weight="700" fill="#f4efe6">([^<]*)<\/text>/g)) {
					const plain = content.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
					widths.push(fonts.bold.widthOf(plain) * Number(size));
				}
				expect(widths.length).toBeGreaterThan(0);
				expect(Math.max(...widths)).toBeLessThanOrEqual(1_040);
				expect(svg.replaceAll(/<\/?(svg|rect|text|path|circle|g)( [^<>]*)?\/?>/g, '')).not.toMatch(/[<>]|&(?!amp;|lt;|gt;|quot;)/);
			}),
		);
	});

	it('breaks lines between words and loses none', () => {
		const font = { has: () => true, widthOf: (line: string) => Array.from(line).length };
		fc.assert(
			fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1, maxLength: 20 }), fc.integer({ min: 3, max: 25 }), (words, width) => {
				const lines = brokenLines(words.join(' '), font, { width, size: 1, lines: 1_000 });
				expect(lines.every((line) => line.length <= width)).toBe(true);
				expect(lines.join('').replaceAll(' ', '')).toBe(words.join(''));
			}),
		);
	});

	const shareFactsOf = (title: string) => shareFacts(aRoom({ title, scheduledAt: START }), []);
});

describe('share cards', () => {
	let cards: ShareCards;
	const log = pino({ level: 'silent' });
	afterEach(() => cards.close());

	it('are drawn once for all who ask, and kept', async () => {
		cards = new ShareCards({ log });
		const [first, second] = await Promise.all([cards.card(facts()), cards.card(facts())]);
		expect(sizeOf(first)).toEqual([1_200, 630]);
		expect(second).toBe(first);
		expect(await cards.card(facts())).toBe(first);
		expect((await cards.card(facts({ state: 'live' }))).equals(first)).toBe(false);
	});

	it('look different for different titles, also Arabic and unreadable ones, and are drawn for any text', async () => {
		cards = new ShareCards({ log });
		const pngs = await Promise.all(['One', 'Two', 'إعلان', '\u0000\ud800', '東京', '&<>"\'', 'x'.repeat(200)].map((title) => cards.card(facts({ title }))));
		expect(new Set(pngs.map((png) => png.toString('base64'))).size).toBeGreaterThanOrEqual(6);
		for (const png of pngs) expect(sizeOf(png)).toEqual([1_200, 630]);
	});

	it('are refused when too many different ones wait, and the next one is drawn all the same', async () => {
		cards = new ShareCards({ log, maxWaiting: 2 });
		const outcomes = await Promise.allSettled(['1', '2', '3', '4'].map((title) => cards.card(facts({ title }))));
		expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
		expect(outcomes[3]).toMatchObject({ reason: { code: 'too_many_requests', retryAfterSeconds: 2 } });
		expect(sizeOf(await cards.card(facts({ title: '3' })))).toEqual([1_200, 630]);
	});

	it('are let go when they are too many to keep: those nobody asked for longest', async () => {
		cards = new ShareCards({ log });
		const size = (await cards.card(facts({ title: 'A' }))).length;
		cards.close();
		cards = new ShareCards({ log, maxBytes: 2.5 * size });
		const a = await cards.card(facts({ title: 'A' }));
		const b = await cards.card(facts({ title: 'B' }));
		expect(await cards.card(facts({ title: 'A' }))).toBe(a);
		await cards.card(facts({ title: 'C' }));
		expect(await cards.card(facts({ title: 'A' }))).toBe(a);
		expect(await cards.card(facts({ title: 'B' }))).not.toBe(b);
	});

	it('keep nobody waiting who asks while the node closes', async () => {
		cards = new ShareCards({ log });
		const asked = cards.card(facts());
		cards.close();
		await expect(asked).rejects.toMatchObject({ code: 'shutting_down' });
		await expect(cards.card(facts())).rejects.toMatchObject({ code: 'shutting_down' });
	});
});

describe('GET /v1/rooms/:room/card.png', () => {
	let test: TestApp;
	beforeEach(async () => {
		test = await createTestApp();
		await test.rooms.create({ id: 'launch', title: 'Launch', scheduledAt: START });
		await test.rooms.create({ id: 'secret', title: 'Secret', visibility: 'private' });
	});
	afterEach(() => test.close());
	const get = (room: string, headers: Record<string, string> = {}, query = '') => test.app.inject({ url: `/v1/rooms/${room}/card.png${query}`, headers });

	it('is a picture that caches keep for a minute, and another one when the room has changed', async () => {
		const answer = await get('launch', {}, '?v=1');
		expect(answer.statusCode).toBe(200);
		expect(answer.headers).toMatchObject({ 'content-type': 'image/png', 'cache-control': 'public, max-age=60' });
		expect(sizeOf(answer.rawPayload)).toEqual([1_200, 630]);
		const known = { 'if-none-match': `"other", W/${String(answer.headers.etag)}` };
		expect((await get('launch', known)).statusCode).toBe(304);
		await test.rooms.transition('launch', 'open');
		const open = await get('launch', known);
		expect(open.statusCode).toBe(200);
		expect(open.rawPayload.equals(answer.rawPayload)).toBe(false);
	});

	it('of a private room needs a token, and is kept by no shared cache', async () => {
		expect((await get('secret')).json()).toMatchObject({ code: 'token_required' });
		const answer = await get('secret', { authorization: await test.bearer('listener', 'secret') });
		expect(answer.statusCode).toBe(200);
		expect(answer.headers['cache-control']).toBe('private, no-cache');
		expect((await get('nowhere')).json()).toMatchObject({ code: 'room_not_found' });
	});
});

describe('what a shared link shows', () => {
	const previewOf = (room: Parameters<typeof aRoom>[0]) => linkPreviews({ rooms: { get: () => aRoom(room) }, publicUrl: () => 'https://rooms.example.org/radio' })('launch');

	it('is the title, the time, the description and the card, by absolute addresses', () => {
		const preview = previewOf({ title: 'Launch', description: 'With\nquestions.', scheduledAt: START, version: 7 });
		expect(Object.fromEntries(preview?.tags() ?? [])).toMatchObject({
			'og:title': 'Launch',
			'og:description': 'Sunday, 24 May 2026 · 20:00 UTC. With questions.',
			'og:url': 'https://rooms.example.org/radio/r/launch',
			'og:image': 'https://rooms.example.org/radio/v1/rooms/launch/card.png?v=7',
			'twitter:card': 'summary_large_image',
		});
		expect(Object.fromEntries(previewOf({ state: 'live' })?.tags() ?? [])['og:description']).toBe('Live now');
	});

	it('is cut where it is long', () => {
		const tags = Object.fromEntries(previewOf({ description: '🎙'.repeat(5_000) })?.tags() ?? []);
		expect(Array.from(tags['og:description'] ?? '').length).toBe(200);
	});

	it('is nothing for a private room, as for one that does not exist', () => {
		expect(previewOf({ visibility: 'private' })).toBeUndefined();
		expect(linkPreviews({ rooms: { get: () => undefined }, publicUrl: () => '' })('nowhere')).toBeUndefined();
	});
});
