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
	#volume = 1;
	#muted = false;

	/** @param onBlocked the browser wants a click before anything may sound */
	constructor(onBlocked: () => void) {
		this.#onBlocked = onBlocked;
	}

	set volume(volume: number) {
		this.#volume = Math.min(1, Math.max(0, volume));
		for (const element of this.#sounding) {
			element.volume = this.#volume;
		}
	}
	get volume(): number {
		return this.#volume;
	}

	set muted(muted: boolean) {
		this.#muted = muted;
		for (const element of this.#sounding) {
			element.muted = muted;
		}
	}
	get muted(): boolean {
		return this.#muted;
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
		for (const element of this.#sounding) {
			element.volume = this.#volume;
			element.muted = this.#muted;
		}
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

	#unprepare(): void {
		this.#ready = undefined;
		silence(this.#standby);
	}

	/** @param track plays on the second one too until it has once begun to play there: in a click this is what allows it later */
	#addPair(track: MediaStreamTrack | undefined): void {
		const element = new Audio();
		element.autoplay = true;
		element.volume = this.#volume;
		element.muted = this.#muted;
		this.#sounding.push(element);
		const second = new Audio();
		second.muted = true;
		this.#standby.push(second);
		if (track === undefined) {
			return;
		}
		const stream = new MediaStream([track]);
		second.srcObject = stream;
		second
			.play()
			.catch(() => undefined)
			.finally(() => {
				if (second.srcObject === stream) {
					second.srcObject = null;
				}
			});
	}
}

const give = (elements: readonly HTMLAudioElement[], tracks: readonly MediaStreamTrack[]): void => {
	for (const [index, element] of elements.entries()) {
		const track = tracks[index];
		element.srcObject = track === undefined ? null : new MediaStream([track]);
	}
};

const silence = (elements: readonly HTMLAudioElement[]): void => {
	for (const element of elements) {
		element.muted = true;
		element.srcObject = null;
	}
};

const isBlocked = (error: unknown): boolean => error instanceof DOMException && error.name === 'NotAllowedError';
