import type { Logger } from 'pino';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import { AAC_SAMPLE_RATE, aacMix } from './aac-mix.ts';
import { FfmpegProcess } from './ffmpeg-process.ts';
import { type Mp4Fragment, Mp4Fragments } from './mp4-fragments.ts';
import { OggOpusWriter } from './ogg-opus-writer.ts';
import { samplesOf, VoiceTrack } from './voice-track.ts';

/** A fragment of the mix, in its place in time. */
export interface MixFragment {
	/** Counts the encoders of this egress from 0: fragments of one follow each other without a gap. */
	encoder: number;
	/** Initialisation segment; with the first fragment of each encoder. */
	init?: Buffer;
	data: Buffer;
	/** Of its first sample, after the egress's beginning. */
	startMs: number;
	durationMs: number;
}

export interface MixEgressOptions {
	voices: number;
	ffmpegPath: string;
	bitrateKbps: number;
	/** The moment its time begins; may lie in the past, which is silence then. Of the same monotonic clock as every `nowMs`. */
	startMs: number;
	/** How far reading is behind the clock: packets that come this late are still in time. */
	lagMs: number;
	onFragment: (fragment: MixFragment) => void;
	log: Logger;
}

/** No fragment for so many ticks, and the encoder hangs; to begin it may take longer. Not by time, for who was held up may have been ourselves. */
const HUNG_TICKS = 30;
const START_TICKS = 60;
/** What was not encoded for this long is given up when another encoder begins. */
const REPLAY_MS = 10_000;
const RETRY_MS = 50;
const RETRY_MAX_MS = 5_000;
/** An encoder that ran so long did not fail at its beginning. */
const WELL_MS = 10_000;
/** AAC begins with a frame of its own; so much sooner must the sound begin to come at its time (1,024 samples, on the tracks' grid). */
const PRIMING_SAMPLES = 960;

interface Encoder {
	process: FfmpegProcess;
	writers: readonly OggOpusWriter[];
	startedAtMs: number;
	/** Since the last fragment, or the start. */
	silentTicks: number;
	fragments: number;
}

/**
 * The programme of a room as one stream of AAC, encoded by ffmpeg. It takes voices as they come over whatever link, fills
 * their silence by the clock, and goes on when its encoder dies or hangs: the next one begins where the last one
 * stopped, with what was said meanwhile.
 */
export class MixEgress {
	readonly #options: MixEgressOptions;
	readonly #log: Logger;
	readonly #tracks: readonly VoiceTrack[];
	#encoder: Encoder | undefined;
	#encoders = 0;
	/** End of what was encoded, in samples. */
	#encoded = 0;
	#failures = 0;
	#retryAtMs = -Infinity;
	#closed = false;

	constructor(options: MixEgressOptions) {
		this.#options = options;
		this.#log = options.log.child({ part: 'egress' });
		this.#tracks = Array.from({ length: options.voices }, () => new VoiceTrack(options.startMs));
	}

	/** Of the encoder at work. */
	get pid(): number | undefined {
		return this.#encoder?.process.pid;
	}

	onVoicePacket(index: number, packet: VoicePacket, nowMs: number): void {
		this.#tracks[index]?.onPacket(packet, nowMs);
	}

	setUpstream(linkId: string): void {
		for (const track of this.#tracks) {
			track.setUpstream(linkId);
		}
	}

	/** Called about every 100 ms. */
	tick(nowMs: number): void {
		if (this.#closed) {
			return;
		}
		const encoder = this.#encoder;
		if (encoder && ++encoder.silentTicks > (encoder.fragments === 0 ? START_TICKS : HUNG_TICKS)) {
			this.#replace(encoder, nowMs, 'hangs');
		}
		if (!this.#encoder && nowMs >= this.#retryAtMs) {
			this.#start(nowMs);
		}
		this.#feed(nowMs);
	}

	/** Idempotent. */
	close(): void {
		if (!this.#closed) {
			this.#closed = true;
			this.#encoder?.process.kill();
			this.#encoder = undefined;
		}
	}

	#start(nowMs: number): void {
		const { voices, ffmpegPath, bitrateKbps, startMs } = this.#options;
		this.#encoded = Math.max(this.#encoded, samplesOf(nowMs - startMs - REPLAY_MS));
		const from = Math.max(0, Math.floor((this.#encoded - PRIMING_SAMPLES) / PRIMING_SAMPLES) * PRIMING_SAMPLES);
		for (const track of this.#tracks) {
			track.rewind(from);
		}
		const number = this.#encoders++;
		const process = FfmpegProcess.spawn({ ffmpegPath, inputs: voices, ...aacMix(voices, bitrateKbps) });
		const encoder: Encoder = { process, writers: this.#tracks.map((_, index) => new OggOpusWriter(index + 1)), startedAtMs: nowMs, silentTicks: 0, fragments: 0 };
		this.#encoder = encoder;
		let init: Buffer | undefined;
		const base = this.#encoded;
		const output = new Mp4Fragments(
			(made) => (init = made),
			(fragment) => {
				if (this.#encoder === encoder) {
					this.#onFragment(encoder, fragment, { number, base, init });
					init = undefined;
				}
			},
		);
		process.on('output', (chunk) => {
			try {
				output.push(chunk);
			} catch (error) {
				this.#log.error({ err: error }, 'the encoder does not write what was asked of it');
				process.kill();
			}
		});
		process.once('ended', ({ code, signal, stderr }) => {
			if (this.#encoder === encoder) {
				this.#replace(encoder, performance.now(), 'ended', { code, signal, stderr });
			}
		});
		encoder.writers.forEach((writer, index) => process.write(index, writer.header()));
		this.#log.info({ encoder: number, encoderPid: process.pid }, 'an encoder begins');
	}

	#feed(nowMs: number): void {
		const encoder = this.#encoder;
		if (!encoder) {
			return;
		}
		const { startMs, lagMs } = this.#options;
		const until = samplesOf(nowMs - startMs - lagMs);
		for (const [index, track] of this.#tracks.entries()) {
			const pages = encoder.writers[index]?.pages(track.read(until));
			if (pages && !encoder.process.write(index, pages)) {
				this.#replace(encoder, nowMs, 'does not read');
				return;
			}
		}
	}

	#onFragment(encoder: Encoder, { data, baseTime, duration }: Mp4Fragment, { number, base, init }: { number: number; base: number; init: Buffer | undefined }): void {
		const nowMs = performance.now();
		encoder.silentTicks = 0;
		encoder.fragments++;
		if (nowMs - encoder.startedAtMs > WELL_MS) {
			this.#failures = 0;
		}
		const start = base + baseTime;
		this.#encoded = start + duration;
		for (const track of this.#tracks) {
			track.forget(this.#encoded - 2 * PRIMING_SAMPLES);
		}
		const msPerSample = 1_000 / AAC_SAMPLE_RATE;
		this.#options.onFragment({ encoder: number, ...(init ? { init } : {}), data, startMs: start * msPerSample, durationMs: duration * msPerSample });
	}

	#replace(encoder: Encoder, nowMs: number, why: string, details: object = {}): void {
		this.#encoder = undefined;
		encoder.process.kill();
		const waitMs = Math.min(RETRY_MAX_MS, RETRY_MS * 4 ** this.#failures++);
		this.#retryAtMs = nowMs + waitMs;
		this.#log.warn({ why, ...details, retryInMs: waitMs }, 'an encoder is replaced');
	}
}
