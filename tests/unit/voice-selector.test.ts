import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VoiceSelector } from '../../sfu/stage/voice-selector.ts';
import type { Contender, VoiceSelectorOptions } from '../../sfu/stage/voice-selector.ts';

const LOUD = -20;
const QUIET = -80;

/** For what is checked at every step of a long run, where expect() would take most of the time. */
const must = (holds: boolean, otherwise: string): void => {
	if (!holds) throw new Error(otherwise);
};

/** Sources a, b, c … that send a packet every 20 ms, on a clock of their own. */
class Stage {
	nowMs = 0;
	readonly selector: VoiceSelector<string>;
	readonly sources = new Map<string, Contender<string>>();
	readonly log: string[] = [];

	constructor(voices: number, options: Omit<VoiceSelectorOptions, 'voices'> = {}) {
		this.selector = new VoiceSelector<string>(
			{ ...options, voices },
			{
				phrase: () => undefined,
				voice: (voice, holder, nowMs) => this.log.push(`${nowMs} ${voice}=${holder?.owner ?? '-'}`),
				dominant: (contender, nowMs) => this.log.push(`${nowMs} solo=${contender?.owner ?? '-'}`),
			},
		);
	}

	source(id: string): Contender<string> {
		let contender = this.sources.get(id);
		if (!contender) {
			contender = this.selector.add(id);
			this.sources.set(id, contender);
		}
		return contender;
	}

	/** Lets `ms` pass; every source named sends its level (undefined: none known) each 20 ms. */
	run(ms: number, levels: Record<string, number | undefined>): void {
		for (const until = this.nowMs + ms; this.nowMs < until; this.nowMs += 20) {
			for (const [id, level] of Object.entries(levels)) this.selector.hear(this.source(id), level, false, false, this.nowMs);
			this.selector.tick(this.nowMs);
		}
	}

	voices(): string {
		return Array.from({ length: 8 }, (_, voice) => this.selector.holderOf(voice)?.owner ?? '-').join('').replace(/-+$/, '');
	}
	get dominant(): string | undefined {
		return this.selector.dominant?.owner;
	}
}

describe('talking', () => {
	test.each<[string, number | undefined, boolean, boolean, boolean]>([
		['loud', -49, false, false, true],
		['just not loud', -50, false, false, false],
		['soft speech by the V bit', -59, true, false, true],
		['the V bit alone', -60, true, false, false],
		['a loud level on a packet without audio', -10, true, true, false],
		['no level, with audio', undefined, false, false, true],
		['no level, without audio', undefined, false, true, false],
	])('%s', (_, level, speech, silent, talks) => {
		const stage = new Stage(1);
		stage.selector.hear(stage.source('a'), level, speech, silent, 0);
		expect(stage.source('a').talking).toBe(talks);
		expect(stage.voices()).toBe(talks ? 'a' : '');
	});

	test('lasts until 600 ms after the last loud packet, whether quiet packets or none follow', () => {
		for (const levels of [{ a: QUIET }, {}]) {
			const stage = new Stage(2);
			stage.run(20, { a: LOUD });
			stage.run(600, levels);
			expect(stage.voices()).toBe('a');
			stage.run(20, levels);
			expect(stage.voices()).toBe('');
			expect(stage.log.at(-2)).toBe('620 0=-');
		}
	});

	test('a source that has sent levels does not talk by packets without one', () => {
		const stage = new Stage(1);
		stage.run(100, { a: QUIET });
		stage.run(100, { a: undefined });
		expect(stage.voices()).toBe('');
	});
});

describe('phrases', () => {
	test('one begins after silence and after every pause of more than 200 ms', () => {
		const phrases: number[] = [];
		const selector = new VoiceSelector<string>({ voices: 1 }, { phrase: (_, nowMs) => phrases.push(nowMs), voice: () => undefined, dominant: () => undefined });
		const contender = selector.add('a');
		for (const [nowMs, level] of [[0, LOUD], [20, QUIET], [200, LOUD], [220, QUIET], [400, LOUD], [620, LOUD], [1300, QUIET], [1320, LOUD]] as const) {
			selector.hear(contender, level, false, false, nowMs);
		}
		expect(phrases).toEqual([0, 620, 1320]);
	});
});

describe('voices', () => {
	test.each([0, 9, 1.5, Number.NaN])('%d voices are refused', (voices) => {
		expect(() => new Stage(voices)).toThrow(RangeError);
	});

	test('as many talkers as voices are never cut off, however different they are', () => {
		const stage = new Stage(3);
		stage.run(30_000, { a: -10, b: -49, c: -30 });
		expect(stage.voices()).toBe('abc');
		expect(stage.log.filter((entry) => !entry.includes('solo'))).toEqual(['0 0=a', '0 1=b', '0 2=c']);
	});

	test('a talker gets its own last voice back if it is free, else the one free for longest', () => {
		const stage = new Stage(3);
		stage.run(20, { a: LOUD, b: LOUD });
		stage.run(100, { b: LOUD });
		stage.run(1000, {});
		expect(stage.voices()).toBe('');
		stage.run(20, { b: LOUD });
		expect(stage.voices()).toBe('-b');
		stage.run(20, { c: LOUD });
		expect(stage.voices()).toBe('-bc');
		stage.run(20, { d: LOUD });
		expect(stage.voices()).toBe('dbc');
		stage.run(700, { b: LOUD, c: LOUD });
		stage.run(20, { a: LOUD });
		expect(stage.voices()).toBe('abc');
	});

	test('one too many waits; a voice that falls free goes to the loudest who waits', () => {
		const stage = new Stage(1);
		stage.run(20, { a: LOUD });
		stage.run(200, { a: LOUD, b: -40, c: -30 });
		expect(stage.voices()).toBe('a');
		stage.selector.remove(stage.source('a'), stage.nowMs);
		expect(stage.voices()).toBe('c');
	});

	test('one who waits in a pause gets no voice, and takes a free one with its next word', () => {
		const stage = new Stage(1);
		stage.run(20, { a: LOUD });
		stage.run(100, { a: LOUD, b: LOUD });
		stage.run(220, { a: LOUD, b: QUIET });
		stage.selector.remove(stage.source('a'), stage.nowMs);
		expect(stage.voices()).toBe('');
		stage.run(20, { b: QUIET });
		expect(stage.voices()).toBe('');
		stage.run(20, { b: LOUD });
		expect(stage.voices()).toBe('b');
	});

	test('a challenger 6 dB louder takes the weakest holder’s voice after 400 ms, when that was held for 1 s', () => {
		const stage = new Stage(2);
		stage.run(1000, { a: -20, b: -35 });
		stage.run(400, { a: -20, b: -35, c: -29 });
		expect(stage.voices()).toBe('ab');
		stage.run(20, { a: -20, b: -35, c: -29 });
		expect(stage.voices()).toBe('ac');
		expect(stage.source('b').talking).toBe(true);
	});

	test('…not before it was held for 1 s, and not when it is only a little louder', () => {
		const early = new Stage(1);
		early.run(100, { a: -35 });
		early.run(880, { a: -35, b: -20 });
		expect(early.voices()).toBe('a');
		early.run(60, { a: -35, b: -20 });
		expect(early.voices()).toBe('b');

		const close = new Stage(1);
		close.run(100, { a: -30 });
		close.run(10_000, { a: -30, b: -25 });
		expect(close.voices()).toBe('a');
	});

	test('a moment louder is not enough', () => {
		const stage = new Stage(1);
		stage.run(1000, { a: -30 });
		for (let round = 0; round < 10; round++) {
			stage.run(300, { a: -30, b: -20 });
			stage.run(400, { a: -30, b: -45 });
		}
		expect(stage.voices()).toBe('a');
	});

	test('a holder whose packets stop loses to a challenger as if it were silent', () => {
		const stage = new Stage(1);
		stage.run(1000, { a: -20 });
		stage.run(40, { a: -20, b: -30 });
		stage.run(560, { b: -30 });
		expect(stage.voices()).toBe('b');
	});
});

describe('the dominant speaker', () => {
	test('is the first to talk, and stays so through a pause and a louder word', () => {
		const stage = new Stage(3);
		stage.run(2000, { a: -30 });
		stage.run(200, { a: -30, b: -10 });
		expect(stage.dominant).toBe('a');
		stage.run(180, { a: QUIET });
		stage.run(1000, { a: -30 });
		expect(stage.dominant).toBe('a');
	});

	test('gives way to a clearly louder one after 400 ms', () => {
		const stage = new Stage(3);
		stage.run(2000, { a: -35 });
		stage.run(400, { a: -35, b: -20 });
		expect(stage.dominant).toBe('a');
		stage.run(60, { a: -35, b: -20 });
		expect(stage.dominant).toBe('b');
	});

	test('gives way at once when it has paused and another talks', () => {
		const stage = new Stage(3);
		stage.run(2000, { a: -20 });
		stage.run(220, { a: QUIET });
		stage.run(20, { a: QUIET, b: -45 });
		expect(stage.dominant).toBe('b');
	});

	test('is nobody when nobody talks, and the other when it leaves', () => {
		const stage = new Stage(3);
		stage.run(500, { a: -20, b: -30 });
		stage.selector.remove(stage.source('a'), stage.nowMs);
		expect(stage.dominant).toBe('b');
		stage.run(700, {});
		expect(stage.dominant).toBeUndefined();
	});

	test('may be one who has no voice', () => {
		const stage = new Stage(1, { minHoldMs: 5000 });
		stage.run(1000, { a: -45 });
		stage.run(3000, { a: QUIET, b: -10 });
		expect(stage.dominant).toBe('b');
	});
});

describe('any talk', () => {
	/** For each source: what it does in each stretch of time. */
	const plans = fc.array(
		fc.array(
			fc.record({
				ms: fc.integer({ min: 1, max: 60 }).map((packets) => packets * 20),
				level: fc.oneof(fc.integer({ min: -127, max: 0 }), fc.constantFrom(LOUD, QUIET, undefined)),
				speech: fc.boolean(),
				form: fc.constantFrom('audio', 'audio', 'audio', 'dtx', 'nothing', 'gone'),
			}),
			{ minLength: 1, maxLength: 12 },
		),
		{ minLength: 1, maxLength: 6 },
	);

	test('no voice has two holders and no source two voices; at most K talkers all have one; few switches when more talk', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 4 }), plans, (voices, sources) => {
				const switches: { atMs: number; voice: number; former: string | undefined; next: string | undefined; gone: boolean }[] = [];
				const holders: (string | undefined)[] = Array.from({ length: voices }, () => undefined);
				const takenAtMs = new Map<string, number>();
				let leaving: string | undefined;
				const selector = new VoiceSelector<string>(
					{ voices },
					{
						phrase: () => undefined,
						voice: (voice, holder, atMs) => {
							const former = holders[voice];
							expect(holder?.owner).not.toBe(former);
							if (holder) expect(holders).not.toContain(holder.owner);
							if (former !== undefined && former !== leaving) {
								// Kept through the hang-over, of which a talker who waited has at least 400 ms left; taken away after a second.
								expect(atMs - takenAtMs.get(former)!).toBeGreaterThanOrEqual(holder?.talking && selector.talkers.some((one) => one.owner === former) ? 1000 : 400);
							}
							switches.push({ atMs, voice, former, next: holder?.owner, gone: former === leaving && leaving !== undefined });
							holders[voice] = holder?.owner;
							if (holder) takenAtMs.set(holder.owner, atMs);
						},
						dominant: (contender) => {
							if (contender) expect(contender.talking).toBe(true);
						},
					},
				);
				const contenders = sources.map((_, index) => selector.add(String(index)));
				const cursor = sources.map(() => ({ part: 0, left: sources[0]![0]!.ms }));
				sources.forEach((plan, index) => (cursor[index]!.left = plan[0]!.ms));
				for (let nowMs = 0; nowMs < 8000; nowMs += 20) {
					sources.forEach((plan, index) => {
						const at = cursor[index]!;
						const part = plan[at.part];
						if (!part) return;
						const contender = contenders[index]!;
						if (part.form === 'gone') {
							leaving = contender.owner;
							selector.remove(contender, nowMs);
							leaving = undefined;
						} else if (part.form !== 'nothing') {
							selector.hear(contender, part.level, part.speech, part.form === 'dtx', nowMs);
						}
						// Whoever is heard talking has a voice at once, unless all are taken.
						if (contender.lastLoudMs === nowMs && contender.talking && contender.voice < 0) {
							must(!holders.includes(undefined), 'a talker waits beside a free voice');
							must(selector.talkers.length > voices, 'at most K talk and one has no voice');
						}
						if ((at.left -= 20) <= 0) {
							at.part++;
							at.left = plan[at.part]?.ms ?? 0;
						}
					});
					selector.tick(nowMs);
					contenders.forEach((one) => {
						must(one.voice < 0 || holders[one.voice] === one.owner, 'a source believes to have a voice of another');
						must(holders.filter((owner) => owner === one.owner).length === (one.voice >= 0 ? 1 : 0), 'a source has two voices');
						must(one.talking || one.voice < 0, 'a voice is held in silence');
						must(one.talking === selector.talkers.includes(one), 'the list of talkers is wrong');
					});
					must(selector.dominant !== undefined || !selector.talkers.some((one) => nowMs - one.lastLoudMs <= 200), 'one talks and nobody is dominant');
				}
				// So a voice never flaps: in any second it changes hands three times at most, departures aside.
				for (const { atMs, voice } of switches) {
					const near = switches.filter((one) => one.voice === voice && !one.gone && one.former !== undefined && one.atMs > atMs - 1000 && one.atMs <= atMs);
					expect(near.length).toBeLessThanOrEqual(3);
				}
			}),
			{ numRuns: 200 },
		);
	});
});
