import { ownedBy, type OwnerMatch, type SessionOwner } from '../contract/session-owner.ts';
import type { SessionPatchResult } from '../contract/shard-protocol.ts';
import { SfuError } from '../contract/sfu-error.ts';

/** A WHEP or WHIP session as its HTTP resource sees it. */
export interface Session {
	readonly id: string;
	/** False until ICE and DTLS are through. */
	readonly isConnected: boolean;
	/** Milliseconds of `performance.now()` by which it must be. */
	readonly connectByMs: number;
	patch(fragment: string, ifMatch: string | undefined): Promise<SessionPatchResult>;
	close(reason: string): void;
}

/** How long a DELETE that comes after the client's own goodbye over DTLS is still answered as done. */
const FAREWELL_MS = 10_000;

/** The shard's sessions by id; those that never connect are swept out without a timer for each. */
export class SessionTable {
	readonly #sessions = new Map<string, Session>();
	/** In order of deadline, since every session has the same time to connect. */
	readonly #connecting = new Map<string, Session>();
	/** Sessions whose client said goodbye, and when, in that order: many clients close first and DELETE then. */
	readonly #left = new Map<string, number>();
	/** Of sessions that were made with a token. */
	readonly #owners = new Map<string, { owner: SessionOwner; roomId: string }>();
	/** How long a session may take to connect; the same for all of them. */
	readonly connectTimeoutMs: number;

	constructor(connectTimeoutMs: number) {
		this.connectTimeoutMs = connectTimeoutMs;
	}

	get size(): number {
		return this.#sessions.size;
	}

	add(session: Session): void {
		if (this.#sessions.has(session.id)) {
			throw new SfuError('session_exists', 'this session id is taken');
		}
		this.#sessions.set(session.id, session);
		this.#connecting.set(session.id, session);
	}

	/** Says whose session it is; one that is over already has no owner. */
	own(sessionId: string, roomId: string, owner: SessionOwner): void {
		if (this.#sessions.has(sessionId)) {
			this.#owners.set(sessionId, { owner, roomId });
		}
	}

	/** Ends every session of a person or a token. @returns how many */
	endOf(match: OwnerMatch): number {
		const meant = [...this.#owners].flatMap(([id, { owner, roomId }]) => (ownedBy(owner, roomId, match) ? [id] : []));
		for (const id of meant) {
			this.#sessions.get(id)?.close('its owner may not stay');
		}
		return meant.length;
	}

	connected(sessionId: string): void {
		this.#connecting.delete(sessionId);
	}

	/** @param byClient the client itself ended it */
	remove(sessionId: string, byClient: boolean): void {
		this.#sessions.delete(sessionId);
		this.#connecting.delete(sessionId);
		this.#owners.delete(sessionId);
		if (byClient) {
			this.#left.set(sessionId, performance.now());
		}
	}

	/** Ends a session; one that its client has just left by other means counts as ended by this, once. */
	end(sessionId: string): void {
		const session = this.#sessions.get(sessionId);
		if (session) {
			session.close('deleted');
		} else if (!this.#left.delete(sessionId)) {
			this.require(sessionId);
		}
	}

	require(sessionId: string): Session {
		const session = this.#sessions.get(sessionId);
		if (!session) {
			throw new SfuError('session_unknown', 'there is no such session on this shard');
		}
		return session;
	}

	/** Closes what has not connected in time, and forgets farewells. */
	sweep(nowMs: number): void {
		for (const [sessionId, atMs] of this.#left) {
			if (nowMs - atMs < FAREWELL_MS) {
				break;
			}
			this.#left.delete(sessionId);
		}
		for (const session of this.#connecting.values()) {
			if (session.connectByMs > nowMs) {
				return;
			}
			session.close('never connected');
		}
	}
}
