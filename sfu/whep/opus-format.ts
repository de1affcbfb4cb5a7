import { OfferError } from './offer-error.ts';
import type { SdpSection } from './sdp-description.ts';

/** Integer Opus parameters we know (RFC 7587 section 6.1), `ptime` and `maxptime` as some clients put them in fmtp. */
export type OpusParameters = ReadonlyMap<string, number>;

export interface OpusFormat {
	readonly payloadType: number;
	readonly parameters: OpusParameters;
}

const OPUS_RTPMAP = /^(\S+) opus\/48000\/2$/i;
const KNOWN_PARAMETERS: ReadonlySet<string> = new Set([
	'minptime',
	'ptime',
	'maxptime',
	'maxplaybackrate',
	'sprop-maxcapturerate',
	'maxaveragebitrate',
	'stereo',
	'sprop-stereo',
	'cbr',
	'useinbandfec',
	'usedtx',
]);

/**
 * Payload types that RTP may carry dynamically and that cannot be taken for RTCP when both share a port: 96-127 first,
 * then 35-63 (RFC 3551 section 6, RFC 5761 section 4).
 */
export function isUsablePayloadType(payloadType: number): boolean {
	return Number.isInteger(payloadType) && ((payloadType >= 96 && payloadType <= 127) || (payloadType >= 35 && payloadType <= 63));
}

/**
 * The Opus formats of an audio section in the client's order of preference; empty when it offers none
 * (RFC 7587 section 7 allows no other form than `opus/48000/2`, in any case).
 *
 * @throws OfferError `bad_payload_type`
 */
export function readOpusFormats(section: SdpSection): OpusFormat[] {
	const found: number[] = [];
	for (const rtpmap of section.rtpmaps) {
		const name = OPUS_RTPMAP.exec(rtpmap)?.[1];
		if (name === undefined) continue;
		const payloadType = /^\d{1,3}$/.test(name) ? Number(name) : Number.NaN;
		if (!isUsablePayloadType(payloadType)) {
			throw new OfferError('bad_payload_type', 'Offer Opus with a payload type of 96 to 127 (35 to 63 work too).');
		}
		found.push(payloadType);
	}
	const formats: OpusFormat[] = [];
	for (const format of section.formats) {
		const payloadType = Number(format);
		if (!found.includes(payloadType) || String(payloadType) !== format) continue;
		if (section.rtpmaps.filter((rtpmap) => rtpmap.startsWith(`${format} `)).length > 1) {
			throw new OfferError('bad_payload_type', 'Map each payload type of a media section to one codec only.');
		}
		if (formats.some((other) => other.payloadType === payloadType)) continue;
		formats.push({ payloadType, parameters: readParameters(section, format) });
	}
	return formats;
}

function readParameters(section: SdpSection, format: string): OpusParameters {
	const parameters = new Map<string, number>();
	for (const fmtp of section.fmtps) {
		if (!fmtp.startsWith(`${format} `)) continue;
		for (const parameter of fmtp.slice(format.length + 1).split(';')) {
			const equals = parameter.indexOf('=');
			const name = parameter.slice(0, Math.max(equals, 0)).trim().toLowerCase();
			const value = parameter.slice(equals + 1).trim();
			// What is unknown or not a number is passed over: a receiver must ignore it (RFC 7587 section 7).
			if (KNOWN_PARAMETERS.has(name) && /^\d{1,7}$/.test(value)) parameters.set(name, Number(value));
		}
	}
	return parameters;
}
