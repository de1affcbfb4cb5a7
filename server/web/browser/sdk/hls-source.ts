import { parseRetryAfter } from './problem.ts';

export interface HlsSourceOptions {
	url: string;
	/** Sent with every request. */
	token: string | undefined;
	/** It will not go on by itself. Not called after `close`. @param retryAfterMs what the server asked for */
	onFailed: (retryAfterMs?: number) => void;
}

/** Something that feeds an element until it is closed. */
export interface HlsSource {
	close(): void;
}

export type OpenHls = (element: HTMLMediaElement, options: HlsSourceOptions) => Promise<HlsSource>;

/** By hls.js where the browser has Media Source Extensions, else by the browser itself. */
export const openHls: OpenHls = async (element, { url, token, onFailed }) => {
	// A playlist that ends is a stream that was ended; whether the room goes on is known elsewhere.
	const failed = (): void => onFailed();
	const events = ['error', 'ended'] as const;
	const source =
		'MediaSource' in globalThis || 'ManagedMediaSource' in globalThis
			? (await import('./hls-js-source.ts')).feedByHlsJs(element, url, token, (retryAfter) => onFailed(parseRetryAfter(retryAfter, Date.now())))
			: feedNatively(element, url, token);
	for (const event of events) {
		element.addEventListener(event, failed);
	}
	return {
		close() {
			for (const event of events) {
				element.removeEventListener(event, failed);
			}
			source.close();
		},
	};
};

const feedNatively = (element: HTMLMediaElement, url: string, token: string | undefined): HlsSource => {
	if (element.canPlayType('application/vnd.apple.mpegurl') === '') {
		throw new Error('This browser plays no HLS');
	}
	const address = new URL(url);
	if (token !== undefined) {
		// The browser itself fetches it, and takes no headers from us.
		address.searchParams.set('access_token', token);
	}
	element.src = address.href;
	return {
		close() {
			element.removeAttribute('src');
			element.load();
		},
	};
};
