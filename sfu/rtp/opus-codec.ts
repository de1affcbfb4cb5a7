import type { types } from 'mediasoup';

export const LEVEL_EXTENSION_URI = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
/** What Chromium calls Opus; the payload type of everything that no client sees. */
export const STAGE_PAYLOAD_TYPE = 111;

/** A router that speaks Opus alone, under this payload type (RFC 7587). */
export function opusRouterCodec(payloadType: number): types.RouterRtpCodecCapability {
	return {
		kind: 'audio',
		mimeType: 'audio/opus',
		clockRate: 48_000,
		channels: 2,
		preferredPayloadType: payloadType,
		parameters: { minptime: 10, useinbandfec: 1 },
	};
}

/** RTP parameters of one stream that we write ourselves. */
export function ownStreamParameters(payloadType: number, ssrc: number, cname: string): types.RtpParameters {
	return {
		codecs: [{ mimeType: 'audio/opus', payloadType, clockRate: 48_000, channels: 2, parameters: {}, rtcpFeedback: [] }],
		headerExtensions: [],
		// `dtx`: silences of our voices are long; the worker must not take them for a stream that died.
		encodings: [{ ssrc, dtx: true }],
		rtcp: { cname },
	};
}

/**
 * A consumer's capabilities that leave every header extension and feedback out: what listeners need, and
 * the fewest bytes and the least work for each packet.
 */
export function plainOpusCapabilities(payloadType: number): types.RtpCapabilities {
	return { codecs: [{ ...opusRouterCodec(payloadType), preferredPayloadType: payloadType, rtcpFeedback: [] }], headerExtensions: [] };
}

/** A random SSRC that is neither 0 nor all ones. */
export function randomSsrc(): number {
	return 1 + Math.floor(Math.random() * 0xffff_fffe);
}
