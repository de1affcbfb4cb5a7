/**
 * Whose token a session was made with, so that it can be ended when that person is banned or the token revoked. Digests,
 * not names: a shard and a hand-off ticket need to tell one from another and no more.
 */
export interface SessionOwner {
	/** Digest of the token's subject. */
	readonly subject: string;
	/** Digest of the token's id. */
	readonly token: string;
	/** When the token was made, in seconds since the epoch; 0 when it does not say. */
	readonly issuedAt: number;
}

/** Which sessions are meant; every member that is there must fit. */
export interface OwnerMatch {
	readonly subject?: string | undefined;
	readonly token?: string | undefined;
	readonly roomId?: string | undefined;
	/** Made with a token that is not younger than this, in seconds since the epoch. */
	readonly issuedBy?: number | undefined;
}

/** Whether a session of this owner in this room is meant. A match that names neither person nor token means nobody. */
export function ownedBy(owner: SessionOwner, roomId: string, match: OwnerMatch): boolean {
	if (match.subject === undefined && match.token === undefined) return false;
	return (
		(match.subject === undefined || match.subject === owner.subject) &&
		(match.token === undefined || match.token === owner.token) &&
		(match.roomId === undefined || match.roomId === roomId) &&
		(match.issuedBy === undefined || owner.issuedAt <= match.issuedBy)
	);
}
