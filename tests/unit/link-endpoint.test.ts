import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LinkedVoice, LinkEndpoint } from '../../sfu/contract/media-types.ts';
import { SfuError } from '../../sfu/contract/sfu-error.ts';
import { readEndpoint, readLinkedVoices } from '../../sfu/link/link-endpoint.ts';
import { linkListenInfo } from '../../sfu/link/link-ports.ts';
import { ownStreamParameters } from '../../sfu/rtp/opus-codec.ts';

const KEY = Buffer.alloc(44, 7).toString('base64');
const SRTP = { cryptoSuite: 'AEAD_AES_256_GCM', keyBase64: KEY } as const;

const refusal = (read: () => unknown): string => {
	try {
		read();
	} catch (error) {
		if (error instanceof SfuError) return error.code;
		throw error;
	}
	return 'none';
};
// What comes from another host has whatever shape it likes.
const asEndpoint = (said: unknown) => said as LinkEndpoint;
const asVoices = (said: unknown) => said as LinkedVoice[];

describe('an end of a link', () => {
	it.each<[LinkEndpoint]>([
		[{ ip: '127.0.0.1', port: 1 }],
		[{ ip: '127.8.9.10', port: 65_535 }],
		[{ ip: '192.0.2.7', port: 40_100, srtpParameters: SRTP }],
		[{ ip: '2001:db8::7', port: 40_100, srtpParameters: SRTP }],
		[{ ip: '127.0.0.1', port: 40_100, srtpParameters: SRTP }],
	])('is taken as it is: %j', (endpoint) => {
		expect(readEndpoint(endpoint)).toEqual(endpoint);
	});

	it('carries nothing else that was said', () => {
		expect(readEndpoint(asEndpoint({ ip: '127.0.0.1', port: 5, more: 1, srtpParameters: { ...SRTP, more: 1 } }))).toEqual({ ip: '127.0.0.1', port: 5, srtpParameters: SRTP });
	});

	it.each<[string, unknown]>([
		['nothing', undefined],
		['null', null],
		['a name', { ip: 'example.org', port: 5, srtpParameters: SRTP }],
		['no address', { port: 5 }],
		['an address that is no text', { ip: 1, port: 5 }],
		['every address', { ip: '0.0.0.0', port: 5, srtpParameters: SRTP }],
		['every IPv6 address', { ip: '::', port: 5, srtpParameters: SRTP }],
		['a group', { ip: '239.1.2.3', port: 5, srtpParameters: SRTP }],
		['everybody', { ip: '255.255.255.255', port: 5, srtpParameters: SRTP }],
		['an IPv6 group', { ip: 'ff02::1', port: 5, srtpParameters: SRTP }],
		['port 0', { ip: '127.0.0.1', port: 0 }],
		['a port beyond the last', { ip: '127.0.0.1', port: 65_536 }],
		['a port and a half', { ip: '127.0.0.1', port: 5.5 }],
		['a port in words', { ip: '127.0.0.1', port: '5' }],
		['another host without keys', { ip: '192.0.2.7', port: 5 }],
		['keys that are none', { ip: '192.0.2.7', port: 5, srtpParameters: 'secret' }],
		['keys that are null', { ip: '192.0.2.7', port: 5, srtpParameters: null }],
		['another suite', { ip: '192.0.2.7', port: 5, srtpParameters: { ...SRTP, cryptoSuite: 'AES_CM_128_HMAC_SHA1_80' } }],
		['a key too short', { ip: '192.0.2.7', port: 5, srtpParameters: { ...SRTP, keyBase64: Buffer.alloc(30).toString('base64') } }],
		['a key too long', { ip: '192.0.2.7', port: 5, srtpParameters: { ...SRTP, keyBase64: Buffer.alloc(45).toString('base64') } }],
		['a key that is not Base64', { ip: '192.0.2.7', port: 5, srtpParameters: { ...SRTP, keyBase64: `${'!'.repeat(59)}=` } }],
		['no key', { ip: '192.0.2.7', port: 5, srtpParameters: { cryptoSuite: SRTP.cryptoSuite } }],
	])('is refused: %s', (_what, said) => {
		expect(refusal(() => readEndpoint(asEndpoint(said)))).toBe('bad_rtp');
	});

	it('refuses whatever it does not know with nothing but SfuError', () => {
		fc.assert(fc.property(fc.anything(), (said) => ['none', 'bad_rtp'].includes(refusal(() => readEndpoint(asEndpoint(said))))));
		fc.assert(fc.property(fc.anything(), (said) => ['none', 'bad_rtp'].includes(refusal(() => readLinkedVoices(asVoices(said), 4)))));
	});
});

describe('the voices of a link', () => {
	const voice = (index: number, ssrc = 100 + index): LinkedVoice => ({ index, rtpParameters: ownStreamParameters(111, ssrc, 'x') });

	it('are known by their SSRCs; the rest is written anew', () => {
		const said = [voice(3), { index: 0, rtpParameters: { codecs: [], encodings: [{ ssrc: 9 }], headerExtensions: [{ uri: 'urn:nothing' as never, id: 99 }] } }];
		expect(readLinkedVoices(said, 4)).toEqual([
			{ index: 3, rtpParameters: ownStreamParameters(111, 103, 'voice-3') },
			{ index: 0, rtpParameters: ownStreamParameters(111, 9, 'voice-0') },
		]);
	});

	it.each<[string, unknown]>([
		['no list', { length: 1 }],
		['one too many', [0, 1, 2, 3, 4].map((index) => voice(index))],
		['one twice', [voice(1), voice(1, 8)]],
		['one before the first', [voice(-1)]],
		['half a voice', [voice(0.5)]],
		['one without an SSRC', [{ index: 0, rtpParameters: { codecs: [] } }]],
		['one with an SSRC of 33 bits', [voice(0, 2 ** 32)]],
		['one with SSRC 0', [voice(0, 0)]],
		['one without parameters', [{ index: 0 }]],
		['two with one SSRC', [voice(0, 5), voice(1, 5)]],
		['null', [null]],
	])('are refused: %s', (_what, said) => {
		expect(refusal(() => readLinkedVoices(asVoices(said), 4))).toBe('bad_rtp');
	});
});

describe('where a link listens', () => {
	const ports = { min: 10, max: 20 };
	it('is loopback while it stays on the host, whatever address there is for others', () => {
		expect(linkListenInfo({ ...ports, address: { ip: '192.0.2.7' } }, false)).toEqual({ protocol: 'udp', ip: '127.0.0.1', portRange: ports });
	});
	it('is this shard\'s one address for links once it leaves', () => {
		expect(linkListenInfo({ ...ports, address: { ip: '10.0.0.2', announcedAddress: '192.0.2.7' } }, true)).toEqual({ protocol: 'udp', ip: '10.0.0.2', announcedAddress: '192.0.2.7', portRange: ports });
	});
	it('is nowhere without such an address', () => {
		expect(refusal(() => linkListenInfo(ports, true))).toBe('wrong_role');
	});
});
