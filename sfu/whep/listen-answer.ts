import { candidatesPart, sessionPart, silentPart, transportPart } from './answer-parts.ts';
import type { AnswerTransport } from './answer-parts.ts';
import type { ListenOffer } from './listen-offer.ts';

/** One voice as this listener gets it. */
export interface ListenStream {
	/** The accepted section that carries it. */
	readonly mid: string;
	/** The consumer's SSRC: how the client tells the voices apart (see the file's note on extmap). */
	readonly ssrc: number;
	readonly cname: string;
	/** The MediaStreamTrack's name in the msid, a token. */
	readonly trackId: string;
}

export interface ListenAnswerInput extends AnswerTransport {
	readonly offer: ListenOffer;
	/** One for every accepted section, in any order. */
	readonly streams: readonly ListenStream[];
}

/**
 * All voices belong to one MediaStream, so `event.streams[0]` of any `track` event is the whole programme: a player
 * that just puts it into an `<audio>` element plays every voice (an element plays all enabled audio tracks of its
 * stream, mixed), and one that does so for each of the three events sets the same stream three times. With a stream
 * for each voice such a player plays the last one alone (both heard in Chromium's output).
 */
export const PROGRAMME_STREAM_ID = 'programme';

/**
 * Writes the answer to a WHEP offer: every section answered in its place, accepted ones `sendonly`, on one ICE-lite
 * transport. No extmap: the header extensions' ids in a packet are the router's, not the offer's, so the client must
 * not read any; it finds a voice by its `a=ssrc`. No rtcp-fb: losses are not resent and nobody estimates bandwidth.
 *
 * @throws RangeError when an accepted section has no stream: the caller's mistake
 */
export function writeListenAnswer({ offer, streams, ...transport }: ListenAnswerInput): string {
	const { opusPayloadType: pt } = offer;
	const transportLines = transportPart(offer, transport);
	const codecLines =
		`a=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:${pt} opus/48000/2\r\n` +
		`a=fmtp:${pt} minptime=10;useinbandfec=1${offer.stereo ? ';stereo=1;sprop-stereo=1' : ''}\r\n`;
	// Of bundled sections the first alone carries candidates (RFC 8843 section 7.3.3).
	const transportLinesOfFirst = transportLines + candidatesPart(transport.iceCandidates);
	let answer = sessionPart(streams[0]?.ssrc ?? 1, offer.bundledMids);
	for (const section of offer.sections) {
		const lines = section.mid === offer.transportMid ? transportLinesOfFirst : transportLines;
		if (section.use !== 'media') {
			answer += silentPart(section, lines);
			continue;
		}
		const stream = streams.find(({ mid }) => mid === section.mid);
		if (!stream) throw new RangeError('An accepted section has no stream.');
		answer +=
			`m=audio 9 ${section.proto} ${pt}\r\nc=IN IP4 0.0.0.0\r\na=mid:${stream.mid}\r\n${lines}${codecLines}` +
			`a=msid:${PROGRAMME_STREAM_ID} ${stream.trackId}\r\na=ssrc:${stream.ssrc} cname:${stream.cname}\r\n`;
	}
	return answer;
}
