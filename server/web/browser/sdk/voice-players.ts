/**
 * Plays each voice through an `<audio>` element of its own: an element plays one audio track of a stream
 * reliably, not three. The elements live as long as the session, because a browser that allowed one to
 * play after a click goes on allowing it, whatever it plays later.
 */
export class VoicePlayers {
	readonly #elements: HTMLAudioElement[] = [];
	readonly #onBlocked: () => void;
	#volume = 1;
	#muted = false;

	/** @param onBlocked the browser wants a click before anything may sound */
	constructor(onBlocked: () => void) {
		this.#onBlocked = onBlocked;
	}

	set volume(volume: number) {
		this.#volume = Math.min(1, Math.max(0, volume));
		for (const element of this.#elements) {
			element.volume = this.#volume;
		}
	}
	get volume(): number {
		return this.#volume;
	}

	set muted(muted: boolean) {
		this.#muted = muted;
		for (const element of this.#elements) {
			element.muted = muted;
		}
	}
	get muted(): boolean {
		return this.#muted;
	}

	/** Plays these tracks from now on, and no others. */
	attach(tracks: readonly MediaStreamTrack[]): void {
		for (const [index, track] of tracks.entries()) {
			const element = (this.#elements[index] ??= this.#createElement());
			element.srcObject = new MediaStream([track]);
		}
		for (const element of this.#elements.slice(tracks.length)) {
			element.srcObject = null;
		}
		this.play();
	}

	/** Inside a user's click this also lifts a block. */
	play(): void {
		for (const element of this.#elements) {
			if (element.srcObject !== null) {
				element.play().catch((error: unknown) => {
					// AbortError only says that a newer stream took over meanwhile.
					if (error instanceof DOMException && error.name === 'NotAllowedError') {
						this.#onBlocked();
					}
				});
			}
		}
	}

	close(): void {
		for (const element of this.#elements) {
			element.pause();
			element.srcObject = null;
		}
		this.#elements.length = 0;
	}

	#createElement(): HTMLAudioElement {
		const element = new Audio();
		element.autoplay = true;
		element.volume = this.#volume;
		element.muted = this.#muted;
		return element;
	}
}
