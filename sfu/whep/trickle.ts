import { candidatesPart } from './answer-parts.ts';
import type { AnswerTransport } from './answer-parts.ts';
import { detached } from './detached.ts';
import { OfferError } from './offer-error.ts';
import { areIceCredentials } from './offer-transport.ts';
import { isToken } from './sdp-description.ts';

/** What a client PATCHes as `application/trickle-ice-sdpfrag` (RFC 8840 section 9, RFC 9725 section 4.3). */
export interface TrickleFragment {
	/** Both or neither. */
	readonly credentials: { readonly iceUfrag: string; readonly icePwd: string } | null;
	/** Well-formed candidates. An ICE-lite server needs none of them: it answers where the checks come from. */
	readonly candidateCount: number;
	readonly endOfCandidates: boolean;
	/** The mids named, in order. */
	readonly mids: readonly string[];
}

/** Characters: a fragment carries candidates alone. */
const MAX_FRAGMENT_LENGTH = 16_384;
const MAX_CANDIDATES = 128;
/** RFC 8839 section 5.1; addresses may be IPv4, IPv6 or a name (mDNS). Extensions follow in pairs. */
const CANDIDATE =
	/^[A-Za-z0-9+/]{1,32} \d{1,3} [A-Za-z-]{1,16} \d{1,10} [A-Za-z0-9:.%_-]{1,255} (\d{1,5}) typ (?:host|srflx|prflx|relay)(?: [!-~]{1,64} [!-~]{1,255})*$/;
// oxlint-disable-next-line no-control-regex -- finding control characters is the purpose
const FORBIDDEN = /[^\t\r\n\x20-\x7e]/;

/**
 * Reads a trickle fragment. Credentials may stand before the first m= line or in a section; if several sections give
 * them, they must agree, as all our sections share one transport.
 *
 * @throws OfferError `sdp_malformed`, `sdp_too_large`, `bad_mid`, `bad_candidate`, `bad_ice_credentials`, and nothing else
 */
export function parseTrickleFragment(text: string): TrickleFragment {
	if (text.length > MAX_FRAGMENT_LENGTH) {
		throw new OfferError('sdp_too_large', `The fragment is longer than ${MAX_FRAGMENT_LENGTH} characters; send the candidates in several.`);
	}
	if (FORBIDDEN.test(text)) throw malformed();
	let ufrag: string | null = null;
	let pwd: string | null = null;
	let candidateCount = 0;
	let endOfCandidates = false;
	const mids: string[] = [];
	for (const line of text.split(/\r?\n/)) {
		if (line === '') continue;
		// Browsers' last candidate event is empty, and clients write it as "a=".
		if (!/^[a-z]=[^\r]*$/.test(line)) throw malformed();
		if (line.startsWith('a=ice-ufrag:')) {
			ufrag = agreed(ufrag, line.slice(12));
		} else if (line.startsWith('a=ice-pwd:')) {
			pwd = agreed(pwd, line.slice(10));
		} else if (line.startsWith('a=mid:')) {
			const mid = line.slice(6);
			if (!isToken(mid)) throw new OfferError('bad_mid', 'Every "a=mid" must be a token of 1 to 64 characters.');
			mids.push(mid);
		} else if (line.startsWith('a=candidate:')) {
			const port = CANDIDATE.exec(line.slice(12))?.[1];
			if (port === undefined || Number(port) > 65_535 || ++candidateCount > MAX_CANDIDATES) throw badCandidate();
		} else if (line.startsWith('a=end-of-candidates')) {
			endOfCandidates = true;
		}
	}
	if (ufrag === null && pwd === null && candidateCount === 0 && !endOfCandidates) throw malformed();
	if (ufrag === null && pwd === null) return { credentials: null, candidateCount, endOfCandidates, mids };
	if (ufrag === null || pwd === null || !areIceCredentials(ufrag, pwd)) throw badCredentials();
	return { credentials: { iceUfrag: detached(ufrag), icePwd: detached(pwd) }, candidateCount, endOfCandidates, mids };
}

/** Whether the fragment asks for an ICE restart: it carries other credentials than the session's (RFC 9725 section 4.3.3). */
export function isIceRestart(fragment: TrickleFragment, session: { readonly iceUfrag: string; readonly icePwd: string }): boolean {
	const { credentials } = fragment;
	return credentials !== null && (credentials.iceUfrag !== session.iceUfrag || credentials.icePwd !== session.icePwd);
}

/**
 * Writes the body of the 200 that answers an ICE restart: our new credentials and, because a client forgets the old
 * ones with the restart, our candidates again.
 */
export function writeIceRestartFragment({
	iceParameters,
	iceCandidates,
	mid,
}: Pick<AnswerTransport, 'iceParameters' | 'iceCandidates'> & {
	/** The session's `transportMid`. */
	readonly mid: string;
}): string {
	return (
		`a=ice-lite\r\na=ice-ufrag:${iceParameters.usernameFragment}\r\na=ice-pwd:${iceParameters.password}\r\n` +
		`m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:${mid}\r\n${candidatesPart(iceCandidates)}`
	);
}

function agreed(before: string | null, value: string): string {
	if (before !== null && before !== value) throw badCredentials();
	return value;
}

function malformed(): OfferError {
	return new OfferError(
		'sdp_malformed',
		'The fragment cannot be read: send "a=candidate", "a=end-of-candidates" or new ICE credentials as RFC 8840 says, and no other body.',
	);
}

function badCandidate(): OfferError {
	return new OfferError('bad_candidate', `Send at most ${MAX_CANDIDATES} candidates, each as "a=candidate:" of RFC 8839.`);
}

function badCredentials(): OfferError {
	return new OfferError(
		'bad_ice_credentials',
		'Give "a=ice-ufrag" (4 to 256 characters) and "a=ice-pwd" (22 to 256 characters) together, once for the session.',
	);
}
