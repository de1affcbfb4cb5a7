// The one file that brings hls.js. It is loaded when an overflow stream is to be played, and imports nothing that the
// page has: a module of both would be one more request for everybody.
import { Hls } from 'hls.js/light';

/** @param failed fatally; with the Retry-After header, if there is one */
export const feedByHlsJs = (element: HTMLMediaElement, url: string, token: string | undefined, failed: (retryAfter: string | null) => void): { close(): void } => {
	const hls = new Hls({
		// A worker would need `blob:` in the page's policy, for audio that takes next to nothing to unpack.
		enableWorker: false,
		lowLatencyMode: true,
		// They are late anyway: rather a little later than with gaps. Whoever has fallen behind catches up unnoticed, or jumps.
		liveSyncDuration: 3,
		liveMaxLatencyDuration: 15,
		maxLiveSyncPlaybackRate: 1.1,
		// hls.js 1.7.4 that removes what was played stops asking for parts for seconds now and then: browsers make room by themselves.
		backBufferLength: Number.POSITIVE_INFINITY,
		maxBufferLength: 20,
		...(token === undefined ? {} : { xhrSetup: (request: XMLHttpRequest) => request.setRequestHeader('authorization', `Bearer ${token}`) }),
	});
	let closed = false;
	hls.on(Hls.Events.ERROR, (_event, { fatal, networkDetails }) => {
		if (fatal && !closed) {
			failed(networkDetails instanceof XMLHttpRequest ? networkDetails.getResponseHeader('retry-after') : null);
		}
	});
	hls.loadSource(url);
	hls.attachMedia(element);
	return {
		close() {
			closed = true;
			hls.destroy();
		},
	};
};
