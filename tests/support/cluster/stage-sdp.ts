// Between libdatachannel, which speaks SDP, and the stage, which speaks mediasoup-client's structures.
import type { StageParams } from '../../../server/stage/protocol.ts';

/** What `transport.create` answers with, as far as a client needs it. */
export interface StageTransport {
	id: string;
	iceParameters: { usernameFragment: string; password: string };
	iceCandidates: { foundation: string; protocol: string; priority: number; ip?: string; address?: string; port: number; type: string }[];
	dtlsParameters: { fingerprints: { algorithm: string; value: string }[] };
}

type DtlsParameters = StageParams<'transport.connect'>['dtlsParameters'];
type RtpParameters = StageParams<'produce'>['rtpParameters'];

const find = (sdp: string, pattern: RegExp, what: string): string => {
	const found = pattern.exec(sdp)?.[1];
	if (found === undefined) {
		throw new Error(`no ${what} in the offer`);
	}
	return found;
};

/** What an offer of one microphone says to the stage. */
export function speakingParameters(offer: string): { dtlsParameters: DtlsParameters; rtpParameters: RtpParameters } {
	const payloadType = Number(find(offer, /^m=audio \d+ \S+ (\d+)/m, 'payload type'));
	const level = /^a=extmap:(\d+) (urn:ietf:params:rtp-hdrext:ssrc-audio-level)/m.exec(offer);
	return {
		dtlsParameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value: find(offer, /^a=fingerprint:sha-256 (\S+)/m, 'fingerprint') }] },
		rtpParameters: {
			mid: find(offer, /^a=mid:(\S+)/m, 'mid'),
			codecs: [
				{
					mimeType: 'audio/opus',
					payloadType,
					clockRate: 48_000,
					channels: 2,
					parameters: { minptime: 10, useinbandfec: 1 },
					rtcpFeedback: [],
				},
			],
			headerExtensions: level ? [{ uri: level[2] ?? '', id: Number(level[1]) }] : [],
			encodings: [{ ssrc: Number(find(offer, /^a=ssrc:(\d+)/m, 'SSRC')) }],
			rtcp: { cname: 'speaker', reducedSize: true, mux: true },
		},
	};
}

/** The answer a server would have written for this transport: ICE-lite, DTLS passive, receives one microphone. */
export function answerFor(offer: string, { iceParameters, iceCandidates, dtlsParameters }: StageTransport): string {
	const mid = find(offer, /^a=mid:(\S+)/m, 'mid');
	const payloadType = find(offer, /^m=audio \d+ \S+ (\d+)/m, 'payload type');
	const fingerprint = dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256');
	const extensions = offer.split(/\r?\n/).filter((line) => line.startsWith('a=extmap:'));
	const candidates = iceCandidates
		.filter(({ protocol }) => protocol === 'udp')
		.map(({ foundation, priority, ip, address, port, type }) => `a=candidate:${foundation} 1 udp ${priority} ${address ?? ip} ${port} typ ${type}`);
	return [
		'v=0',
		'o=- 1 1 IN IP4 127.0.0.1',
		's=-',
		't=0 0',
		'a=ice-lite',
		`a=group:BUNDLE ${mid}`,
		`m=audio 9 UDP/TLS/RTP/SAVPF ${payloadType}`,
		'c=IN IP4 0.0.0.0',
		`a=mid:${mid}`,
		`a=ice-ufrag:${iceParameters.usernameFragment}`,
		`a=ice-pwd:${iceParameters.password}`,
		`a=fingerprint:sha-256 ${fingerprint?.value ?? ''}`,
		'a=setup:passive',
		...candidates,
		'a=end-of-candidates',
		'a=recvonly',
		'a=rtcp-mux',
		...extensions,
		`a=rtpmap:${payloadType} opus/48000/2`,
		`a=fmtp:${payloadType} minptime=10;useinbandfec=1`,
		'',
	].join('\r\n');
}
