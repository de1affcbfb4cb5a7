import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** Of one connection and not of the message (RFC 9110 §7.6.1), with what only concerns the body's way here. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'];

/** Headers that the next hop gets to see: everything but what belongs to this one, and our own that outsiders made up. */
export function endToEndHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
	const named = [headers.connection].flat().join(',').split(',').map((name) => name.trim().toLowerCase());
	const dropped = new Set([...HOP_BY_HOP, ...named]);
	return Object.fromEntries(Object.entries(headers).filter(([name, value]) => value !== undefined && !dropped.has(name) && !name.startsWith('x-rostrum-')));
}

/** The same for a WebSocket's handshake, whose own headers each connection makes anew. */
export function handshakeHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
	return Object.fromEntries(Object.entries(endToEndHeaders(headers)).filter(([name]) => !name.startsWith('sec-websocket-')));
}
