import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { type Attributes, context, type Context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';

// Through OpenTelemetry's own globals, which do nothing until `Tracing` registers something there: a library's code can
// name its spans anywhere, and without tracing no part has to carry, or be asked for, anything.

export type SpanAttributes = Attributes;

/** Work that may begin a trace of its own and is always told: rare, and what one looks for when something was silent. */
export const ALWAYS = 'rostrum.always';

const tracer = () => trace.getTracer('rostrum');

/** Runs `work` within a span: what it begins, here or on another node, belongs to it. A rejection is noted, and passed on. */
export async function inSpan<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>, kind: SpanKind = SpanKind.INTERNAL): Promise<T> {
	// What is always told must not be silenced by a request that happens not to be traced.
	const root = attributes[ALWAYS] === true && trace.getActiveSpan()?.isRecording() !== true;
	return await tracer().startActiveSpan(name, { attributes, kind, root }, async (span) => {
		try {
			return await work();
		} catch (error) {
			// The code of a DomainError says enough; messages and stacks may say more than collectors should know.
			span.setStatus({ code: SpanStatusCode.ERROR, message: codeOf(error) });
			throw error;
		} finally {
			span.end();
		}
	});
}

/** As `inSpan`, but only as part of a trace that has begun: heartbeats and the like begin none. */
export async function inChildSpan<T>(name: string, attributes: SpanAttributes, work: () => Promise<T>, kind?: SpanKind): Promise<T> {
	return trace.getActiveSpan()?.isRecording() === true ? await inSpan(name, attributes, work, kind) : await work();
}

/** Headers for another node: with this trace if there is one, and never with what a client had said of its own. */
export function tracedHeaders({ traceparent: _clients, tracestate: _state, ...headers }: OutgoingHttpHeaders): OutgoingHttpHeaders {
	propagation.inject(context.active(), headers);
	return headers;
}

/** The trace that a request belongs to by its headers. Only for senders that are believed. */
export function contextOf({ traceparent, tracestate }: IncomingHttpHeaders): Context {
	return traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent, ...(tracestate === undefined ? {} : { tracestate }) });
}

/** Answers another node within that node's trace, if it has one. */
export async function answering<T>(headers: IncomingHttpHeaders, name: string, attributes: SpanAttributes, work: () => Promise<T>): Promise<T> {
	const parent = contextOf(headers);
	const traced = trace.getSpanContext(parent);
	return traced === undefined ? await work() : await context.with(parent, () => inSpan(name, attributes, work, SpanKind.SERVER));
}

function codeOf(error: unknown): string {
	return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : 'unexpected';
}
