import { context, SpanKind, trace } from '@opentelemetry/api';
import { fastify, type FastifyInstance } from 'fastify';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { markForwarded } from '../../server/cluster/peers/forwarded.ts';
import { DomainError } from '../../server/errors.ts';
import { registerRequestSpans } from '../../server/tracing/request-spans.ts';
import { ALWAYS, answering, contextOf, inChildSpan, inSpan, tracedHeaders } from '../../server/tracing/spans.ts';
import { Tracing } from '../../server/tracing/tracing.ts';
import { OtlpCollector } from '../support/otlp-collector.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`;
const CONFIG = { headers: [], sampleRatio: 1, continueIncoming: false, serviceName: 'rostrum' };

let collector: OtlpCollector;
let tracing: Tracing | undefined;
let warnings: Record<string, unknown>[];
const log = pino({ level: 'warn' }, new Writable({ write: (chunk: Buffer, _encoding, done) => (warnings.push(JSON.parse(chunk.toString()) as Record<string, unknown>), done()) }));
const start = (config: { endpoint?: string; headers?: string[]; sampleRatio?: number } = {}) => {
	tracing = Tracing.start({ config: { ...CONFIG, endpoint: collector.endpoint, ...config }, nodeId: 'node-a', log });
};
beforeEach(async () => {
	warnings = [];
	collector = await OtlpCollector.start();
});
afterEach(async () => {
	await tracing?.close();
	tracing = undefined;
	await collector.close();
});

describe('spans', () => {
	it('cost nothing and say nothing while there is no tracing', async () => {
		expect(await inSpan('work', {}, async () => trace.getActiveSpan()?.isRecording() ?? false)).toBe(false);
		expect(tracedHeaders({ accept: 'x', traceparent: TRACEPARENT, tracestate: 'a=b' })).toEqual({ accept: 'x' });
	});

	it('are told with the node they are of, each within the one that began it', async () => {
		start({ headers: ['Authorization=Bearer for-the-collector'] });
		await inSpan('outer', { 'rostrum.room': 'hall' }, async () => {
			await Promise.resolve();
			await inChildSpan('inner', {}, async () => undefined, SpanKind.CLIENT);
		});
		await tracing?.close();
		const [inner, outer] = collector.spans;
		expect(outer).toMatchObject({ name: 'outer', node: 'node-a', service: 'rostrum', parentSpanId: '', attributes: { 'rostrum.room': 'hall' } });
		expect(inner).toMatchObject({ name: 'inner', traceId: outer?.traceId, parentSpanId: outer?.spanId });
		expect(collector.headers['authorization']).toBe('Bearer for-the-collector');
	});

	it('name the code of a failure and nothing else of it', async () => {
		start();
		await expect(inSpan('refused', {}, async () => Promise.reject(new DomainError('no_capacity', 'from 203.0.113.9')))).rejects.toThrow('from 203.0.113.9');
		await expect(inSpan('broken', {}, async () => Promise.reject(new Error('a secret thing')))).rejects.toThrow('secret');
		await tracing?.close();
		expect(collector.spans.map(({ name, status, message }) => [name, status, message])).toEqual([['refused', 2, 'no_capacity'], ['broken', 2, 'unexpected']]);
		expect(collector.text).not.toMatch(/203\.0\.113\.9|secret/);
	});

	it('are a part of all, but what is rare is told always, even within what is not', async () => {
		start({ sampleRatio: 0 });
		await inSpan('request', {}, async () => {
			await inSpan('join', {}, async () => undefined);
			await inSpan('link', { [ALWAYS]: true }, () => inChildSpan('ask findUpstream', {}, async () => undefined));
		});
		await tracing?.close();
		expect(collector.spans.map(({ name }) => name)).toEqual(['ask findUpstream', 'link']);
		expect(collector.spans[1]?.parentSpanId).toBe('');
	});

	it('do not begin with what goes on all the time', async () => {
		start();
		await inChildSpan('ask heartbeat', {}, async () => undefined);
		await answering({}, 'answer heartbeat', {}, async () => undefined);
		await tracing?.close();
		expect(collector.spans).toEqual([]);
	});

	it('go on at another node by W3C traceparent', async () => {
		start();
		const headers = await inSpan('ask', {}, async () => tracedHeaders({ accept: 'x', traceparent: TRACEPARENT }));
		expect(headers).toEqual({ accept: 'x', traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/) as string });
		expect(String(headers['traceparent'])).not.toContain(TRACE);
		await answering({ traceparent: String(headers['traceparent']) }, 'answer', { 'rostrum.from': 'node-b' }, async () => undefined);
		await tracing?.close();
		const [ask, answer] = collector.spans;
		expect(answer).toMatchObject({ name: 'answer', traceId: ask?.traceId, parentSpanId: ask?.spanId });
		expect(trace.getSpanContext(contextOf({ traceparent: 'nonsense' }))).toBeUndefined();
	});

	it('that the collector does not take are one line in the log, not one for each batch', async () => {
		collector.status = 400;
		start();
		for (let work = 0; work < 1_000; work++) await inSpan('work', {}, async () => undefined);
		await tracing?.close();
		expect(warnings.map(({ msg }) => msg)).toEqual(['traces could not be sent']);
		expect(collector.spans).toEqual([]);
	});

	it('hold up no end when there is no collector', async () => {
		start({ endpoint: collector.endpoint.replace(/:\d+\//, ':9/') });
		await inSpan('work', {}, async () => undefined);
		const startedAt = performance.now();
		await tracing?.close();
		expect(performance.now() - startedAt).toBeLessThan(4_000);
	});
});

describe('requests', () => {
	let app: FastifyInstance;
	const build = async (continueIncoming = false, forwardedFrom?: string) => {
		app = fastify();
		app.addHook('onRequest', (request, _reply, done) => {
			if (forwardedFrom !== undefined) markForwarded(request.raw, { from: forwardedFrom, client: undefined });
			done();
		});
		registerRequestSpans(app, continueIncoming);
		app.post('/v1/rooms/:room/listen', async (_request, reply) => {
			await inSpan('join', {}, async () => undefined);
			return reply.code(201).send(trace.getSpan(context.active())?.spanContext().traceId ?? '');
		});
		app.get('/v1/sessions/:session', async () => Promise.reject(new Error('broken')));
		app.get('/healthz', async () => 'ok');
		await app.ready();
	};
	const post = async (headers: Record<string, string> = {}) =>
		(await app.inject({ method: 'POST', url: '/v1/rooms/hall/listen?access_token=SECRET', headers: { 'content-type': 'application/json', ...headers }, payload: '{"name":"Ann"}' })).body;
	afterEach(() => app.close());

	it('are spans by route, with the room, and what they do is within them, body or not', async () => {
		start();
		await build();
		const traceId = await post({ traceparent: TRACEPARENT });
		await app.inject({ method: 'GET', url: '/v1/sessions/1-0123456789abcdef' });
		await app.inject({ method: 'GET', url: '/healthz' });
		await tracing?.close();
		const [join, listen, session, ...others] = collector.spans;
		expect(others).toEqual([]);
		expect(listen).toMatchObject({ name: 'POST /v1/rooms/:room/listen', traceId, parentSpanId: '', kind: 2, attributes: { 'rostrum.room': 'hall', 'http.response.status_code': 201, 'http.request.method': 'POST' } });
		expect(join).toMatchObject({ name: 'join', traceId, parentSpanId: listen?.spanId });
		expect(session).toMatchObject({ name: 'GET /v1/sessions/:session', status: 2, attributes: { 'http.response.status_code': 500 } });
		// Nobody from outside says what is traced, and nothing tells who asked or what for.
		expect(traceId).not.toBe(TRACE);
		expect(collector.text).not.toMatch(/SECRET|Ann|0123456789abcdef|127\.0\.0\.1/);
	});

	it.each([
		['a proxy of one’s own', true, undefined],
		['another node', false, 'node-b'],
	])('belong to the trace of %s', async (_who, continueIncoming, from) => {
		start({ sampleRatio: 0 });
		await build(continueIncoming, from);
		expect(await post({ traceparent: TRACEPARENT })).toBe(TRACE);
		await tracing?.close();
		const listen = collector.spans.find(({ name }) => name.startsWith('POST'));
		expect(listen).toMatchObject({ traceId: TRACE, parentSpanId: SPAN, attributes: from === undefined ? {} : { 'rostrum.from': from } });
	});
});
