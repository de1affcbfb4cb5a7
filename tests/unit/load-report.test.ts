import { describe, expect, it } from 'vitest';
import { compare, comparisonText } from '../load/surge/comparison.ts';
import { distributionOf } from '../load/surge/distribution.ts';
import type { Entry, ListenerRecord, RefusalRecord, SurgeOptions, Tick } from '../load/surge/messages.ts';
import { readArguments } from '../load/surge/options.ts';
import { comparisonPage, runPage } from '../load/surge/page.ts';
import { allFailed, summarise, type SurgeReport } from '../load/surge/report.ts';
import { judgeSaturation, type SaturationInput } from '../load/surge/saturation.ts';
import { seriesOf } from '../load/surge/series.ts';
import { summaryText } from '../load/surge/summary-text.ts';

const entry = (wantedAtMs: number, joinMs?: number, after?: Entry['after']): Entry => ({
	wantedAtMs, begunAtMs: wantedAtMs + 1, connectedAtMs: joinMs === undefined ? undefined : wantedAtMs + joinMs,
	firstPacketAtMs: joinMs === undefined ? undefined : wantedAtMs + joinMs + 10, firstAudioAtMs: joinMs === undefined ? undefined : wantedAtMs + joinMs + 30, after,
});

const record = (more: Partial<ListenerRecord> = {}): ListenerRecord => ({
	group: 'arrivals', entries: [entry(10_000, 50)], outcome: 'joined', cause: undefined, refusals: 0, handedOn: 0, lostSessions: 0,
	packets: 100, audioPackets: 80, lost: 0, largestGapMs: 65, largestForeignGapMs: 60, gapsOver200Ms: 0, connections: 1, hls: undefined, ...more,
});
const hls = { beganAtMs: 10_100, firstMediaAtMs: 10_600, stalls: 1, stalledMs: 300, errors: 0, requests: 9, bytes: 1_000, pieces: 4, endedAtMs: 12_000 };
const records = [
	record(),
	record({ entries: [entry(10_000, 90), entry(15_000, 20, 'left'), entry(16_000, 40, 'lost')], lostSessions: 1 }),
	record({ entries: [entry(10_200)], outcome: 'failed', cause: '503 no_capacity (full)', packets: 0 }),
	record({ entries: [entry(10_200)], outcome: 'waiting', packets: 0 }),
	record({ entries: [entry(10_200)], outcome: 'waiting', hls, packets: 0 }),
	// Interrupted before its time came.
	record({ entries: [], outcome: 'waiting', packets: 0 }),
	record({ group: 'incumbents', entries: [entry(1_000, 5_000)], lost: 1, packets: 99, largestGapMs: 220, gapsOver200Ms: 1 }),
	record({ group: 'hls', entries: [], hls }),
	record({ group: 'hls', entries: [], outcome: 'failed', cause: 'no media by HLS', hls: { ...hls, firstMediaAtMs: undefined } }),
];
const refusals: RefusalRecord[] = [
	{ atMs: 10_210, cause: '503 no_capacity (full)', status: 503, answerMs: 3, retryAfterMs: 1_500, retryAfterSeconds: 2 },
	{ atMs: 10_220, cause: '503 no_capacity (full)', status: 503, answerMs: 5, retryAfterMs: 2_500, retryAfterSeconds: 3 },
	{ atMs: 10_230, cause: 'network ECONNRESET', status: 0, answerMs: 5, retryAfterMs: undefined, retryAfterSeconds: undefined },
];
const tick = (more: Partial<Tick> = {}): Tick => ({
	source: 1, atMs: 10_400, spanMs: 500, group: 'arrivals', counts: { wanted: 5, joined: 2, failed: 1, connected: 2, hearingHls: 1, waiting: 1, refusals: 3 },
	largestGapMs: 65, gapsOver200Ms: 0, cpuRatio: 0.5, loopUtilization: 0.4, loopLagP99Ms: 3, ...more,
});

function report(more: Partial<SurgeReport> = {}): SurgeReport {
	const command = readArguments(['--listeners', '6', '--within', '1']);
	const { token: _token, url, room, ...settings } = (command as { options: SurgeOptions }).options;
	const generator = judgeSaturation({ ticks: [tick()], latenessMs: [1], machineBusy: 0.5, ownShare: 0.2, sameMachine: true });
	return {
		startedAt: '2026-05-24T18:00:00.000Z', target: { url, room }, machine: { cpu: 'a processor', cores: 2, node: 'v24' }, settings, interrupted: false,
		...summarise({ records, refusals, refusalCount: 3, speakers: [{ name: 'Late speaker', late: true, onStageMs: 40, heardMs: 90, error: null, lost: 0 }] }),
		generatorSaturated: generator.saturated, generator, metricsUnreadable: null,
		series: seriesOf({
			zeroAtMs: 10_000, endAtMs: 12_000, records, refusals, ticks: [tick(), tick({ source: 2, group: 'incumbents', largestGapMs: 220 })],
			shards: [{ atMs: 10_400, shard: '1', role: 'listener', listeners: 2, workerCpuRatio: 0.3, nodeCpuRatio: 0.1, eventLoopLagMs: 4 }],
		}),
		...more,
	};
}

describe('what a run reports', () => {
	it('counts everybody of the storm once', () => {
		const { listeners, joined, failed, waiting, overflowed, rejoining } = report();
		expect({ listeners, joined, failed, waiting, overflowed, rejoining }).toEqual({ listeners: 5, joined: 2, failed: 1, waiting: 1, overflowed: 1, rejoining: 0 });
		expect(report().failures).toEqual({ '503 no_capacity (full)': 1, 'no media by HLS': 1 });
		expect(allFailed(report())).toBe(2);
	});

	it('measures from wanting in, the first time and each time after it', () => {
		const { joinMs, firstPacketMs, firstAudioMs, rejoinMs } = report();
		expect(joinMs).toEqual({ count: 2, p50: 50, p95: 90, p99: 90, max: 90 });
		expect([firstPacketMs.max, firstAudioMs.max, rejoinMs.count, rejoinMs.max]).toEqual([100, 120, 2, 40]);
	});

	it('keeps those who were there before apart, and those by HLS', () => {
		expect(report().incumbents).toEqual({ listeners: 1, joined: 1, failed: 0, lostSessions: 0, lossRatio: 0.01, maxGapMs: 220, maxForeignGapMs: 60, gapsOver200Ms: 1 });
		expect(report().hls).toMatchObject({ listeners: 3, failed: 1, firstMediaMs: { count: 2, p50: 500 }, stalls: 3 });
	});

	it('knows what refusals told', () => {
		expect(report().refusals).toMatchObject({
			count: 3, byCause: { '503 no_capacity (full)': 2, 'network ECONNRESET': 1 },
			retryAfterMs: { min: 1_500, max: 2_500, distinct: 2 }, retryAfterSeconds: { min: 2, max: 3 }, withoutRetryAfter: 0,
		});
	});

	it('draws sums over all processes, whenever each of them had time to say something', () => {
		const ticks = [tick({ source: 1, atMs: 10_100 }), tick({ source: 2, atMs: 10_200 }), tick({ source: 1, atMs: 10_300 }), tick({ source: 1, atMs: 10_700 }), tick({ source: 2, atMs: 11_200 })];
		const series = seriesOf({ zeroAtMs: 10_000, endAtMs: 11_500, records, refusals, ticks, shards: [] });
		expect(series.atS).toEqual([-1, -0.5, 0, 0.5, 1]);
		expect(series.connected).toEqual([null, null, 4, 4, 4]);
		expect(series.wanted).toEqual([0, 0, 5, 0, 0]);
		expect(series.refused).toEqual([0, 0, 3, 0, 0]);
	});

	it('has nothing where nothing was measured', () => {
		expect(distributionOf([])).toEqual({ count: 0, p50: null, p95: null, p99: null, max: null });
		expect(summarise({ records: [], refusals: [], refusalCount: 0, speakers: [] })).toMatchObject({ joined: 0, lossRatio: 0, maxGapMs: 0, speaker: null });
	});
});

describe('who was the limit', () => {
	const judge = (more: Partial<SaturationInput>) => judgeSaturation({ ticks: [tick()], latenessMs: [1, 2, 3], machineBusy: 0.6, ownShare: 0.3, sameMachine: true, ...more });

	it.each<[string, Partial<SaturationInput>, RegExp]>([
		['its people begin late', { latenessMs: [300] }, /began 300 ms late/],
		['it stands still', { ticks: [tick(), tick({ loopLagP99Ms: 400 })] }, /stood still for 400 ms/],
		['it has no time left', { ticks: [tick({ loopUtilization: 0.99 })] }, /no time left/],
		['the machine is full of it', { machineBusy: 0.99, ownShare: 0.6 }, /60 % with the generator itself/],
		['its own machine is full, and the server elsewhere', { machineBusy: 0.99, ownShare: 0.3, sameMachine: false }, /all processors/],
	])('says that it was the generator when %s', (_when, input, why) => {
		expect(judge(input).saturated).toBe(true);
		expect(judge(input).why.join()).toMatch(why);
	});

	it('says that it was not when the machine is full of the server, or nothing was short', () => {
		expect(judge({ machineBusy: 0.99, ownShare: 0.3 })).toMatchObject({ saturated: false, why: [expect.stringContaining('would do better apart')] });
		expect(judge({})).toMatchObject({ saturated: false, why: [] });
		expect(judge({ machineBusy: undefined }).machineBusy).toBeNull();
	});
});

describe('texts and pages', () => {
	it('says in words what happened, and whom to blame', () => {
		expect(summaryText(report())).toMatch(/^5 wanted in: 2 joined, 1 failed, 1 heard HLS, 1 were still waiting\n/);
		expect(summaryText(report({ generator: judgeSaturation({ ticks: [], latenessMs: [900], machineBusy: 1, ownShare: 1, sameMachine: true }) }))).toContain('THE GENERATOR WAS THE LIMIT');
	});

	it('makes a page that needs no network and keeps strange names in their place', () => {
		const html = runPage(report({ target: { url: 'http://h/', room: '</script><script>alert(1)//' } }));
		expect(html).not.toMatch(/(?:src|href)=|<script>alert|@import|url\(/);
		expect(html).toContain('Processor of the server’s shards');
		expect(html.match(/<\/script>/g)).toHaveLength(2);
	});

	it('compares two runs, and says what makes them hard to compare', () => {
		const before = report();
		const after = report({ joined: 3, generatorSaturated: true, settings: { ...before.settings, listeners: 7 } });
		expect(compare(before, after)).toContainEqual({ name: 'joined', before: 2, after: 3, unit: '' });
		expect(comparisonText(before, after)).toMatch(/joined +2 +3 +\+50 %/);
		expect(comparisonText(before, after)).toContain('In "after" the generator was the limit');
		expect(comparisonText(before, after)).toContain('asked for different things: listeners');
		expect(comparisonPage(before, after)).toContain('joined, before');
	});
});

describe('what is typed', () => {
	it.each<[string[], RegExp]>([
		[['--listeners', 'many'], /--listeners must be a whole number/],
		[['--url', 'example.org'], /--url must be/],
		[['--arrivals', 'slow'], /even, jitter, ramp/],
		[['--speakers', '1'], /need --token/],
		[['--churn', '2'], /--churn/],
		[['--compare', 'a.json'], /two files/],
		[['storm'], /"storm" is no option/],
		[['--listener', '5'], /--listener/],
	])('%j is refused in plain words', (args, complaint) => expect(() => readArguments(args)).toThrow(complaint));

	it('is understood', () => {
		expect(readArguments(['--within', '0.5', '--speaker-at', '1.5', '--token', 'T', '--no-overflow', '--max-failed', '3', '--json', 'F'])).toMatchObject({
			kind: 'run', json: 'F', maxFailed: 3, options: { withinMs: 500, speakerAtMs: 1_500, overflow: false, token: 'T', holdMs: 20_000 },
		});
		expect(readArguments(['--compare', 'a.json', 'b.json'])).toEqual({ kind: 'compare', files: ['a.json', 'b.json'], html: undefined });
	});
});
