export interface RetryRule {
	/** Bound of the first pause; each further one is twice as long. */
	firstRetryMs: number;
	/** Most attempts, the first one included. */
	maxAttempts: number;
}

const LONGEST_MS = 6 * 3_600_000;
/** A receiver that says when to come again is believed so far. */
const LONGEST_ASKED_MS = 24 * 3_600_000;

/**
 * How long to wait after `attempts` failed ones: exponential with full jitter, so that receivers that were away are not
 * stormed by all at once; not before the receiver asked for it. Undefined: no more.
 *
 * @param random in [0, 1)
 */
export function retryDelayMs({ firstRetryMs, maxAttempts }: RetryRule, attempts: number, random: number, retryAfterSeconds = 0): number | undefined {
	if (attempts >= maxAttempts) return undefined;
	const bound = Math.min(LONGEST_MS, firstRetryMs * 2 ** (attempts - 1));
	return Math.max(Math.round(random * bound), Math.min(LONGEST_ASKED_MS, Math.max(0, retryAfterSeconds) * 1000));
}
