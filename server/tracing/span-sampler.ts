import type { Attributes, Context, Link, SpanKind } from '@opentelemetry/api';
import { type Sampler, SamplingDecision, type SamplingResult, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace';
import { ALWAYS } from './spans.ts';

/** A part of all requests, and everything that is rare and matters. For spans without a parent; others go with theirs. */
export class SpanSampler implements Sampler {
	readonly #ratio: TraceIdRatioBasedSampler;

	/** @param ratio 0 to 1 */
	constructor(ratio: number) {
		this.#ratio = new TraceIdRatioBasedSampler(ratio);
	}

	shouldSample(_context: Context, traceId: string, _name: string, _kind: SpanKind, attributes: Attributes, _links: Link[]): SamplingResult {
		return attributes[ALWAYS] === true ? { decision: SamplingDecision.RECORD_AND_SAMPLED } : this.#ratio.shouldSample(_context, traceId);
	}

	toString(): string {
		return `SpanSampler{${this.#ratio.toString()}}`;
	}
}
