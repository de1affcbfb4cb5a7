import { createHash } from 'node:crypto';
import type { Principal } from './claims.ts';

/** Tells one person or token from another without naming them; 132 bits of SHA-256. */
export const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** A token as sessions, shards and hand-off tickets remember it. */
export interface TokenHolder {
	/** Digest of the subject. */
	readonly subject: string;
	/** Digest of the token's id. */
	readonly token: string;
	/** Seconds since the epoch; 0 when the token does not say. */
	readonly issuedAt: number;
}

export const holderOf = ({ subject, tokenId, issuedAt = 0 }: Pick<Principal, 'subject' | 'tokenId' | 'issuedAt'>): TokenHolder => ({
	subject: digestOf(subject),
	token: digestOf(tokenId),
	issuedAt,
});

/** As `holderOf`, for one of whom it may not be known by which token they came. */
export const holderIfKnown = ({ subject, tokenId, issuedAt }: Pick<Principal, 'subject' | 'issuedAt'> & { tokenId?: string | undefined }): TokenHolder | undefined =>
	tokenId === undefined ? undefined : holderOf({ subject, tokenId, ...(issuedAt === undefined ? {} : { issuedAt }) });
