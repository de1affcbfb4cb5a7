import { parse } from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { writeListenAnswer } from '../../sfu/whep/listen-answer.ts';
import { parseListenOffer } from '../../sfu/whep/listen-offer.ts';
import {
	AIORTC_LISTEN,
	CHROMIUM_AUDIO_DATA,
	CHROMIUM_AUDIO_VIDEO,
	CHROMIUM_THREE_VOICES,
	CHROMIUM_VIDEO_FIRST_MAX_BUNDLE,
	FIREFOX_THREE_VOICES,
	LISTEN_OFFERS,
	SAFARI_ONE_VOICE,
	SERVER_TRANSPORT,
	SHA_256,
} from '../support/sdp-fixtures.ts';

function answer(sdp: string, voices = 3): string {
	const offer = parseListenOffer(sdp, { voices });
	const streams = offer.audio.map(({ mid }, index) => ({ mid, ssrc: 4_000_000_000 + index, cname: 'room-7', trackId: `voice-${index + 1}` }));
	return writeListenAnswer({ offer, ...SERVER_TRANSPORT, streams: streams.toReversed() });
}

describe.each(Object.entries(LISTEN_OFFERS))('answer to %s', (_, sdp) => {
	const offer = parse(sdp);
	const text = answer(sdp);
	const written = parse(text);

	it('is made of whole lines that end in CRLF', () => {
		expect(text).toMatch(/^(?:[a-z]=[^\r\n]+\r\n)+$/);
		expect(written.media.flatMap(({ invalid }) => invalid ?? [])).toEqual([]);
	});

	it('answers every section in its place, with its kind, protocol and mid', () => {
		const shape = ({ media }: typeof offer) => media.map(({ type, protocol, mid }) => [type, protocol, mid]);
		expect(shape(written)).toEqual(shape(offer));
	});

	it('bundles exactly the sections that are not refused', () => {
		const kept = written.media.filter(({ port }) => port !== 0).map(({ mid }) => String(mid));
		expect(text.match(/^a=group:.*$/gm)).toEqual([`a=group:BUNDLE ${kept.join(' ')}`]);
	});

	it('is ICE-lite, with one set of candidates, UDP and passive TCP, in the first bundled section', () => {
		expect(written.icelite).toBe('ice-lite');
		const [first, ...others] = written.media.filter(({ port }) => port !== 0);
		expect(first?.candidates).toEqual([
			expect.objectContaining({ transport: 'udp', ip: '192.0.2.10', port: 40_000, type: 'host' }),
			expect.objectContaining({ transport: 'tcp', ip: '192.0.2.10', port: 40_000, type: 'host', tcptype: 'passive' }),
		]);
		expect(first?.endOfCandidates).toBe('end-of-candidates');
		for (const other of others) expect(other.candidates).toBeUndefined();
	});

	it('gives every kept section the transport, and every voice its own SSRC under one stream', () => {
		for (const section of written.media.filter(({ port }) => port !== 0)) {
			expect(section).toMatchObject({
				iceUfrag: 'n0mtvk7jy3j4nqgv',
				icePwd: 'm6b3tq0u7r3r0x1w2f5v9c8k4d7s6a1z',
				fingerprint: { type: 'sha-256', hash: SHA_256 },
				setup: 'passive',
				rtcpMux: 'rtcp-mux',
			});
		}
		const voices = written.media.filter(({ direction }) => direction === 'sendonly');
		expect(voices.length).toBeGreaterThan(0);
		for (const [index, voice] of voices.entries()) {
			expect(voice.ssrcs).toEqual([{ id: 4_000_000_000 + index, attribute: 'cname', value: 'room-7' }]);
			expect(voice.msid).toEqual([{ id: 'programme', appdata: `voice-${index + 1}` }]);
		}
	});

	it('names no header extension, because their ids in packets are not the offer\'s', () => {
		expect(text).not.toContain('extmap');
	});
});

describe('answers', () => {
	it.each([
		['Chromium\'s', CHROMIUM_THREE_VOICES, 111],
		['Firefox\'s', FIREFOX_THREE_VOICES, 109],
		['aiortc\'s', AIORTC_LISTEN, 96],
	])('speak of Opus with %s own payload type', (_, sdp, payloadType) => {
		for (const section of parse(answer(sdp)).media) {
			expect(section.payloads).toEqual(payloadType);
			expect(section.rtp).toEqual([{ payload: payloadType, codec: 'opus', rate: 48_000, encoding: 2 }]);
		}
	});

	it('promise stereo only to whom asked for it', () => {
		expect(answer(FIREFOX_THREE_VOICES)).toContain('a=fmtp:109 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n');
		expect(answer(CHROMIUM_THREE_VOICES)).toContain('a=fmtp:111 minptime=10;useinbandfec=1\r\n');
	});

	it('refuse video, data and surplus audio with port 0', () => {
		expect(parse(answer(CHROMIUM_AUDIO_VIDEO)).media.map(({ type, port }) => [type, port])).toEqual([['audio', 9], ['video', 0]]);
		expect(answer(CHROMIUM_AUDIO_DATA)).toContain('m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n');
		expect(parse(answer(CHROMIUM_THREE_VOICES, 1)).media.map(({ port }) => port)).toEqual([9, 0, 0]);
	});

	it('keep a video section that carries the transport, inactive', () => {
		const [video, audio] = parse(answer(CHROMIUM_VIDEO_FIRST_MAX_BUNDLE)).media;
		expect(video).toMatchObject({ port: 9, direction: 'inactive', rtp: [{ payload: 96, codec: 'VP8', rate: 90_000 }] });
		expect(audio).toMatchObject({ port: 9, direction: 'sendonly' });
	});

	it('are DTLS active for a client that can only be passive', () => {
		expect(answer(SAFARI_ONE_VOICE.replace('actpass', 'passive'))).toContain('a=setup:active\r\n');
	});

	it('have no BUNDLE group where the offer had none', () => {
		expect(answer(SAFARI_ONE_VOICE.replace('a=group:BUNDLE 0\r\n', ''))).not.toContain('BUNDLE');
	});

	it('are not written when a voice is missing', () => {
		const offer = parseListenOffer(CHROMIUM_THREE_VOICES, { voices: 3 });
		expect(() => writeListenAnswer({ offer, ...SERVER_TRANSPORT, streams: [] })).toThrow(RangeError);
	});
});
