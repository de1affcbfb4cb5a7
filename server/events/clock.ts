/** Time as the event hub sees it; tests bring a virtual one. */
export interface Clock {
	/** Never goes back; its zero means nothing. */
	nowMs(): number;
	/** Calls back once; the function that is given back cancels it. */
	schedule(callback: () => void, delayMs: number): () => void;
}

/** Real time, immune to somebody setting the clock; its timers do not keep the process alive. */
export const monotonicClock: Clock = {
	nowMs: () => performance.now(),
	schedule: (callback, delayMs) => {
		const timer = setTimeout(callback, delayMs);
		timer.unref();
		return () => clearTimeout(timer);
	},
};
