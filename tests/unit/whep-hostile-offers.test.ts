import * as fc from 'fast-check';
import { parse } from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { writeListenAnswer } from '../../sfu/whep/listen-answer.ts';
import { parseListenOffer } from '../../sfu/whep/listen-offer.ts';
import type { ListenOffer } from '../../sfu/whep/listen-offer.ts';
import { OfferError } from '../../sfu/whep/offer-error.ts';
import { parsePublishOffer } from '../../sfu/whep/publish-offer.ts';
import type { PublishOffer } from '../../sfu/whep/publish-offer.ts';
import { writePublishAnswer } from '../../sfu/whep/publish-answer.ts';
import {
	CHROMIUM_PUBLISH,
	CHROMIUM_THREE_VOICES,
	CHROMIUM_VIDEO_FIRST_MAX_BUNDLE,
	LISTEN_OFFERS,
	OBS_PUBLISH,
	PUBLISH_OFFERS,
	SAFARI_ONE_VOICE,
	SERVER_TRANSPORT,
} from '../support/sdp-fixtures.ts';

const listen = (sdp: string) => parseListenOffer(sdp, { voices: 3 });
const hex = (bytes: number) => Array.from({ length: bytes }, () => 'AB').join(':');
const one = SAFARI_ONE_VOICE;
const fingerprint = (text: string) => one.replace(/a=fingerprint:.*\r\n/, text === '' ? '' : `a=fingerprint:${text}\r\n`);
const pwd = (text: string) => one.replace(/a=ice-pwd:.*\r\n/, `a=ice-pwd:${text}\r\n`);
const ufrag = (text: string) => one.replace(/a=ice-ufrag:.*\r\n/, `a=ice-ufrag:${text}\r\n`);
const opusAt = (text: string) => one.replace('SAVPF 111', `SAVPF ${text}`).replace('a=rtpmap:111', `a=rtpmap:${text}`);
const mid = (text: string) => one.replace('a=mid:0\r\n', `a=mid:${text}\r\n`);

const HOSTILE: readonly (readonly [name: string, sdp: string, code: string])[] = [
	['nothing', '', 'sdp_malformed'],
	['line ends alone', '\r\n\r\n', 'sdp_malformed'],
	['JSON', '{"type":"offer"}', 'sdp_malformed'],
	['HTML', '<!doctype html><html></html>', 'sdp_malformed'],
	['no version', one.slice(5), 'sdp_malformed'],
	['a session without sections', 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n', 'offer_without_audio'],
	['a nul byte', one.replace('s=-', 's=\0'), 'sdp_malformed'],
	['a lone carriage return', one.replace('a=mid:0', 'a=mid:0\ra=x'), 'sdp_malformed'],
	['an escape character', one.replace('s=-', 's=\u001B[31m'), 'sdp_malformed'],
	['an empty line within', one.replace('t=0 0\r\n', 't=0 0\r\n\r\n'), 'sdp_malformed'],
	['a line without a type', one.replace('s=-', 'session'), 'sdp_malformed'],
	['64 KiB and more', one + `a=x:${'y'.repeat(65_536)}\r\n`, 'sdp_too_large'],
	['10,000 sections', `v=0\r\n${'m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n'.repeat(10_000)}`, 'sdp_too_large'],
	['as many sections as 64 KiB hold', `v=0\r\n${'m=a 9 A 1\n'.repeat(6500)}`, 'too_many_sections'],
	['65 sections', `v=0\r\n${'m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n'.repeat(65)}`, 'too_many_sections'],
	['a port beyond 65535', one.replace('m=audio 9', 'm=audio 65536'), 'sdp_malformed'],
	['a negative port', one.replace('m=audio 9', 'm=audio -9'), 'sdp_malformed'],
	['a section without formats', one.replace(/m=audio 9 (\S+) .*\r\n/, 'm=audio 9 $1\r\n'), 'sdp_malformed'],
	['plain RTP', one.replace('UDP/TLS/RTP/SAVPF', 'RTP/AVP'), 'offer_without_audio'],
	['audio switched off', one.replace('m=audio 9', 'm=audio 0'), 'offer_without_audio'],
	['no Opus', one.replaceAll('opus/48000/2', 'speex/16000'), 'offer_without_opus'],
	['Opus in one channel, which RFC 7587 does not know', one.replaceAll('opus/48000/2', 'opus/48000'), 'offer_without_opus'],
	['Opus at 8000 Hz', one.replaceAll('opus/48000/2', 'opus/8000/2'), 'offer_without_opus'],
	['Opus that the m= line does not name', one.replace('SAVPF 111', 'SAVPF 112'), 'offer_without_opus'],
	['payload type 999', opusAt('999'), 'bad_payload_type'],
	['payload type 128', opusAt('128'), 'bad_payload_type'],
	['payload type -1', opusAt('-1'), 'bad_payload_type'],
	['payload type NaN', opusAt('NaN'), 'bad_payload_type'],
	['payload type 1e2', opusAt('1e2'), 'bad_payload_type'],
	['payload type 64, an RTCP packet\'s', opusAt('64'), 'bad_payload_type'],
	['payload type 95, an RTCP packet\'s', opusAt('95'), 'bad_payload_type'],
	['payload type 34, a static one', opusAt('34'), 'bad_payload_type'],
	['payload type 0, PCMU\'s', opusAt('0'), 'bad_payload_type'],
	['a payload type with two codecs', one.replace('a=rtpmap:111 opus', 'a=rtpmap:111 PCMU/8000\r\na=rtpmap:111 opus'), 'bad_payload_type'],
	['no fingerprint', fingerprint(''), 'bad_fingerprint'],
	['an empty fingerprint', fingerprint('sha-256 '), 'bad_fingerprint'],
	['a fingerprint of 31 bytes', fingerprint(`sha-256 ${hex(31)}`), 'bad_fingerprint'],
	['a fingerprint of 33 bytes', fingerprint(`sha-256 ${hex(33)}`), 'bad_fingerprint'],
	['a sha-512 fingerprint of sha-256\'s length', fingerprint(`sha-512 ${hex(32)}`), 'bad_fingerprint'],
	['a fingerprint without colons', fingerprint(`sha-256 ${'AB'.repeat(32)}`), 'bad_fingerprint'],
	['a fingerprint that is not hexadecimal', fingerprint(`sha-256 ${hex(31)}:GG`), 'bad_fingerprint'],
	['a fingerprint with a tail', fingerprint(`sha-256 ${hex(32)} x`), 'bad_fingerprint'],
	['md5', fingerprint(`md5 ${hex(16)}`), 'bad_fingerprint'],
	['an absurd hash function', fingerprint(`rot13 ${hex(32)}`), 'bad_fingerprint'],
	['a hash function named as every object\'s property', fingerprint(`constructor ${hex(32)}`), 'bad_fingerprint'],
	['a hash function named __proto__', fingerprint(`__proto__ ${hex(32)}`), 'bad_fingerprint'],
	['one good fingerprint and one cut off', fingerprint(`sha-256 ${hex(32)}\r\na=fingerprint:sha-1 AB`), 'bad_fingerprint'],
	['an empty ICE password', pwd(''), 'bad_ice_credentials'],
	['an ICE password of 21 characters', pwd('a'.repeat(21)), 'bad_ice_credentials'],
	['an ICE password of 257 characters', pwd('a'.repeat(257)), 'bad_ice_credentials'],
	['an ICE password of a megabyte', pwd('a'.repeat(1_048_576)), 'sdp_too_large'],
	['an ICE password with spaces', pwd('aaaaaaaaaaa aaaaaaaaaaaaaaa'), 'bad_ice_credentials'],
	['an ICE password with quotes', pwd(`"${'a'.repeat(24)}"`), 'bad_ice_credentials'],
	['an ICE password in another alphabet', pwd('ж'.repeat(24)), 'bad_ice_credentials'],
	['no ICE password', one.replace(/a=ice-pwd:.*\r\n/, ''), 'bad_ice_credentials'],
	['two ICE passwords', pwd(`${'a'.repeat(24)}\r\na=ice-pwd:${'b'.repeat(24)}`), 'sdp_malformed'],
	['an ICE username of 3 characters', ufrag('abc'), 'bad_ice_credentials'],
	['no ICE username', one.replace(/a=ice-ufrag:.*\r\n/, ''), 'bad_ice_credentials'],
	['a=setup:holdconn', one.replace('actpass', 'holdconn'), 'bad_setup'],
	['a=setup:ACTPASS', one.replace('actpass', 'ACTPASS'), 'bad_setup'],
	['no rtcp-mux', one.replace('a=rtcp-mux\r\n', ''), 'rtcp_mux_required'],
	['sections that only send', one.replace('a=recvonly', 'a=sendonly'), 'bad_direction'],
	['two directions', one.replace('a=recvonly', 'a=recvonly\r\na=sendrecv'), 'sdp_malformed'],
	['no mid', one.replace('a=mid:0\r\n', ''), 'bad_mid'],
	['an empty mid', mid(''), 'bad_mid'],
	['a mid of 65 characters', mid('a'.repeat(65)), 'bad_mid'],
	['a mid with a space', mid('0 a'), 'bad_mid'],
	['a mid in quotes', mid('"0"'), 'bad_mid'],
	['a mid for the whole session', one.replace('t=0 0\r\n', 't=0 0\r\na=mid:9\r\n'), 'sdp_malformed'],
	['one mid twice', CHROMIUM_THREE_VOICES.replace('a=mid:2', 'a=mid:1'), 'bad_mid'],
	['no BUNDLE', CHROMIUM_THREE_VOICES.replace('a=group:BUNDLE 0 1 2\r\n', ''), 'bundle_required'],
	['two bundles', CHROMIUM_THREE_VOICES.replace('BUNDLE 0 1 2', 'BUNDLE 0 1\r\na=group:BUNDLE 2'), 'bundle_required'],
	['a maxptime that is not a number', one.replace('a=rtcp-mux', 'a=rtcp-mux\r\na=maxptime:60ms'), 'bad_packing'],
];

describe('hostile offers', () => {
	it.each(HOSTILE)('%s: refused', (_, sdp, code) => {
		expect(() => listen(sdp)).toThrow(expect.objectContaining({ name: 'OfferError', code }));
		// What only sends is no listener's, but may be a publisher's.
		const asPublisher = sdp.replaceAll('a=recvonly', 'a=sendonly');
		if (code === 'bad_direction' || code === 'bad_packing' || code === 'bundle_required') tryPublish(asPublisher);
		else expect(() => parsePublishOffer(asPublisher)).toThrow(expect.objectContaining({ name: 'OfferError', code }));
	});

	it('tells what to do, and repeats nothing of the offer', () => {
		for (const [, sdp] of HOSTILE) {
			try {
				listen(sdp);
			} catch (error) {
				if (!(error instanceof OfferError)) throw error;
				expect(error.detail).toMatch(/^[A-Z][ -~…]{30,200}\.$/);
			}
		}
	});

	it('takes names that are properties of every object as the mere names they are', () => {
		for (const name of ['__proto__', 'constructor', 'toString']) {
			const offer = listen(mid(name).replace('BUNDLE 0', `BUNDLE ${name}`).replace('useinbandfec=1', `useinbandfec=1;${name}=1`));
			expect(offer.audio).toEqual([{ mid: name, payloadType: 111 }]);
			const { rtpParameters } = parsePublishOffer(CHROMIUM_PUBLISH.replace('useinbandfec=1', `useinbandfec=1;${name}=1`));
			expect(rtpParameters.codecs[0]?.parameters).toEqual({ minptime: 10, useinbandfec: 1 });
		}
		expect(Object.prototype).not.toHaveProperty('useinbandfec');
	});

	it('repeats no codec name that is not one, even of the section it keeps for its transport', () => {
		const offer = CHROMIUM_VIDEO_FIRST_MAX_BUNDLE.replace('a=rtpmap:96 VP8/90000', 'a=rtpmap:96 EVIL@/90000');
		expect(listen(offer).sections[0]).toMatchObject({ use: 'carrier', encoding: null });
		tryListen(offer);
	});

	it('ends in a few milliseconds whatever the 64 KiB hold', () => {
		const fill = (head: string, line: string) => (head + line.repeat(Math.ceil(65_536 / line.length))).slice(0, 65_530);
		const section = 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
		for (const sdp of [
			fill('v=0\r\n', 'a=\r\n'),
			fill('v=0\r\n', `a=group:BUNDLE ${'0 '.repeat(300)}\r\n`),
			fill(section, 'a=rtpmap:111 opus/48000/2\r\n'),
			fill(section, 'a=ssrc-group:FEC 1 2 3 4 5 6 7\r\n'),
			fill(section, 'a=extmap:1 urn:x\r\n'),
			fill('v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF ', '111 '),
		]) {
			const start = performance.now();
			expect(() => listen(sdp)).toThrow(OfferError);
			expect(() => parsePublishOffer(sdp)).toThrow(OfferError);
			// A tenth of a second is far above what it takes (1 to 3 ms), and far below what a quadratic search would.
			expect(performance.now() - start).toBeLessThan(100);
		}
	});
});

/** Checks, written apart from the code's own, that a worker may see every field. */
function expectSafe(offer: ListenOffer | PublishOffer): void {
	expect(offer.iceUfrag).toMatch(/^[\w+/]{4,256}$/);
	expect(offer.iceUfrag + offer.icePwd).not.toContain('_');
	expect(offer.icePwd).toMatch(/^[\w+/]{22,256}$/);
	expect(['client', 'server']).toContain(offer.dtlsParameters.role);
	expect(offer.dtlsParameters.fingerprints.length).toBeGreaterThan(0);
	const lengths: Record<string, number> = { 'sha-1': 59, 'sha-224': 83, 'sha-256': 95, 'sha-384': 143, 'sha-512': 191 };
	for (const { algorithm, value } of offer.dtlsParameters.fingerprints) {
		expect(value).toMatch(/^[0-9A-F]{2}(:[0-9A-F]{2})+$/);
		expect(value).toHaveLength(lengths[algorithm] ?? -1);
	}
	const mids = offer.sections.flatMap(({ mid }) => mid ?? []);
	expect(new Set(mids).size).toBe(mids.length);
	for (const mid of mids) expect(mid).toMatch(/^[^\s"(),/:;<=>?@[\\\]]{1,64}$/);
}

function expectPayloadType(payloadType: number): void {
	expect(Number.isInteger(payloadType)).toBe(true);
	expect((payloadType > 34 && payloadType < 64) || (payloadType > 95 && payloadType < 128)).toBe(true);
}

function expectAnswer(text: string, offer: ListenOffer | PublishOffer): void {
	expect(text).toMatch(/^(?:[a-z]=[ -~]+\r\n)+$/);
	// Not a token's character: whatever holds it must not have got through.
	expect(text).not.toContain('EVIL@');
	expect(parse(text).media).toHaveLength(offer.sections.length);
}

const LINES_OF_ATTACK = [
	'a=mid:0\r\na=EVIL@',
	'a=ice-pwd:',
	'a=fingerprint:sha-256 00',
	'a=rtpmap:111 opus/48000/2',
	'a=rtpmap:96 EVIL@ /90000',
	'a=group:BUNDLE 0 1 2 EVIL@',
	'a=ssrc:0 cname:x',
	'a=ssrc:4294967296 cname:EVIL@ x',
	'a=extmap:0 urn:ietf:params:rtp-hdrext:sdes:mid',
	'a=extmap:300 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
	'a=bundle-only',
	'a=inactive',
	'm=audio 9 UDP/TLS/RTP/SAVPF 111',
	'm=video 9 UDP/TLS/RTP/SAVPF EVIL@; 96',
	'm=application 0 EVIL@ webrtc-datachannel',
	'\0',
	'',
];

type Mutation = (sdp: string) => string;
const at = (sdp: string, share: number): number => Math.floor(share * sdp.length);
// Even over the whole text: fast-check's own doubles crowd about 0.
const share = fc.nat(9999).map((part) => part / 10_000);
const onLines =
	(change: (lines: string[], index: number) => void, position: number): Mutation =>
	(sdp) => {
		const lines = sdp.split('\r\n');
		change(lines, Math.floor(position * lines.length));
		return lines.join('\r\n');
	};
// Truncation and cutting are few, as they mostly end in the same refusal.
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
	share.map((to): Mutation => (sdp) => sdp.slice(0, at(sdp, to))),
	fc.tuple(share, fc.nat(300)).map(([from, length]): Mutation => (sdp) => sdp.slice(0, at(sdp, from)) + sdp.slice(at(sdp, from) + length)),
	{
		weight: 2,
		arbitrary: fc
			.tuple(share, fc.string({ unit: 'binary', maxLength: 12 }))
			.map(([where, text]): Mutation => (sdp) => sdp.slice(0, at(sdp, where)) + text + sdp.slice(at(sdp, where) + text.length)),
	},
	{
		weight: 3,
		arbitrary: fc
			.tuple(share, fc.integer({ min: 0, max: 127 }))
			.map(([where, code]): Mutation => (sdp) => sdp.slice(0, at(sdp, where)) + String.fromCodePoint(code) + sdp.slice(at(sdp, where) + 1)),
	},
	{ weight: 3, arbitrary: share.map((where) => onLines((lines, index) => lines.splice(index, 1), where)) },
	{ weight: 3, arbitrary: share.map((where) => onLines((lines, index) => lines.splice(index, 0, lines[index] ?? ''), where)) },
	{
		weight: 3,
		arbitrary: fc
			.tuple(share, share)
			.map(([from, to]) => onLines((lines, index) => lines.splice(Math.floor(to * lines.length), 0, ...lines.splice(index, 1)), from)),
	},
	{
		weight: 3,
		arbitrary: fc
			.tuple(share, fc.constantFrom(...LINES_OF_ATTACK), fc.nat(1))
			.map(([where, line, removed]) => onLines((lines, index) => lines.splice(index, removed, line), where)),
	},
	{
		weight: 3,
		arbitrary: fc.tuple(share, fc.integer({ min: -1, max: 70_000 })).map(([where, value]) =>
			onLines((lines, index) => {
				lines[index] = (lines[index] ?? '').replace(/\d+/, String(value));
			}, where),
		),
	},
);

const anyOffer = fc.constantFrom(...Object.values(LISTEN_OFFERS), ...Object.values(PUBLISH_OFFERS));
const attackAlone = fc.array(fc.constantFrom(...LINES_OF_ATTACK, 'v=0'), { maxLength: 90 }).map((lines) => lines.join('\r\n'));

describe('any mutation of a real offer', () => {
	it('parses into what a worker may see, or is refused as an OfferError', () => {
		let parsed = 0;
		let refused = 0;
		fc.assert(
			fc.property(anyOffer, fc.array(mutation, { minLength: 1, maxLength: 3 }), (offer, mutations) => {
				const sdp = mutations.reduce((text, mutate) => mutate(text), offer);
				for (const attempt of [() => tryListen(sdp), () => tryPublish(sdp)]) {
					try {
						attempt();
						parsed++;
					} catch (error) {
						if (!(error instanceof OfferError)) throw error;
						refused++;
					}
				}
			}),
			{ numRuns: 3000 },
		);
		// A test that only ever sees refusals would prove little.
		expect(parsed).toBeGreaterThan(1000);
		expect(refused).toBeGreaterThan(1000);
	});

	it('never lets text of an arbitrary kind through as anything but an OfferError', () => {
		fc.assert(
			fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), attackAlone), (sdp) => {
				expect(() => listen(sdp)).toThrow(OfferError);
				expect(() => parsePublishOffer(sdp)).toThrow(OfferError);
			}),
			{ numRuns: 500 },
		);
	});

	it('never lets a truncated offer through as anything but a shorter offer', () => {
		for (const sdp of [CHROMIUM_THREE_VOICES, OBS_PUBLISH]) {
			for (let length = 0; length < sdp.length; length += 7) {
				for (const attempt of [() => tryListen(sdp.slice(0, length)), () => tryPublish(sdp.slice(0, length))]) {
					try {
						attempt();
					} catch (error) {
						expect(error).toBeInstanceOf(OfferError);
					}
				}
			}
		}
	});
});

function tryListen(sdp: string): void {
	const offer = listen(sdp);
	expectSafe(offer);
	expectPayloadType(offer.opusPayloadType);
	expect(offer.maxPackingMs).toBeGreaterThanOrEqual(20);
	expect(offer.maxPackingMs).toBeLessThanOrEqual(120);
	expect(offer.audio.length).toBeGreaterThan(0);
	expect(offer.audio.length).toBeLessThanOrEqual(3);
	const streams = offer.audio.map((audio, index) => ({ mid: audio.mid, ssrc: index + 1, cname: 'c', trackId: `t${index}` }));
	expectAnswer(writeListenAnswer({ offer, ...SERVER_TRANSPORT, streams }), offer);
}

function tryPublish(sdp: string): void {
	const offer = parsePublishOffer(sdp);
	expectSafe(offer);
	const { rtpParameters } = offer;
	expectPayloadType(rtpParameters.codecs[0]?.payloadType ?? -1);
	for (const { id } of rtpParameters.headerExtensions ?? []) {
		expect(id).toBeGreaterThan(0);
		expect(id).toBeLessThan(15);
	}
	for (const { ssrc } of rtpParameters.encodings ?? []) {
		if (ssrc === undefined) {
			expect(rtpParameters.headerExtensions).toContainEqual(expect.objectContaining({ uri: 'urn:ietf:params:rtp-hdrext:sdes:mid' }));
		} else {
			expect(Number.isInteger(ssrc) && ssrc > 0 && ssrc < 2 ** 32).toBe(true);
		}
	}
	expectAnswer(writePublishAnswer({ offer, sessionNumber: 1, ...SERVER_TRANSPORT }), offer);
}
