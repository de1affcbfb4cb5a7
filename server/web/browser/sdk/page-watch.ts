/** What happens to a page that matters to whatever it plays. */
export interface PageEvents {
	online(): void;
	/** People look at it again. */
	shown(): void;
	/** It may never come back. */
	left(): void;
	/** Back from the back-forward cache, where all its connections were closed. */
	returned(): void;
}

/** @returns stops watching */
export const watchPage = ({ online, shown, left, returned }: PageEvents): (() => void) => {
	const watching = new AbortController();
	const { signal } = watching;
	window.addEventListener('online', online, { signal });
	document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && shown(), { signal });
	window.addEventListener('pagehide', left, { signal });
	window.addEventListener('pageshow', (event) => event.persisted && returned(), { signal });
	return () => watching.abort();
};
