/** A piece of media to fetch: a part, or a whole segment where the playlist has no parts. */
export interface HlsPiece {
	/** Media sequence number of its segment, and which part of it; undefined for a whole segment. */
	sequence: number;
	part: number | undefined;
	uri: string;
	durationMs: number;
}

export interface HlsPlaylist {
	/** First variant of a multivariant playlist; then all else is empty. */
	variantUri: string | undefined;
	mapUri: string | undefined;
	pieces: HlsPiece[];
	/** Media sequence number of the segment that is being made, and how many parts of it are there. */
	next: { sequence: number; part: number };
	targetMs: number;
	partTargetMs: number | undefined;
	/** How far behind its end to begin (EXT-X-SERVER-CONTROL). */
	holdBackMs: number;
	canBlock: boolean;
	ended: boolean;
}

/**
 * What a player needs of a playlist (RFC 8216, and parts as draft-pantos-hls-rfc8216bis has them). Segments whose parts
 * are listed are given as these parts; unknown tags are passed over.
 *
 * @throws Error for what is no playlist
 */
export function parsePlaylist(text: string): HlsPlaylist {
	const lines = text.split(/\r?\n/).map((line) => line.trim());
	if (lines[0] !== '#EXTM3U') {
		throw new Error('not a playlist');
	}
	const playlist: HlsPlaylist = {
		variantUri: undefined, mapUri: undefined, pieces: [], next: { sequence: 0, part: 0 }, targetMs: 0, partTargetMs: undefined, holdBackMs: 0, canBlock: false, ended: false,
	};
	let sequence = 0;
	let durationMs = 0;
	let parts: HlsPiece[] = [];
	let nextIsVariant = false;
	for (const line of lines) {
		const [tag, value] = split(line);
		switch (tag) {
			case '#EXT-X-STREAM-INF':
				nextIsVariant = true;
				break;
			case '#EXT-X-MEDIA-SEQUENCE':
				sequence = Number(value);
				break;
			case '#EXT-X-TARGETDURATION':
				playlist.targetMs = Number(value) * 1_000;
				break;
			case '#EXT-X-PART-INF':
				playlist.partTargetMs = Number(attribute(value, 'PART-TARGET')) * 1_000;
				break;
			case '#EXT-X-SERVER-CONTROL':
				playlist.canBlock = attribute(value, 'CAN-BLOCK-RELOAD') === 'YES';
				playlist.holdBackMs = Number(attribute(value, 'PART-HOLD-BACK') ?? attribute(value, 'HOLD-BACK') ?? 0) * 1_000;
				break;
			case '#EXT-X-MAP':
				playlist.mapUri = attribute(value, 'URI');
				break;
			case '#EXT-X-PART':
				parts.push({ sequence, part: parts.length, uri: attribute(value, 'URI') ?? '', durationMs: Number(attribute(value, 'DURATION')) * 1_000 });
				break;
			case '#EXTINF':
				durationMs = Number.parseFloat(value) * 1_000;
				break;
			case '#EXT-X-ENDLIST':
				playlist.ended = true;
				break;
			default:
				if (line === '' || line.startsWith('#')) {
					break;
				}
				if (nextIsVariant) {
					playlist.variantUri ??= line;
					nextIsVariant = false;
					break;
				}
				playlist.pieces.push(...(parts.length > 0 ? parts : [{ sequence, part: undefined, uri: line, durationMs }]));
				parts = [];
				sequence++;
		}
	}
	playlist.pieces.push(...parts);
	playlist.next = { sequence, part: parts.length };
	return playlist;
}

/** Where to begin: the last piece that leaves at least the hold-back to the end, or the first there is. */
export function startIndex({ pieces, holdBackMs, targetMs, partTargetMs }: HlsPlaylist): number {
	const wantedMs = holdBackMs > 0 ? holdBackMs : 3 * (partTargetMs ?? targetMs);
	let behindMs = 0;
	for (let index = pieces.length - 1; index >= 0; index--) {
		behindMs += pieces[index]?.durationMs ?? 0;
		if (behindMs >= wantedMs) {
			return index;
		}
	}
	return 0;
}

function split(line: string): [string, string] {
	const colon = line.startsWith('#') ? line.indexOf(':') : -1;
	return colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)];
}

function attribute(list: string, name: string): string | undefined {
	const match = new RegExp(`(?:^|,)${name}=(?:"([^"]*)"|([^,]*))`).exec(list);
	return match?.[1] ?? match?.[2];
}
