import type { Logger } from 'pino';
import type { Principal } from '../../auth/claims.ts';
import { digestOf, holderOf, type TokenHolder } from '../../auth/token-holder.ts';
import { ownedBy, type OwnerMatch } from '../../sfu/contract/session-owner.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia } from '../programme/room-media.ts';

/** Why somebody's sessions are ended: what a socket's `bye`, an event stream's `bye` and a refused join say. */
export const SESSION_ENDINGS = {
	token_revoked: 'The token was revoked.',
	banned: 'This person is banned from the room.',
} as const;
export type SessionEnding = keyof typeof SESSION_ENDINGS;

/** Whose sessions: of a person or of one token, in one room or in all. */
export interface SessionMatch {
	readonly subject?: string | undefined;
	readonly tokenId?: string | undefined;
	readonly room?: string | undefined;
	/** Only those made with a token that is not younger than this, in seconds since the epoch. */
	readonly issuedBy?: number | undefined;
}

/** Something that is open with a token: a stage's socket, an event stream, a join that is under way. */
interface Held {
	readonly holder: TokenHolder;
	readonly roomId: string;
	readonly end: (reason: SessionEnding) => void;
}

/** A join under way: whoever must not stay any more when it is through is sent away again. */
export interface PendingJoin {
	readonly holder: TokenHolder | undefined;
	/** Why it must not be; undefined: it may. */
	readonly ended: SessionEnding | undefined;
	/** @throws DomainError when it must not be */
	require(): void;
	release(): void;
}

export interface SessionOwnersOptions {
	media: Pick<RoomMedia, 'endSessions'>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node'>;
	peers: Peers;
	/** Whether a token does not count any more, by what is known of it. */
	isRevoked: (holder: TokenHolder, roomId: string) => boolean;
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'info' | 'warn'>;
}

const ATTEMPTS = 5;
const RETRY_MS = 500;
const NOBODY: PendingJoin = { holder: undefined, ended: undefined, require: () => {}, release: () => {} };

/**
 * Whose is what is open: ends the stage sockets, event streams, WHEP and WHIP sessions of a person or a token, on every
 * node of the cluster. Listeners without a token are nobody's and are not kept here; sessions of those with one are known
 * to their shard, which forgets them with the session.
 */
export class SessionOwners {
	readonly #options: SessionOwnersOptions;
	readonly #bySubject = new Map<string, Set<Held>>();

	static create(options: SessionOwnersOptions): SessionOwners {
		return new SessionOwners(options);
	}

	private constructor(options: SessionOwnersOptions) {
		this.#options = options;
	}

	/** @returns call it when it is over by itself */
	add(principal: Pick<Principal, 'subject' | 'tokenId' | 'issuedAt'>, roomId: string, end: (reason: SessionEnding) => void): () => void {
		return this.#hold({ holder: holderOf(principal), roomId, end });
	}

	/** Before a session is made; whoever is sent away while it is being made is told by `ended` or `require()`. */
	join(who: Pick<Principal, 'subject' | 'tokenId' | 'issuedAt'> | TokenHolder | null | undefined, roomId: string): PendingJoin {
		if (!who) return NOBODY;
		const holder = 'token' in who ? who : holderOf(who);
		let ended: SessionEnding | undefined = this.#options.isRevoked(holder, roomId) ? 'token_revoked' : undefined;
		const release = this.#hold({ holder, roomId, end: (reason) => (ended = reason) });
		return {
			holder,
			get ended() {
				return ended;
			},
			require: () => {
				if (ended === undefined) return;
				release();
				throw new DomainError(ended, SESSION_ENDINGS[ended]);
			},
			release,
		};
	}

	/**
	 * Ends all of these on every node. Resolves when all nodes that answer have; one that does not is asked again for a
	 * while. Neither what is refused from now on nor who is banned is decided here: say that first.
	 */
	async end(whose: SessionMatch, reason: SessionEnding): Promise<void> {
		const { view } = this.#options;
		const match = ownerMatch(whose);
		const others = view.nodes().flatMap(({ nodeId }) => (nodeId === view.nodeId ? [] : [this.#ask(nodeId, match, reason, 1)]));
		await Promise.all([this.endHere(match, reason), ...others]);
	}

	/** On this node only. */
	async endHere(match: OwnerMatch, reason: SessionEnding): Promise<number> {
		const candidates = match.subject === undefined ? [...this.#bySubject.values()].flatMap((held) => [...held]) : [...(this.#bySubject.get(match.subject) ?? [])];
		const meant = candidates.filter(({ holder, roomId }) => ownedBy(holder, roomId, match));
		for (const held of meant) held.end(reason);
		const ended = meant.length + (await this.#options.media.endSessions(match));
		if (ended > 0) this.#options.log.info({ room: match.roomId, reason, ended }, 'sessions ended');
		return ended;
	}

	readonly handlers: Pick<PeerHandlers, 'endSessions'> = {
		endSessions: async ({ reason, ...match }) => ({ ended: await this.endHere(match, reason) }),
	};

	async #ask(nodeId: string, match: OwnerMatch, reason: SessionEnding, attempt: number): Promise<void> {
		const { peers, view, schedule, log } = this.#options;
		try {
			await peers.request(nodeId, 'endSessions', { ...match, reason });
		} catch (err) {
			// A node that is gone took its sessions along.
			if (view.node(nodeId) === undefined) return;
			if (attempt >= ATTEMPTS) log.warn({ err, peer: nodeId, reason }, 'a node did not end the sessions of somebody who may not stay');
			else schedule(RETRY_MS, () => void this.#ask(nodeId, match, reason, attempt + 1));
		}
	}

	#hold(held: Held): () => void {
		const { subject } = held.holder;
		const there = this.#bySubject.get(subject) ?? new Set<Held>();
		this.#bySubject.set(subject, there.add(held));
		return () => {
			there.delete(held);
			if (there.size === 0 && this.#bySubject.get(subject) === there) this.#bySubject.delete(subject);
		};
	}
}

/** As shards and other nodes are told it. */
export function ownerMatch({ subject, tokenId, room, issuedBy }: SessionMatch): OwnerMatch {
	return {
		...(subject === undefined ? {} : { subject: digestOf(subject) }),
		...(tokenId === undefined ? {} : { token: digestOf(tokenId) }),
		...(room === undefined ? {} : { roomId: room }),
		...(issuedBy === undefined ? {} : { issuedBy }),
	};
}
