import { nextPart, PART_MS, SEGMENT_MS, SEGMENT_PARTS, type Segment } from './segments.ts';

/** Names below `/v1/rooms/:room/hls/`. */
export const MASTER_NAME = 'index.m3u8';
export const MEDIA_NAME = 'live.m3u8';
export const initName = (generation: string): string => `init-${generation}.mp4`;
export const segmentName = (msn: number, generation: string): string => `${msn}-${generation}.m4s`;
export const partName = (msn: number, part: number, generation: string): string => `${msn}.${part}-${generation}.m4s`;

/** What a name stands for. */
export type MediaObject =
	| { kind: 'init'; generation: string }
	| { kind: 'segment'; msn: number; generation: string }
	| { kind: 'part'; msn: number; part: number; generation: string };

/** Undefined for a name that no playlist of ours has. */
export function mediaObjectOf(name: string): MediaObject | undefined {
	const init = /^init-([a-z0-9]{1,32})\.mp4$/.exec(name);
	if (init?.[1] !== undefined) {
		return { kind: 'init', generation: init[1] };
	}
	const media = /^([1-9]\d{0,14})(?:\.(\d{1,2}))?-([a-z0-9]{1,32})\.m4s$/.exec(name);
	const [, msn, part, generation] = media ?? [];
	if (generation === undefined) {
		return undefined;
	}
	return part === undefined ? { kind: 'segment', msn: Number(msn), generation } : { kind: 'part', msn: Number(msn), part: Number(part), generation };
}

/** Integer seconds, at least every segment's duration rounded (RFC 8216 §4.3.3.1). */
export const TARGET_SECONDS = Math.round(SEGMENT_MS / 1_000);
/** Parts are listed as long as somebody may still play them one by one (RFC 8216bis §4.4.4.9). */
const SEGMENTS_WITH_PARTS = 4;
/** Beside the audio itself: boxes, 190 bytes in half a second. */
const CONTAINER_BITS_PER_SECOND = 4_000;

const seconds = (ms: number): string => (ms / 1_000).toFixed(3);

/** One rendition, with what players must know of it before they ask for it. */
export function renderMasterPlaylist(bitrateKbps: number): string {
	const average = bitrateKbps * 1_000 + CONTAINER_BITS_PER_SECOND;
	// The encoder may go over its mean for a segment.
	const peak = Math.round(average * 1.25);
	return ['#EXTM3U', '#EXT-X-INDEPENDENT-SEGMENTS', `#EXT-X-STREAM-INF:BANDWIDTH=${peak},AVERAGE-BANDWIDTH=${average},CODECS="mp4a.40.2"`, MEDIA_NAME, ''].join('\n');
}

/** Low-latency HLS (RFC 8216bis): segments, the parts of the latest ones, and what comes next. */
export function renderMediaPlaylist(segments: readonly Segment[], ended: boolean): string {
	const first = segments[0];
	const lines = [
		'#EXTM3U',
		'#EXT-X-VERSION:6',
		`#EXT-X-TARGETDURATION:${TARGET_SECONDS}`,
		`#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=${seconds(3 * SEGMENT_MS)},PART-HOLD-BACK=${seconds(SEGMENT_PARTS * PART_MS)}`,
		`#EXT-X-PART-INF:PART-TARGET=${seconds(PART_MS)}`,
		`#EXT-X-MEDIA-SEQUENCE:${first?.msn ?? 0}`,
		`#EXT-X-DISCONTINUITY-SEQUENCE:${first?.generation.discontinuity ?? 0}`,
		'#EXT-X-INDEPENDENT-SEGMENTS',
	];
	let before: Segment | undefined;
	for (const [index, segment] of segments.entries()) {
		const { generation, parts, complete, msn } = segment;
		if (before?.generation.id !== generation.id) {
			lines.push(...(before ? ['#EXT-X-DISCONTINUITY'] : []), `#EXT-X-MAP:URI="${initName(generation.id)}"`);
		}
		before = segment;
		if (parts[0]) {
			lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(parts[0].startMs).toISOString()}`);
		}
		if (index >= segments.length - SEGMENTS_WITH_PARTS && !ended) {
			lines.push(...parts.map(({ part, durationMs }) => `#EXT-X-PART:DURATION=${seconds(durationMs)},URI="${partName(msn, part, generation.id)}",INDEPENDENT=YES`));
		}
		if (complete) {
			lines.push(`#EXTINF:${seconds(parts.reduce((sum, { durationMs }) => sum + durationMs, 0))},`, segmentName(msn, generation.id));
		}
	}
	const next = nextPart(segments);
	if (ended) {
		lines.push('#EXT-X-ENDLIST');
	} else if (next) {
		lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${partName(next.msn, next.part, next.generation)}"`);
	}
	return `${lines.join('\n')}\n`;
}

/** Puts the token of whoever asked behind every address of a playlist: players take addresses as they are. */
export function withToken(playlist: string, token: string): string {
	const query = `?access_token=${encodeURIComponent(token)}`;
	return playlist
		.split('\n')
		.map((line) => (line === '' ? line : line.startsWith('#') ? line.replace(/URI="([^"]*)"/, `URI="$1${query}"`) : line + query))
		.join('\n');
}
