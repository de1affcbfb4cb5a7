import { OfferError } from './offer-error.ts';
import { bundleOf, checkAccepted, directionOf, isLiveAudio, planSections } from './offer-section.ts';
import type { SectionPlan } from './offer-section.ts';
import { readOfferTransport } from './offer-transport.ts';
import type { OfferTransport } from './offer-transport.ts';
import { readOpusFormats } from './opus-format.ts';
import type { OpusFormat } from './opus-format.ts';
import { readDescription } from './sdp-description.ts';
import type { SdpDescription, SdpSection } from './sdp-description.ts';

export interface ListenLimits {
	/** The voices of the room: audio sections beyond these are refused. At least 1. */
	readonly voices: number;
}

/** An audio section that a voice may be sent on. */
export interface ListenAudio {
	readonly mid: string;
	readonly payloadType: number;
}

/** A listener's offer: every field checked, so that a worker may see it and an answer repeat it. It keeps nothing of the text alive. */
export interface ListenOffer extends OfferTransport, SectionPlan {
	/** The accepted ones, in order: 1 to `voices`. */
	readonly audio: readonly ListenAudio[];
	/** The one payload type that Opus has in all accepted sections. */
	readonly opusPayloadType: number;
	/** The longest packet this client takes, in ms: 20 to 120. */
	readonly maxPackingMs: number;
	/** The client asks for stereo where there is any (RFC 7587 `stereo=1`). */
	readonly stereo: boolean;
	readonly iceLite: boolean;
	/** One usable audio section only: the client gets the solo voice. */
	readonly soloOnly: boolean;
}

/** RFC 7587 section 7: what `maxptime` means when it is not given, and its largest value. */
const DEFAULT_MAX_PACKING_MS = 120;
/** Voices are never packed shorter than speakers send them. */
const MIN_PACKING_MS = 20;

interface Usable {
	readonly section: SdpSection;
	readonly formats: readonly OpusFormat[];
}

/**
 * Reads a WHEP offer (draft-ietf-wish-whep).
 *
 * Audio sections that can receive Opus are accepted in order, at most `voices` of them; all else (video, data, further
 * audio) is left for the answer to refuse with port 0. An edge router sends with one payload type, so all accepted
 * sections must share one. Where sections map Opus differently, which BUNDLE allows, the payload type that most
 * sections have wins (the earliest among equals), and sections without it are refused.
 *
 * @throws OfferError and nothing else, whatever the text
 */
export function parseListenOffer(sdp: string, limits: ListenLimits): ListenOffer {
	const description = readDescription(sdp);
	const usable = findUsable(description);
	const opusPayloadType = choosePayloadType(usable);
	const chosen = usable.flatMap(({ section, formats }) => {
		const format = formats.find((candidate) => candidate.payloadType === opusPayloadType);
		return format ? [{ section, format }] : [];
	});
	const accepted = chosen.slice(0, limits.voices).map(({ section, format }) => ({ section, format, mid: checkAccepted(section) }));
	const first = accepted[0];
	if (!first) throw new RangeError('A room has at least one voice.');
	const bundle = bundleOf(description, first.section);
	if (accepted.length > 1 && !accepted.every(({ mid }) => bundle?.includes(mid))) {
		throw new OfferError('bundle_required', 'Put all audio sections into one "a=group:BUNDLE": the voices of a room share one transport.');
	}
	return {
		...readOfferTransport(description, first.section, bundle),
		...planSections(description, accepted, bundle),
		audio: accepted.map(({ mid }) => ({ mid, payloadType: opusPayloadType })),
		opusPayloadType,
		maxPackingMs: Math.min(...accepted.map(({ section, format }) => readMaxPackingMs(section, format))),
		stereo: first.format.parameters.get('stereo') === 1,
		iceLite: description.iceLite,
		soloOnly: chosen.length === 1,
	};
}

function findUsable(description: SdpDescription): Usable[] {
	const live = description.media.filter(isLiveAudio);
	if (live.length === 0) {
		throw new OfferError('offer_without_audio', 'Offer at least one audio section ("m=audio 9 UDP/TLS/RTP/SAVPF …").');
	}
	const receiving = live.filter((section) => {
		const direction = directionOf(description, section);
		return direction === 'recvonly' || direction === 'sendrecv';
	});
	if (receiving.length === 0) throw new OfferError('bad_direction', 'A listener\'s audio sections must be "a=recvonly" (or "a=sendrecv").');
	const usable: Usable[] = [];
	for (const section of receiving) {
		const formats = readOpusFormats(section);
		if (formats.length > 0) usable.push({ section, formats });
	}
	if (usable.length === 0) throw new OfferError('offer_without_opus', 'Offer Opus ("a=rtpmap:111 opus/48000/2") in the audio sections.');
	return usable;
}

function choosePayloadType(usable: readonly Usable[]): number {
	const counts = new Map<number, number>();
	for (const { formats } of usable) for (const { payloadType } of formats) counts.set(payloadType, (counts.get(payloadType) ?? 0) + 1);
	let chosen = -1;
	let most = 0;
	for (const [payloadType, count] of counts) {
		if (count > most) [chosen, most] = [payloadType, count];
	}
	return chosen;
}

/** `a=maxptime` (RFC 7587 section 7 puts it there), or in fmtp, where some clients put it. */
function readMaxPackingMs(section: SdpSection, format: OpusFormat): number {
	if (section.maxptime !== null && !/^\d{1,7}$/.test(section.maxptime)) {
		throw new OfferError('bad_packing', 'Give "a=maxptime" as a whole number of milliseconds.');
	}
	const inSection = section.maxptime === null ? DEFAULT_MAX_PACKING_MS : Number(section.maxptime);
	const inFormat = format.parameters.get('maxptime') ?? DEFAULT_MAX_PACKING_MS;
	return Math.max(MIN_PACKING_MS, Math.min(DEFAULT_MAX_PACKING_MS, inSection, inFormat));
}
