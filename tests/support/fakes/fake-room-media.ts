import type { PackingMs } from '../../../sfu/contract/media-types.ts';
import { makeSessionId } from '../../../sfu/contract/session-id.ts';
import type { SessionPatchResult } from '../../../sfu/contract/shard-protocol.ts';
import { DomainError } from '../../../server/errors.ts';
import type { RoomMedia, SessionCreated } from '../../../server/programme/room-media.ts';
import type { Room } from '../../../server/rooms/room.ts';

export const FAKE_ANSWER = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';

/** The part of `RoomMedia` that HTTP routes use: sessions without media. */
export class FakeRoomMedia implements Pick<RoomMedia, 'listen' | 'patchSession' | 'closeSession' | 'listenersIn'> {
	readonly sessions = new Map<string, { roomId: string; offer: string; packingMs: PackingMs | undefined; restarts: number }>();
	/** What `patchSession` was given, in order. */
	readonly patches: { sessionId: string; fragment: string; ifMatch: string | undefined }[] = [];
	/** Every call rejects with this while it is set. */
	failure: Error | undefined;
	readonly #nodeId: string | undefined;
	#count = 0;

	/** @param nodeId for session ids, in a cluster */
	constructor(nodeId?: string) {
		this.#nodeId = nodeId;
	}

	async listen(room: Room, offer: string, packingMs?: PackingMs, random?: string): Promise<SessionCreated> {
		if (this.failure) throw this.failure;
		if (!offer.startsWith('v=0')) throw new DomainError('invalid_offer', 'The offer does not begin with v=0', { extra: { reason: 'bad_sdp' } });
		return this.seat(room.id, offer, packingMs, random);
	}

	seat(roomId: string, offer: string, packingMs?: PackingMs, random = (++this.#count).toString(16).padStart(32, '0')): SessionCreated {
		const sessionId = makeSessionId(1, random, this.#nodeId);
		this.sessions.set(sessionId, { roomId, offer, packingMs, restarts: 0 });
		return { sessionId, sdp: FAKE_ANSWER, etag: 'v0' };
	}

	/** A fragment with `a=ice-ufrag` is a restart; anything else is a trickle. */
	async patchSession(sessionId: string, fragment: string, ifMatch?: string): Promise<SessionPatchResult> {
		if (this.failure) throw this.failure;
		const session = this.sessions.get(sessionId);
		if (!session) throw new DomainError('session_not_found', 'There is no such session');
		this.patches.push({ sessionId, fragment, ifMatch });
		if (ifMatch !== undefined && ifMatch !== `v${session.restarts}`) throw new DomainError('precondition_failed', 'The session has changed meanwhile');
		if (!fragment.startsWith('a=')) throw new DomainError('invalid_fragment', 'The fragment has no attribute line');
		if (!fragment.includes('a=ice-ufrag')) return { etag: `v${session.restarts}` };
		session.restarts++;
		return { etag: `v${session.restarts}`, fragment: 'a=ice-ufrag:server\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n' };
	}

	async closeSession(sessionId: string): Promise<void> {
		if (this.failure) throw this.failure;
		if (!this.sessions.delete(sessionId)) throw new DomainError('session_not_found', 'There is no such session');
	}

	listenersIn(roomId: string): number {
		return [...this.sessions.values()].filter((session) => session.roomId === roomId).length;
	}
}
