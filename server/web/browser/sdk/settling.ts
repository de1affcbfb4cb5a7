/** A new session that takes over from something that sounds does so when it has delivered for so long. */
const SETTLE_MS = 120;
const LOOK_MS = 20;

/** Nobody says anything: it takes over from another session when it is connected for so long. */
const SILENT_MS = 1_000;
/** From the overflow stream it takes over only when it delivers, be it keep-alives; else it is no good after so long. */
const USELESS_MS = 5_000;

/**
 * Waits until a new session may take over from what is heard.
 * @param done with false when it turns out to be no good
 * @returns ends the waiting
 */
export const whenSettled = (session: { readonly delivering: boolean }, from: 'session' | 'overflow', done: (good: boolean) => void): (() => void) => {
	const beganAtMs = performance.now();
	let deliversSinceMs: number | undefined;
	const timer = setInterval(() => {
		const nowMs = performance.now();
		if (session.delivering) {
			deliversSinceMs ??= nowMs;
		}
		const delivers = deliversSinceMs !== undefined && nowMs - deliversSinceMs >= SETTLE_MS;
		if (delivers || nowMs - beganAtMs >= (from === 'session' ? SILENT_MS : USELESS_MS)) {
			clearInterval(timer);
			done(delivers || from === 'session');
		}
	}, LOOK_MS);
	return () => clearInterval(timer);
};
