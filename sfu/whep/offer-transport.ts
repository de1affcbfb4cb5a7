import type { types } from 'mediasoup';
import { detached } from './detached.ts';
import { OfferError } from './offer-error.ts';
import type { SdpDescription, SdpSection } from './sdp-description.ts';

/** What a client's offer says of ICE and DTLS: every field checked, so that a worker may see it. */
export interface OfferTransport {
	readonly iceUfrag: string;
	readonly icePwd: string;
	/** The client's own role and fingerprints, as `WebRtcTransport.connect()` takes them. */
	readonly dtlsParameters: types.DtlsParameters & { readonly role: 'client' | 'server' };
}

/** RFC 8839 section 5.4: ice-char is ALPHA / DIGIT / "+" / "/". */
const ICE_UFRAG = /^[A-Za-z0-9+/]{4,256}$/;
const ICE_PWD = /^[A-Za-z0-9+/]{22,256}$/;

/** The hash functions mediasoup's worker knows, strongest first (it looks at the first fingerprint alone), and their bytes. */
const FINGERPRINT_BYTES: ReadonlyMap<string, number> = new Map([
	['sha-512', 64],
	['sha-384', 48],
	['sha-256', 32],
	['sha-224', 28],
	['sha-1', 20],
]);
const STRENGTH = [...FINGERPRINT_BYTES.keys()];
const FINGERPRINT = /^([A-Za-z0-9-]{1,16}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63})$/;

/** Whether the pair may be used as ICE credentials (RFC 8839 section 5.4). */
export function areIceCredentials(ufrag: string, pwd: string): boolean {
	return ICE_UFRAG.test(ufrag) && ICE_PWD.test(pwd);
}

/**
 * Reads ICE credentials, fingerprints and DTLS role for the transport that carries `section`. Clients write them in
 * the section (Chromium), at session level (libdatachannel's fingerprint, Firefox's too) or, for a bundle-only section,
 * in another one of its BUNDLE group (RFC 8843 section 7.1.3); they are looked for in that order of nearness.
 *
 * @throws OfferError `bad_ice_credentials`, `bad_fingerprint`, `bad_setup`
 */
export function readOfferTransport(description: SdpDescription, section: SdpSection, bundle: readonly string[] | null): OfferTransport {
	const sources = [section];
	if (bundle && bundle.length > 1) {
		for (const other of description.media) if (other !== section && other.mid !== null && bundle.includes(other.mid)) sources.push(other);
	}
	sources.push(description.session);

	const ice = sources.find((source) => source.iceUfrag !== null || source.icePwd !== null);
	const iceUfrag = ice?.iceUfrag ?? '';
	const icePwd = ice?.icePwd ?? '';
	if (!areIceCredentials(iceUfrag, icePwd)) {
		throw new OfferError(
			'bad_ice_credentials',
			'Give "a=ice-ufrag" (4 to 256 characters) and "a=ice-pwd" (22 to 256 characters), both of letters, digits, "+" and "/" alone.',
		);
	}
	const fingerprints = readFingerprints(sources.find((source) => source.fingerprints.length > 0)?.fingerprints ?? []);
	const role = readRemoteRole(sources.find((source) => source.setup !== null)?.setup ?? null);
	return { iceUfrag: detached(iceUfrag), icePwd: detached(icePwd), dtlsParameters: { role, fingerprints } };
}

/** Hash functions we do not know are passed over (RFC 8122 section 5); what is not a fingerprint at all is refused. */
function readFingerprints(lines: readonly string[]): types.DtlsFingerprint[] {
	const fingerprints: types.DtlsFingerprint[] = [];
	for (const line of lines) {
		const match = FINGERPRINT.exec(line);
		if (!match) throw badFingerprint();
		const algorithm = (match[1] ?? '').toLowerCase();
		const value = match[2] ?? '';
		if (!isKnownAlgorithm(algorithm)) continue;
		if (value.length !== (FINGERPRINT_BYTES.get(algorithm) ?? 0) * 3 - 1) throw badFingerprint();
		// Upper case is how the worker writes the fingerprint that it compares this with.
		fingerprints.push({ algorithm, value: detached(value.toUpperCase()) });
	}
	if (fingerprints.length === 0) throw badFingerprint();
	return fingerprints.toSorted((a, b) => STRENGTH.indexOf(a.algorithm) - STRENGTH.indexOf(b.algorithm));
}

function isKnownAlgorithm(algorithm: string): algorithm is types.FingerprintAlgorithm {
	return FINGERPRINT_BYTES.has(algorithm);
}

function badFingerprint(): OfferError {
	return new OfferError('bad_fingerprint', 'Give the DTLS certificate\'s fingerprint as "a=fingerprint:sha-256" and 32 bytes in hexadecimal with colons.');
}

/**
 * The client's DTLS role. We would rather be passive (the client then starts the handshake as soon as ICE is through,
 * and the worker does no work for clients who never come), so `actpass` makes the client active. No setup at all means
 * `active` (RFC 4145 section 4).
 */
function readRemoteRole(setup: string | null): 'client' | 'server' {
	switch (setup) {
		case null:
		case 'actpass':
		case 'active':
			return 'client';
		case 'passive':
			return 'server';
		default:
			throw new OfferError('bad_setup', 'Offer "a=setup:actpass" (RFC 8842), or "active" or "passive" if the client can do one only.');
	}
}
