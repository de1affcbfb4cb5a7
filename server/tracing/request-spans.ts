import { context, type Context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { forwardingOf } from '../cluster/peers/forwarded.ts';
import { contextOf } from './spans.ts';

/** Asked all the time by machines, or open for hours. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics', '/v1/rooms/:room/events', '/v1/rooms/:room/stage', '/assets/*']);

/**
 * A span for each request: method, route, status, room. Not the path, which may hold a session's id, nor who asked.
 * A request that another node passed on belongs to that node's trace; one from outside begins its own, for otherwise
 * callers could decide what is traced.
 *
 * @param continueIncoming whether what a proxy before us says of its trace counts, too
 */
export function registerRequestSpans(app: FastifyInstance, continueIncoming: boolean): void {
	const spans = new WeakMap<FastifyRequest, { span: Span; within: Context }>();
	app.addHook('onRequest', (request, _reply, done) => {
		const { method, raw, routeOptions } = request;
		const route = routeOptions.url ?? 'none';
		if (UNTRACED.has(route)) {
			done();
			return;
		}
		const forwarded = forwardingOf(raw);
		const parent = forwarded !== undefined || continueIncoming ? contextOf(raw.headers) : context.active();
		const attributes = {
			'http.request.method': method, 'http.route': route, 'rostrum.request': request.id,
			...(forwarded === undefined ? {} : { 'rostrum.from': forwarded.from }),
			...roomOf(request),
		};
		const span = trace.getTracer('rostrum').startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
		if (!span.isRecording() && !trace.isSpanContextValid(span.spanContext())) {
			done();
			return;
		}
		const within = trace.setSpan(parent, span);
		spans.set(request, { span, within });
		context.with(within, done);
	});
	// A body is read by events of the socket, which know nothing of this request.
	app.addHook('preValidation', (request, _reply, done) => {
		const within = spans.get(request)?.within;
		if (within === undefined) done();
		else context.with(within, done);
	});
	app.addHook('onResponse', (request, reply, done) => {
		const traced = spans.get(request);
		if (traced === undefined) {
			done();
			return;
		}
		const { span, within } = traced;
		span.setAttribute('http.response.status_code', reply.statusCode);
		if (reply.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
		span.end();
		// The line in the log belongs to the trace.
		context.with(within, done);
	});
	app.addHook('onRequestAbort', (request, done) => {
		spans.get(request)?.span.end();
		done();
	});
}

function roomOf({ params }: FastifyRequest): { 'rostrum.room'?: string } {
	return typeof params === 'object' && params !== null && 'room' in params && typeof params.room === 'string' ? { 'rostrum.room': params.room.slice(0, 64) } : {};
}
