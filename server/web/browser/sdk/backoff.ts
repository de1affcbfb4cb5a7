/** How long to wait before trying again. All times in milliseconds. */
export interface BackoffPolicy {
	/** The first attempt after a loss waits 0 to this long: a crowd that fell together must not return together. */
	firstMs: number;
	/** Upper bound of the second attempt; it doubles from there. */
	baseMs: number;
	capMs: number;
}

export const LISTEN_BACKOFF: BackoffPolicy = { firstMs: 300, baseMs: 1_000, capMs: 15_000 };
/** Whoever waits for a place comes back when the server said, and not all in the same second. */
export const PLACE_BACKOFF: BackoffPolicy = { firstMs: 1_000, baseMs: 2_000, capMs: 30_000 };
/** The overflow stream starts on demand, so that a second try soon is worth it. */
export const OVERFLOW_BACKOFF: BackoffPolicy = { firstMs: 500, baseMs: 1_000, capMs: 15_000 };
/** A speaker's place on stage is kept for seconds only, so speakers try more often; they are few. */
export const STAGE_BACKOFF: BackoffPolicy = { firstMs: 200, baseMs: 500, capMs: 2_000 };

/**
 * Exponential backoff with full jitter: uniform between 0 and the bound of this attempt.
 * @param attempt 0 for the first attempt after a loss
 * @param random 0 (inclusive) to 1 (exclusive)
 * @param retryAfterMs what the server asked for; the jitter comes on top, so that nobody is early
 */
export const retryDelayMs = (attempt: number, random: () => number, policy: BackoffPolicy, retryAfterMs = 0): number => {
	const boundMs = attempt <= 0 ? policy.firstMs : Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30));
	return retryAfterMs + Math.floor(random() * boundMs);
};
