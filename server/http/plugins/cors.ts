import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../../../config/schema.ts';
import type { AppCluster } from '../deps.ts';

/**
 * Lets pages of the configured origins call everything. Tokens travel in headers, never in cookies: no credentials mode.
 *
 * Beside a list, pages of the cluster's own nodes are let in: a 307 takes them from one node to another.
 */
export async function registerCors(app: FastifyInstance, { corsOrigins }: Pick<Config['http'], 'corsOrigins'>, cluster?: Pick<AppCluster, 'view'>): Promise<void> {
	await app.register(cors, {
		origin: corsOrigins === '*' ? '*' : cluster ? allowedIn(cluster.view, corsOrigins) : [...corsOrigins],
		methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS'],
		// `ETag` as a request header is what some WHEP players send in place of If-Match.
		allowedHeaders: ['Authorization', 'Content-Type', 'If-Match', 'ETag', 'Last-Event-ID', 'X-Request-Id'],
		exposedHeaders: ['Location', 'ETag', 'Link', 'Accept-Patch', 'Retry-After', 'X-Request-Id'],
		maxAge: 86_400,
		// OPTIONS without an Origin is a question too (WHEP discovery), not a malformed preflight.
		strictPreflight: false,
	});
}

/** Asked for each request: nodes come and go. */
function allowedIn(view: AppCluster['view'], listed: readonly string[]): (origin: string | undefined, done: (error: null, allowed: boolean) => void) => void {
	const known = new Set(listed);
	return (origin, done) => done(null, origin !== undefined && (known.has(origin) || view.nodes().some(({ publicUrl }) => publicUrl !== undefined && originOf(publicUrl) === origin)));
}

/** Undefined for what another version of the program may take for an address. */
const originOf = (url: string) => URL.parse(url)?.origin;
