import { DomainError } from '../../errors.ts';

/** `full`: every place is taken. `paced`: there are places, but more people come in at once than can be seated. */
export type RefusalReason = 'full' | 'paced';

/** What somebody is told who is not let in now. */
export interface JoinRefusal {
	readonly reason: RefusalReason;
	/** When to come again: jittered, so that not all come at once. */
	readonly retryAfterMs: number;
	/** How many are known to wait who came before, in the whole cluster. */
	readonly ahead: number;
	/** Milliseconds since the epoch: what the place in the queue stands for, and now. */
	readonly firstArrivalMs: number;
	readonly refusedAtMs: number;
}

const DETAILS: Record<RefusalReason, string> = {
	full: 'Every place for listeners is taken at present; your place in the queue is kept.',
	paced: 'More people are coming in right now than can be seated at once; your place in the queue is kept.',
};

/**
 * The 503 that a refusal is. `queue` lacks its `place`, which only the HTTP side can sign. It has no stack: thousands a second
 * are made in a storm, a stack is a fifth of what one costs, and it says nothing.
 */
export class JoinRefusedError extends DomainError {
	readonly refusal: JoinRefusal;

	constructor(refusal: JoinRefusal, more: Readonly<Record<string, unknown>> = {}, place?: string) {
		const { stackTraceLimit } = Error;
		Error.stackTraceLimit = 0;
		const { reason, retryAfterMs, ahead } = refusal;
		const queue = place === undefined ? { ahead } : { ahead, place };
		super('no_capacity', DETAILS[reason], { retryAfterSeconds: retryAfterMs / 1000, extra: { ...more, reason, retryAfterMs, queue } });
		Error.stackTraceLimit = stackTraceLimit;
		this.refusal = refusal;
	}
}
