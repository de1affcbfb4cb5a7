import { SfuError } from '../contract/sfu-error.ts';
import { OfferError } from './offer-error.ts';

/** Runs a reader of client text; its refusal becomes the error that may leave the shard. */
export function asSfuError<T>(code: 'bad_offer' | 'bad_fragment', read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (error instanceof OfferError) {
			throw new SfuError(code, error.detail, { reason: error.code, cause: error });
		}
		throw error;
	}
}
