export type AuthErrorCode =
	| 'token_malformed'
	| 'token_too_large'
	| 'token_bad_header'
	| 'token_bad_algorithm'
	| 'token_unknown_key'
	| 'token_bad_signature'
	| 'token_wrong_issuer'
	| 'token_wrong_audience'
	| 'token_expired'
	| 'token_revoked'
	| 'token_not_yet_valid'
	| 'token_lives_too_long'
	| 'token_bad_claims'
	| 'issuer_unavailable';

/**
 * Why a token was refused or not made. The message may be shown to the bearer and never quotes the token.
 * All codes mean 401, but `issuer_unavailable`, which is this side's trouble (503) and worth another try.
 */
export class AuthError extends Error {
	readonly code: AuthErrorCode;

	constructor(code: AuthErrorCode, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = 'AuthError';
		this.code = code;
	}

	get retryable(): boolean {
		return this.code === 'issuer_unavailable';
	}
}
