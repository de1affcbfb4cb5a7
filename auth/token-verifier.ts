import { decodeJwt, decodeProtectedHeader, type JWTPayload, type ProtectedHeaderParameters } from 'jose';
import type { ForeignIssuerConfig } from '../config/schema.ts';
import { AuthError } from './auth-error.ts';
import { parseOwnClaims, type Principal } from './claims.ts';
import { ForeignIssuer } from './foreign-issuer.ts';
import type { VerificationKeys } from './key-ring.ts';
import type { Revocations } from './revocations.ts';
import { StaticAdminToken } from './static-admin-token.ts';
import { checkHeader, verifyJwt } from './verify-jwt.ts';

/** A token is never longer; anything longer is refused before it is looked into. */
const MAX_TOKEN_BYTES = 8192;
/** Three base64url parts. The signature may be missing here, so that `alg: none` is refused under its own name. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]*$/;

export interface TokenVerifierOptions {
	readonly keys: VerificationKeys;
	readonly issuer: string;
	readonly audience: string;
	readonly clockToleranceSeconds: number;
	readonly maxTokenTtlSeconds: number;
	readonly foreignIssuers: readonly ForeignIssuerConfig[];
	/** The configured static token, if there is one. */
	readonly adminToken?: string | undefined;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
	/** Tokens that are not to be taken any more; absent: none. */
	readonly revocations?: Pick<Revocations, 'refuse'> | undefined;
}

/** Turns a bearer token into a principal, or refuses it. Knows nothing of rooms: a room's policy and bans come after. */
export class TokenVerifier {
	readonly #options: Omit<TokenVerifierOptions, 'adminToken'>;
	readonly #foreign: ReadonlyMap<string, ForeignIssuer>;
	readonly #staticAdmin: StaticAdminToken | undefined;

	constructor(options: TokenVerifierOptions) {
		const { adminToken, ...rest } = options;
		const { issuer, foreignIssuers, clockToleranceSeconds, maxTokenTtlSeconds, now } = rest;
		this.#options = rest;
		this.#staticAdmin = adminToken === undefined ? undefined : new StaticAdminToken(adminToken, issuer);
		this.#foreign = new Map(foreignIssuers.map((config) =>
			[config.issuer, new ForeignIssuer({ config, clockToleranceSeconds, maxTokenTtlSeconds, now })]));
	}

	/**
	 * @param bearer the token alone, without the word "Bearer".
	 * @throws AuthError for every token that is not good.
	 */
	async verify(bearer: string): Promise<Principal> {
		if (bearer.length > MAX_TOKEN_BYTES) {
			throw new AuthError('token_too_large', `A token has at most ${MAX_TOKEN_BYTES} bytes.`);
		}
		const admin = this.#staticAdmin?.match(bearer);
		if (admin !== undefined) {
			return admin;
		}
		const { header, payload } = decode(bearer);
		if (payload.iss === this.#options.issuer) {
			return this.#unlessRevoked(await this.#verifyOwn(bearer, header));
		}
		const foreign = typeof payload.iss === 'string' ? this.#foreign.get(payload.iss) : undefined;
		if (foreign === undefined) {
			throw new AuthError('token_wrong_issuer', 'The token comes from an issuer that is not known here.');
		}
		return this.#unlessRevoked(await foreign.verify(bearer, header));
	}

	/** Last of all, so that nobody learns of a token they cannot show. */
	#unlessRevoked(principal: Principal): Principal {
		this.#options.revocations?.refuse(principal);
		return principal;
	}

	async #verifyOwn(token: string, header: ProtectedHeaderParameters): Promise<Principal> {
		const { keys, issuer, now } = this.#options;
		const rules = { ...this.#options, algorithms: [keys.algorithm], types: ['jwt'], nowSeconds: now() / 1000 };
		const { kid } = checkHeader(header, rules);
		const key = keys.publicKey(kid);
		if (key === undefined) {
			throw new AuthError('token_unknown_key', 'The token was signed with a key that is not, or no longer, in use.');
		}
		const { sub, name, role, room, jti, iat, exp } = parseOwnClaims(await verifyJwt(token, key, rules));
		return { subject: sub, name, role, ...room === undefined ? {} : { roomId: room }, tokenId: jti, issuer, issuedAt: iat, expiresAt: exp };
	}
}

/** Header and claims as they stand, not yet believed: they only say which key and which rules apply. */
const decode = (token: string): { header: ProtectedHeaderParameters; payload: JWTPayload } => {
	try {
		if (COMPACT_JWS.test(token)) {
			return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
		}
	} catch (error) {
		throw new AuthError('token_malformed', 'The token cannot be read.', { cause: error });
	}
	throw new AuthError('token_malformed', 'The token is not a JWT.');
};
