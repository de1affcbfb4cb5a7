import { Emitter } from './emitter.ts';
import type { ListenParts } from './listen-parts.ts';
import { crossfade } from './loudness.ts';
import type { OverflowEvents, OverflowState } from './overflow-player.ts';

const FADE_MS = 300;

/** The overflow stream as it stands in for sessions: who of the two is heard, and how one fades into the other. */
export class OverflowCover extends Emitter<OverflowEvents> {
	readonly #stream: ReturnType<ListenParts['overflow']>;
	readonly #voices: { gain: number };
	#url: string | undefined;
	#stopFading: (() => void) | undefined;

	/** @param voices what plays a session's voices */
	constructor(stream: ReturnType<ListenParts['overflow']>, voices: { gain: number }) {
		super();
		this.#stream = stream;
		this.#voices = voices;
		stream.on('state', (event) => {
			if (event.state === 'playing' && this.#stopFading === undefined) {
				// Should the old session come to life again, they are not both heard.
				this.#voices.gain = 0;
			}
			this.emit('state', event);
		});
		stream.on('blocked', (event) => this.emit('blocked', event));
	}

	get state(): OverflowState {
		return this.#stopFading === undefined ? this.#stream.state : 'off';
	}
	/** It is what people hear. */
	get heard(): boolean {
		return this.state === 'playing';
	}
	set volume(volume: number) {
		this.#stream.volume = volume;
	}
	set muted(muted: boolean) {
		this.#stream.muted = muted;
	}

	prepare(track: MediaStreamTrack | undefined): void {
		this.#stream.prepare(track);
	}

	/** Where the stream is; what was told before holds until something else is. */
	learn(url: string | undefined): void {
		this.#url = url ?? this.#url;
	}

	/** Begins, if anybody told where the stream is. Twice is once. */
	start(token: string | undefined): void {
		this.resume();
		if (this.#url !== undefined) {
			this.#stream.start(this.#url, token);
		}
	}

	retry(): void {
		this.#stream.retry();
	}

	play(): void {
		this.#stream.play();
	}

	/** A session plays: the two fade into one another if this one is heard, and it ends. */
	yield(): void {
		if (!this.heard) {
			this.stop();
		} else {
			this.#stopFading = crossfade(
				FADE_MS,
				(coming, going) => {
					this.#voices.gain = coming;
					this.#stream.gain = going;
				},
				() => this.stop(),
			);
		}
	}

	/** If it was fading out, it does not. */
	resume(): void {
		if (this.#stopFading !== undefined) {
			this.#stopFading();
			this.#stopFading = undefined;
			this.#stream.gain = 1;
			this.#voices.gain = 0;
		}
	}

	/** Twice is once; it can be started again. */
	stop(): void {
		this.#stopFading?.();
		this.#stopFading = undefined;
		this.#stream.stop();
		this.#voices.gain = 1;
	}
}
