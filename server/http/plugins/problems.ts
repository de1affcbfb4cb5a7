import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../../errors.ts';
import { noteProblem } from '../answered-problem.ts';
import { problemOf, problemType } from '../problem.ts';
import { RouteTable } from '../route-table.ts';

declare module 'fastify' {
	interface FastifyInstance {
		/** Every route there is, as `GET /v1/rooms/:room`. */
		allRoutes(): string[];
	}
}

export const PROBLEM_TYPE = 'application/problem+json';

/** A path may be as long as its sender likes; a problem is not. */
const MAX_INSTANCE_LENGTH = 300;

/** Path of a request without its query, which may hold a token. */
export function pathOf(url: string): string {
	const end = url.indexOf('?');
	return end === -1 ? url : url.slice(0, end);
}

/** Answers a request with the problem that `error` is (RFC 9457). */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
	const { problem, headers, unexpected } = problemOf(error, pathOf(request.url).slice(0, MAX_INSTANCE_LENGTH));
	if (unexpected) request.log.error({ err: error }, 'request failed unexpectedly');
	// What a handler had set for its success (Location, ETag, caching) does not hold for a refusal.
	for (const name of ['etag', 'location', 'content-length', 'accept-patch', 'link']) reply.removeHeader(name);
	noteProblem(request, reply, problem);
	void reply.code(problem.status).headers(headers).header('cache-control', 'no-store').type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

/**
 * Errors, unknown paths (404) and known paths with another method (405 with Allow), all as problems.
 * Register before any route, for it learns the paths as they are added.
 */
export function registerProblems(app: FastifyInstance): void {
	const table = new RouteTable();
	app.addHook('onRoute', (route) => {
		for (const method of [route.method].flat()) table.add(method, route.url);
	});
	app.decorate('allRoutes', () => table.all());
	app.setErrorHandler(sendProblem);
	app.setNotFoundHandler((request, reply) => {
		const allowed = table.methodsOf(pathOf(request.url));
		// Files are looked for under a pattern that all their names fit.
		if (allowed.length === 0 || allowed.includes(request.method)) throw new DomainError('not_found', 'No resource has this path');
		void reply.header('allow', allowed.join(', '));
		throw new DomainError('method_not_allowed', `This resource takes ${allowed.join(', ')}`, { extra: { allowed } });
	});
}

/** For `frameworkErrors`: paths that the router could not even read. No hook has run for them. */
export function sendFrameworkProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
	void reply.header('x-content-type-options', 'nosniff');
	sendProblem(error, request, reply);
}

/** For `clientErrorHandler`: what was not even HTTP. */
export function refuseBrokenHttp(error: Error & { code?: string }, socket: Duplex): void {
	if (error.code === 'ECONNRESET' || socket.destroyed) return;
	if (!socket.writable) {
		socket.destroy();
		return;
	}
	const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
	const title = STATUS_CODES[status] ?? 'Bad Request';
	const body = JSON.stringify({
		type: problemType('invalid_request'),
		title,
		status,
		detail: 'The request is not valid HTTP, or took too long',
		instance: '',
		code: 'invalid_request',
		retryable: false,
	});
	socket.end(
		`HTTP/1.1 ${status} ${title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
	);
}
