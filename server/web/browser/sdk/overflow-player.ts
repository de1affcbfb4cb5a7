import { OVERFLOW_BACKOFF, retryDelayMs } from './backoff.ts';
import { DueTimer } from './due-timer.ts';
import { Emitter } from './emitter.ts';
import { openHls, type HlsSource, type OpenHls } from './hls-source.ts';
import { applyLoudness, type Loudness } from './loudness.ts';
import { PlayProgress } from './play-progress.ts';
import { unlock } from './unlock.ts';

/** `failing`: it was wanted and is not heard; it goes on trying by itself. */
export type OverflowState = 'off' | 'starting' | 'playing' | 'failing';

export interface OverflowEvents {
	state: { state: OverflowState };
	/** The browser wants another click: call `play()` in it. */
	blocked: Record<string, never>;
}

const LOOK_MS = 250;
/** Without progress for so long it is silent, and people are told … */
const SILENT_MS = 1_500;
/** … and after so long, it begins anew. */
const STALLED_MS = 6_000;
/** The first sound may take the server's own start of the stream. */
const FIRST_MS = 12_000;

/**
 * Plays the room's HLS stream for as long as there is no place for a session: begins again, with growing waits,
 * whenever it fails or stands still.
 */
export class OverflowPlayer extends Emitter<OverflowEvents> {
	readonly #element: HTMLAudioElement;
	readonly #random: () => number;
	readonly #open: OpenHls;
	readonly #again = new DueTimer(() => void this.#begin());
	readonly #loudness: Loudness = { volume: 1, muted: false, gain: 1 };
	#wanted: { url: string; token: string | undefined } | undefined;
	#source: HlsSource | undefined;
	#state: OverflowState = 'off';
	/** Counts beginnings: what an earlier one still says is not heard. */
	#run = 0;
	#attempt = 0;
	#looking: ReturnType<typeof setInterval> | undefined;
	#progress = new PlayProgress(0, 0);
	#movedAtMs = 0;
	/** It has sounded since it began last. */
	#sounded = false;

	constructor(random: () => number, element: HTMLAudioElement = new Audio(), open: OpenHls = openHls) {
		super();
		this.#random = random;
		this.#element = element;
		this.#open = open;
	}

	get state(): OverflowState {
		return this.#state;
	}
	/** People hear it. */
	get playing(): boolean {
		return this.#state === 'playing';
	}
	set volume(volume: number) {
		this.#set({ volume });
	}
	set muted(muted: boolean) {
		this.#set({ muted });
	}
	/** 0 to 1, besides the volume. */
	set gain(gain: number) {
		this.#set({ gain });
	}

	/** In a user's click, so that it needs none later. @param track whatever there is */
	prepare(track: MediaStreamTrack | undefined): void {
		if (track !== undefined && this.#wanted === undefined) {
			unlock(this.#element, track);
		}
	}

	/**
	 * Plays this from now on. What plays already goes on, and takes the new address should it have to begin again.
	 * @param token sent with every request
	 */
	start(url: string, token?: string): void {
		const starts = this.#wanted === undefined;
		this.#wanted = { url, token };
		if (starts) {
			this.#attempt = 0;
			this.gain = 1;
			this.#looking = setInterval(() => this.#look(), LOOK_MS);
			this.#become('starting');
			void this.#begin();
		}
	}

	/** Does not wait any longer with the next beginning. */
	retry(): void {
		if (this.#again.pending) {
			void this.#begin();
		}
	}

	/** Inside a user's click this also lifts a block. */
	play(): void {
		if (this.#source === undefined) {
			return;
		}
		this.#element.play().catch((error: unknown) => {
			// AbortError only says that something newer took over meanwhile.
			if (this.#source !== undefined && error instanceof DOMException && error.name === 'NotAllowedError') {
				this.emit('blocked', {});
			}
		});
	}

	/** Twice is once; it can be started again. */
	stop(): void {
		this.#wanted = undefined;
		clearInterval(this.#looking);
		this.#again.clear();
		this.#end();
		this.#become('off');
	}

	async #begin(): Promise<void> {
		this.#again.clear();
		this.#end();
		const wanted = this.#wanted;
		if (wanted === undefined) {
			return;
		}
		const run = this.#run;
		const failed = (retryAfterMs?: number): void => {
			if (run === this.#run) {
				this.#failed(retryAfterMs);
			}
		};
		this.#sounded = false;
		this.#movedAtMs = performance.now();
		this.#element.srcObject = null;
		this.#set({});
		try {
			const source = await this.#open(this.#element, { ...wanted, onFailed: failed });
			if (run !== this.#run) {
				source.close();
				return;
			}
			this.#source = source;
			this.#progress = new PlayProgress(this.#element.currentTime, performance.now());
			this.play();
		} catch {
			// Not even what plays it could be loaded.
			failed();
		}
	}

	#failed(retryAfterMs?: number): void {
		this.#end();
		this.#become('failing');
		this.#again.set(retryDelayMs(this.#attempt++, this.#random, OVERFLOW_BACKOFF, retryAfterMs));
	}

	#end(): void {
		this.#run++;
		const source = this.#source;
		this.#source = undefined;
		source?.close();
	}

	#look(): void {
		if (this.#source === undefined) {
			return;
		}
		const nowMs = performance.now();
		const { currentTime, paused } = this.#element;
		const progress = this.#progress.look(currentTime, nowMs);
		if (progress !== 'still') {
			this.#movedAtMs = nowMs;
			if (progress === 'heard' && !paused) {
				this.#sounded = true;
				this.#attempt = 0;
				this.#become('playing');
			}
			return;
		}
		const stillMs = nowMs - this.#movedAtMs;
		if (stillMs > (this.#sounded ? STALLED_MS : FIRST_MS)) {
			this.#failed();
		} else if (this.#sounded && stillMs > SILENT_MS) {
			this.#become('failing');
		}
	}

	#set(change: Partial<Loudness>): void {
		applyLoudness(this.#element, Object.assign(this.#loudness, change));
	}

	#become(state: OverflowState): void {
		if (state !== this.#state) {
			this.#state = state;
			this.emit('state', { state });
		}
	}
}
