import { createHash, timingSafeEqual } from 'node:crypto';
import type { Principal } from './claims.ts';

export const STATIC_ADMIN_SUBJECT = 'admin';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** The configured bearer token that acts as admin. Only its hash is kept. */
export class StaticAdminToken {
	readonly #digest: Buffer;
	readonly #principal: Principal;

	constructor(token: string, issuer: string) {
		this.#digest = digest(token);
		const tokenId = 'static-admin-token';
		this.#principal = Object.freeze({ subject: STATIC_ADMIN_SUBJECT, name: 'Administrator', role: 'admin', tokenId, issuer });
	}

	/** The admin, if this is the token. Hashes are compared, so the time tells neither length nor a common beginning. */
	match(bearer: string): Principal | undefined {
		return timingSafeEqual(digest(bearer), this.#digest) ? this.#principal : undefined;
	}
}
