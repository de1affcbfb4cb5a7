import { createHash, createHmac } from 'node:crypto';

export interface TurnOptions {
	readonly urls: readonly string[];
	/** coturn's `static-auth-secret`. */
	readonly secret: string;
	readonly ttlSeconds: number;
}

/** An entry for a browser's `iceServers`, and until when it is good. */
export interface TurnCredentials {
	readonly urls: readonly string[];
	readonly username: string;
	readonly credential: string;
	/** Seconds since the epoch. */
	readonly expiresAt: number;
}

/** A name that passes through TURN unchanged: no separator, nothing SASLprep (RFC 4013) touches, short. */
const PLAIN_NAME = /^[A-Za-z0-9._~-]{1,128}$/;

/**
 * Time-limited TURN credentials as coturn's `use-auth-secret` checks them (draft-uberti-behave-turn-rest-00 §2.2):
 * the user name is `expiry:subject`, the password is its HMAC-SHA1 under the shared secret. A subject that is not a
 * plain name is replaced by its hash; the TURN server only needs it to tell people apart.
 */
export const turnCredentials = ({ urls, secret, ttlSeconds }: TurnOptions, subject: string, nowSeconds: number): TurnCredentials => {
	const expiresAt = Math.floor(nowSeconds) + ttlSeconds;
	const name = PLAIN_NAME.test(subject) ? subject : createHash('sha256').update(subject).digest('hex').slice(0, 32);
	const username = `${expiresAt}:${name}`;
	return { urls: [...urls], username, credential: createHmac('sha1', secret).update(username).digest('base64'), expiresAt };
};
