import { Type } from 'typebox';

// What WHIP and WHEP share over HTTP (RFC 9725).
export const SDP_TYPE = 'application/sdp';
export const FRAGMENT_TYPE = 'application/trickle-ice-sdpfrag';
export const ACCEPT_PATCH = FRAGMENT_TYPE;
/** An offer with eight m-lines and a hundred candidates has some 20 KB. */
export const MAX_SDP_BYTES = 64 * 1024;

export const SDP_BODY = { content: { [SDP_TYPE]: { schema: Type.String({ description: 'SDP offer' }) } } };
export const FRAGMENT_BODY = { content: { [FRAGMENT_TYPE]: { schema: Type.String({ description: 'ICE candidates, or new ICE credentials for a restart' }) } } };

const LinkHeader = Type.String({ description: 'STUN and TURN servers, `rel="ice-server"` (RFC 9725 §4.6), when configured' });

export const SESSION_HEADERS = {
	location: Type.String({ description: 'The session' }),
	etag: Type.String({ description: 'Changes with each ICE restart' }),
	'accept-patch': Type.String(),
	link: LinkHeader,
};

export const DISCOVERY_HEADERS = { 'accept-post': Type.String(), allow: Type.String(), link: LinkHeader };
