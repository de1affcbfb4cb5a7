import { applyLoudness, type Loudness } from './loudness.ts';
import { unlock } from './unlock.ts';

/**
 * Plays each voice through an `<audio>` element of its own: an element plays one audio track of a stream
 * reliably, not three. The elements live as long as the session, because a browser that allowed one to
 * play after a click goes on allowing it, whatever it plays later. For the same reason there are two of
 * each from the start: one sounds, the other can be made ready to take over between two samples.
 */
export class VoicePlayers {
	#sounding: HTMLAudioElement[] = [];
	#standby: HTMLAudioElement[] = [];
	/** What is on standby may sound; undefined: nothing is. */
	#ready: boolean | undefined;
	readonly #onBlocked: () => void;
	readonly #loudness: Loudness = { volume: 1, muted: false, gain: 1 };

	/** @param onBlocked the browser wants a click before anything may sound */
	constructor(onBlocked: () => void) {
		this.#onBlocked = onBlocked;
	}

	set volume(volume: number) {
		this.#set({ volume: Math.min(1, Math.max(0, volume)) });
	}
	get volume(): number {
		return this.#loudness.volume;
	}

	set muted(muted: boolean) {
		this.#set({ muted });
	}
	get muted(): boolean {
		return this.#loudness.muted;
	}

	/** 0 to 1, besides the volume: 0 while something else is heard instead. */
	set gain(gain: number) {
		this.#set({ gain });
	}

	/** Plays these tracks from now on, and no others. */
	attach(tracks: readonly MediaStreamTrack[]): void {
		this.#unprepare();
		while (this.#sounding.length < tracks.length) {
			this.#addPair(tracks[this.#sounding.length]);
		}
		give(this.#sounding, tracks);
		this.play();
	}

	/** Plays these tracks too, unheard, so that `swap` finds them running. */
	prepare(tracks: readonly MediaStreamTrack[]): void {
		while (this.#standby.length < tracks.length) {
			this.#addPair(undefined);
		}
		this.#ready = true;
		give(this.#standby, tracks);
		for (const element of this.#standby) {
			if (element.srcObject !== null) {
				element.play().catch((error: unknown) => {
					if (isBlocked(error)) {
						this.#ready = false;
					}
				});
			}
		}
	}

	/** What was prepared is heard from now on, and what was heard is not. @param tracks those that were prepared */
	swap(tracks: readonly MediaStreamTrack[]): void {
		if (this.#ready !== true) {
			// These elements may not sound without a click; those that do, may.
			this.attach(tracks);
			return;
		}
		this.#ready = undefined;
		const before = this.#sounding;
		this.#sounding = this.#standby;
		this.#standby = before;
		this.#set({});
		silence(before);
	}

	/** Inside a user's click this also lifts a block. */
	play(): void {
		for (const element of this.#sounding) {
			if (element.srcObject !== null) {
				element.play().catch((error: unknown) => {
					// AbortError only says that a newer stream took over meanwhile.
					if (isBlocked(error)) {
						this.#onBlocked();
					}
				});
			}
		}
	}

	close(): void {
		for (const element of [...this.#sounding, ...this.#standby]) {
			element.pause();
			element.srcObject = null;
		}
		this.#sounding = [];
		this.#standby = [];
		this.#ready = undefined;
	}

	#set(change: Partial<Loudness>): void {
		Object.assign(this.#loudness, change);
		for (const element of this.#sounding) {
			applyLoudness(element, this.#loudness);
		}
	}

	#unprepare(): void {
		this.#ready = undefined;
		silence(this.#standby);
	}

	/** @param track plays on the second one too until it has once begun to play there: in a click this is what allows it later */
	#addPair(track: MediaStreamTrack | undefined): void {
		const element = new Audio();
		element.autoplay = true;
		applyLoudness(element, this.#loudness);
		this.#sounding.push(element);
		const second = new Audio();
		second.muted = true;
		this.#standby.push(second);
		if (track !== undefined) {
			unlock(second, track);
		}
	}
}

const give = (elements: readonly HTMLAudioElement[], tracks: readonly MediaStreamTrack[]): void => {
	for (const [index, element] of elements.entries()) {
		const track = tracks[index];
		// What plays it already is not made to begin again.
		if (track === undefined || !(element.srcObject instanceof MediaStream) || element.srcObject.getTracks()[0] !== track) {
			element.srcObject = track === undefined ? null : new MediaStream([track]);
		}
	}
};

const silence = (elements: readonly HTMLAudioElement[]): void => {
	for (const element of elements) {
		element.muted = true;
		element.srcObject = null;
	}
};

const isBlocked = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotAllowedError';
