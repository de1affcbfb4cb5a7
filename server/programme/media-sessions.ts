import { randomUUID } from 'node:crypto';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { makeSessionId, parseSessionId } from '../../sfu/contract/session-id.ts';
import type { OwnerMatch, SessionOwner } from '../../sfu/contract/session-owner.ts';
import { SfuError } from '../../sfu/contract/sfu-error.ts';
import type { SessionPatchResult } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { DomainError } from '../errors.ts';
import type { AdmittedJoin, JoinQueue } from '../placement/admission/join-queue.ts';
import type { JoinOutcome } from '../placement/admission/shard-pace.ts';
import type { Room } from '../rooms/room.ts';
import { media, mediaError } from './media-error.ts';
import type { MediaRoom, MediaRooms } from './media-rooms.ts';
import { noCapacity } from './node-shards.ts';
import type { Arrival, SessionCreated } from './room-media.ts';
import type { Seating } from './seats/seating.ts';

export interface MediaSessionsOptions {
	rooms: MediaRooms;
	supervisor: Pick<Supervisor, 'shard' | 'shards'>;
	/** Who is seated next, and on which shard. */
	joins: JoinQueue;
	seats: Seating;
	nodeId: string;
	/** Whether session ids name this node, so that others can tell whose they are. */
	namesNode: boolean;
	/** A listener is seated. */
	onJoined: (room: MediaRoom) => void;
}

/** A shard that did not answer in time may seat the listener all the same; by then it has said so. */
const LATE_SEAT_MS = 10_000;
/** What a shard refuses for what it was sent, or since the room is over, is no sign of its pace. */
const saysNothingOfTheShard = ({ status }: DomainError): boolean => status < 500;

/** WHEP and WHIP sessions on this node's shards: begun, changed and ended. */
export class MediaSessions {
	readonly #options: MediaSessionsOptions;

	constructor(options: MediaSessionsOptions) {
		this.#options = options;
	}

	/** As `RoomMedia.listen`. */
	async listen(room: Room, offer: string, packingMs?: PackingMs, random = newRandom(), arrival: Arrival = {}): Promise<SessionCreated> {
		const { rooms, seats, joins, onJoined } = this.#options;
		rooms.known(room.id); // A room that is over says so, whatever its seats.
		const seat = seats.take(room);
		(seat instanceof Promise ? await seat : seat).release();
		// Counted here from now on; who waits for a turn counts as well.
		const entry = rooms.known(room.id);
		entry.joining++;
		let leave = () => void entry.joining--;
		let join: AdmittedJoin | undefined;
		let outcome: JoinOutcome = 'failed';
		try {
			const admitted = joins.admit({ roomId: room.id, ...arrival });
			join = admitted instanceof Promise ? await admitted : admitted;
			if (rooms.get(room.id) !== entry) {
				throw rooms.over(); // It ended meanwhile, and nothing would ever take its edge away again.
			}
			const session = await this.#seat(room.id, entry, join, offer, packingMs, random, arrival.owner);
			outcome = 'joined';
			onJoined(entry);
			return session;
		} catch (error) {
			const refusal = rooms.get(room.id) === entry ? mediaError(error) : rooms.over();
			outcome = saysNothingOfTheShard(refusal) ? 'refused' : 'failed';
			if (room.maxListeners !== undefined && timedOut(error)) {
				leave = () => void setTimeout(() => entry.joining--, LATE_SEAT_MS).unref();
			}
			throw refusal;
		} finally {
			join?.done(outcome);
			leave();
		}
	}

	/** As `RoomMedia.publish`. */
	publish(room: Room, participantId: string, offer: string, owner?: SessionOwner): Promise<SessionCreated> {
		return media(async () => {
			const { shard } = await this.#options.rooms.known(room.id).programme.openOrigin();
			const sessionId = this.#sessionId(shard.assignment?.index ?? 0, newRandom());
			const { sdp, etag } = await shard.request('speaker.publish', { roomId: room.id, participantId, sessionId, offer, ...(owner && { owner }) });
			return { sessionId, sdp, etag };
		});
	}

	async patch(sessionId: string, fragment: string, ifMatch?: string): Promise<SessionPatchResult> {
		const shard = this.#shardOf(sessionId);
		return media(() => shard.request('session.patch', { sessionId, fragment, ...(ifMatch === undefined ? {} : { ifMatch }) }));
	}

	async close(sessionId: string): Promise<void> {
		const shard = this.#shardOf(sessionId);
		await media(() => shard.request('session.close', { sessionId }));
	}

	/** As `RoomMedia.endSessions`. */
	async endAllOf(match: OwnerMatch): Promise<number> {
		const answers = await Promise.allSettled(this.#options.supervisor.shards().flatMap((shard) => (shard.assignment ? [shard.request('session.endOf', match)] : [])));
		return answers.reduce((sum, answer) => sum + (answer.status === 'fulfilled' ? answer.value.ended : 0), 0);
	}

	async #seat(roomId: string, { programme }: MediaRoom, join: AdmittedJoin, offer: string, packingMs: PackingMs | undefined, random: string, owner: SessionOwner | undefined): Promise<SessionCreated> {
		const shard = this.#options.supervisor.shard(join.shard);
		if (!shard) {
			throw noCapacity();
		}
		await programme.edges.open(shard, join.shard);
		const sessionId = this.#sessionId(join.shard, random);
		join.asked();
		const { sdp, etag, listeners, roomListeners } = await shard.request('listener.join', {
			roomId,
			sessionId,
			offer,
			...(packingMs === undefined ? {} : { packingMs }),
			...(owner && { owner }),
		});
		join.seated(listeners, roomListeners);
		return { sessionId, sdp, etag };
	}

	#sessionId(shard: number, random: string): string {
		const { nodeId, namesNode } = this.#options;
		return makeSessionId(shard, random, namesNode ? nodeId : undefined);
	}

	#shardOf(sessionId: string): Shard {
		const { nodeId, supervisor } = this.#options;
		const address = parseSessionId(sessionId);
		const ours = address !== undefined && (address.nodeId === undefined || address.nodeId === nodeId);
		const shard = ours ? supervisor.shard(address.shardIndex) : undefined;
		if (!shard) {
			throw new DomainError('session_not_found', 'There is no such session; it may have ended.');
		}
		return shard;
	}
}

/** 32 hex digits, 122 bits of them random: Node keeps random bytes for these in store, where asking for some each time is a system call a join. */
const newRandom = (): string => randomUUID().replaceAll('-', '');
const timedOut = (error: unknown): boolean => error instanceof SfuError && error.code === 'shard_timeout';
