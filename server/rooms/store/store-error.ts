/**
 * - `store_in_use`: another process has the data
 * - `store_damaged`: what is stored cannot be read
 * - `store_too_new`: written by a later version of the program
 * - `store_failed`: the disk (or server) refused
 * - `store_closed`: used after `close()`
 */
export type StoreErrorCode = 'store_in_use' | 'store_damaged' | 'store_too_new' | 'store_failed' | 'store_closed';

/** Trouble with the store itself. The message is for the operator: it names the place and says what to do. */
export class StoreError extends Error {
	readonly code: StoreErrorCode;

	constructor(code: StoreErrorCode, message: string, cause?: unknown) {
		super(message, cause === undefined ? undefined : { cause });
		this.name = 'StoreError';
		this.code = code;
	}
}
