import type { FastifyReply } from 'fastify';
import type { SessionCreated } from '../programme/room-media.ts';
import { quoteEtag } from './etag.ts';
import { iceLinks } from './ice-links.ts';
import type { RouteContext } from './route-context.ts';
import { ACCEPT_PATCH, SDP_TYPE } from './session-http.ts';

/**
 * 201 of WHEP and WHIP alike: the answer, where the session lives, and the TURN servers if there are any (RFC 9725 §4.2).
 *
 * @param further `Link` header values beside those
 */
export function sendSession(reply: FastifyReply, session: SessionCreated, { deps, links }: Pick<RouteContext, 'deps' | 'links'>, further: readonly string[] = []): FastifyReply {
	const linked = [...(iceLinks(deps.config.turn, deps.randomId, deps.now()) ?? []), ...further];
	if (linked.length > 0) void reply.header('link', linked);
	return reply
		.code(201)
		.header('content-type', SDP_TYPE)
		.header('location', links.session(session.sessionId))
		.header('etag', quoteEtag(session.etag))
		.header('accept-patch', ACCEPT_PATCH)
		.header('cache-control', 'no-store')
		.send(session.sdp);
}
