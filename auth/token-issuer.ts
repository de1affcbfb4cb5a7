import { SignJWT } from 'jose';
import { AuthError } from './auth-error.ts';
import { parseOwnClaims } from './claims.ts';
import { FOREIGN_SUBJECT_PREFIX } from './foreign-issuer.ts';
import type { Role } from './roles.ts';
import type { SigningKey } from './signing-key.ts';
import { STATIC_ADMIN_SUBJECT } from './static-admin-token.ts';

export interface TokenIssuerOptions {
	readonly keys: { readonly active: SigningKey };
	readonly issuer: string;
	readonly audience: string;
	readonly tokenTtlSeconds: number;
	readonly maxTokenTtlSeconds: number;
	/** A fresh unguessable id for each token (`jti`). */
	readonly newId: () => string;
	/** A person whose tokens were revoked can be given new ones: they say that they were made after this second. Default: nobody was. */
	readonly revokedUntil?: ((subject: string, roomId: string | undefined) => number | undefined) | undefined;
}

export interface TokenRequest {
	readonly role: Role;
	/** Required for every role but admin, which must have none. */
	readonly roomId?: string | undefined;
	readonly subject: string;
	readonly name: string;
	/** Default: `tokenTtlSeconds`. */
	readonly expiresInSeconds?: number | undefined;
	/** Seconds since the epoch. */
	readonly nowSeconds: number;
}

export interface IssuedToken {
	readonly token: string;
	/** Seconds since the epoch. */
	readonly expiresAt: number;
	readonly tokenId: string;
}

/** Makes Rostrum's own tokens: a JWT (RFC 7519) signed with the active key. Who may have which is decided before (roles.ts). */
export class TokenIssuer {
	readonly #options: TokenIssuerOptions;

	constructor(options: TokenIssuerOptions) {
		this.#options = options;
	}

	/** @throws AuthError `token_lives_too_long`, or `token_bad_claims` for what the verifier would refuse. */
	async issue({ role, roomId, subject, name, expiresInSeconds, nowSeconds }: TokenRequest): Promise<IssuedToken> {
		const { keys, issuer, audience, tokenTtlSeconds, maxTokenTtlSeconds, newId, revokedUntil } = this.#options;
		const lifeSeconds = expiresInSeconds ?? tokenTtlSeconds;
		if (!Number.isInteger(lifeSeconds) || lifeSeconds < 1) {
			throw new AuthError('token_bad_claims', 'A token lives for a whole number of seconds, at least 1.');
		}
		if (lifeSeconds > maxTokenTtlSeconds) {
			throw new AuthError('token_lives_too_long', `A token lives for at most ${maxTokenTtlSeconds} seconds.`);
		}
		if (subject.startsWith(FOREIGN_SUBJECT_PREFIX) || (subject === STATIC_ADMIN_SUBJECT && role !== 'admin')) {
			throw new AuthError('token_bad_claims', 'This subject is reserved.');
		}
		// Time in tokens has whole seconds only, and the second of the revocation counts as before it.
		const iat = Math.max(Math.floor(nowSeconds), (revokedUntil?.(subject, roomId) ?? -1) + 1);
		const exp = iat + lifeSeconds;
		const claims = parseOwnClaims({ sub: subject, iat, exp, jti: newId(), role, name, ...roomId === undefined ? {} : { room: roomId } });
		const { kid, algorithm, privateKey } = keys.active;
		const token = await new SignJWT({ ...claims, iss: issuer, aud: audience })
			.setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
			.sign(privateKey);
		return { token, expiresAt: exp, tokenId: claims.jti };
	}
}
