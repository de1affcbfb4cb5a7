import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/**
 * Entity tags by content on what consoles ask again and again, so that an answer that has not changed is not sent
 * (RFC 9110 §13.1.2, weak comparison). For admins alone: a crowd asks other routes, and hashing would be work for each.
 */
export function registerEntityTags(app: FastifyInstance): void {
	app.addHook<string>('onSend', async (request, reply, payload) => {
		if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string' || reply.hasHeader('etag') || !isPolled(request)) return payload;
		const etag = `W/"${createHash('sha256').update(payload).digest('base64url').slice(0, 22)}"`;
		void reply.header('etag', etag);
		if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'private, no-cache');
		if (!tagsOf(request).includes(opaque(etag))) return payload;
		void reply.code(304).removeHeader('content-type').removeHeader('content-length');
		return '';
	});
}

const isPolled = (request: FastifyRequest): boolean => {
	const route = request.routeOptions.url ?? '';
	return request.principal?.role === 'admin' && (route.startsWith('/v1/admin/') || route.startsWith('/v1/rooms'));
};

const tagsOf = ({ headers }: FastifyRequest): string[] => headers['if-none-match']?.split(',').map((tag) => opaque(tag.trim())) ?? [];
const opaque = (tag: string): string => tag.replace(/^W\//, '');
