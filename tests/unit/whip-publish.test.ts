import * as ortc from 'mediasoup/ortc';
import { parse } from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { parsePublishOffer } from '../../sfu/whep/publish-offer.ts';
import { writePublishAnswer } from '../../sfu/whep/publish-answer.ts';
import {
	AIORTC_PUBLISH,
	CHROMIUM_PUBLISH,
	CHROMIUM_THREE_VOICES,
	CHROMIUM_VIDEO_FIRST_MAX_BUNDLE,
	FFMPEG_PUBLISH,
	FIREFOX_PUBLISH,
	GSTREAMER_PUBLISH,
	OBS_PUBLISH,
	PUBLISH_OFFERS,
	SERVER_TRANSPORT,
} from '../support/sdp-fixtures.ts';

const answer = (sdp: string) => writePublishAnswer({ offer: parsePublishOffer(sdp), sessionNumber: 12, ...SERVER_TRANSPORT });
const LEVEL = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';
const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';

describe('offers of real publishers', () => {
	it.each([
		['Chromium', CHROMIUM_PUBLISH, '0', 111, 1_616_183_189, true, false, 'fX/hGKZAix0GrhFn'],
		['Firefox', FIREFOX_PUBLISH, '0', 109, 1_579_687_045, true, false, '{d0ee0b68-4176-4778-8ecd-de88f5869233}'],
		['aiortc', AIORTC_PUBLISH, '0', 96, 3_825_185_014, true, false, '64448a99-e473-4d59-9a47-0b4774b7be06'],
		['OBS', OBS_PUBLISH, 'audio', 111, 3_425_829_344, false, true, 'QhkSDcRGbMYPvj0F'],
		['GStreamer', GSTREAMER_PUBLISH, 'audio0', 97, 2_146_872_335, false, false, 'user1740423345@host-8b7a1c'],
		['FFmpeg', FFMPEG_PUBLISH, '0', 111, 492_341_693, false, false, 'FFmpeg'],
	])('%s', (_, sdp, mid, payloadType, ssrc, hasAudioLevel, stereo, cname) => {
		const offer = parsePublishOffer(sdp);
		expect(offer).toMatchObject({ mid, payloadType, hasAudioLevel, stereo });
		expect(offer.rtpParameters).toMatchObject({
			mid,
			codecs: [{ mimeType: 'audio/opus', payloadType, clockRate: 48_000, channels: 2 }],
			encodings: [{ ssrc }],
			rtcp: { cname, reducedSize: true },
		});
	});

	it.each(Object.entries(PUBLISH_OFFERS))('%s: mediasoup itself finds nothing wrong with the parameters', (_, sdp) => {
		const { rtpParameters } = parsePublishOffer(sdp);
		const before = structuredClone(rtpParameters);
		const capabilities = ortc.generateRouterRtpCapabilities([
			{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2, preferredPayloadType: 111 },
		]);
		ortc.validateAndNormalizeRtpParameters(rtpParameters);
		expect(rtpParameters).toMatchObject(before);
		const mapping = ortc.getProducerRtpParametersMapping(rtpParameters, capabilities);
		expect(mapping.codecs).toEqual([{ payloadType: before.codecs[0]?.payloadType, mappedPayloadType: 111 }]);
	});

	it('takes the header extensions that serve us, with the offer\'s ids, and no others', () => {
		expect(parsePublishOffer(CHROMIUM_PUBLISH).rtpParameters.headerExtensions?.map(({ id, uri }) => [id, uri])).toEqual([
			[1, LEVEL],
			[2, 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time'],
			[3, 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01'],
			[4, MID],
		]);
		expect(parsePublishOffer(OBS_PUBLISH).rtpParameters.headerExtensions).toEqual([]);
	});

	it.each([
		['received only', `a=extmap:1/recvonly ${LEVEL}`],
		['in two-byte headers', `a=extmap:16 ${LEVEL}`],
		['with the reserved id', `a=extmap:15 ${LEVEL}`],
		['with id 0', `a=extmap:0 ${LEVEL}`],
		['with an id that is taken', `a=extmap:4 ${LEVEL}`],
		['encrypted', `a=extmap:1 urn:ietf:params:rtp-hdrext:encrypt ${LEVEL}`],
	])('does without a level extension that is %s', (_, line) => {
		// Behind the others, so that an id that is taken is the later one.
		const sdp = CHROMIUM_PUBLISH.replace(`a=extmap:1 ${LEVEL}\r\n`, '').replace('a=sendonly', `${line}\r\na=sendonly`);
		const offer = parsePublishOffer(sdp);
		expect(offer.hasAudioLevel).toBe(false);
		expect(answer(sdp)).not.toContain(LEVEL);
	});

	it('finds the stream by MID where no SSRC is given', () => {
		const offer = parsePublishOffer(CHROMIUM_PUBLISH.replaceAll(/a=ssrc:.*\r\n/g, ''));
		expect(offer.rtpParameters.encodings).toEqual([{}]);
		expect(offer.rtpParameters.mid).toBe('0');
	});

	it('does not take a repairing SSRC for the stream\'s', () => {
		const sdp = CHROMIUM_PUBLISH.replace('a=ssrc:1616183189 cname', 'a=ssrc-group:FEC-FR 1616183189 77\r\na=ssrc:77 cname:x\r\na=ssrc:1616183189 cname');
		expect(parsePublishOffer(sdp).rtpParameters.encodings).toEqual([{ ssrc: 1_616_183_189 }]);
	});

	it('keeps Opus parameters that are known and numbers', () => {
		expect(parsePublishOffer(OBS_PUBLISH).rtpParameters.codecs[0]?.parameters).toEqual({
			minptime: 10,
			maxaveragebitrate: 96_000,
			stereo: 1,
			'sprop-stereo': 1,
			useinbandfec: 1,
		});
	});

	it('takes transport-cc only together with its extension', () => {
		expect(parsePublishOffer(CHROMIUM_PUBLISH).rtcpFeedback).toEqual([{ type: 'transport-cc', parameter: '' }]);
		expect(parsePublishOffer(CHROMIUM_PUBLISH.replace(/a=extmap:3 .*\r\n/, '')).rtcpFeedback).toEqual([]);
		expect(parsePublishOffer(GSTREAMER_PUBLISH).rtcpFeedback).toEqual([{ type: 'nack', parameter: '' }]);
	});

	it.each([
		['neither SSRC nor MID', OBS_PUBLISH.replaceAll(/a=ssrc:.*\r\n/g, ''), 'no_ssrc_or_mid'],
		['an SSRC of 0', OBS_PUBLISH.replace('a=ssrc:3425829344', 'a=ssrc:0'), 'bad_ssrc'],
		['an SSRC beyond 32 bits', OBS_PUBLISH.replace('a=ssrc:3425829344', 'a=ssrc:4294967296'), 'bad_ssrc'],
		['an SSRC that is no number', OBS_PUBLISH.replace('a=ssrc:3425829344', 'a=ssrc:0x10'), 'bad_ssrc'],
		['a listener\'s offer', CHROMIUM_THREE_VOICES, 'bad_direction'],
		['video alone', OBS_PUBLISH.replace('m=audio', 'm=video'), 'offer_without_audio'],
	])('refuses %s', (_, sdp, code) => {
		expect(() => parsePublishOffer(sdp)).toThrow(expect.objectContaining({ name: 'OfferError', code }));
	});
});

describe('answers to publishers', () => {
	it.each(Object.entries(PUBLISH_OFFERS))('%s: sections in place, audio received, the rest refused', (_, sdp) => {
		const offer = parse(sdp);
		const text = answer(sdp);
		const written = parse(text);
		expect(text).toMatch(/^(?:[a-z]=[^\r\n]+\r\n)+$/);
		expect(written.icelite).toBe('ice-lite');
		expect(written.media.map(({ type, protocol, mid }) => [type, protocol, mid])).toEqual(
			offer.media.map(({ type, protocol, mid }) => [type, protocol, mid]),
		);
		const [audio, ...rest] = written.media;
		expect(audio).toMatchObject({ port: 9, direction: 'recvonly', rtcpMux: 'rtcp-mux', ptime: 20, endOfCandidates: 'end-of-candidates' });
		expect(audio?.candidates).toHaveLength(2);
		expect(audio?.payloads).toBe(parsePublishOffer(sdp).payloadType);
		expect(rest.map(({ port }) => port)).toEqual(rest.map(() => 0));
		expect(text).toContain(`a=group:BUNDLE ${audio?.mid}\r\n`);
	});

	it('asks the encoder for error correction, no DTX, and stereo only of who sends it anyway', () => {
		expect(answer(CHROMIUM_PUBLISH)).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0\r\n');
		expect(answer(OBS_PUBLISH)).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;stereo=1\r\n');
	});

	it('echoes extensions with the offer\'s ids, turned round where the offer only sends them', () => {
		const written = parse(answer(CHROMIUM_PUBLISH.replace('a=extmap:1 ', 'a=extmap:1/sendonly ')));
		expect(written.media[0]?.ext).toEqual([
			{ value: 1, direction: 'recvonly', uri: LEVEL },
			{ value: 2, uri: 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time' },
			{ value: 3, uri: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01' },
			{ value: 4, uri: MID },
		]);
		expect(written.media[0]?.rtcpFb).toEqual([{ payload: 111, type: 'transport-cc' }]);
	});

	it('is DTLS active towards FFmpeg, which is a DTLS server', () => {
		expect(parsePublishOffer(FFMPEG_PUBLISH).dtlsParameters.role).toBe('server');
		expect(answer(FFMPEG_PUBLISH)).toContain('a=setup:active\r\n');
		expect(answer(OBS_PUBLISH)).toContain('a=setup:passive\r\n');
	});

	it('keeps a first video section whose transport the audio shares', () => {
		const sdp = CHROMIUM_VIDEO_FIRST_MAX_BUNDLE.replaceAll('a=recvonly', 'a=sendonly');
		const written = parse(answer(sdp));
		expect(written.media.map(({ port, direction }) => [port, direction])).toEqual([
			[9, 'inactive'],
			[9, 'recvonly'],
		]);
		expect(answer(sdp)).toContain('a=group:BUNDLE 0 1\r\n');
		expect(written.media.map(({ candidates }) => candidates?.length)).toEqual([2, undefined]);
	});
});
