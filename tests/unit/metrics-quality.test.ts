// How listeners say that they hear: who is asked, and where it ends.
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../server/metrics/metrics.ts';
import { parseReporting } from '../../server/web/browser/sdk/ice-links.ts';
import { samplesOf } from '../support/scrape.ts';

const CONFIG = { sampleRatio: 0.1, maxReporters: 500, intervalMs: 30_000, reportsPerAddress: 60 };

describe('who is asked', () => {
	let listeners = 0;
	let nowMs = 0;
	const create = (config = CONFIG) =>
		Metrics.create({
			shards: () => [], roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
			events: () => ({ streams: 0, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
			quality: { config, listeners: () => listeners, now: () => nowMs },
			processMetrics: false,
		});
	const rateOf = (link: string | undefined) => parseReporting(link ?? null, 'https://rooms.example.org/v1/rooms/hall/listen')?.rate;

	it('is a part of all, and a smaller one the more there are', () => {
		const { quality } = create();
		const asked = [0, 100, 5_000, 50_000, 1_000_000].map((count) => {
			listeners = count;
			nowMs += 1_000;
			return rateOf(quality?.link('hall'));
		});
		expect(asked).toEqual([0.1, 0.1, 0.1, 0.01, 0.0005]);
	});

	it('is nobody when that is what is set', () => {
		expect(create({ ...CONFIG, sampleRatio: 0 }).quality?.link('hall')).toBeUndefined();
	});

	it('is told with where to and how often', () => {
		listeners = 0;
		expect(parseReporting(create().quality?.link('hall') ?? null, 'https://b.example.org/v1/rooms/hall/listen?handoff=x')).toEqual({ url: 'https://b.example.org/v1/rooms/hall/quality', rate: 0.1, everyMs: 30_000 });
	});

	it('ends in histograms, and what few packets say of loss is nothing', async () => {
		const metrics = create();
		const report = { periodMs: 30_000, packets: 1_480, lost: 20, jitterMs: 4, samples: 1_440_000, concealed: 28_800, gapsMs: [700, 2_500] };
		metrics.quality?.take({ ...report, firstAudioMs: 450, firstAudioBy: 'session' });
		metrics.quality?.take({ ...report, packets: 10, lost: 1, samples: 0, concealed: 0, gapsMs: [] });
		const samples = samplesOf(await metrics.render());
		const buckets = (name: string, le: number[], label = '') => le.map((bound) => samples.get(`${name}_bucket{le="${bound}"${label}}`));
		expect(buckets('rostrum_quality_first_audio_seconds', [0.3, 0.5], ',by="session"')).toEqual([0, 1]);
		expect(samples.get('rostrum_quality_first_audio_seconds_count{by="overflow"}')).toBe(0);
		expect(buckets('rostrum_quality_concealed_ratio', [0.01, 0.02])).toEqual([0, 1]);
		expect(samples.get('rostrum_quality_concealed_ratio_count')).toBe(1);
		expect(buckets('rostrum_quality_loss_ratio', [0.01, 0.02])).toEqual([0, 1]);
		expect(samples.get('rostrum_quality_loss_ratio_count')).toBe(1);
		expect(buckets('rostrum_quality_gap_seconds', [0.5, 1, 3])).toEqual([0, 1, 2]);
		expect(samples.get('rostrum_quality_listened_seconds_total')).toBe(60);
		expect(samples.get('rostrum_quality_reports_total{outcome="taken"}')).toBe(2);
	});
});
