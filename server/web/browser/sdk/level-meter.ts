import { levelOf } from './level.ts';

/** Measures how loud some tracks are together. Make it inside a user's click, or the browser keeps it suspended. */
export class LevelMeter {
	readonly #context: AudioContext | undefined;
	readonly #analyser: AnalyserNode | undefined;
	readonly #samples = new Float32Array(1_024);
	#sources: MediaStreamAudioSourceNode[] = [];

	constructor() {
		try {
			this.#context = new AudioContext({ latencyHint: 'playback' });
			this.#analyser = new AnalyserNode(this.#context, { fftSize: this.#samples.length });
		} catch {
			// No audio output device, or too many contexts: a meter that stays at 0 is no reason not to play.
		}
	}

	/** Measures these tracks from now on, and no others. */
	attach(tracks: readonly MediaStreamTrack[]): void {
		const context = this.#context;
		const analyser = this.#analyser;
		if (context === undefined || analyser === undefined) {
			return;
		}
		for (const source of this.#sources) {
			source.disconnect();
		}
		this.#sources = tracks.map((track) => {
			const source = context.createMediaStreamSource(new MediaStream([track]));
			source.connect(analyser);
			return source;
		});
		if (context.state === 'suspended') {
			context.resume().catch(() => undefined);
		}
	}

	/** 0 (silence) to 1 (full scale), over the last 20 ms or so. */
	read(): number {
		if (this.#analyser === undefined || this.#context?.state !== 'running' || this.#sources.length === 0) {
			return 0;
		}
		this.#analyser.getFloatTimeDomainData(this.#samples);
		return levelOf(this.#samples);
	}

	close(): void {
		for (const source of this.#sources) {
			source.disconnect();
		}
		this.#sources = [];
		if (this.#context !== undefined && this.#context.state !== 'closed') {
			this.#context.close().catch(() => undefined);
		}
	}
}
