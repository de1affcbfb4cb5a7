import * as fc from 'fast-check';
import { parse } from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { OfferError } from '../../sfu/whep/offer-error.ts';
import { isIceRestart, parseTrickleFragment, writeIceRestartFragment } from '../../sfu/whep/trickle.ts';
import { SERVER_TRANSPORT } from '../support/sdp-fixtures.ts';

const session = { iceUfrag: 'EsAw', icePwd: 'P2uYro0UCOQ4zxjKXaWCBui1' };
const UDP = 'a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1';
const TRICKLE = [
	'a=ice-ufrag:EsAw',
	'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1',
	'm=audio 9 UDP/TLS/RTP/SAVPF 0',
	'a=mid:0',
	UDP,
	'a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ srflx raddr 192.0.2.1 rport 61764',
	'a=candidate:2 1 TCP 2105458943 9590e641-c522-4dfa-bcf4-9257363ddb5d.local 9 typ host tcptype active',
	'a=candidate:4 1 udp 41885439 2001:db8::7 50000 typ relay raddr 0.0.0.0 rport 0',
	'a=end-of-candidates',
	'',
].join('\r\n');

describe('trickle fragments', () => {
	it('counts candidates of every kind', () => {
		expect(parseTrickleFragment(TRICKLE)).toEqual({ credentials: session, candidateCount: 4, endOfCandidates: true, mids: ['0'] });
	});

	it.each([
		['with bare line feeds', TRICKLE.replaceAll('\r\n', '\n'), 4],
		['without credentials', `m=audio 9 RTP/AVP 0\r\na=mid:audio0\r\n${UDP}\r\n`, 1],
		['of a browser\'s empty last candidate', `${TRICKLE}a=\r\n`, 4],
		['with credentials in each section', `${TRICKLE}m=audio 9 RTP/AVP 0\r\na=mid:1\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n`, 4],
	])('reads one %s', (_, text, count) => {
		expect(parseTrickleFragment(text).candidateCount).toBe(count);
	});

	it('tells a restart by its credentials', () => {
		expect(isIceRestart(parseTrickleFragment(TRICKLE), session)).toBe(false);
		expect(isIceRestart(parseTrickleFragment(`${UDP}\r\n`), session)).toBe(false);
		const restart = parseTrickleFragment('a=ice-ufrag:Ysk1\r\na=ice-pwd:7yqVd2F1bVbiVBW3GyK2lmQT\r\n');
		expect(restart).toMatchObject({ candidateCount: 0, endOfCandidates: false, mids: [] });
		expect(isIceRestart(restart, session)).toBe(true);
		expect(isIceRestart(parseTrickleFragment(TRICKLE.replace('P2uY', 'Q2uY')), session)).toBe(true);
	});

	it.each([
		['nothing', '', 'sdp_malformed'],
		['a whole offer\'s beginning alone', 'v=0\r\ns=-\r\n', 'sdp_malformed'],
		['JSON', '{"candidate":""}', 'sdp_malformed'],
		['a nul byte', `${UDP}\0\r\n`, 'sdp_malformed'],
		['other alphabets', `${UDP}é\r\n`, 'sdp_malformed'],
		['17 KiB', `${UDP}\r\n${'a=x\r\n'.repeat(3500)}`, 'sdp_too_large'],
		['a ufrag without pwd', 'a=ice-ufrag:EsAw\r\n', 'bad_ice_credentials'],
		['a pwd without ufrag', 'a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n', 'bad_ice_credentials'],
		['a short pwd', 'a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n', 'bad_ice_credentials'],
		['sections that disagree', `${TRICKLE}a=ice-ufrag:Other\r\n`, 'bad_ice_credentials'],
		['an empty mid', `a=mid:\r\n${UDP}\r\n`, 'bad_mid'],
		['a candidate that is none', 'a=candidate:hello\r\n', 'bad_candidate'],
		['a candidate of unknown type', UDP.replace('typ host', 'typ magic'), 'bad_candidate'],
		['a candidate with port 65536', UDP.replace('61764', '65536'), 'bad_candidate'],
		['129 candidates', 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'.repeat(129), 'bad_candidate'],
	])('refuses %s', (_, text, code) => {
		expect(() => parseTrickleFragment(text)).toThrow(expect.objectContaining({ name: 'OfferError', code }));
	});

	it('refuses any mutation with an OfferError or reads it safely', () => {
		fc.assert(
			fc.property(fc.nat(TRICKLE.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 20 }), (start, length, text) => {
				try {
					const fragment = parseTrickleFragment(TRICKLE.slice(0, start) + text + TRICKLE.slice(start + length));
					expect(fragment.candidateCount).toBeLessThanOrEqual(5);
					if (fragment.credentials) expect(fragment.credentials.icePwd).toMatch(/^[A-Za-z0-9+/]{22,256}$/);
				} catch (error) {
					if (!(error instanceof OfferError)) throw error;
				}
			}),
			{ numRuns: 1000 },
		);
	});
});

describe('the answer to a restart', () => {
	it('gives new credentials and all candidates again', () => {
		const text = writeIceRestartFragment({ ...SERVER_TRANSPORT, mid: 'audio0' });
		expect(parseTrickleFragment(text)).toEqual({
			credentials: { iceUfrag: SERVER_TRANSPORT.iceParameters.usernameFragment, icePwd: SERVER_TRANSPORT.iceParameters.password },
			candidateCount: 2,
			endOfCandidates: true,
			mids: ['audio0'],
		});
		expect(parse(text).icelite).toBe('ice-lite');
	});
});
