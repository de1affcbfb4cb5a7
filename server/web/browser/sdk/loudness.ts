/** How loud something plays: what people chose, and how far it is faded in. */
export interface Loudness {
	/** 0 to 1. */
	volume: number;
	muted: boolean;
	/** 0 to 1; 0 while something else is heard instead. */
	gain: number;
}

/** Where a page cannot set volumes (iOS) it can still silence, so that a fade becomes a switch at its beginning. */
export const applyLoudness = (element: HTMLMediaElement, { volume, muted, gain }: Loudness): void => {
	element.volume = volume * gain;
	element.muted = muted || gain === 0;
};

const STEP_MS = 20;

/**
 * From one sound to another, equally loud in between (the two are never in step, so their powers add up).
 * @param gains called with the gains of what comes and of what goes, at last with 1 and 0
 * @returns stops half way
 */
export const crossfade = (durationMs: number, gains: (coming: number, going: number) => void, done: () => void): (() => void) => {
	const beganAtMs = performance.now();
	const timer = setInterval(() => {
		const part = Math.min(1, (performance.now() - beganAtMs) / durationMs);
		if (part < 1) {
			gains(Math.sin((part * Math.PI) / 2), Math.cos((part * Math.PI) / 2));
			return;
		}
		clearInterval(timer);
		gains(1, 0);
		done();
	}, STEP_MS);
	return () => clearInterval(timer);
};
