import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Room } from '../rooms/room.ts';

/**
 * An answer about a room with the headers by which caches keep it, or 304 for those who have it already (RFC 9110 §13.1.2:
 * weak comparison). What has failed on the way to the answer is thrown, and kept by nobody.
 */
export interface CachedAnswer {
	/** Quoted. */
	etag: string;
	maxAgeSeconds: number;
	type: string;
	/** Made only for those who do not have it. */
	body: () => Promise<Buffer | string> | Buffer | string;
}

export async function sendCached(request: FastifyRequest, reply: FastifyReply, room: Room, { etag, maxAgeSeconds, type, body }: CachedAnswer): Promise<FastifyReply> {
	const known = request.headers['if-none-match']?.split(',').map((one) => opaqueTag(one.trim())) ?? [];
	const has = known.includes('*') || known.includes(opaqueTag(etag));
	const content = has ? undefined : await body();
	// What was shown to the holder of a token is nobody else's: neither a cache's nor the next person's at the same machine.
	const shared = room.visibility === 'public' && request.principal === null;
	void reply.header('etag', etag).header('cache-control', shared ? `public, max-age=${maxAgeSeconds}` : 'private, no-cache');
	return content === undefined ? reply.code(304).send() : reply.type(type).send(content);
}

const opaqueTag = (etag: string): string => etag.replace(/^W\//, '');
