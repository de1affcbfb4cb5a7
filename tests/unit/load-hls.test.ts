import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { HlsListener } from '../load/surge/hls-listener.ts';
import { parsePlaylist, startIndex } from '../load/surge/hls-playlist.ts';

const LOW_LATENCY = `#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:10
#EXT-X-MAP:URI="init.mp4"
#EXTINF:2.0,
s10.m4s
#EXT-X-PART:DURATION=0.5,URI="s11.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="s11.1.m4s"
#EXTINF:1.0,
s11.m4s
#EXT-X-PART:DURATION=0.5,URI="s12.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s12.1.m4s"
`;

describe('playlists', () => {
	it('reads parts, segments, and what to ask for next', () => {
		const playlist = parsePlaylist(LOW_LATENCY);
		expect(playlist).toMatchObject({ mapUri: 'init.mp4', canBlock: true, targetMs: 2_000, partTargetMs: 500, holdBackMs: 1_500, next: { sequence: 12, part: 1 }, ended: false });
		expect(playlist.pieces.map(({ sequence, part, uri, durationMs }) => [sequence, part, uri, durationMs])).toEqual([
			[10, undefined, 's10.m4s', 2_000], [11, 0, 's11.0.m4s', 500], [11, 1, 's11.1.m4s', 500], [12, 0, 's12.0.m4s', 500],
		]);
	});

	it('begins as far behind the end as it is told, at the first piece if there are too few', () => {
		expect(startIndex(parsePlaylist(LOW_LATENCY))).toBe(1);
		expect(startIndex({ ...parsePlaylist(LOW_LATENCY), holdBackMs: 60_000 })).toBe(0);
	});

	it('finds the variant of a multivariant playlist, and refuses what is none', () => {
		expect(parsePlaylist('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=70000,CODECS="mp4a.40.2"\nlive.m3u8?access_token=x\n').variantUri).toBe('live.m3u8?access_token=x');
		expect(() => parsePlaylist('<html>')).toThrow('not a playlist');
	});
});

describe('a listener by HLS', () => {
	it('fetches each piece once, blocks on the next one, and notes when the buffer was dry', async () => {
		const asked: string[] = [];
		let nowMs = 1_000;
		const lines = ['#EXTM3U', '#EXT-X-TARGETDURATION:1', '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.5', '#EXT-X-PART-INF:PART-TARGET=0.5', '#EXT-X-MEDIA-SEQUENCE:5', '#EXT-X-MAP:URI="init.mp4"'];
		const server = createServer((request, response) => {
			const url = new URL(request.url ?? '', 'http://host');
			asked.push(`${url.pathname.split('/').at(-1)}${url.search}`);
			if (url.pathname.endsWith('index.m3u8')) {
				response.end('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"\nlive.m3u8\n');
			} else if (url.pathname.endsWith('live.m3u8')) {
				const part = Number(url.searchParams.get('_HLS_part') ?? 0);
				lines.push(`#EXT-X-PART:DURATION=0.5,URI="p${part}.m4s"`);
				// The third part comes 2 s late: 1.5 s after what was there has been played.
				nowMs += part === 2 ? 2_500 : 500 * Math.min(part, 1);
				response.end([...lines, ...(part === 3 ? ['#EXT-X-ENDLIST'] : []), ''].join('\n'));
			} else {
				response.end('media');
			}
		});
		await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
		try {
			const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/rooms/demo/hls/index.m3u8`);
			const listener = new HlsListener({ url, token: undefined, nowMs: () => nowMs, sleep: () => Promise.reject(new Error('nothing to wait for')) });
			await listener.run();
			listener.close();
			expect(asked).toEqual([
				'index.m3u8', 'live.m3u8', 'init.mp4', 'p0.m4s', 'live.m3u8?_HLS_msn=5&_HLS_part=1', 'p1.m4s', 'live.m3u8?_HLS_msn=5&_HLS_part=2', 'p2.m4s', 'live.m3u8?_HLS_msn=5&_HLS_part=3', 'p3.m4s',
			]);
			expect(listener.figures).toMatchObject({ firstMediaAtMs: 1_000, pieces: 4, stalls: 1, stalledMs: 2_000, errors: 0 });
		} finally {
			server.closeAllConnections();
			server.close();
		}
	});
});
