import { createHash } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, errors } from 'jose';
import type { CryptoKey, JWSHeaderParameters, JWTPayload, RemoteJWKSet } from 'jose';
import type { ForeignIssuerConfig } from '../config/schema.ts';
import { AuthError } from './auth-error.ts';
import { parseForeignClaims, type Principal } from './claims.ts';
import { checkHeader, type JwtHeader, verifyJwt } from './verify-jwt.ts';

type KeySet = (header: JWSHeaderParameters) => Promise<CryptoKey>;

/** Subjects of foreign tokens begin so, and ours never do: no provider can name somebody whom we, or another, named. */
export const FOREIGN_SUBJECT_PREFIX = 'oidc:';

const FETCH_TIMEOUT_MS = 5000;
/** Keys older than this are fetched again, in the background: no join waits for it. */
const REFRESH_AFTER_MS = 10 * 60_000;
/** While the provider cannot be reached its last keys stay good for this long. */
const STALE_AFTER_MS = 24 * 3_600_000;
/** A key id nobody knows asks the provider again, but not more often than this. */
const UNKNOWN_KEY_COOLDOWN_MS = 30_000;
/** After a failed fetch the next waits, so that a storm of joins does not become a storm on a provider in trouble. */
const FAILURE_COOLDOWN_MS = 5000;

export interface ForeignIssuerOptions {
	readonly config: ForeignIssuerConfig;
	readonly clockToleranceSeconds: number;
	readonly maxTokenTtlSeconds: number;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
}

/** An OpenID Connect provider whose tokens are taken: its keys, and the way from its claims to a principal. */
export class ForeignIssuer {
	readonly #options: ForeignIssuerOptions;
	readonly #remote: RemoteJWKSet;
	readonly #subjectPrefix: string;
	#keys: KeySet | undefined;
	#fetchedAtMs = Number.NEGATIVE_INFINITY;
	#failedAtMs = Number.NEGATIVE_INFINITY;

	constructor(options: ForeignIssuerOptions) {
		const { issuer, jwksUrl } = options.config;
		this.#options = options;
		// When to fetch is decided here, with the clock given to us; jose fetches, one request at a time.
		this.#remote = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: FETCH_TIMEOUT_MS });
		this.#subjectPrefix = `${FOREIGN_SUBJECT_PREFIX}${createHash('sha256').update(issuer).digest('base64url').slice(0, 12)}:`;
	}

	get issuer(): string {
		return this.#options.config.issuer;
	}

	/** @throws AuthError; `issuer_unavailable` when the provider's keys are needed and cannot be had. */
	async verify(token: string, header: Readonly<Record<string, unknown>>): Promise<Principal> {
		const { config, now, clockToleranceSeconds, maxTokenTtlSeconds } = this.#options;
		// RFC 9068 access tokens say at+jwt; many providers' tokens say JWT or nothing.
		const rules = { ...config, types: ['jwt', 'at+jwt', undefined], clockToleranceSeconds, maxTokenTtlSeconds, nowSeconds: now() / 1000 };
		const key = await this.#key(checkHeader(header, rules));
		return this.#principal(token, await verifyJwt(token, key, rules));
	}

	#principal(token: string, payload: JWTPayload): Principal {
		const { config } = this.#options;
		const { sub, iat, exp, jti, name, preferred_username: userName } = payload;
		const claims = parseForeignClaims({
			sub, iat, exp,
			...jti === undefined ? {} : { jti },
			role: ownValue(payload, config.roleClaim),
			...optional('room', ownValue(payload, config.roomClaim)),
			...optional('name', name ?? userName),
		});
		if (claims.role === 'admin' && !config.allowAdmin) {
			throw new AuthError('token_bad_claims', 'This issuer may not make admins.');
		}
		return {
			subject: this.#subjectPrefix + claims.sub,
			name: claims.name ?? '',
			role: claims.role,
			...claims.room === undefined ? {} : { roomId: claims.room },
			// Over what is signed, for an ECDSA signature can be written in two ways.
			tokenId: claims.jti ?? createHash('sha256').update(token.slice(0, token.lastIndexOf('.'))).digest('base64url').slice(0, 22),
			issuer: config.issuer,
			issuedAt: claims.iat,
			expiresAt: claims.exp,
		};
	}

	async #key(header: JwtHeader): Promise<CryptoKey> {
		const known = await this.#currentKeys();
		try {
			return await known(header);
		} catch (error) {
			// Most likely the provider has rotated its keys since; unless it was asked a moment ago.
			if (!(error instanceof errors.JWKSNoMatchingKey) || this.#options.now() - this.#fetchedAtMs < UNKNOWN_KEY_COOLDOWN_MS) {
				throw unknownKey(error);
			}
		}
		const fetched = await this.#fetch();
		try {
			return await fetched(header);
		} catch (error) {
			throw unknownKey(error);
		}
	}

	async #currentKeys(): Promise<KeySet> {
		const ageMs = this.#options.now() - this.#fetchedAtMs;
		if (this.#keys === undefined || ageMs > STALE_AFTER_MS) {
			return await this.#fetch();
		}
		if (ageMs > REFRESH_AFTER_MS) {
			// A failure is remembered in #failedAtMs, and matters once the keys are stale.
			this.#fetch().catch(() => undefined);
		}
		return this.#keys;
	}

	async #fetch(): Promise<KeySet> {
		if (this.#options.now() - this.#failedAtMs < FAILURE_COOLDOWN_MS) {
			throw unavailable();
		}
		try {
			await this.#remote.reload();
		} catch (error) {
			this.#failedAtMs = this.#options.now();
			throw unavailable(error);
		}
		const jwks = this.#remote.jwks();
		if (jwks === undefined) {
			throw unavailable();
		}
		this.#fetchedAtMs = this.#options.now();
		const keys = createLocalJWKSet(jwks);
		this.#keys = keys;
		return keys;
	}
}

const unknownKey = (cause: unknown): AuthError =>
	new AuthError('token_unknown_key', 'The token names a key its issuer does not publish.', { cause });
const unavailable = (cause?: unknown): AuthError =>
	new AuthError('issuer_unavailable', 'The keys of the token\'s issuer cannot be fetched at the moment.', { cause });

/** A claim by a configured name, which may be any text: only what the token itself carries, nothing inherited. */
const ownValue = (payload: JWTPayload, name: string): unknown => Object.hasOwn(payload, name) ? payload[name] : undefined;
const optional = (key: string, value: unknown) => value === undefined || value === null ? {} : { [key]: value };
