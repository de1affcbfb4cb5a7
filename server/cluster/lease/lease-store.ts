// Where leases are kept: what is decided about a room's home is decided there, in one step. `RedisLeaseStore` is the real
// one; its twin in memory runs in the model tests. Both pass tests/contract/lease-store.contract.ts.

/** One run of one node. */
export interface LeaseHolder {
	readonly nodeId: string;
	readonly incarnation: string;
}

export type ClaimResult =
	| {
			taken: true;
			/** Higher than any before, save when this holder's lease is live already: then it is that one's. */
			epoch: number;
			/** When it runs out, by the store's clock. */
			untilMs: number;
			/** Node that had it before; undefined when nobody had, or this very holder. */
			previous: string | undefined;
	  }
	| { taken: false; /** Who holds it. */ nodeId: string; epoch: number; /** Until it runs out. */ remainingMs: number }
	/** It arrived after its time. */
	| 'late';

export interface Claim {
	roomId: string;
	/** Highest epoch of this room the claimant has heard of, 0 if none: the new one is above it. */
	knownEpoch: number;
	/**
	 * Until when it is meant, by the store's clock: one that waited in a Redis that hung must not take the room from a home
	 * that waited there too.
	 */
	notAfterMs: number;
}

export interface Renewal {
	roomId: string;
	epoch: number;
	/** A lease that the store has lost is put back until then, by the store's clock; 0: never. */
	reclaimUntilMs: number;
}

/** Versions the store has; undefined where it has nothing. */
export interface StoredVersions {
	roomVersion: number | undefined;
	stageVersion: number | undefined;
}

export type RenewResult =
	| { state: 'held'; untilMs: number; stored: StoredVersions }
	/** There is a newer home, or it was given up. */
	| { state: 'lost'; epoch: number }
	/** The store knows of no home at all. */
	| { state: 'missing'; nowMs: number };

/** Every method settles within about a second: it rejects while the store does not answer, and what was asked may have happened all the same. */
export interface LeaseStore {
	/** How long a lease lasts after it was taken or renewed. */
	readonly ttlMs: number;
	claim(holder: LeaseHolder, claim: Claim): Promise<ClaimResult>;
	renew(holder: LeaseHolder, renewal: Renewal): Promise<RenewResult>;
	/** Gives it up; the next claim is granted at once. False when it was not held. */
	release(holder: LeaseHolder, roomId: string, epoch: number): Promise<boolean>;
}

/** By default; a home that does not renew its lease for so long may be replaced. */
export const LEASE_TTL_MS = 2_000;
