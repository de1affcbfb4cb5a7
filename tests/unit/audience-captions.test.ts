import { describe, expect, it } from 'vitest';
import { CaptionLog } from '../../server/audience/caption-log.ts';
import { PersonLimit } from '../../server/audience/person-limit.ts';

const NOW_MS = Date.parse('2026-06-01T18:00:00.000Z');
const aLog = (options: Partial<ConstructorParameters<typeof CaptionLog>[0]> = {}) => new CaptionLog({ now: () => NOW_MS, ...options });
const texts = (lines: readonly { text: string }[]) => lines.map(({ text }) => text);

describe('captions', () => {
	it('keep final lines in order, and tell of each', () => {
		const log = aLog();
		const told: string[] = [];
		log.on('caption', (roomId, { text }) => told.push(`${roomId}: ${text}`));
		log.write('hall', 1, { text: 'Good evening.', speaker: 'Hana' });
		log.write('hall', 1, { text: 'Welcome.' });
		expect(log.of('hall')).toEqual([
			{ id: 2 ** 16 + 1, text: 'Good evening.', speaker: 'Hana', final: true, at: '2026-06-01T18:00:00.000Z' },
			{ id: 2 ** 16 + 2, text: 'Welcome.', final: true, at: '2026-06-01T18:00:00.000Z' },
		]);
		expect(told).toEqual(['hall: Good evening.', 'hall: Welcome.']);
		expect(log.of('elsewhere')).toEqual([]);
	});

	it('let a guess be replaced by the next one, and by the final line, of the same speaker and language', () => {
		const log = aLog();
		log.write('hall', 1, { text: 'Good', final: false, speaker: 'Hana' });
		log.write('hall', 1, { text: 'Well', final: false, speaker: 'Omar' });
		log.write('hall', 1, { text: 'Good eve', final: false, speaker: 'Hana' });
		expect(texts(log.shown('hall'))).toEqual(['Well', 'Good eve']);
		log.write('hall', 1, { text: 'Good evening.', speaker: 'Hana' });
		expect(texts(log.shown('hall'))).toEqual(['Well', 'Good evening.']);
		expect(texts(log.of('hall'))).toEqual(['Good evening.']);
	});

	it('show the last three lines of each language', () => {
		const log = aLog();
		for (const n of [1, 2, 3, 4]) {
			log.write('hall', 1, { text: `line ${n}`, language: 'en' });
			log.write('hall', 1, { text: `سطر ${n}`, language: 'ar' });
		}
		expect(texts(log.shown('hall'))).toEqual(['line 2', 'سطر 2', 'line 3', 'سطر 3', 'line 4', 'سطر 4']);
	});

	it('are one line each, of one spelling of their language', () => {
		const { text, speaker, language } = aLog().write('hall', 1, { text: ' two\nlines\u2028here\u0007 ', speaker: 'A\tB', language: 'EN-gb' });
		expect({ text, speaker, language }).toEqual({ text: 'two lines here', speaker: 'A B', language: 'en-GB' });
	});

	it.each([
		['a moment ago', '2026-06-01T20:59:58.000+03:00', '2026-06-01T17:59:58.000Z'],
		['a future', '2026-06-01T18:00:01.000Z', '2026-06-01T18:00:00.000Z'],
		['long ago', '2026-06-01T17:00:00.000Z', '2026-06-01T18:00:00.000Z'],
	])('are dated when they were said: %s', (_, at, expected) => {
		expect(aLog().write('hall', 1, { text: 'x', at }).at).toBe(expected);
	});

	it('have ids of their own with epochs as large as they are in a cluster', () => {
		const log = aLog();
		const ids = [1, 2, 3].map((n) => log.write('hall', 59_703_024_804, { text: `line ${n}` }).id);
		expect(new Set(ids).size).toBe(3);
		expect(ids.every(Number.isSafeInteger)).toBe(true);
	});

	it('are bounded in lines, in text and in rooms', () => {
		const log = aLog({ maxLines: 3, maxCharacters: 10, maxRooms: 2 });
		for (const text of ['a', 'b', 'c', 'd']) log.write('hall', 1, { text });
		expect(texts(log.of('hall'))).toEqual(['b', 'c', 'd']);
		log.write('hall', 1, { text: '123456789' });
		expect(texts(log.of('hall'))).toEqual(['d', '123456789']);
		log.write('second', 1, { text: 'x' });
		log.write('hall', 1, { text: 'y' });
		log.write('third', 1, { text: 'z' });
		expect([log.of('hall').length > 0, log.of('second').length > 0, log.of('third').length > 0]).toEqual([true, false, true]);
	});

	it('of two nodes become one log, in order and each once; a later home goes on behind them', () => {
		const [a, b] = [aLog(), aLog()];
		const first = a.write('hall', 1, { text: 'one' });
		b.merge('hall', [first], []);
		const third = a.write('hall', 3, { text: 'three' });
		const second = b.write('hall', 2, { text: 'two' });
		expect(b.merge('hall', [first, third])).toBe(true);
		expect(texts(b.of('hall'))).toEqual(['one', 'two', 'three']);
		expect(b.merge('hall', [second])).toBe(false);
		expect(texts(b.after('hall', second.id))).toEqual(['three']);
		expect(b.write('hall', 2, { text: 'four' }).id).toBeGreaterThan(third.id);
	});

	it('tell of nothing that was only copied', () => {
		const [a, b] = [aLog(), aLog()];
		b.on('caption', () => expect.fail('a copy is no news'));
		b.merge('hall', [a.write('hall', 1, { text: 'one' })]);
		expect(texts(b.of('hall'))).toEqual(['one']);
	});
});

describe('what one person may send', () => {
	it('has a limit of its own, which comes back with time', () => {
		let nowMs = 0;
		const limit = new PersonLimit({ max: 2, windowMs: 10_000, nowMs: () => nowMs, what: 'reactions' });
		limit.take('a');
		limit.take('a');
		expect(() => limit.take('a')).toThrow(expect.objectContaining({ code: 'too_many_requests', retryAfterSeconds: 5 }));
		limit.take('b');
		nowMs += 4_900;
		expect(() => limit.take('a')).toThrow();
		nowMs += 200;
		limit.take('a');
	});

	it('is forgotten for those seen longest ago, so that memory is bounded', () => {
		const limit = new PersonLimit({ max: 1, windowMs: 10_000, nowMs: () => 0, what: 'reactions', remembered: 2 });
		for (const person of ['a', 'b', 'c']) limit.take(person);
		limit.take('a');
		expect(() => limit.take('c')).toThrow();
	});
});
