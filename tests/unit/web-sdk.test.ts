import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LISTEN_BACKOFF, retryDelayMs, STAGE_BACKOFF } from '../../server/web/browser/sdk/backoff.ts';
import { parseIceServers } from '../../server/web/browser/sdk/ice-links.ts';
import { levelOf } from '../../server/web/browser/sdk/level.ts';
import { parseRetryAfter } from '../../server/web/browser/sdk/problem.ts';
import { NO_TOTALS, qualityBetween, readReceiveStats } from '../../server/web/browser/sdk/quality.ts';
import { SpeakerTracker } from '../../server/web/browser/sdk/speaker-tracker.ts';
import { SseParser } from '../../server/web/browser/sdk/sse-parser.ts';
import { STALL_LIMITS, StallDetector } from '../../server/web/browser/sdk/stall-detector.ts';

describe('retryDelayMs', () => {
	it('spreads the first attempt over 0 to 300 ms, so that a crowd that fell together does not return together', () => {
		expect(retryDelayMs(0, () => 0, LISTEN_BACKOFF)).toBe(0);
		expect(retryDelayMs(0, () => 0.999_999, LISTEN_BACKOFF)).toBe(299);
	});

	it('doubles the bound with each attempt up to 15 s for listeners, 2 s for speakers', () => {
		const bounds = [1, 2, 3, 4, 5, 6, 50].map((attempt) => retryDelayMs(attempt, () => 0.999_999_9, LISTEN_BACKOFF));
		expect(bounds).toEqual([999, 1_999, 3_999, 7_999, 14_999, 14_999, 14_999]);
		expect(retryDelayMs(50, () => 0.999_999_9, STAGE_BACKOFF)).toBe(1_999);
	});

	it('never comes before the server asked for, and jitters on top of it', () => {
		fc.assert(
			fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999_999, noNaN: true }), fc.nat(60_000), (attempt, random, retryAfterMs) => {
				const delayMs = retryDelayMs(attempt, () => random, LISTEN_BACKOFF, retryAfterMs);
				return delayMs >= retryAfterMs && delayMs <= retryAfterMs + LISTEN_BACKOFF.capMs;
			}),
		);
	});
});

describe('StallDetector', () => {
	const voices = (...counts: number[]) => new Map(counts.map((count, index) => [String(index), count]));
	/** Observes every 250 ms from one moment to another; `count` gives each voice's packets at a time. */
	const run = (detector: StallDetector, fromMs: number, toMs: number, count: (atMs: number) => number[]) => {
		const seen: { atMs: number; stall: string }[] = [];
		for (let atMs = fromMs; atMs <= toMs; atMs += 250) {
			const stall = detector.observe(atMs, voices(...count(atMs)));
			if (stall !== 'none') {
				seen.push({ atMs, stall });
			}
		}
		return seen;
	};
	const keepAlives = (atMs: number) => Math.floor(atMs / 400) + 1;

	it('takes keep-alives of 400 ms on every voice for silence, not for a stall', () => {
		expect(run(new StallDetector(0), 250, 20_000, (atMs) => [keepAlives(atMs), keepAlives(atMs), keepAlives(atMs)])).toEqual([]);
	});

	it.each([20, 40, 60, 120])('sees no stall in speech packed to %i ms, one voice talking', (packingMs) => {
		expect(run(new StallDetector(0), 250, 10_000, (atMs) => [Math.floor(atMs / packingMs) + 1, keepAlives(atMs)])).toEqual([]);
	});

	it('finds out within 1.5 s that nothing comes any more', () => {
		const detector = new StallDetector(0);
		const [first] = run(detector, 250, 10_000, (atMs) => [keepAlives(Math.min(atMs, 4_000)), keepAlives(Math.min(atMs, 4_000))]);
		expect(first?.stall).toBe('all');
		expect(first?.atMs).toBeGreaterThan(4_000 + STALL_LIMITS.allMs);
		expect(first?.atMs).toBeLessThanOrEqual(5_500);
	});

	it('finds a single voice that stopped while others go on, but not one that never flowed', () => {
		const stopped = run(new StallDetector(0), 250, 72_000, (atMs) => [keepAlives(atMs), keepAlives(Math.min(atMs, 4_000))]);
		expect(stopped[0]).toEqual({ atMs: 68_250, stall: 'voice' });
		expect(run(new StallDetector(0), 250, 72_000, (atMs) => [keepAlives(atMs), 0])).toEqual([]);
	});

	it('gives a new session five seconds for its first packet', () => {
		const detector = new StallDetector(0);
		expect(run(detector, 250, 5_000, () => [0, 0])).toEqual([]);
		expect(detector.observe(5_250, voices(0, 0))).toBe('all');
		expect(detector.flowed).toBe(false);
	});

	it('excuses one absence of the observer (a frozen page), but a second one without a packet is a stall', () => {
		const detector = new StallDetector(0);
		detector.observe(250, voices(5));
		expect(detector.observe(60_000, voices(5))).toBe('none');
		expect(detector.observe(120_000, voices(5))).toBe('all');
		expect(detector.observe(180_000, voices(6))).toBe('none');
	});

	it('judges within the usual time after an absence', () => {
		const detector = new StallDetector(0);
		detector.observe(250, voices(5));
		expect(run(detector, 60_000, 63_000, () => [5])[0]).toEqual({ atMs: 61_250, stall: 'all' });
	});
});

describe('qualityBetween', () => {
	const after = (change: Partial<typeof NO_TOTALS>) => ({ ...NO_TOTALS, packetsReceived: 100, totalSamples: 96_000, ...change });

	it.each([
		['an undisturbed line', {}, 'good'],
		['0.5 % made up', { concealedSamples: 480 }, 'good'],
		['2 % made up', { concealedSamples: 1_920 }, 'fair'],
		['6 % made up', { concealedSamples: 5_760 }, 'poor'],
		['6 % made up of silence only', { concealedSamples: 5_760, silentConcealedSamples: 5_760 }, 'good'],
		['5 % of packets lost', { packetsReceived: 95, packetsLost: 5 }, 'fair'],
		['a fifth of packets lost', { packetsReceived: 80, packetsLost: 20 }, 'poor'],
		['one of very few keep-alives lost', { packetsReceived: 14, packetsLost: 1 }, 'good'],
		['much jitter', { jitterMs: 90 }, 'fair'],
		['extreme jitter', { jitterMs: 300 }, 'poor'],
	] as const)('grades %s', (_name, change, grade) => {
		expect(qualityBetween(NO_TOTALS, after(change))).toBe(grade);
	});

	it('looks at what is new only', () => {
		const bad = after({ concealedSamples: 20_000 });
		expect(qualityBetween(bad, { ...bad, packetsReceived: 200, totalSamples: 192_000 })).toBe('good');
	});

	it('sums inbound audio over voices and ignores all other statistics', () => {
		const { totals, packets } = readReceiveStats([
			{ type: 'inbound-rtp', kind: 'audio', mid: '0', packetsReceived: 10, packetsLost: 1, jitter: 0.01, totalSamplesReceived: 960, concealedSamples: 5 },
			{ type: 'inbound-rtp', kind: 'audio', mid: '1', packetsReceived: 4, jitter: 0.02, totalSamplesReceived: 960, silentConcealedSamples: 2 },
			{ type: 'outbound-rtp', kind: 'audio', mid: '2' },
		]);
		expect(totals).toEqual({ packetsReceived: 14, packetsLost: 1, jitterMs: 20, totalSamples: 1_920, concealedSamples: 5, silentConcealedSamples: 2 });
		expect([...packets]).toEqual([['0', 10], ['1', 4]]);
	});
});

describe('SpeakerTracker', () => {
	const sources = (...list: [voice: string, source: number, timestamp: number][]) =>
		new Map(list.map(([voice, source, timestamp]) => [voice, [{ source, timestamp }]]));

	it('shows who speaks, and drops whoever sent nothing new for half a second, whatever base the timestamps have', () => {
		const tracker = new SpeakerTracker();
		expect(tracker.observe(0, sources(['0', 7, 1e12], ['1', 3, 5]))).toEqual([3, 7]);
		expect(tracker.observe(400, sources(['0', 7, 1e12 + 120], ['1', 3, 5]))).toEqual([3, 7]);
		expect(tracker.observe(600, sources(['0', 7, 1e12 + 240], ['1', 3, 5]))).toEqual([7]);
		expect(tracker.observe(1_200, sources(['0', 7, 1e12 + 240]))).toEqual([]);
	});

	it('keeps showing somebody whose voice changed', () => {
		const tracker = new SpeakerTracker();
		tracker.observe(0, sources(['0', 7, 1]));
		expect(tracker.observe(450, sources(['2', 7, 450]))).toEqual([7]);
		expect(tracker.observe(900, sources(['0', 7, 1], ['2', 7, 850]))).toEqual([7]);
	});
});

describe('SseParser', () => {
	const stream = ': hello\n\nid: 12-3\nevent: room\ndata: {"a":1}\n\nevent: stage\r\ndata: one\r\ndata: two\r\n\r\nretry: 2500\ndata:bare\n\nevent: lost\n\n';
	const whole = [
		{ type: 'room', data: '{"a":1}', id: '12-3' },
		{ type: 'stage', data: 'one\ntwo', id: '12-3' },
		{ type: 'message', data: 'bare', id: '12-3' },
	];

	it('gives the same events wherever the network cuts the stream', () => {
		fc.assert(
			fc.property(fc.uniqueArray(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
				const parser = new SseParser();
				const edges = [0, ...cuts.toSorted((a, b) => a - b), stream.length];
				const events = edges.slice(1).flatMap((edge, index) => parser.push(stream.slice(edges[index], edge)));
				expect(events).toEqual(whole);
				expect(parser.lastEventId).toBe('12-3');
				expect(parser.retryMs).toBe(2_500);
			}),
		);
	});

	it('drops what was not finished, and goes on from an earlier id', () => {
		const parser = new SseParser('9');
		expect(parser.push('data: half')).toEqual([]);
		expect(parser.lastEventId).toBe('9');
	});
});

describe('headers of the listen answer', () => {
	it('gives the ICE servers of a Link header, and nothing else that is linked', () => {
		expect(
			parseIceServers(
				'<https://example.org/terms>; rel="license", <turn:turn.example.org?transport=udp>; rel="ice-server"; username="12:a,b"; credential="s\\"c"; credential-type="password", <stun:stun.example.org>; rel=ice-server',
			),
		).toEqual([{ urls: 'turn:turn.example.org?transport=udp', username: '12:a,b', credential: 's"c' }, { urls: 'stun:stun.example.org' }]);
		expect(parseIceServers(null)).toEqual([]);
	});

	it('reads Retry-After as seconds or as a date', () => {
		expect(parseRetryAfter('3', 0)).toBe(3_000);
		expect(parseRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4_000)).toBe(6_000);
		expect(parseRetryAfter('soon', 0)).toBeUndefined();
		expect(parseRetryAfter(null, 0)).toBeUndefined();
	});
});

describe('levelOf', () => {
	it('shows decibels: full scale 1, -30 dBFS half, silence 0', () => {
		expect(levelOf(new Float32Array(1_024).fill(1))).toBeCloseTo(1);
		expect(levelOf(new Float32Array(1_024).fill(10 ** (-30 / 20)))).toBeCloseTo(0.5);
		expect(levelOf(new Float32Array(1_024))).toBe(0);
		expect(levelOf(new Float32Array(1_024).fill(1e-5))).toBe(0);
	});
});
