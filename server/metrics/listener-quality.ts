import { Counter, Histogram, type Registry } from '@prometheus-io/client';
import type { Config } from '../../config/schema.ts';
import { addFigure, one } from './figure.ts';

/** One listener's last interval, as the page counted it (W3C webrtc-stats, inbound-rtp, summed over the voices). */
export interface QualityReport {
	/** Only the first time: from the click to the first sound. */
	firstAudioMs?: number;
	firstAudioBy?: 'session' | 'overflow';
	/** How long the interval was. */
	periodMs: number;
	packets: number;
	lost: number;
	/** The worst voice's. */
	jitterMs: number;
	samples: number;
	/** Made up by the player, and not silent. */
	concealed: number;
	/** Silences that ended within the interval because packets stayed away. */
	gapsMs: readonly number[];
}

export interface ListenerQualityOptions {
	config: Config['quality'];
	/** On this node. */
	listeners: () => number;
	/** Milliseconds since the epoch. */
	now: () => number;
}

/** Fewer packets than this are keep-alives of a silent room: one lost would read as a bad line. */
const MIN_PACKETS = 25;
/** Listeners come and go in seconds, and the part that is asked is told with every answer. */
const REFRESH_MS = 1_000;
const RATIO_BUCKETS = [0, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5];

/**
 * How listeners hear, as a few of them tell. What they send goes into histograms at once and is kept nowhere; it says
 * nothing about who they are. The part that is asked shrinks as the audience grows, so that reports of a node have a bound.
 */
export class ListenerQuality {
	readonly reportsPerAddress: number;
	readonly #options: ListenerQualityOptions;
	readonly #firstAudio: Histogram<'by'>;
	readonly #concealed: Histogram;
	readonly #loss: Histogram;
	readonly #jitter: Histogram;
	readonly #gaps: Histogram;
	readonly #seconds: Counter;
	readonly #reports: Counter<'outcome'>;
	#asks: string | undefined;
	#askedAtMs = -Infinity;

	/** @param registers where its figures are shown */
	constructor(registers: Registry[], options: ListenerQualityOptions) {
		this.#options = options;
		this.reportsPerAddress = options.config.reportsPerAddress;
		this.#firstAudio = new Histogram({
			name: 'rostrum_quality_first_audio_seconds', help: 'From the click to the first sound, as listeners tell, by what sounded: a session of their own, or the overflow stream',
			labelNames: ['by'], buckets: [0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30], registers,
		});
		for (const by of ['session', 'overflow'] as const) this.#firstAudio.zero({ by });
		this.#concealed = new Histogram({
			name: 'rostrum_quality_concealed_ratio', help: 'Part of the sound that players had to make up, of one listener’s interval', buckets: RATIO_BUCKETS, registers,
		});
		this.#loss = new Histogram({ name: 'rostrum_quality_loss_ratio', help: 'Part of the packets that never came, of one listener’s interval', buckets: RATIO_BUCKETS, registers });
		this.#jitter = new Histogram({
			name: 'rostrum_quality_jitter_seconds', help: 'Interarrival jitter at the end of one listener’s interval', buckets: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25], registers,
		});
		this.#gaps = new Histogram({
			name: 'rostrum_quality_gap_seconds', help: 'Silences in which packets stayed away until a session was back', buckets: [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30], registers,
		});
		this.#seconds = new Counter({ name: 'rostrum_quality_listened_seconds_total', help: 'Time that reports speak of, all together', registers });
		this.#reports = new Counter({ name: 'rostrum_quality_reports_total', help: 'Reports of listeners that were taken, or refused as too many of one address', labelNames: ['outcome'], registers });
		for (const outcome of ['taken', 'refused'] as const) this.#reports.inc({ outcome }, 0);
		addFigure(registers, { name: 'rostrum_quality_asked_ratio', help: 'Part of those who join now that is asked to report', kind: 'gauge', read: () => one(this.askedRatio) });
	}

	/** Part of those who join now that is asked, 0 to 1. */
	get askedRatio(): number {
		const { sampleRatio, maxReporters } = this.#options.config;
		return Math.min(sampleRatio, maxReporters / Math.max(1, this.#options.listeners()));
	}

	/** The `Link` header value that asks; undefined while nobody is to be asked. Each client draws for itself whether it is meant. */
	link(roomId: string): string | undefined {
		const nowMs = this.#options.now();
		if (Math.abs(nowMs - this.#askedAtMs) >= REFRESH_MS) {
			this.#askedAtMs = nowMs;
			const ratio = this.askedRatio;
			this.#asks = ratio === 0 ? undefined : `rel="quality"; rate="${ratio.toFixed(4)}"; every="${this.#options.config.intervalMs / 1000}"`;
		}
		return this.#asks === undefined ? undefined : `</v1/rooms/${roomId}/quality>; ${this.#asks}`;
	}

	take({ firstAudioMs, firstAudioBy = 'session', periodMs, packets, lost, jitterMs, samples, concealed, gapsMs }: QualityReport): void {
		this.#reports.inc({ outcome: 'taken' });
		this.#seconds.inc(periodMs / 1000);
		if (firstAudioMs !== undefined) this.#firstAudio.observe({ by: firstAudioBy }, firstAudioMs / 1000);
		if (samples > 0) this.#concealed.observe(Math.min(1, concealed / samples));
		if (packets + lost >= MIN_PACKETS) {
			this.#loss.observe(lost / (packets + lost));
			this.#jitter.observe(jitterMs / 1000);
		}
		for (const gapMs of gapsMs) this.#gaps.observe(gapMs / 1000);
	}

	refuse(): void {
		this.#reports.inc({ outcome: 'refused' });
	}
}
