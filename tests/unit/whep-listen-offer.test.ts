import { parse as parseWithSdpTransform } from 'sdp-transform';
import { describe, expect, it } from 'vitest';
import { parseListenOffer } from '../../sfu/whep/listen-offer.ts';
import {
	AIORTC_LISTEN,
	CHROMIUM_AUDIO_DATA,
	CHROMIUM_AUDIO_VIDEO,
	CHROMIUM_THREE_VOICES,
	CHROMIUM_VIDEO_FIRST_GATHERED,
	CHROMIUM_VIDEO_FIRST_MAX_BUNDLE,
	FIREFOX_THREE_VOICES,
	LIBDATACHANNEL_THREE_VOICES,
	LISTEN_OFFERS,
	SAFARI_ONE_VOICE,
	WERIFT_LISTEN,
} from '../support/sdp-fixtures.ts';

const three = (sdp: string) => parseListenOffer(sdp, { voices: 3 });

describe('offers of real listeners', () => {
	it.each([
		['Chromium, three sections', CHROMIUM_THREE_VOICES, ['0', '1', '2'], 111, false],
		['Chromium, audio and video', CHROMIUM_AUDIO_VIDEO, ['0'], 111, false],
		['Chromium, audio and data', CHROMIUM_AUDIO_DATA, ['0'], 111, false],
		['Chromium, video first', CHROMIUM_VIDEO_FIRST_MAX_BUNDLE, ['1'], 111, false],
		['Firefox, three sections, two of them bundle-only with port 0', FIREFOX_THREE_VOICES, ['0', '1', '2'], 109, true],
		['Safari, one section', SAFARI_ONE_VOICE, ['0'], 111, false],
		['aiortc', AIORTC_LISTEN, ['0'], 96, false],
		['libdatachannel, fingerprint at session level', LIBDATACHANNEL_THREE_VOICES, ['0', '1', '2'], 111, true],
		['werift, OPUS in capitals', WERIFT_LISTEN, ['0'], 96, false],
	])('%s', (_, sdp, mids, payloadType, stereo) => {
		const offer = three(sdp);
		expect(offer.audio).toEqual(mids.map((mid) => ({ mid, payloadType })));
		expect(offer).toMatchObject({ opusPayloadType: payloadType, stereo, maxPackingMs: 120, soloOnly: mids.length === 1, iceLite: false });
		expect(offer.dtlsParameters.role).toBe('client');
	});

	it.each(Object.entries(LISTEN_OFFERS))('%s: reads the same as an independent parser', (_, sdp) => {
		const offer = three(sdp);
		const other = parseWithSdpTransform(sdp);
		expect(offer.sections.map(({ kind, proto, mid }) => [kind, proto, mid])).toEqual(
			other.media.map(({ type, protocol, mid }) => [type, protocol, String(mid)]),
		);
		const first = other.media.find(({ mid }) => String(mid) === offer.audio[0]?.mid);
		expect(offer.iceUfrag).toBe(String(first?.iceUfrag));
		expect(offer.icePwd).toBe(String(first?.icePwd));
		const fingerprint = first?.fingerprint ?? other.fingerprint;
		expect(offer.dtlsParameters.fingerprints).toEqual([{ algorithm: fingerprint?.type, value: fingerprint?.hash }]);
	});

	it('reads bare line feeds, a missing last line end and blank lines at the end alike', () => {
		const offer = three(CHROMIUM_THREE_VOICES);
		expect(three(CHROMIUM_THREE_VOICES.replaceAll('\r\n', '\n'))).toEqual(offer);
		expect(three(CHROMIUM_THREE_VOICES.trimEnd())).toEqual(offer);
		expect(three(`${CHROMIUM_THREE_VOICES}\r\n\r\n`)).toEqual(offer);
	});
});

describe('which sections get a voice', () => {
	it('takes as many as the room has voices and refuses the rest', () => {
		const offer = parseListenOffer(CHROMIUM_THREE_VOICES, { voices: 2 });
		expect(offer.audio.map(({ mid }) => mid)).toEqual(['0', '1']);
		expect(offer.sections.map(({ use }) => use)).toEqual(['media', 'media', 'refused']);
		expect(offer.bundledMids).toEqual(['0', '1']);
		expect(offer.soloOnly).toBe(false);
	});

	it('refuses video and data', () => {
		expect(three(CHROMIUM_AUDIO_VIDEO).sections.map(({ kind, use }) => [kind, use])).toEqual([
			['audio', 'media'],
			['video', 'refused'],
		]);
		expect(three(CHROMIUM_AUDIO_DATA).sections.map(({ kind, use }) => [kind, use])).toEqual([
			['audio', 'media'],
			['application', 'refused'],
		]);
	});

	it('keeps a first video section that the audio may have its only transport from, and no other', () => {
		const kept = three(CHROMIUM_VIDEO_FIRST_MAX_BUNDLE);
		expect(kept.sections.map(({ use }) => use)).toEqual(['carrier', 'media']);
		expect(kept.bundledMids).toEqual(['0', '1']);
		expect(kept.transportMid).toBe('0');
		const refused = three(CHROMIUM_VIDEO_FIRST_GATHERED);
		expect(refused.sections.map(({ use }) => use)).toEqual(['refused', 'media']);
		expect(refused.bundledMids).toEqual(['1']);
		expect(refused.transportMid).toBe('1');
	});

	it('refuses sections that are switched off or only send', () => {
		const offer = three(CHROMIUM_THREE_VOICES.replace('m=audio 9', 'm=audio 0').replace(/(a=mid:1[^]*?)a=recvonly/, '$1a=inactive'));
		expect(offer.audio.map(({ mid }) => mid)).toEqual(['2']);
		expect(offer.soloOnly).toBe(true);
	});

	it('takes a missing direction as sendrecv, and the session\'s where it gives one', () => {
		expect(three(SAFARI_ONE_VOICE.replace('a=recvonly\r\n', '')).audio).toHaveLength(1);
		const sendonly = SAFARI_ONE_VOICE.replace('a=recvonly\r\n', '').replace('t=0 0\r\n', 't=0 0\r\na=sendonly\r\n');
		expect(() => three(sendonly)).toThrow(expect.objectContaining({ code: 'bad_direction' }));
	});

	it('chooses the payload type that most sections share, and refuses sections without it', () => {
		const odd = CHROMIUM_THREE_VOICES.replace('UDP/TLS/RTP/SAVPF 111', 'UDP/TLS/RTP/SAVPF 120')
			.replace('a=rtpmap:111 opus', 'a=rtpmap:120 opus')
			.replace('a=fmtp:111', 'a=fmtp:120');
		const offer = three(odd);
		expect(offer.opusPayloadType).toBe(111);
		expect(offer.audio.map(({ mid }) => mid)).toEqual(['1', '2']);
	});

	it('chooses the earliest of payload types that equally many sections have', () => {
		const [head, ...sections] = CHROMIUM_THREE_VOICES.split(/(?=m=audio)/);
		const at = (section: string | undefined, payloadType: number) =>
			(section ?? '').replace('SAVPF 111', `SAVPF ${payloadType}`).replace('a=rtpmap:111', `a=rtpmap:${payloadType}`);
		expect(three([head, at(sections[0], 120), at(sections[1], 35)].join('')).opusPayloadType).toBe(120);
		expect(three([head, at(sections[0], 36), at(sections[1], 127)].join('')).opusPayloadType).toBe(36);
	});

	it('does not take a client with several sections for one that can hear a single voice', () => {
		expect(parseListenOffer(CHROMIUM_THREE_VOICES, { voices: 1 })).toMatchObject({ soloOnly: false, audio: [{ mid: '0' }] });
	});

	it('accepts one section without BUNDLE', () => {
		const offer = three(SAFARI_ONE_VOICE.replace('a=group:BUNDLE 0\r\n', ''));
		expect(offer.bundledMids).toEqual([]);
		expect(offer.transportMid).toBe('0');
	});
});

describe('packing', () => {
	const withLine = (line: string) => three(AIORTC_LISTEN.replace('a=rtcp-mux\r\n', `a=rtcp-mux\r\n${line}\r\n`)).maxPackingMs;
	it.each([
		['a=maxptime:60', 60],
		['a=maxptime:20', 20],
		['a=maxptime:10', 20],
		['a=maxptime:440', 120],
		['a=fmtp:96 maxptime=40;useinbandfec=1', 40],
		['a=fmtp:96 useinbandfec=1; MaxPTime = 40', 40],
		['a=fmtp:96 maxptime=soon', 120],
		['a=fmtp:0 maxptime=40', 120],
		['a=ptime:20', 120],
	])('%s: at most %i ms', (line, ms) => {
		expect(withLine(line)).toBe(ms);
	});

	it('is the smallest of all accepted sections', () => {
		const offer = three(CHROMIUM_THREE_VOICES.replace(/(a=mid:1\r\n)/, '$1a=maxptime:40\r\n'));
		expect(offer.maxPackingMs).toBe(40);
	});
});

describe('transport', () => {
	const one = SAFARI_ONE_VOICE;
	it.each([
		['a=setup:actpass', 'client'],
		['a=setup:active', 'client'],
		['a=setup:passive', 'server'],
		['a=x-none', 'client'],
	])('%s: the client is DTLS %s', (line, role) => {
		expect(three(one.replace('a=setup:actpass', line)).dtlsParameters.role).toBe(role);
	});

	it('takes the section\'s own credentials before the session\'s', () => {
		const both = one.replace('t=0 0\r\n', 't=0 0\r\na=ice-ufrag:SESSION\r\na=ice-pwd:0123456789012345678901\r\n');
		expect(three(both).iceUfrag).toBe('4ovx');
		const session = both.replace('a=ice-ufrag:4ovx\r\na=ice-pwd:O94iMMERFueR1FYlu1Vmzbow\r\n', '');
		expect(three(session)).toMatchObject({ iceUfrag: 'SESSION', icePwd: '0123456789012345678901' });
	});

	it('takes a bundle-only section\'s transport from the section it is bundled with', () => {
		const bare = CHROMIUM_VIDEO_FIRST_MAX_BUNDLE.replace(/(m=audio) 9([^]*?)a=ice-ufrag[^]*?(a=mid:1\r\n)/, '$1 0$2a=bundle-only\r\n$3');
		expect(bare).not.toBe(CHROMIUM_VIDEO_FIRST_MAX_BUNDLE);
		const offer = three(bare);
		expect(offer).toMatchObject({ iceUfrag: '4ovx', icePwd: 'O94iMMERFueR1FYlu1Vmzbow' });
		expect(offer.dtlsParameters.fingerprints).toHaveLength(1);
	});

	it('puts the strongest fingerprint first and passes over hash functions it does not know', () => {
		const hex = (bytes: number) => Array.from({ length: bytes }, () => 'ab').join(':');
		const lines = ['sha-1', 'sha-512', 'sha3-256', 'SHA-384'].map((algorithm, index) => `a=fingerprint:${algorithm} ${hex([20, 64, 32, 48][index] ?? 0)}`);
		const offer = three(one.replace(/a=fingerprint:.*\r\n/, `${lines.join('\r\n')}\r\n`));
		expect(offer.dtlsParameters.fingerprints).toEqual([
			{ algorithm: 'sha-512', value: hex(64).toUpperCase() },
			{ algorithm: 'sha-384', value: hex(48).toUpperCase() },
			{ algorithm: 'sha-1', value: hex(20).toUpperCase() },
		]);
	});
});
