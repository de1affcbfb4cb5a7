import { type CryptoKey, errors, type JWSAlgorithm, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { AuthError } from './auth-error.ts';

export interface JwtRules {
	readonly algorithms: readonly JWSAlgorithm[];
	readonly issuer: string;
	readonly audience: string;
	/** Header `typ` values taken; undefined stands for a header without one. */
	readonly types: readonly (string | undefined)[];
	readonly clockToleranceSeconds: number;
	readonly maxTokenTtlSeconds: number;
	readonly nowSeconds: number;
}

/** A type and not an interface, so that it passes for jose's open-ended header type. */
export type JwtHeader = { readonly alg: JWSAlgorithm; readonly kid: string };

/** Header fields with which a token would bring its own key. Never looked at, and nobody honest sends them: refused. */
const KEY_BRINGING_HEADERS = ['jwk', 'jku', 'x5u', 'x5c'];

/** Checks a header that was parsed and not verified, before anything is looked up for it. */
export const checkHeader = (header: Readonly<Record<string, unknown>>, rules: Pick<JwtRules, 'algorithms' | 'types'>): JwtHeader => {
	const { kid, typ } = header;
	const alg = rules.algorithms.find((algorithm) => algorithm === header.alg);
	if (alg === undefined) {
		throw new AuthError('token_bad_algorithm', `The token is not signed with ${rules.algorithms.join(' or ')}.`);
	}
	if (KEY_BRINGING_HEADERS.some((name) => Object.hasOwn(header, name))) {
		throw new AuthError('token_bad_header', 'The token brings its own key.');
	}
	if (Object.hasOwn(header, 'crit')) {
		throw new AuthError('token_bad_header', 'The token asks for extensions that are not known here.');
	}
	if (!rules.types.some((type) => type === (typeof typ === 'string' ? typ.toLowerCase() : typ))) {
		throw new AuthError('token_bad_header', 'The token is not a JWT of the expected type.');
	}
	if (typeof kid !== 'string' || kid === '' || kid.length > 256) {
		throw new AuthError('token_unknown_key', 'The token does not name its key.');
	}
	return { alg, kid };
};

/** Verifies signature, issuer, audience and times. The claims that come back are authentic, and their shape still unknown. */
export const verifyJwt = async (token: string, key: CryptoKey, rules: JwtRules): Promise<JWTPayload> => {
	const { issuer, audience, clockToleranceSeconds, nowSeconds } = rules;
	const options: JWTVerifyOptions = {
		algorithms: [...rules.algorithms],
		issuer,
		audience,
		clockTolerance: clockToleranceSeconds,
		currentDate: new Date(nowSeconds * 1000),
		requiredClaims: ['exp', 'iat', 'sub'],
	};
	let payload: JWTPayload;
	try {
		({ payload } = await jwtVerify(token, key, options));
	} catch (error) {
		throw translate(error);
	}
	const { iat = 0, exp = 0 } = payload;
	if (iat > nowSeconds + clockToleranceSeconds) {
		throw new AuthError('token_not_yet_valid', 'The token was made in the future.');
	}
	if (exp - iat > rules.maxTokenTtlSeconds) {
		throw new AuthError('token_lives_too_long', `The token lives longer than ${rules.maxTokenTtlSeconds} seconds.`);
	}
	return payload;
};

const translate = (error: unknown): AuthError => {
	if (error instanceof errors.JWTExpired) {
		return new AuthError('token_expired', 'The token has expired.', { cause: error });
	}
	if (error instanceof errors.JWTClaimValidationFailed) {
		switch (error.claim) {
			case 'iss': return new AuthError('token_wrong_issuer', 'The token comes from another issuer.', { cause: error });
			case 'aud': return new AuthError('token_wrong_audience', 'The token is meant for another audience.', { cause: error });
			case 'nbf': return error.reason === 'check_failed'
				? new AuthError('token_not_yet_valid', 'The token is not valid yet.', { cause: error })
				: new AuthError('token_bad_claims', 'The claim nbf does not fit.', { cause: error });
			default: return new AuthError('token_bad_claims', `The claim ${error.claim} is missing or does not fit.`, { cause: error });
		}
	}
	if (error instanceof errors.JWSSignatureVerificationFailed) {
		return new AuthError('token_bad_signature', 'The signature does not match.', { cause: error });
	}
	// What is left is about form: base64, JSON, lengths. A key of another kind than the header says ends here too.
	return new AuthError('token_malformed', 'The token cannot be read.', { cause: error });
};
