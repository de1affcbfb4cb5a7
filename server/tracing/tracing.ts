import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { SpanSampler } from './span-sampler.ts';

/** Until spans are sent. */
const DELAY_MS = 2_000;
const EXPORT_TIMEOUT_MS = 5_000;
/** Nobody waits long for traces when a node ends. */
const CLOSE_TIMEOUT_MS = 1_500;
const COMPLAIN_EVERY_MS = 60_000;

export interface TracingOptions {
	config: Config['tracing'] & { endpoint: string };
	nodeId: string;
	log: Logger;
}

/** Sends the spans of this process to a collector. One a process, for OpenTelemetry's API is one. */
export class Tracing {
	readonly #provider: TracerProvider;
	readonly #contexts: AsyncLocalStorageContextManager;
	#closing: Promise<void> | undefined;

	static start(options: TracingOptions): Tracing {
		return new Tracing(options);
	}

	private constructor({ config, nodeId, log }: TracingOptions) {
		const exporter = complaining(new OTLPTraceExporter({ url: config.endpoint, headers: headersOf(config.headers), timeoutMillis: EXPORT_TIMEOUT_MS }), log);
		this.#provider = new TracerProvider({
			resource: resourceFromAttributes({ 'service.name': config.serviceName, 'service.instance.id': nodeId }),
			sampler: new ParentBasedSampler({ root: new SpanSampler(config.sampleRatio) }),
			spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: DELAY_MS, exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
		});
		this.#contexts = new AsyncLocalStorageContextManager().enable();
		context.setGlobalContextManager(this.#contexts);
		propagation.setGlobalPropagator(new W3CTraceContextPropagator());
		trace.setGlobalTracerProvider(this.#provider);
	}

	/** Sends what is left, within a short time. Idempotent. */
	close(): Promise<void> {
		return (this.#closing ??= this.#close());
	}

	async #close(): Promise<void> {
		trace.disable();
		propagation.disable();
		context.disable();
		const { promise: late, resolve } = Promise.withResolvers<void>();
		const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
		// A collector that is away has been complained about.
		await Promise.race([this.#provider.shutdown().catch(() => undefined), late]);
		clearTimeout(timer);
		this.#contexts.disable();
	}
}

/** `name=value`, as the configuration's pattern has made sure. */
function headersOf(lines: readonly string[]): Record<string, string> {
	return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** Traces that do not arrive are worth a line, and not one for each batch. */
function complaining(exporter: OTLPTraceExporter, log: Logger): SpanExporter {
	let saidAtMs = -Infinity;
	return {
		export: (spans, done) =>
			exporter.export(spans, (result) => {
				if (result.error !== undefined && performance.now() - saidAtMs >= COMPLAIN_EVERY_MS) {
					saidAtMs = performance.now();
					log.warn({ reason: result.error.message, spans: spans.length }, 'traces could not be sent');
				}
				done(result);
			}),
		forceFlush: () => exporter.forceFlush(),
		shutdown: () => exporter.shutdown(),
	};
}
