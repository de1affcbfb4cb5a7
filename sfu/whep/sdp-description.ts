import { detached } from './detached.ts';
import { OfferError } from './offer-error.ts';

/** Characters, not bytes: what a client may send as one offer. Chromium sends about 4,000 for three audio sections. */
export const MAX_SDP_LENGTH = 65_536;
/** Media sections in one offer, those we refuse included. */
export const MAX_SECTIONS = 64;

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/**
 * The attributes we use of one media section, or of the session level. Lists hold the text after the colon,
 * unread: only sections we accept are read further.
 */
export interface SdpSection {
	/** `audio`, `video`, `application`, …; empty for the session level. A token (RFC 8866). */
	readonly kind: string;
	readonly port: number;
	/** Checked characters only, so that an answer may repeat it. */
	readonly proto: string;
	/** The format list of the m= line; the first is a token, so that an answer may repeat it. */
	readonly formats: readonly string[];
	/** A token of 1 to 64 characters, unique in the description. */
	mid: string | null;
	direction: Direction | null;
	setup: string | null;
	iceUfrag: string | null;
	icePwd: string | null;
	maxptime: string | null;
	rtcpMux: boolean;
	rtcpReducedSize: boolean;
	bundleOnly: boolean;
	hasCandidates: boolean;
	readonly fingerprints: string[];
	readonly rtpmaps: string[];
	readonly fmtps: string[];
	readonly rtcpFeedbacks: string[];
	readonly extmaps: string[];
	readonly ssrcs: string[];
	readonly ssrcGroups: string[];
}

export interface SdpDescription {
	readonly session: SdpSection;
	readonly media: readonly SdpSection[];
	/** The mids of each BUNDLE group, as given: they may name sections that do not exist (FFmpeg's do). */
	readonly bundles: readonly (readonly string[])[];
	readonly iceLite: boolean;
}

// RFC 8866 section 9: token-char.
const TOKEN = /^[!#-'*+\-.0-9A-Z^-~]{1,64}$/;
const MEDIA_LINE = /^([a-z]{1,16}) (\d{1,5})(?:\/\d{1,5})? ([A-Za-z0-9/]{1,48}) ([!-~ ]+)$/;
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/** Whether a text is a token of at most 64 characters (RFC 8866): safe to write into an SDP. */
export function isToken(text: string): boolean {
	return TOKEN.test(text);
}

/**
 * Reads an SDP (RFC 8866) into its sections in one pass. Not with sdp-transform, which takes seven times as
 * long (86 µs for Chromium's three sections; an offer is read on every join), 27 ms of the event loop for 64 KiB of hostile
 * lines, drops all fingerprints but the last, and takes what stands before a space for the whole value. CRLF and LF both end a line.
 * Whatever is not used is passed over unread. Values that can stand once only must stand once only.
 *
 * @throws OfferError `sdp_too_large`, `sdp_malformed`, `too_many_sections`, `bad_mid`
 */
export function readDescription(sdp: string): SdpDescription {
	if (sdp.length > MAX_SDP_LENGTH) {
		throw new OfferError('sdp_too_large', `The SDP is longer than ${MAX_SDP_LENGTH} characters; offer fewer sections and codecs.`);
	}
	if (FORBIDDEN.test(sdp)) throw malformed('it holds control characters');
	const session = emptySection('', 0, '', []);
	const media: SdpSection[] = [];
	const bundles: string[][] = [];
	const mids = new Set<string>();
	let iceLite = false;
	let section = session;
	let lineNumber = 0;

	for (let start = 0; start < sdp.length; ) {
		const newline = sdp.indexOf('\n', start);
		// A last line without its end is taken as it is: some clients trim the body.
		let end = newline < 0 ? sdp.length : newline;
		const next = end + 1;
		if (end > start && sdp.charCodeAt(end - 1) === 0x0d) end--;
		const line = sdp.slice(start, end);
		start = next;
		lineNumber++;
		if (lineNumber === 1) {
			if (line !== 'v=0') throw malformed('it does not start with "v=0"');
			continue;
		}
		if (line === '') {
			// Blank lines after the last one only.
			if (sdp.slice(start).trim() !== '') throw malformed('it has an empty line');
			break;
		}
		if (line.charCodeAt(1) !== 0x3d || line.includes('\r')) throw malformed(`line ${lineNumber} is not of the form "a=value"`);
		const type = line.charCodeAt(0);
		if (type === 0x6d /* m */) {
			if (media.length === MAX_SECTIONS) {
				throw new OfferError('too_many_sections', `The offer has more than ${MAX_SECTIONS} media sections; offer one per voice.`);
			}
			section = readMediaLine(line);
			media.push(section);
		} else if (type === 0x61 /* a */) {
			const colon = line.indexOf(':', 2);
			const name = colon < 0 ? line.slice(2) : line.slice(2, colon);
			const value = colon < 0 ? '' : line.slice(colon + 1);
			if (name === 'group') {
				if (value.startsWith('BUNDLE ') && section === session) bundles.push(value.slice(7).split(' '));
			} else if (name === 'ice-lite') {
				iceLite = true;
			} else if (name === 'mid') {
				if (section === session) throw malformed('"a=mid" stands before the first media section');
				if (!isToken(value)) throw new OfferError('bad_mid', 'Every "a=mid" must be a token of 1 to 64 characters.');
				if (section.mid !== null || mids.has(value)) throw new OfferError('bad_mid', 'Give each media section one "a=mid" of its own.');
				mids.add(value);
				section.mid = detached(value);
			} else {
				readAttribute(section, name, value);
			}
		} else if (type < 0x61 || type > 0x7a) {
			throw malformed(`line ${lineNumber} is not of the form "a=value"`);
		}
	}
	if (lineNumber === 0) throw malformed('it is empty');
	return { session, media, bundles, iceLite };
}

function readMediaLine(line: string): SdpSection {
	const match = MEDIA_LINE.exec(line.slice(2));
	const formats = match?.[4]?.split(' ');
	if (!match || !formats || !isToken(formats[0] ?? '') || Number(match[2]) > 65_535) {
		throw malformed('an "m=" line is not of the form "m=audio 9 UDP/TLS/RTP/SAVPF 111"');
	}
	return emptySection(match[1] ?? '', Number(match[2]), match[3] ?? '', formats);
}

function readAttribute(section: SdpSection, name: string, value: string): void {
	switch (name) {
		case 'rtpmap':
			section.rtpmaps.push(value);
			break;
		case 'fmtp':
			section.fmtps.push(value);
			break;
		case 'rtcp-fb':
			section.rtcpFeedbacks.push(value);
			break;
		case 'extmap':
			section.extmaps.push(value);
			break;
		case 'ssrc':
			section.ssrcs.push(value);
			break;
		case 'ssrc-group':
			section.ssrcGroups.push(value);
			break;
		case 'fingerprint':
			section.fingerprints.push(value);
			break;
		case 'rtcp-mux':
			section.rtcpMux = true;
			break;
		case 'rtcp-rsize':
			section.rtcpReducedSize = true;
			break;
		case 'bundle-only':
			section.bundleOnly = true;
			break;
		case 'candidate':
			section.hasCandidates = true;
			break;
		case 'maxptime':
			section.maxptime = once(section.maxptime, value, name);
			break;
		case 'setup':
			section.setup = once(section.setup, value, name);
			break;
		case 'ice-ufrag':
			section.iceUfrag = once(section.iceUfrag, value, name);
			break;
		case 'ice-pwd':
			section.icePwd = once(section.icePwd, value, name);
			break;
		case 'sendrecv':
		case 'sendonly':
		case 'recvonly':
		case 'inactive':
			if (section.direction !== null) throw malformed('a section has two directions');
			section.direction = name;
			break;
		default:
	}
}

function once(before: string | null, value: string, name: string): string {
	if (before !== null) throw malformed(`"a=${name}" stands twice in one section`);
	return value;
}

function emptySection(kind: string, port: number, proto: string, formats: readonly string[]): SdpSection {
	return {
		kind,
		port,
		proto,
		formats,
		mid: null,
		direction: null,
		setup: null,
		iceUfrag: null,
		icePwd: null,
		maxptime: null,
		rtcpMux: false,
		rtcpReducedSize: false,
		bundleOnly: false,
		hasCandidates: false,
		fingerprints: [],
		rtpmaps: [],
		fmtps: [],
		rtcpFeedbacks: [],
		extmaps: [],
		ssrcs: [],
		ssrcGroups: [],
	};
}

function malformed(what: string): OfferError {
	return new OfferError('sdp_malformed', `The SDP cannot be read: ${what}. Send the complete text of one session description.`);
}
