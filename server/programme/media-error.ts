import { SfuError } from '../../sfu/contract/sfu-error.ts';
import { DomainError, type DomainErrorCode } from '../errors.ts';

const BY_SFU_CODE: Record<string, DomainErrorCode> = {
	bad_offer: 'invalid_offer',
	bad_fragment: 'invalid_fragment',
	bad_rtp: 'invalid_request',
	etag_mismatch: 'precondition_failed',
	participant_unknown: 'participant_not_found',
	transport_unknown: 'invalid_request',
	producer_unknown: 'participant_not_found',
	session_unknown: 'session_not_found',
	shard_full: 'no_capacity',
	link_full: 'link_full',
};

/** How long a shard's replacement takes; tells clients when to come back. */
const RETRY_SECONDS = 1;

/** What the sfu refused, in the words of the server's domain. Everything that is its own trouble can be tried again. */
export function mediaError(error: unknown): DomainError {
	if (error instanceof DomainError) {
		return error;
	}
	if (error instanceof SfuError) {
		const code = BY_SFU_CODE[error.code];
		if (code) {
			return new DomainError(code, error.message, {
				cause: error,
				...(error.reason === undefined ? {} : { extra: { reason: error.reason } }),
				...(error.retryable ? { retryAfterSeconds: RETRY_SECONDS } : {}),
			});
		}
	}
	return new DomainError('media_unavailable', 'The media server could not do that just now; try again in a moment.', {
		cause: error,
		retryAfterSeconds: RETRY_SECONDS,
	});
}

/** Runs a request to the sfu; rejects with a DomainError alone. */
export async function media<T>(request: () => Promise<T>): Promise<T> {
	try {
		return await request();
	} catch (error) {
		throw mediaError(error);
	}
}
