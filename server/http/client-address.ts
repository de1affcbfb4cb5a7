import type { FastifyRequest } from 'fastify';
import { forwardingOf } from '../cluster/peers/forwarded.ts';

/** Where a request came from: as the node saw it that it reached first, and as proxies say who are believed. */
export function clientOf(request: FastifyRequest): string {
	return forwardingOf(request.raw)?.client ?? request.ip;
}
