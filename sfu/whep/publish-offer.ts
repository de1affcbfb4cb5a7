import type { types } from 'mediasoup';
import { detached } from './detached.ts';
import { OfferError } from './offer-error.ts';
import { bundleOf, checkAccepted, directionOf, isLiveAudio, planSections } from './offer-section.ts';
import type { SectionPlan } from './offer-section.ts';
import { readOfferTransport } from './offer-transport.ts';
import type { OfferTransport } from './offer-transport.ts';
import { readOpusFormats } from './opus-format.ts';
import { readDescription } from './sdp-description.ts';
import type { SdpDescription, SdpSection } from './sdp-description.ts';

/** A header extension we take, and the direction suffix (empty or `/recvonly`) its answer needs. */
export interface PublishExtension {
	readonly id: number;
	readonly uri: types.RtpHeaderExtensionUri;
	readonly answerSuffix: '' | '/recvonly';
}

/** A publisher's offer: every field checked, so that a worker may see it and an answer repeat it. */
export interface PublishOffer extends OfferTransport, SectionPlan {
	/** The one accepted section's. */
	readonly mid: string;
	readonly payloadType: number;
	/** What `transport.produce({ kind: 'audio', rtpParameters })` takes. */
	readonly rtpParameters: types.RtpParameters;
	readonly extensions: readonly PublishExtension[];
	readonly rtcpFeedback: readonly types.RtcpFeedback[];
	/** The client sends RFC 6464 levels; without them somebody must look at the audio itself. */
	readonly hasAudioLevel: boolean;
	/** The client says that it sends stereo (RFC 7587 `sprop-stereo=1`). */
	readonly stereo: boolean;
	readonly iceLite: boolean;
}

const AUDIO_LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
const TRANSPORT_CC = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
/** Of mediasoup's header extensions for audio, those that serve us. */
const EXTENSIONS: readonly types.RtpHeaderExtensionUri[] = [
	AUDIO_LEVEL,
	MID,
	TRANSPORT_CC,
	'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
];
const EXTMAP = /^(\d{1,5})(?:\/(sendrecv|sendonly|recvonly|inactive))? (\S+)(?: .*)?$/;
const SSRC = /^(\d{1,10})(?: |$)/;
/** RFC 8866 byte-string without spaces; RFC 3550 section 6.5.1 gives a CNAME up to 255 bytes. */
const CNAME = /^\d{1,10} cname:([!-~]{1,255})$/;

/**
 * Reads a WHIP offer (RFC 9725): the first audio section that sends Opus is accepted, all else (video, data, further
 * audio) is left for the answer to refuse with port 0.
 *
 * @throws OfferError and nothing else, whatever the text
 */
export function parsePublishOffer(sdp: string): PublishOffer {
	const description = readDescription(sdp);
	const { section, format } = findSending(description);
	const mid = checkAccepted(section);
	const bundle = bundleOf(description, section);
	const transport = readOfferTransport(description, section, bundle);
	const { payloadType } = format;
	const extensions = readExtensions(description, section);
	const offered = (uri: string): boolean => extensions.some((extension) => extension.uri === uri);
	const rtcpFeedback = readFeedback(section, payloadType, offered(TRANSPORT_CC));
	const ssrc = readSsrc(section);
	if (ssrc === null && !offered(MID)) {
		throw new OfferError(
			'no_ssrc_or_mid',
			`The audio could not be told from anything else: give "a=ssrc" in the audio section, or offer "a=extmap" with ${MID}.`,
		);
	}
	const cname = readCname(section);
	return {
		...transport,
		...planSections(description, [{ section, mid }], bundle),
		mid,
		payloadType,
		rtpParameters: {
			mid,
			codecs: [
				{
					mimeType: 'audio/opus',
					payloadType,
					clockRate: 48_000,
					channels: 2,
					parameters: Object.fromEntries(format.parameters),
					rtcpFeedback: [...rtcpFeedback],
				},
			],
			headerExtensions: extensions.map(({ id, uri }) => ({ id, uri, encrypt: false, parameters: {} })),
			// Without an SSRC the worker learns it from the first packet's MID.
			encodings: [ssrc === null ? {} : { ssrc }],
			rtcp: { reducedSize: true, ...(cname === null ? {} : { cname }) },
		},
		extensions,
		rtcpFeedback,
		hasAudioLevel: offered(AUDIO_LEVEL),
		stereo: format.parameters.get('sprop-stereo') === 1,
		iceLite: description.iceLite,
	};
}

function findSending(description: SdpDescription) {
	const live = description.media.filter(isLiveAudio);
	if (live.length === 0) {
		throw new OfferError('offer_without_audio', 'Offer an audio section ("m=audio 9 UDP/TLS/RTP/SAVPF …"): a room carries audio alone.');
	}
	const sending = live.filter((section) => {
		const direction = directionOf(description, section);
		return direction === 'sendonly' || direction === 'sendrecv';
	});
	if (sending.length === 0) throw new OfferError('bad_direction', 'A publisher\'s audio section must be "a=sendonly" (or "a=sendrecv").');
	for (const section of sending) {
		const format = readOpusFormats(section)[0];
		if (format) return { section, format };
	}
	throw new OfferError('offer_without_opus', 'Offer Opus ("a=rtpmap:111 opus/48000/2") in the audio section.');
}

function readExtensions(description: SdpDescription, section: SdpSection): PublishExtension[] {
	const extensions: PublishExtension[] = [];
	for (const extmap of [...section.extmaps, ...description.session.extmaps]) {
		const [, id, direction, offeredUri] = EXTMAP.exec(extmap) ?? [];
		const uri = EXTENSIONS.find((wanted) => wanted === offeredUri);
		if (uri === undefined || direction === 'recvonly' || direction === 'inactive') continue;
		// Ids above 14 need two-byte headers (RFC 8285): left out of the answer, the client does not send them.
		const number = Number(id);
		if (number < 1 || number > 14 || extensions.some((other) => other.id === number || other.uri === uri)) continue;
		extensions.push({ id: number, uri, answerSuffix: direction === 'sendonly' ? '/recvonly' : '' });
	}
	return extensions;
}

function readFeedback(section: SdpSection, payloadType: number, hasTransportCc: boolean): types.RtcpFeedback[] {
	const offers = (type: string): boolean =>
		section.rtcpFeedbacks.some((feedback) => feedback === `${payloadType} ${type}` || feedback === `* ${type}`);
	const accepted: types.RtcpFeedback[] = [];
	if (offers('nack')) accepted.push({ type: 'nack', parameter: '' });
	if (hasTransportCc && offers('transport-cc')) accepted.push({ type: 'transport-cc', parameter: '' });
	return accepted;
}

/** The first SSRC that does not merely repair another (RFC 5576 ssrc-group: the first of a group is the source). */
function readSsrc(section: SdpSection): number | null {
	const repairing = new Set<string>();
	for (const group of section.ssrcGroups) for (const ssrc of group.split(' ').slice(2)) repairing.add(ssrc);
	for (const line of section.ssrcs) {
		const text = SSRC.exec(line)?.[1];
		const ssrc = Number(text);
		if (text === undefined || ssrc < 1 || ssrc > 0xffff_ffff) {
			throw new OfferError('bad_ssrc', 'Every "a=ssrc" must start with a number from 1 to 4294967295.');
		}
		if (!repairing.has(text)) return ssrc;
	}
	return null;
}

function readCname(section: SdpSection): string | null {
	for (const line of section.ssrcs) {
		const cname = CNAME.exec(line)?.[1];
		if (cname !== undefined) return detached(cname);
	}
	return null;
}
