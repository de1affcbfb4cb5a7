import { AuthError } from './auth-error.ts';
import type { Principal } from './claims.ts';
import { digestOf, type TokenHolder } from './token-holder.ts';

/**
 * Tokens that are not taken any more: one token by its id, or all that a person had when it was said, in one room or
 * everywhere. Of the two exactly one is there.
 *
 * There is no list of the tokens that were issued, and none is needed: a token proves itself by its signature, tokens of
 * other issuers never pass through here, and such a list would cost a write for each guest and hold who was invited to
 * what. What must be remembered is only what is refused, and that no longer than the longest token lives.
 */
export interface Revocation {
	readonly id: string;
	readonly tokenId?: string | undefined;
	readonly subject?: string | undefined;
	/** Only in this room; tokens for no room (admins') are not meant then. */
	readonly roomId?: string | undefined;
	/** Seconds since the epoch: tokens made by then are meant, this second included. */
	readonly issuedBy: number;
	/** Who said so: a subject. */
	readonly revokedBy: string;
	readonly reason?: string | undefined;
	/** Seconds since the epoch: no token that is meant lives longer. */
	readonly expiresAt: number;
}

/**
 * All revocations, in memory, as the verifier looks at them for each request: by digest, so that sessions of which only
 * digests are known can be looked up too. Keeping and sharing them is the server's matter.
 */
export class Revocations {
	readonly #byId = new Map<string, Revocation>();
	readonly #byToken = new Map<string, Set<Revocation>>();
	readonly #bySubject = new Map<string, Set<Revocation>>();

	/** In the order in which they became known. */
	get all(): readonly Revocation[] {
		return [...this.#byId.values()];
	}

	get(id: string): Revocation | undefined {
		return this.#byId.get(id);
	}

	/** One of the same id is replaced. */
	put(revocation: Revocation): void {
		this.remove(revocation.id);
		this.#byId.set(revocation.id, revocation);
		for (const [index, key] of this.#places(revocation)) {
			const there = index.get(key) ?? new Set<Revocation>();
			index.set(key, there.add(revocation));
		}
	}

	remove(id: string): void {
		const revocation = this.#byId.get(id);
		if (revocation === undefined) return;
		this.#byId.delete(id);
		for (const [index, key] of this.#places(revocation)) {
			const there = index.get(key);
			there?.delete(revocation);
			if (there?.size === 0) index.delete(key);
		}
	}

	/** The one that refuses this holder; `roomId` is the token's own room, or undefined for one that has none. */
	of(holder: TokenHolder, roomId: string | undefined): Revocation | undefined {
		if (this.#byId.size === 0) return undefined;
		for (const found of [this.#byToken.get(holder.token), this.#bySubject.get(holder.subject)]) {
			for (const revocation of found ?? []) {
				const inRoom = revocation.roomId === undefined || revocation.roomId === roomId;
				if (inRoom && holder.issuedAt <= revocation.issuedBy) return revocation;
			}
		}
		return undefined;
	}

	/** @throws AuthError `token_revoked` */
	refuse(principal: Pick<Principal, 'subject' | 'tokenId' | 'issuedAt' | 'roomId'>): void {
		if (this.#byId.size === 0) return; // The usual case costs no hashing.
		const { subject, tokenId, issuedAt = 0, roomId } = principal;
		if (this.of({ subject: digestOf(subject), token: digestOf(tokenId), issuedAt }, roomId) !== undefined) {
			throw new AuthError('token_revoked', 'The token was revoked.');
		}
	}

	/** The last second whose tokens of this person are refused, in this room (or of a token without one). */
	revokedUntil(subject: string, roomId: string | undefined): number | undefined {
		if (this.#byId.size === 0) return undefined;
		const times = [...(this.#bySubject.get(digestOf(subject)) ?? [])].flatMap((each) => (each.roomId === undefined || each.roomId === roomId ? [each.issuedBy] : []));
		return times.length === 0 ? undefined : Math.max(...times);
	}

	*#places({ tokenId, subject }: Revocation): Generator<[Map<string, Set<Revocation>>, string]> {
		if (tokenId !== undefined) yield [this.#byToken, digestOf(tokenId)];
		if (subject !== undefined) yield [this.#bySubject, digestOf(subject)];
	}
}
