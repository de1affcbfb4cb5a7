import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../../../config/schema.ts';

/** Lets pages of the configured origins call everything. Tokens travel in headers, never in cookies: no credentials mode. */
export async function registerCors(app: FastifyInstance, { corsOrigins }: Pick<Config['http'], 'corsOrigins'>): Promise<void> {
	await app.register(cors, {
		origin: corsOrigins === '*' ? '*' : [...corsOrigins],
		methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS'],
		// `ETag` as a request header is what some WHEP players send in place of If-Match.
		allowedHeaders: ['Authorization', 'Content-Type', 'If-Match', 'ETag', 'Last-Event-ID', 'X-Request-Id'],
		exposedHeaders: ['Location', 'ETag', 'Link', 'Accept-Patch', 'Retry-After', 'X-Request-Id'],
		maxAge: 86_400,
		// OPTIONS without an Origin is a question too (WHEP discovery), not a malformed preflight.
		strictPreflight: false,
	});
}
