import { createSecretKey, type KeyObject, hkdfSync } from 'node:crypto';
import type { CryptoKey } from 'jose';

/** What the nodes of a cluster sign and seal with, each purpose with a key of its own. */
export interface ClusterKeys {
	/** HS256: who is speaking, between nodes. */
	readonly token: CryptoKey;
	/** HS256: hand-off tickets. */
	readonly handOff: CryptoKey;
	/** HMAC: the session id that belongs to a ticket. */
	readonly session: KeyObject;
	/** HMAC: places in the queue for a room. */
	readonly queuePlace: KeyObject;
	/** A256GCM: signing keys on their way to other nodes. */
	readonly keySharing: KeyObject;
}

const HMAC = { name: 'HMAC', hash: 'SHA-256' } as const;

/**
 * Keys for each purpose out of the one secret that the nodes share (HKDF, RFC 5869): what was made for one purpose is
 * worthless for every other, also when its audience were forgotten in a check.
 */
export const deriveClusterKeys = (secret: string): ClusterKeys => {
	const derive = (purpose: string): KeyObject =>
		createSecretKey(Buffer.from(hkdfSync('sha256', secret, 'rostrum cluster', `rostrum/${purpose}/v1`, 32)));
	const hmac = (purpose: string): CryptoKey => derive(purpose).toCryptoKey(HMAC, false, ['sign', 'verify']);
	return { token: hmac('cluster-token'), handOff: hmac('hand-off-ticket'), session: derive('hand-off-session'), queuePlace: derive('queue-place'), keySharing: derive('key-sharing') };
};
