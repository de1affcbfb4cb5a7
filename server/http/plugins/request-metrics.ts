import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../../metrics/metrics.ts';

/** Times every request by route pattern: paths that no route has share one label, so nobody can make labels. */
export function registerRequestMetrics(app: FastifyInstance, metrics: Metrics): void {
	app.addHook('onResponse', (request, reply, done) => {
		metrics.observeRequest(request.method, request.routeOptions.url, reply.statusCode, reply.elapsedTime / 1000);
		done();
	});
}

/** Times joins (WHEP and WHIP) apart from all else: the figure a surge is judged by. */
export function registerJoinMetrics(app: FastifyInstance, metrics: Metrics): void {
	app.addHook('onResponse', (request, reply, done) => {
		if (request.method === 'POST') {
			const { statusCode } = reply;
			const outcome = statusCode < 300 ? 'joined' : statusCode < 500 ? 'refused' : 'failed';
			metrics.observeJoin(request.routeOptions.url === '/v1/rooms/:room/publish' ? 'publish' : 'listen', outcome, reply.elapsedTime / 1000);
		}
		done();
	});
}
