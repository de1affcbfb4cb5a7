import { detached } from './detached.ts';
import { OfferError } from './offer-error.ts';
import type { Direction, SdpDescription, SdpSection } from './sdp-description.ts';

/** One m= line of an offer as an answer needs it: every one is answered, in order (RFC 3264 section 6). */
export interface OfferSection {
	readonly kind: string;
	readonly proto: string;
	/** The format that a refused or carrying section repeats. */
	readonly format: string;
	/** Null in a section we refuse that has none. */
	readonly mid: string | null;
	/** `media`: carries a stream. `refused`: answered with port 0. `carrier`: kept, inactive, for its transport alone. */
	readonly use: 'media' | 'carrier' | 'refused';
	/** What `a=rtpmap` says of `format` after the payload type, in a refused or carrying section; null where there is none. */
	readonly encoding: string | null;
}

/** How the sections of an offer are answered. */
export interface SectionPlan {
	/** Every m= line, in order. */
	readonly sections: readonly OfferSection[];
	/** The answer's BUNDLE group, the section that carries the transport first; empty when the offer had none. */
	readonly bundledMids: readonly string[];
	/** The section that carries the transport's candidates, and that trickle and restart fragments name. */
	readonly transportMid: string;
}

/** RTP over DTLS, and the older names clients still give it (RFC 8829 section 5.1.2). */
const RTP_PROTOS: ReadonlySet<string> = new Set([
	'UDP/TLS/RTP/SAVPF',
	'UDP/TLS/RTP/SAVP',
	'TCP/DTLS/RTP/SAVPF',
	'TCP/DTLS/RTP/SAVP',
	'RTP/SAVPF',
	'RTP/SAVP',
]);

/** An audio section that could carry media, whatever its codecs: not switched off, and RTP over DTLS. Port 0 with bundle-only is on (RFC 8843 section 6). */
export function isLiveAudio(section: SdpSection): boolean {
	return section.kind === 'audio' && (section.port !== 0 || section.bundleOnly) && RTP_PROTOS.has(section.proto);
}

/** Own direction, else the session's, else sendrecv (RFC 8866 section 6.7). */
export function directionOf(description: SdpDescription, section: SdpSection): Direction {
	return section.direction ?? description.session.direction ?? 'sendrecv';
}

/** The BUNDLE group that names this section, or null. */
export function bundleOf(description: SdpDescription, section: SdpSection): readonly string[] | null {
	const { mid } = section;
	if (mid === null) return null;
	return description.bundles.find((bundle) => bundle.includes(mid)) ?? null;
}

/**
 * The mid of a section we accept, after the checks that any accepted section must pass.
 * @throws OfferError `bad_mid`, `rtcp_mux_required`
 */
export function checkAccepted(section: SdpSection): string {
	if (section.mid === null) throw new OfferError('bad_mid', 'Give every audio section an "a=mid".');
	if (!section.rtcpMux) {
		throw new OfferError('rtcp_mux_required', 'Offer "a=rtcp-mux" in every audio section: RTP and RTCP share one port here.');
	}
	return section.mid;
}

/**
 * Plans the answer. What is not accepted is refused with port 0, with one exception. A section that is bundle-only, or
 * comes without candidates of its own, may have no transport but that of its group's first section (RFC 8843 section
 * 7.1.3; `bundlePolicy: 'max-bundle'`, with which many players offer video first). Refusing that first section would take
 * the audio's transport away, and Chromium fails to apply such an answer ("Failed to setup RTCP mux"). It is then kept,
 * inactive, for its transport alone.
 */
export function planSections(
	description: SdpDescription,
	accepted: readonly { readonly section: SdpSection; readonly mid: string }[],
	bundle: readonly string[] | null,
): SectionPlan {
	const first = accepted[0];
	if (!first) throw new RangeError('A plan needs an accepted section.');
	const use = new Map<SdpSection, OfferSection['use']>(accepted.map(({ section }) => [section, 'media']));
	const mids = accepted.map(({ mid }) => mid);
	const { bundleOnly, hasCandidates } = first.section;
	const carrier = bundle && (bundleOnly || !hasCandidates) ? findCarrier(description, bundle) : null;
	if (carrier && !use.has(carrier)) use.set(carrier, 'carrier');
	if (carrier?.mid && !mids.includes(carrier.mid)) mids.unshift(carrier.mid);
	return {
		sections: description.media.map((section) => toOfferSection(section, use.get(section) ?? 'refused')),
		bundledMids: bundle ? mids : [],
		transportMid: mids[0] ?? first.mid,
	};
}

/** The group's first section, if it is one that can be kept without negotiating anything: live audio or video. */
function findCarrier(description: SdpDescription, bundle: readonly string[]): SdpSection | null {
	for (const mid of bundle) {
		const section = description.media.find((candidate) => candidate.mid === mid);
		if (section) return section.kind !== 'application' && section.port !== 0 && RTP_PROTOS.has(section.proto) ? section : null;
	}
	return null;
}

const ECHOED_RTPMAP = /^(\d{1,3}) ([A-Za-z0-9._-]{1,32}\/\d{1,6}(?:\/\d{1,2})?)$/;

function toOfferSection(section: SdpSection, use: OfferSection['use']): OfferSection {
	const { kind, mid } = section;
	const proto = detached(section.proto);
	const format = detached(section.formats[0] ?? '0');
	if (use !== 'media') {
		for (const rtpmap of section.rtpmaps) {
			const [, payloadType, encoding] = ECHOED_RTPMAP.exec(rtpmap) ?? [];
			if (payloadType === format && encoding !== undefined) return { kind, proto, format, mid, use, encoding: detached(encoding) };
		}
	}
	return { kind, proto, format, mid, use, encoding: null };
}
