/**
 * Stable codes of everything the sfu can refuse. `retryable` ones are the sfu's trouble, the rest the caller's.
 */
export const SFU_ERRORS = {
	bad_offer: { retryable: false },
	bad_fragment: { retryable: false },
	bad_rtp: { retryable: false },
	etag_mismatch: { retryable: false },
	room_unknown: { retryable: true },
	participant_unknown: { retryable: false },
	transport_unknown: { retryable: false },
	producer_unknown: { retryable: false },
	session_unknown: { retryable: false },
	session_exists: { retryable: false },
	wrong_role: { retryable: false },
	shard_full: { retryable: true },
	link_full: { retryable: true },
	shard_gone: { retryable: true },
	shard_timeout: { retryable: true },
	shard_failed: { retryable: true },
} as const;

export type SfuErrorCode = keyof typeof SFU_ERRORS;

/** The one error that crosses the shard boundary. */
export class SfuError extends Error {
	readonly code: SfuErrorCode;
	/** A finer reason below the code, e.g. `bad_fingerprint` below `bad_offer`. */
	readonly reason: string | undefined;

	constructor(code: SfuErrorCode, message: string, options: { reason?: string; cause?: unknown } = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = 'SfuError';
		this.code = code;
		this.reason = options.reason;
	}

	get retryable(): boolean {
		return SFU_ERRORS[this.code].retryable;
	}
}
