import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import type { RouteContext } from '../route-context.ts';
import { Health, Jwks, media, NoQuery, problems, Readiness } from '../schemas.ts';

/** For those who run the server: is it alive, is it ready, how is it doing, which keys sign its tokens. */
export function registerOperationRoutes(instance: FastifyInstance, { deps }: RouteContext): void {
	const app = instance.withTypeProvider<TypeBoxTypeProvider>();
	const tags = ['operations'];

	app.get(
		'/healthz',
		{
			schema: {
				operationId: 'health',
				summary: 'Whether the process answers; depends on nothing else',
				tags,
				response: { 200: { ...Health, description: 'Alive' }, ...problems() },
			},
		},
		async (_request, reply) => {
			void reply.header('cache-control', 'no-store');
			return { status: 'ok' as const };
		},
	);

	app.get(
		'/readyz',
		{
			schema: {
				operationId: 'readiness',
				summary: 'Whether new people should be sent here',
				tags,
				response: {
					200: { ...Readiness, description: 'Ready' },
					503: { ...Readiness, description: 'Not ready, or shutting down' },
					...problems(),
				},
			},
		},
		async (_request, reply) => {
			const { ready, components } = deps.readiness.state();
			const well = ready && !deps.readiness.isShuttingDown();
			void reply.code(well ? 200 : 503).header('cache-control', 'no-store');
			return { status: well ? ('ready' as const) : ('not_ready' as const), components };
		},
	);

	app.get(
		'/metrics',
		{
			schema: {
				operationId: 'metrics',
				summary: 'Prometheus metrics of this node and its shards',
				tags,
				response: { 200: media('text/plain', 'Text exposition format'), ...problems() },
			},
		},
		async (_request, reply) => reply.header('content-type', deps.metrics.contentType).header('cache-control', 'no-store').send(await deps.metrics.render()),
	);

	app.get(
		'/.well-known/jwks.json',
		{
			schema: {
				operationId: 'keys',
				summary: 'Public keys of the tokens made here (RFC 7517)',
				tags: ['tokens'],
				querystring: NoQuery,
				response: { 200: { ...Jwks, description: 'The key set' }, ...problems() },
			},
		},
		async (_request, reply) => {
			void reply.header('cache-control', 'public, max-age=300');
			return deps.keyRing.jwks();
		},
	);
}
