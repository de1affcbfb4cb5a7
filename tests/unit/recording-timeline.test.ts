import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RecordedPart, readPartLog } from '../../server/recording/part-log.ts';
import { timelineOf } from '../../server/recording/timeline.ts';
import { captionsVtt, chaptersVtt } from '../../server/recording/webvtt.ts';

const part = (startMs: number, durationMs: number, more: Partial<RecordedPart> = {}): RecordedPart => ({ id: `p${startMs}`, startMs, durationMs, turns: [], names: [], captions: [], ...more });
const NAMES: [number, string][] = [[1, 'Ann'], [2, 'Ben'], [3, 'Cleo']];
const chapters = (turns: [number, number, number][], durationMs = 60_000) => timelineOf([part(0, durationMs, { turns, names: NAMES })]).chapters.map(({ name, startMs, endMs }) => [name, startMs, endMs]);

describe('chapters of a recording', () => {
	it('begin where somebody else speaks on', () => {
		expect(chapters([[1, 0, 20_000], [2, 20_500, 45_000], [1, 45_200, 60_000]])).toEqual([['Ann', 0, 20_500], ['Ben', 20_500, 45_200], ['Ann', 45_200, 60_000]]);
	});

	it('are not cut by a word, a pause, or somebody who talks into what another one says', () => {
		expect(chapters([[1, 1_000, 20_000], [2, 10_000, 11_000], [1, 21_000, 40_000], [3, 22_000, 30_000]])).toEqual([['Ann', 1_000, 60_000]]);
	});

	it('stay with who began while two talk to and fro quickly', () => {
		expect(chapters([[1, 0, 4_000], [2, 4_000, 7_500], [1, 7_500, 11_000], [2, 12_000, 30_000]])).toEqual([['Ann', 0, 12_000], ['Ben', 12_000, 60_000]]);
	});

	it('are none where nobody speaks', () => {
		expect(chapters([])).toEqual([]);
	});

	it('follow each other without a hole to the end, whoever speaks when', () => {
		const turn = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(100_000), fc.nat(30_000)).map(([number, fromMs, lengthMs]): [number, number, number] => [number, fromMs, fromMs + lengthMs]);
		fc.assert(
			fc.property(fc.array(turn, { maxLength: 40 }), (turns) => {
				const { chapters: made, durationMs, speakers } = timelineOf([part(0, 120_000, { turns: turns.toSorted((a, b) => a[1] - b[1]) })]);
				made.forEach(({ startMs, endMs }, index) => {
					expect(endMs).toBeGreaterThan(startMs);
					expect(endMs).toBe(made[index + 1]?.startMs ?? durationMs);
				});
				// Whoever has a chapter speaks in it.
				for (const { number, startMs, endMs } of made) {
					expect(speakers.find((speaker) => speaker.number === number)?.turns.some(([fromMs, toMs]) => fromMs < endMs && toMs > startMs)).toBe(true);
				}
			}),
		);
	});
});

describe('parts of a recording', () => {
	it('stand where they were recorded, with the silence between, however they come', () => {
		const { parts, durationMs, speakers } = timelineOf([part(104_000, 5_000, { turns: [[2, 0, 5_000]], names: NAMES }), part(100_000, 3_000, { turns: [[1, 500, 2_500]], names: NAMES })]);
		expect(parts.map(({ atMs, lengthMs }) => [atMs, lengthMs])).toEqual([[0, 4_000], [4_000, 5_000]]);
		expect(durationMs).toBe(9_000);
		expect(speakers).toEqual([{ number: 1, name: 'Ann', spokeMs: 2_000, turns: [[500, 2_500]] }, { number: 2, name: 'Ben', spokeMs: 5_000, turns: [[4_000, 9_000]] }]);
	});

	it('follow each other after a moment when hours lie between, and directly when clocks differ', () => {
		expect(timelineOf([part(0, 1_000), part(7_200_000, 1_000)]).durationMs).toBe(8_000);
		expect(timelineOf([part(0, 3_000), part(2_000, 3_000)]).durationMs).toBe(6_000);
	});

	it('count for nothing when nothing of them was written', () => {
		expect(timelineOf([part(0, 0), part(500, 1_000)])).toMatchObject({ durationMs: 1_000, parts: [{ atMs: 0 }] });
	});

	it('are read from a log up to where it was cut off', () => {
		const lines = [{ startMs: 50 }, { untilMs: 900, turns: [[1, 0, 800]] }, { names: [[1, 'Ann']] }, { captions: [{ text: 'Hello', atMs: 60 }] }, { untilMs: 1_900 }].map((line) => JSON.stringify(line));
		expect(readPartLog('p', `${lines.join('\n')}\n{"untilMs":29`)).toEqual({ id: 'p', startMs: 50, durationMs: 1_900, turns: [[1, 0, 800]], names: [[1, 'Ann']], captions: [{ text: 'Hello', atMs: 60 }] });
		expect(readPartLog('p', '{"startM')).toBeUndefined();
		expect(readPartLog('p', '{"startMs":5}\n{"untilMs":"soon"}\n')).toMatchObject({ durationMs: 0 });
	});
});

describe('captions of a recording', () => {
	const captions = (...lines: [atMs: number, text: string, speaker?: string][]) => lines.map(([atMs, text, speaker]) => ({ atMs, text, ...(speaker === undefined ? {} : { speaker }) }));

	it('stand at their time until the next, and not for ever', () => {
		const { cues } = timelineOf([part(1_000, 60_000, { captions: captions([2_000, 'One'], [4_000, 'Two'], [30_000, 'Three'], [30_100, 'Four']) })]);
		expect(cues.map(({ text, startMs, endMs }) => [text, startMs, endMs])).toEqual([['One', 1_000, 3_000], ['Two', 3_000, 10_000], ['Three', 29_000, 30_000], ['Four', 29_100, 36_100]]);
	});

	it('are told once, however many parts know them, and left out where nothing was recorded', () => {
		const all = captions([500, 'Before'], [2_000, 'One'], [5_000, 'Between']);
		expect(timelineOf([part(1_000, 2_000, { captions: all }), part(20_000, 2_000, { captions: all })]).cues.map(({ text }) => text)).toEqual(['One', 'Between']);
	});

	it('cannot break out of their cue', () => {
		const vtt = captionsVtt([{ startMs: 3_723_004, endMs: 3_724_000, text: 'a --> b\n\n00:00 & <b>', speaker: 'Eve>\n\nX' }]);
		expect(vtt).toBe('WEBVTT\n\n01:02:03.004 --> 01:02:04.000\n<v Eve&gt; X>a --&gt; b\n00:00 &amp; &lt;b&gt;\n');
	});

	it('and chapters have a file each, for players that read them', () => {
		expect(chaptersVtt([{ startMs: 0, endMs: 1_500, number: 1, name: 'Ann' }, { startMs: 1_500, endMs: 2_000, number: 7, name: '' }])).toBe(
			'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nAnn\n\n00:00:01.500 --> 00:00:02.000\n#7\n',
		);
	});
});
