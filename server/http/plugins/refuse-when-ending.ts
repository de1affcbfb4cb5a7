import type { FastifyInstance } from 'fastify';
import { DomainError } from '../../errors.ts';
import type { Readiness } from '../deps.ts';

/** While the node shuts down, this scope's POSTs (those who want in) are sent away; what is there may still be ended. */
export function refuseWhenEnding(app: FastifyInstance, readiness: Readiness): void {
	app.addHook('onRequest', (request, _reply, done) => {
		done(
			request.method === 'POST' && readiness.isShuttingDown()
				? new DomainError('shutting_down', 'This server is shutting down and takes nobody new', { retryAfterSeconds: 2 })
				: undefined,
		);
	});
}
