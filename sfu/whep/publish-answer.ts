import { candidatesPart, sessionPart, silentPart, transportPart } from './answer-parts.ts';
import type { AnswerTransport } from './answer-parts.ts';
import type { PublishOffer } from './publish-offer.ts';

export interface PublishAnswerInput extends AnswerTransport {
	readonly offer: PublishOffer;
	/** Tells one session description from another (RFC 8866 `o=`): any whole number. */
	readonly sessionNumber: number;
}

/**
 * Writes the answer to a WHIP offer (RFC 9725): the one accepted audio section `recvonly`, the rest refused, header
 * extensions with the offer's own ids. The fmtp is what we ask of the encoder (RFC 7587 section 7): forward error
 * correction, because speakers' links lose packets; no DTX, because the director makes silence itself and a
 * speaker's onset must not wait for an encoder to wake; stereo only from a client that sends it anyway; 20 ms packets,
 * which is what the stage works in.
 */
export function writePublishAnswer({ offer, sessionNumber, ...transport }: PublishAnswerInput): string {
	const { payloadType: pt } = offer;
	let answer = sessionPart(sessionNumber, offer.bundledMids);
	const transportLines = transportPart(offer, transport);
	const transportLinesOfFirst = transportLines + candidatesPart(transport.iceCandidates);
	for (const section of offer.sections) {
		const lines = section.mid === offer.transportMid ? transportLinesOfFirst : transportLines;
		if (section.use !== 'media') {
			answer += silentPart(section, lines);
			continue;
		}
		answer +=
			`m=audio 9 ${section.proto} ${pt}\r\nc=IN IP4 0.0.0.0\r\na=mid:${offer.mid}\r\n${lines}` +
			'a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n';
		for (const { id, uri, answerSuffix } of offer.extensions) answer += `a=extmap:${id}${answerSuffix} ${uri}\r\n`;
		answer += `a=rtpmap:${pt} opus/48000/2\r\n`;
		for (const { type } of offer.rtcpFeedback) answer += `a=rtcp-fb:${pt} ${type}\r\n`;
		answer += `a=fmtp:${pt} minptime=10;useinbandfec=1;usedtx=0${offer.stereo ? ';stereo=1' : ''}\r\na=ptime:20\r\n`;
	}
	return answer;
}
