import { BlockList, isIP } from 'node:net';
import type { types } from 'mediasoup';
import type { LinkedVoice, LinkEndpoint } from '../contract/media-types.ts';
import { SfuError } from '../contract/sfu-error.ts';
import { ownStreamParameters, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import type { LinkPorts } from './link-ports.ts';

/** The only SRTP suite that mediasoup's PipeTransport has (RFC 7714). */
const CRYPTO_SUITE = 'AEAD_AES_256_GCM';
/** Its master key and salt, 44 bytes, in Base64. */
const KEY = /^[A-Za-z0-9+/]{59}=$/;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
/** Addresses that are not one host's. */
const NOBODY = new BlockList();
NOBODY.addSubnet('0.0.0.0', 8, 'ipv4');
NOBODY.addSubnet('224.0.0.0', 3, 'ipv4');
NOBODY.addAddress('::', 'ipv6');
NOBODY.addSubnet('ff00::', 8, 'ipv6');

/** Where a PipeTransport is reached, with its SRTP keys if it has any. */
export function endpointOf(transport: types.PipeTransport, { address }: LinkPorts): LinkEndpoint {
	const { localAddress, localPort } = transport.tuple;
	const { srtpParameters } = transport;
	// Until it is connected the worker does not tell the announced address.
	const ip = (srtpParameters && address?.announcedAddress) ?? localAddress;
	return { ip, port: localPort, ...(srtpParameters ? { srtpParameters } : {}) };
}

/**
 * What another shard, perhaps on another host, says of its end, read field by field before the worker sees it.
 * @throws SfuError `bad_rtp`
 */
export function readEndpoint(said: LinkEndpoint): LinkEndpoint {
	const { ip, port, srtpParameters } = isRecord(said) ? said : refuse('an end of a link is not an object');
	const family = typeof ip === 'string' ? isIP(ip) : 0;
	if (family === 0 || NOBODY.check(ip, family === 4 ? 'ipv4' : 'ipv6')) {
		refuse('the address of a link is not that of a host');
	}
	if (!Number.isInteger(port) || port < 1 || port > 65_535) {
		refuse('the port of a link is not one');
	}
	if (srtpParameters === undefined) {
		if (!LOOPBACK.check(ip, family === 4 ? 'ipv4' : 'ipv6')) {
			refuse('a link that leaves the host needs SRTP keys');
		}
		return { ip, port };
	}
	const { cryptoSuite, keyBase64 } = isRecord(srtpParameters) ? srtpParameters : refuse('the SRTP keys of a link are not an object');
	if (cryptoSuite !== CRYPTO_SUITE || typeof keyBase64 !== 'string' || !KEY.test(keyBase64)) {
		refuse(`the SRTP keys of a link are not those of ${CRYPTO_SUITE}`);
	}
	return { ip, port, srtpParameters: { cryptoSuite, keyBase64 } };
}

/**
 * The programme's streams as the sending end names them: of all that is said only the SSRCs are news, so the rest is
 * written anew.
 * @param streams - of the programme: voices and solo
 * @throws SfuError `bad_rtp`
 */
export function readLinkedVoices(said: readonly LinkedVoice[], streams: number): LinkedVoice[] {
	const seen = new Set<number>();
	const ssrcs = new Set<number>();
	const voices = Array.isArray(said) ? (said as readonly LinkedVoice[]) : refuse('the voices of a link are not a list');
	return voices.map((voice) => {
		const index = isRecord(voice) ? voice.index : -1;
		const ssrc = isRecord(voice) ? voice.rtpParameters?.encodings?.[0]?.ssrc : undefined;
		if (!Number.isInteger(index) || index < 0 || index >= streams || seen.has(index)) {
			refuse('a link names a voice that the room does not have, or one twice');
		}
		seen.add(index);
		if (ssrc === undefined || !Number.isInteger(ssrc) || ssrc < 1 || ssrc > 0xffff_ffff || ssrcs.has(ssrc)) {
			refuse('a voice of a link has no SSRC of its own');
		}
		ssrcs.add(ssrc);
		return { index, rtpParameters: ownStreamParameters(STAGE_PAYLOAD_TYPE, ssrc, `voice-${index}`) };
	});
}

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null;

function refuse(why: string): never {
	throw new SfuError('bad_rtp', why);
}
