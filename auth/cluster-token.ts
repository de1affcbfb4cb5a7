import { decodeJwt, SignJWT } from 'jose';
import { AuthError } from './auth-error.ts';
import type { ClusterKeys } from './cluster-keys.ts';
import { verifyJwt } from './verify-jwt.ts';

const AUDIENCE = 'rostrum:cluster';
const TTL_SECONDS = 30;
/** One token serves all requests of this time; what is left of its life covers transport and clocks. */
const REUSE_MS = 10_000;
/** Clocks of nodes differ by less, or their operators have other troubles. */
const CLOCK_TOLERANCE_SECONDS = 5;
const NODE_ID = /^[a-z0-9-]{1,32}$/;
const MAX_TOKEN_LENGTH = 1024;

export interface ClusterTokensOptions {
	readonly keys: Pick<ClusterKeys, 'token'>;
	/** This node, as it names itself to others. */
	readonly nodeId: string;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
}

/** Shows one node of a cluster to another: a JWT (HS256) that names its sender and lives for 30 s. */
export class ClusterTokens {
	readonly #options: ClusterTokensOptions;
	#current: { token: Promise<string>; madeAtMs: number } | undefined;

	constructor(options: ClusterTokensOptions) {
		this.#options = options;
	}

	/** A token of this node, good for 20 s at least. Made anew every 10 s, so that asking costs nothing. */
	current(): Promise<string> {
		const { now } = this.#options;
		const nowMs = now();
		const current = this.#current;
		// A clock that was set back must not leave us with a token from the future.
		if (current !== undefined && nowMs >= current.madeAtMs && nowMs - current.madeAtMs < REUSE_MS) {
			return current.token;
		}
		const token = this.#make(nowMs);
		const made = { token, madeAtMs: nowMs };
		this.#current = made;
		token.catch(() => {
			if (this.#current === made) {
				this.#current = undefined;
			}
		});
		return token;
	}

	/**
	 * @returns the id of the node that made the token
	 * @throws AuthError for every token that is not good
	 */
	async verify(token: string): Promise<string> {
		const { keys, now } = this.#options;
		const sender = senderOf(token);
		await verifyJwt(token, keys.token, {
			algorithms: ['HS256'],
			issuer: sender,
			audience: AUDIENCE,
			types: [],
			clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
			maxTokenTtlSeconds: TTL_SECONDS,
			nowSeconds: now() / 1000,
		});
		return sender;
	}

	#make(nowMs: number): Promise<string> {
		const { keys, nodeId } = this.#options;
		const iat = Math.floor(nowMs / 1000);
		return new SignJWT({ iss: nodeId, sub: nodeId, aud: AUDIENCE, iat, exp: iat + TTL_SECONDS })
			.setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
			.sign(keys.token);
	}
}

/** Who claims to have made it; not yet believed. */
const senderOf = (token: string): string => {
	let sender: unknown;
	try {
		sender = token.length > MAX_TOKEN_LENGTH ? undefined : decodeJwt(token).iss;
	} catch (error) {
		throw new AuthError('token_malformed', 'The cluster token cannot be read.', { cause: error });
	}
	if (typeof sender !== 'string' || !NODE_ID.test(sender)) {
		throw new AuthError('token_bad_claims', 'The cluster token names no node.');
	}
	return sender;
};
