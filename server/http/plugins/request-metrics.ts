import type { FastifyInstance } from 'fastify';
import type { JoinOutcome, Metrics } from '../../metrics/metrics.ts';
import { type AnsweredProblem, answeredProblem } from '../answered-problem.ts';

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
			const outcome = outcomeOf(reply.statusCode, answeredProblem(request));
			metrics.observeJoin(request.routeOptions.url === '/v1/rooms/:room/publish' ? 'publish' : 'listen', outcome, reply.elapsedTime / 1000);
		}
		done();
	});
}

function outcomeOf(status: number, problem: AnsweredProblem | undefined): JoinOutcome {
	if (status < 300) return 'joined';
	if (status < 400) return 'handed_on';
	if (status < 500) return 'refused';
	// While a room's home cannot be asked, nobody knows whether there is a seat.
	return problem?.code === 'no_capacity' && problem.reason !== 'seats_unknown' ? 'turned_away' : 'failed';
}
