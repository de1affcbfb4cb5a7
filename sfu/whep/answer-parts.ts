import type { types } from 'mediasoup';
import type { OfferSection } from './offer-section.ts';
import type { OfferTransport } from './offer-transport.ts';

/** The server's side of a transport, as `WebRtcTransport` gives it. Of `dtlsParameters` only the fingerprints are used: the role follows from the offer. */
export interface AnswerTransport {
	readonly iceParameters: Pick<types.IceParameters, 'usernameFragment' | 'password'>;
	readonly iceCandidates: readonly types.IceCandidate[];
	readonly dtlsParameters: Pick<types.DtlsParameters, 'fingerprints'>;
}

/** The session level of an answer. We are ICE-lite: the client does the checks, we answer them. */
export function sessionPart(sessionNumber: number, bundledMids: readonly string[]): string {
	const group = bundledMids.length > 0 ? `a=group:BUNDLE ${bundledMids.join(' ')}\r\n` : '';
	return `v=0\r\no=- ${sessionNumber} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n${group}a=msid-semantic:WMS *\r\n`;
}

/**
 * A section that carries no stream. Refused: port 0, in its place, not in BUNDLE. Carrier: inactive, with the transport
 * that bundled sections use. A refused one is as complete as any, because aiortc applies no answer with a
 * section that lacks transport, rtcp-mux or codec; everybody else passes over what a refused section says.
 */
export function silentPart(section: OfferSection, transportLines: string): string {
	const { kind, proto, format, encoding, use } = section;
	const mid = section.mid === null ? '' : `a=mid:${section.mid}\r\n`;
	const port = use === 'refused' ? 0 : 9;
	const rtpmap = encoding === null ? '' : `a=rtpmap:${format} ${encoding}\r\n`;
	const mux = kind === 'audio' || kind === 'video' ? 'a=rtcp-mux\r\n' : '';
	return `m=${kind} ${port} ${proto} ${format}\r\nc=IN IP4 0.0.0.0\r\n${mid}${transportLines}a=inactive\r\n${mux}${rtpmap}`;
}

/**
 * ICE credentials, fingerprint and DTLS role, the same in every accepted section: RFC 8843 wants them in the first only,
 * but not every client looks there for the others. One fingerprint is enough, and every client knows sha-256 (RFC 8827 section 6.5).
 */
export function transportPart(offer: OfferTransport, transport: AnswerTransport): string {
	const { fingerprints } = transport.dtlsParameters;
	const fingerprint = fingerprints.find(({ algorithm }) => algorithm === 'sha-256') ?? fingerprints[0];
	if (!fingerprint) throw new RangeError('A transport has at least one fingerprint.');
	const { usernameFragment, password } = transport.iceParameters;
	const setup = offer.dtlsParameters.role === 'server' ? 'active' : 'passive';
	return (
		`a=ice-ufrag:${usernameFragment}\r\na=ice-pwd:${password}\r\n` +
		`a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}\r\na=setup:${setup}\r\n`
	);
}

/** All candidates there will ever be (RFC 8839 section 5.1, RFC 6544 section 4.5). */
export function candidatesPart(candidates: readonly types.IceCandidate[]): string {
	let part = '';
	for (const { foundation, protocol, priority, address, port, type, tcpType } of candidates) {
		const tcp = protocol === 'tcp' ? ` tcptype ${tcpType ?? 'passive'}` : '';
		part += `a=candidate:${foundation} 1 ${protocol} ${priority} ${address} ${port} typ ${type}${tcp}\r\n`;
	}
	return `${part}a=end-of-candidates\r\n`;
}
