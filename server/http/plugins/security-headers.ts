import type { FastifyInstance } from 'fastify';

/** On every answer. Pages add their own policy (server/web). */
export function registerSecurityHeaders(app: FastifyInstance): void {
	app.addHook('onRequest', (_request, reply, done) => {
		// Content is what its type says; paths of rooms and sessions are nobody else's business.
		void reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
		done();
	});
}
