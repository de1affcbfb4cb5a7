/** Any fingerprint is as good as another where no handshake follows. */
const FINGERPRINT = Array.from({ length: 32 }, (_, index) => (index * 7 + 16).toString(16).padStart(2, '0').toUpperCase()).join(':');
const MIDS = ['0', '1', '2'];
/** Sections a browser writes for a listener of a room with three voices. */
export const SYNTHETIC_VOICES = MIDS.length;

/** An offer of a listener who never connects, with what browsers say and this server reads. */
export const SYNTHETIC_OFFER = `${[
	'v=0',
	'o=- 4611733054762223410 2 IN IP4 127.0.0.1',
	's=-',
	't=0 0',
	`a=group:BUNDLE ${MIDS.join(' ')}`,
	'a=extmap-allow-mixed',
	'a=msid-semantic: WMS',
	...MIDS.flatMap((mid) => [
		'm=audio 9 UDP/TLS/RTP/SAVPF 111 9 0 8 13 110 126',
		'c=IN IP4 0.0.0.0',
		'a=rtcp:9 IN IP4 0.0.0.0',
		'a=ice-ufrag:cali',
		'a=ice-pwd:bratecalibratecalibrate0',
		'a=ice-options:trickle',
		`a=fingerprint:sha-256 ${FINGERPRINT}`,
		'a=setup:actpass',
		`a=mid:${mid}`,
		'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
		'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
		'a=recvonly',
		'a=rtcp-mux',
		'a=rtcp-rsize',
		'a=rtpmap:111 opus/48000/2',
		'a=rtcp-fb:111 transport-cc',
		'a=fmtp:111 minptime=10;useinbandfec=1',
		'a=rtpmap:9 G722/8000',
		'a=rtpmap:0 PCMU/8000',
		'a=rtpmap:8 PCMA/8000',
		'a=rtpmap:13 CN/8000',
		'a=rtpmap:110 telephone-event/48000',
		'a=rtpmap:126 telephone-event/8000',
	]),
].join('\r\n')}\r\n`;
