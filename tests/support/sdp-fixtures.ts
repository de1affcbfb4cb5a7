import type { AnswerTransport } from '../../sfu/whep/answer-parts.ts';

/**
 * Offers shaped as real clients write them (recorded from them, then with other keys, addresses and names): the order of
 * lines, what stands at session level and what does not, line ends, odd habits. Each says whose habit it keeps.
 */

export const SHA_256 = '1D:76:FB:0B:E7:F6:F9:B2:95:5C:23:0A:39:CC:53:E8:B2:45:6F:5F:71:49:BF:06:D7:48:47:A5:D4:CE:B3:36';

const crlf = (...lines: readonly (string | readonly string[])[]): string => `${lines.flat().join('\r\n')}\r\n`;

const chromiumHead = (mids: string): string[] => [
	'v=0',
	'o=- 256180932622858824 2 IN IP4 127.0.0.1',
	's=-',
	't=0 0',
	`a=group:BUNDLE ${mids}`,
	'a=extmap-allow-mixed',
	'a=msid-semantic: WMS',
];

const chromiumTransport = (mid: string, candidates = true): string[] => [
	'c=IN IP4 0.0.0.0',
	'a=rtcp:9 IN IP4 0.0.0.0',
	...(candidates
		? [
				'a=candidate:2333663512 1 udp 2113937151 b2fcc58e-2031-4335-a1e8-ea5a622d4a6a.local 59106 typ host generation 0 network-cost 999',
				'a=candidate:1082007800 1 udp 2113942271 7b02e3d3-4037-43f5-bde3-1b4d263ea815.local 40276 typ host generation 0 network-cost 999',
			]
		: []),
	'a=ice-ufrag:4ovx',
	'a=ice-pwd:O94iMMERFueR1FYlu1Vmzbow',
	'a=ice-options:trickle',
	`a=fingerprint:sha-256 ${SHA_256}`,
	'a=setup:actpass',
	`a=mid:${mid}`,
];

const chromiumAudio = (mid: string, direction: string, { candidates = true, msid = [] as string[], tail = [] as string[] } = {}): string[] => [
	'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
	...chromiumTransport(mid, candidates),
	'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
	'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
	'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
	'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
	`a=${direction}`,
	...msid,
	'a=rtcp-mux',
	'a=rtcp-rsize',
	'a=rtcp-xr:rcvr-rtt=all',
	'a=rtpmap:111 opus/48000/2',
	'a=rtcp-fb:111 transport-cc',
	'a=fmtp:111 minptime=10;useinbandfec=1',
	'a=rtpmap:63 red/48000/2',
	'a=fmtp:63 111/111',
	'a=rtpmap:9 G722/8000',
	'a=rtpmap:0 PCMU/8000',
	'a=rtpmap:8 PCMA/8000',
	'a=rtpmap:13 CN/8000',
	'a=rtpmap:110 telephone-event/48000',
	'a=rtpmap:126 telephone-event/8000',
	...tail,
];

const chromiumVideo = (mid: string, { candidates = true } = {}): string[] => [
	'm=video 9 UDP/TLS/RTP/SAVPF 96 97 102',
	...chromiumTransport(mid, candidates),
	'a=extmap:5 urn:ietf:params:rtp-hdrext:toffset',
	'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
	'a=extmap:6 urn:3gpp:video-orientation',
	'a=recvonly',
	'a=rtcp-mux',
	'a=rtcp-rsize',
	'a=rtpmap:96 VP8/90000',
	'a=rtcp-fb:96 goog-remb',
	'a=rtcp-fb:96 transport-cc',
	'a=rtcp-fb:96 ccm fir',
	'a=rtcp-fb:96 nack',
	'a=rtcp-fb:96 nack pli',
	'a=rtpmap:97 rtx/90000',
	'a=fmtp:97 apt=96',
	'a=rtpmap:102 H264/90000',
	'a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f',
];

const chromiumData = (mid: string): string[] => [
	'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
	'c=IN IP4 0.0.0.0',
	'a=ice-ufrag:4ovx',
	'a=ice-pwd:O94iMMERFueR1FYlu1Vmzbow',
	'a=ice-options:trickle',
	`a=fingerprint:sha-256 ${SHA_256}`,
	'a=setup:actpass',
	`a=mid:${mid}`,
	'a=sctp-port:5000',
	'a=max-message-size:262144',
];

const firefoxHead = (mids: string): string[] => [
	'v=0',
	'o=mozilla...THIS_IS_SDPARTA-99.0 882115197697238293 0 IN IP4 0.0.0.0',
	's=-',
	't=0 0',
	'a=sendrecv',
	`a=fingerprint:sha-256 ${SHA_256}`,
	`a=group:BUNDLE ${mids}`,
	'a=ice-options:trickle',
	'a=msid-semantic:WMS *',
];

/** The first section is whole, the further ones bundle-only with port 0. */
const firefoxAudio = (mid: string, direction: string, first: boolean, msid: readonly string[] = []): string[] => [
	`m=audio ${first ? 9 : 0} UDP/TLS/RTP/SAVPF 109 9 0 8 101`,
	'c=IN IP4 0.0.0.0',
	...(first
		? [
				'a=candidate:0 1 UDP 2122187007 9590e641-c522-4dfa-bcf4-9257363ddb5d.local 40688 typ host',
				'a=candidate:2 1 TCP 2105458943 9590e641-c522-4dfa-bcf4-9257363ddb5d.local 9 typ host tcptype active',
				'a=candidate:0 2 UDP 2122187006 9590e641-c522-4dfa-bcf4-9257363ddb5d.local 40032 typ host',
			]
		: ['a=bundle-only']),
	`a=${direction}`,
	...(first ? ['a=end-of-candidates'] : []),
	'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
	'a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level',
	'a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid',
	'a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
	'a=extmap-allow-mixed',
	'a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1',
	'a=fmtp:101 0-15',
	'a=ice-pwd:f2d156b73c1a7d6770daadeea45e6d71',
	'a=ice-ufrag:fae64df9',
	`a=mid:${mid}`,
	...msid,
	...(first ? ['a=rtcp:40032 IN IP4 9590e641-c522-4dfa-bcf4-9257363ddb5d.local'] : []),
	'a=rtcp-fb:109 transport-cc',
	'a=rtcp-fb:9 transport-cc',
	'a=rtcp-fb:0 transport-cc',
	'a=rtcp-fb:8 transport-cc',
	'a=rtcp-mux',
	'a=rtpmap:109 opus/48000/2',
	'a=rtpmap:9 G722/8000/1',
	'a=rtpmap:0 PCMU/8000',
	'a=rtpmap:8 PCMA/8000',
	'a=rtpmap:101 telephone-event/8000',
	'a=setup:actpass',
	'a=ssrc:1579687045 cname:{d0ee0b68-4176-4778-8ecd-de88f5869233}',
];

/** ICE credentials and setup in each section, the fingerprint at session level, candidates in the first section only. */
const libdatachannelHead = (mids: string): string[] => [
	'v=0',
	'o=rtc 3107936061 0 IN IP4 127.0.0.1',
	's=-',
	't=0 0',
	`a=group:BUNDLE ${mids}`,
	`a=group:LS ${mids}`,
	'a=msid-semantic:WMS *',
	'a=ice-options:ice2,trickle',
	`a=fingerprint:sha-256 ${SHA_256}`,
];

const libdatachannelAudio = (mid: string, direction: string, first: boolean, ssrc: readonly string[] = []): string[] => [
	'm=audio 53362 UDP/TLS/RTP/SAVPF 111',
	'c=IN IP4 192.0.2.2',
	`a=mid:${mid}`,
	`a=${direction}`,
	...ssrc,
	'a=rtcp-mux',
	'a=rtpmap:111 opus/48000/2',
	'a=fmtp:111 minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1',
	'a=setup:actpass',
	'a=ice-ufrag:pBUo',
	'a=ice-pwd:jPpvUG9r63XB09rnbMjzL6',
	...(first
		? [
				'a=candidate:2 1 UDP 2116026111 2001:db8::2 53362 typ host',
				'a=candidate:1 1 UDP 2114977791 192.0.2.2 53362 typ host',
				'a=end-of-candidates',
			]
		: []),
];

/** No ICE credentials before the fingerprint, all transport lines at the section's end, `ssrc` even when receiving. */
const aiortc = (direction: string): string =>
	crlf(
		'v=0',
		'o=- 4004339725 4004339725 IN IP4 0.0.0.0',
		's=-',
		't=0 0',
		'a=group:BUNDLE 0',
		'a=msid-semantic:WMS *',
		'm=audio 39772 UDP/TLS/RTP/SAVPF 96 0 8',
		'c=IN IP4 192.0.2.2',
		`a=${direction}`,
		'a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid',
		'a=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
		'a=mid:0',
		'a=msid:df8f7e9f-94e9-4b92-a477-c46ce4abff13 a4ea5cbe-3cc6-49a4-a488-7b2bed9768dc',
		'a=rtcp:9 IN IP4 0.0.0.0',
		'a=rtcp-mux',
		'a=ssrc:3825185014 cname:64448a99-e473-4d59-9a47-0b4774b7be06',
		'a=rtpmap:96 opus/48000/2',
		'a=rtpmap:0 PCMU/8000',
		'a=rtpmap:8 PCMA/8000',
		'a=candidate:f957a2332b1715da3b0ef8ba684454eb 1 udp 2130706431 192.0.2.2 39772 typ host',
		'a=end-of-candidates',
		'a=ice-ufrag:FWr1',
		'a=ice-pwd:h4j1o2xuCADeW7soeFyEAw',
		`a=fingerprint:sha-256 ${SHA_256}`,
		'a=setup:actpass',
	);

export const CHROMIUM_THREE_VOICES = crlf(
	chromiumHead('0 1 2'),
	chromiumAudio('0', 'recvonly'),
	chromiumAudio('1', 'recvonly'),
	chromiumAudio('2', 'recvonly'),
);
export const CHROMIUM_AUDIO_VIDEO = crlf(chromiumHead('0 1'), chromiumAudio('0', 'recvonly'), chromiumVideo('1'));
export const CHROMIUM_AUDIO_DATA = crlf(chromiumHead('0 1'), chromiumAudio('0', 'recvonly'), chromiumData('1'));
/** As a player with `bundlePolicy: 'max-bundle'` posts it before gathering: the audio may have no transport but the video's. */
export const CHROMIUM_VIDEO_FIRST_MAX_BUNDLE = crlf(
	chromiumHead('0 1'),
	chromiumVideo('0', { candidates: false }),
	chromiumAudio('1', 'recvonly', { candidates: false }),
);
/** Each section with candidates, so with a transport, of its own. */
export const CHROMIUM_VIDEO_FIRST_GATHERED = crlf(chromiumHead('0 1'), chromiumVideo('0'), chromiumAudio('1', 'recvonly'));
export const CHROMIUM_PUBLISH = crlf(
	chromiumHead('0'),
	chromiumAudio('0', 'sendonly', {
		msid: ['a=msid:80e20df8-b8ad-40c4-b3e2-63a495255cb4 796d4631-3f4f-4198-b331-84e27f062d04'],
		tail: [
			'a=ssrc:1616183189 cname:fX/hGKZAix0GrhFn',
			'a=ssrc:1616183189 msid:80e20df8-b8ad-40c4-b3e2-63a495255cb4 796d4631-3f4f-4198-b331-84e27f062d04',
		],
	}),
);

export const FIREFOX_THREE_VOICES = crlf(
	firefoxHead('0 1 2'),
	firefoxAudio('0', 'recvonly', true),
	firefoxAudio('1', 'recvonly', false),
	firefoxAudio('2', 'recvonly', false),
);
export const FIREFOX_PUBLISH = crlf(
	firefoxHead('0'),
	firefoxAudio('0', 'sendonly', true, ['a=msid:{2d174483-0095-480c-ae06-fc93ade94a34} {7920b91f-2de9-41f4-88c7-1f4b28159fd7}']),
);

/** Safari's are Chromium's (the same library) without the newer lines, and with an absolute-capture-time extension. */
export const SAFARI_ONE_VOICE = crlf(
	chromiumHead('0').filter((line) => line !== 'a=extmap-allow-mixed'),
	chromiumAudio('0', 'recvonly', {
		tail: ['a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time'],
	}).filter((line) => !line.includes('red/48000') && !line.startsWith('a=fmtp:63') && !line.startsWith('a=rtcp-xr')),
);

export const AIORTC_LISTEN = aiortc('recvonly');
export const AIORTC_PUBLISH = aiortc('sendonly');

export const LIBDATACHANNEL_THREE_VOICES = crlf(
	libdatachannelHead('0 1 2'),
	libdatachannelAudio('0', 'recvonly', true),
	libdatachannelAudio('1', 'recvonly', false),
	libdatachannelAudio('2', 'recvonly', false),
);

/** OBS publishes with libdatachannel: named mids, stereo Opus, H.264, no header extension at all. */
export const OBS_PUBLISH = crlf(
	libdatachannelHead('audio video'),
	libdatachannelAudio('audio', 'sendonly', true, [
		'a=ssrc:3425829344 cname:QhkSDcRGbMYPvj0F',
		'a=ssrc:3425829344 msid:bnRyZWFt bnRyZWFt-audio',
		'a=msid:bnRyZWFt bnRyZWFt-audio',
	]),
	[
		'm=video 53362 UDP/TLS/RTP/SAVPF 96',
		'c=IN IP4 192.0.2.2',
		'a=mid:video',
		'a=sendonly',
		'a=ssrc:3425829345 cname:QhkSDcRGbMYPvj0F',
		'a=msid:bnRyZWFt bnRyZWFt-video',
		'a=rtcp-mux',
		'a=rtpmap:96 H264/90000',
		'a=rtcp-fb:96 nack',
		'a=rtcp-fb:96 nack pli',
		'a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1',
		'a=setup:actpass',
		'a=ice-ufrag:pBUo',
		'a=ice-pwd:jPpvUG9r63XB09rnbMjzL6',
	],
);

/** webrtcbin: OPUS in capitals, mids of its own, no rtcp-rsize; here with bare line feeds, as pipelines that build the body by hand send it. */
export const GSTREAMER_PUBLISH = `${[
	'v=0',
	'o=- 7523483283983434341 0 IN IP4 0.0.0.0',
	's=-',
	't=0 0',
	'a=ice-options:trickle',
	'a=group:BUNDLE audio0',
	'm=audio 9 UDP/TLS/RTP/SAVPF 97',
	'c=IN IP4 0.0.0.0',
	'a=setup:actpass',
	'a=ice-ufrag:GpTMpY0wnsZ0BBn1y9Qz5wyGk4PpPPeI',
	'a=ice-pwd:8IDrvFxd+6hQQEZyVRHg1PHKi8Zmo+lY',
	'a=rtcp-mux',
	'a=sendonly',
	'a=rtpmap:97 OPUS/48000/2',
	'a=rtcp-fb:97 nack',
	'a=rtcp-fb:97 nack pli',
	'a=fmtp:97 sprop-maxcapturerate=48000; sprop-stereo=0',
	'a=ssrc:2146872335 msid:user1740423345@host-8b7a1c webrtctransceiver0',
	'a=ssrc:2146872335 cname:user1740423345@host-8b7a1c',
	'a=mid:audio0',
	`a=fingerprint:sha-256 ${SHA_256}`,
	'a=rtcp-mux-only',
].join('\n')}\n`;

/** FFmpeg's WHIP muxer: DTLS server by default, and a BUNDLE group that names a section there is none of. */
export const FFMPEG_PUBLISH = crlf(
	'v=0',
	'o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1',
	's=FFmpegPublishSession',
	't=0 0',
	'a=group:BUNDLE 0 1',
	'a=extmap-allow-mixed',
	'a=msid-semantic: WMS',
	'm=audio 9 UDP/TLS/RTP/SAVPF 111',
	'c=IN IP4 0.0.0.0',
	'a=ice-ufrag:1ac08523',
	'a=ice-pwd:fb55f4f4d99d240fa65c2adfec5e7c24',
	`a=fingerprint:sha-256 ${SHA_256}`,
	'a=setup:passive',
	'a=mid:0',
	'a=sendonly',
	'a=msid:FFmpeg audio',
	'a=rtcp-mux',
	'a=rtpmap:111 opus/48000/2',
	'a=ssrc:492341693 cname:FFmpeg',
	'a=ssrc:492341693 msid:FFmpeg audio',
);

/** werift: OPUS in capitals, Opus at 96. */
export const WERIFT_LISTEN = crlf(
	'v=0',
	'o=- 17310197 0 IN IP4 0.0.0.0',
	's=-',
	't=0 0',
	'a=group:BUNDLE 0',
	'a=extmap-allow-mixed',
	'a=msid-semantic:WMS *',
	'm=audio 9 UDP/TLS/RTP/SAVPF 96 0',
	'c=IN IP4 0.0.0.0',
	'a=candidate:32b1715da3b0ef8ba684454eb 1 udp 2116026367 192.0.2.2 35153 typ host generation 0 ufrag 9bf2',
	'a=end-of-candidates',
	'a=ice-ufrag:9bf2',
	'a=ice-pwd:d04658af307299159a563a',
	'a=ice-options:trickle',
	`a=fingerprint:sha-256 ${SHA_256}`,
	'a=setup:actpass',
	'a=recvonly',
	'a=mid:0',
	'a=rtcp:9 IN IP4 0.0.0.0',
	'a=rtcp-mux',
	'a=ssrc:3690827139 cname:3a628256-44b4-4b4a-bb23-045e68efef14',
	'a=rtpmap:96 OPUS/48000/2',
	'a=rtpmap:0 PCMU/8000',
);

export const LISTEN_OFFERS = {
	CHROMIUM_THREE_VOICES,
	CHROMIUM_AUDIO_VIDEO,
	CHROMIUM_AUDIO_DATA,
	CHROMIUM_VIDEO_FIRST_MAX_BUNDLE,
	CHROMIUM_VIDEO_FIRST_GATHERED,
	FIREFOX_THREE_VOICES,
	SAFARI_ONE_VOICE,
	AIORTC_LISTEN,
	LIBDATACHANNEL_THREE_VOICES,
	WERIFT_LISTEN,
} as const;

export const PUBLISH_OFFERS = {
	CHROMIUM_PUBLISH,
	FIREFOX_PUBLISH,
	AIORTC_PUBLISH,
	OBS_PUBLISH,
	GSTREAMER_PUBLISH,
	FFMPEG_PUBLISH,
} as const;

/** A server's transport, as mediasoup shows it, for answers. */
export const SERVER_TRANSPORT: AnswerTransport = {
	iceParameters: { usernameFragment: 'n0mtvk7jy3j4nqgv', password: 'm6b3tq0u7r3r0x1w2f5v9c8k4d7s6a1z' },
	iceCandidates: [
		{ foundation: 'udpcandidate', priority: 1_076_302_079, ip: '192.0.2.10', address: '192.0.2.10', protocol: 'udp', port: 40_000, type: 'host' },
		{
			foundation: 'tcpcandidate',
			priority: 1_076_276_479,
			ip: '192.0.2.10',
			address: '192.0.2.10',
			protocol: 'tcp',
			port: 40_000,
			type: 'host',
			tcpType: 'passive',
		},
	],
	dtlsParameters: {
		fingerprints: [
			{ algorithm: 'sha-1', value: SHA_256.slice(0, 59) },
			{ algorithm: 'sha-256', value: SHA_256 },
		],
	},
};
