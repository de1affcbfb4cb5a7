import { holderIfKnown } from '../../auth/token-holder.ts';
import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia, SessionCreated } from '../programme/room-media.ts';
import type { KeyedQueue } from '../rooms/keyed-queue.ts';
import type { Participant, Room } from '../rooms/room.ts';
import { participantIdOf, withEntered } from '../rooms/stage-roster.ts';
import { standingOf } from '../rooms/stage-rules.ts';
import type { RoomStore } from '../rooms/store/room-store.ts';
import { type LiveRoster, notHome } from './live-roster.ts';
import type { SeatMedia } from './seat-media.ts';
import type { StageConnection } from './stage-connection.ts';
import type { StageHands } from './stage-hands.ts';
import type { StageMedia } from './stage-media.ts';
import type { StageOrder } from './stage-order.ts';
import type { StageOrigin } from './stage-origin.ts';
import { type StagePrincipal, stageRoleOf } from './stage-policy.ts';
import { newSeat, type Seat } from './stage-seat.ts';
import type { StageSeats } from './stage-seats.ts';

export interface StageDoorOptions {
	roomId: string;
	/** The room as it is now. */
	room: () => Room | undefined;
	store: Pick<RoomStore, 'isBanned' | 'speakerNumber' | 'ban'>;
	media: Pick<RoomMedia, 'publish'>;
	origin: StageOrigin;
	seatMedia: Pick<SeatMedia, 'outdated' | 'remove'>;
	stageMedia: Pick<StageMedia, 'add'>;
	roster: LiveRoster;
	seats: StageSeats;
	order: Pick<StageOrder, 'appoint' | 'requirePlaceFor'>;
	hands: Pick<StageHands, 'remove' | 'nudge'>;
	/** To somebody who may see the queue since a moment ago, if they may. */
	showHandsTo: (participantId: string) => void;
	/** The first frames of a connection that is about to be attached. */
	welcome: (seat: Seat, connection: StageConnection, resumed: boolean, room: Room) => void;
	/** Why nobody is let in any more, if so. */
	closed: () => string | null;
	queue: KeyedQueue;
	now: () => Date;
}

export interface Entered {
	participant: Participant;
	/** The place on stage was kept since an earlier connection, and its media with it. */
	resumed: boolean;
	/** Null while the media server is starting again. */
	rtpCapabilities: RtpCapabilities | null;
}

/**
 * Who comes on one stage, and who has to stay away from it. Whatever has to be awaited for a person (store, media) runs
 * in that person's own queue and looks again at the seat after each wait.
 */
export class StageDoor {
	readonly #options: StageDoorOptions;
	/** People whose ban is on its way to the store. */
	readonly #banning = new Set<string>();

	constructor(options: StageDoorOptions) {
		this.#options = options;
	}

	/** A person with a browser. `welcome` is the first thing the connection delivers. */
	enter(principal: StagePrincipal, connection: StageConnection): Promise<Entered> {
		const { roomId, origin, stageMedia, roster, seats, hands, showHandsTo, welcome, queue } = this.#options;
		const id = participantIdOf(roomId, principal.subject);
		return queue.run(id, async () => {
			const number = await this.#letIn(id, principal);
			const room = this.#requireRoom(id, principal);
			const held = seats.get(id);
			const resumed = held?.kind === 'browser' && !held.mediaFailed;
			const seat = held ?? this.#newSeat(id, number, 'browser', principal);
			if (!resumed) await this.#freshMedia(principal, seat, held, 'browser', () => stageMedia.add(room, seat));
			this.#show(seat, principal);
			// Before the connection is attached, so that nothing precedes it.
			welcome(seat, connection, resumed, room);
			seats.attach(seat, connection);
			hands.remove(id);
			hands.nudge(id);
			showHandsTo(id);
			return { participant: roster.require(id), resumed, rtpCapabilities: origin.rtpCapabilities };
		});
	}

	/** A person with an encoder (WHIP). An earlier session or browser of the same person is replaced. */
	publish(principal: StagePrincipal, offer: string): Promise<SessionCreated> {
		const { roomId, media, stageMedia, seats, hands, queue } = this.#options;
		const id = participantIdOf(roomId, principal.subject);
		return queue.run(id, async () => {
			const number = await this.#letIn(id, principal);
			const room = this.#requireRoom(id, principal);
			const held = seats.get(id);
			const seat = held ?? this.#newSeat(id, number, 'encoder', principal);
			const session = await this.#freshMedia(principal, seat, held, 'encoder', async () => {
				await stageMedia.add(room, seat);
				return media.publish(room, id, offer, holderIfKnown(principal));
			});
			seats.attach(seat, null);
			this.#show(seat, principal);
			hands.remove(id);
			return session;
		});
	}

	/** Off the stage and out of the queue, with no way back; resolves once the ban is stored. */
	async ban({ subject, name }: Pick<Participant, 'subject' | 'name'>, bannedBy: string): Promise<void> {
		const { roomId, store, roster, seats, order, hands, queue, now } = this.#options;
		roster.requireHere();
		const participantId = participantIdOf(roomId, subject);
		// An entry that asked the store just before this ban must not get past it.
		this.#banning.add(participantId);
		hands.remove(participantId);
		if (standingOf(roster.rules, participantId)) order.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		const seat = seats.get(participantId);
		const removed = seat && seats.dismiss(seat, 'banned');
		try {
			await store.ban({ roomId, subject, name, bannedBy, bannedAt: now().toISOString() });
		} finally {
			void queue.run(participantId, async () => {
				this.#banning.delete(participantId);
			});
		}
		await removed;
	}

	/** Asks the store whether the person may come, and for the number. */
	async #letIn(id: string, principal: StagePrincipal): Promise<number> {
		const { roomId, store, seats } = this.#options;
		// An admin could lift the ban; pretending otherwise protects nobody.
		if (principal.role !== 'admin' && (await store.isBanned(roomId, principal.subject))) throw banned();
		return seats.get(id)?.number ?? (await store.speakerNumber(roomId, principal.subject));
	}

	/** Looks again at everything that may have changed while somebody waited at the door. */
	#requireRoom(id: string, principal: StagePrincipal): Room {
		const { room: roomNow, roster, closed } = this.#options;
		roster.requireHere();
		const reason = closed();
		if (reason !== null) throw new DomainError('shutting_down', reason);
		const room = roomNow();
		if (!room) throw new DomainError('room_not_found', 'There is no such room.');
		if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
		if (principal.role !== 'admin' && this.#banning.has(id)) throw banned();
		stageRoleOf(principal, room.id, roster.rules);
		return room;
	}

	/** The place is reserved before it is granted, so that two at the door cannot both take the last one. */
	#newSeat(id: string, number: number, kind: Participant['kind'], principal: StagePrincipal): Seat {
		const { roomId, roster, seats, order, now } = this.#options;
		order.requirePlaceFor(id, stageRoleOf(principal, roomId, roster.rules));
		const seat = newSeat({ id, number, kind, joinedAt: now().toISOString() });
		seats.add(seat);
		return seat;
	}

	/** Gives a seat media from scratch: what media knew of the person before goes first. Undoes its half when it fails. */
	async #freshMedia<T>(principal: StagePrincipal, seat: Seat, held: Seat | undefined, kind: Participant['kind'], make: () => Promise<T>): Promise<T> {
		const { origin, seatMedia, seats } = this.#options;
		if (held) {
			seats.attach(seat, null);
			seatMedia.outdated(seat.id);
			seat.kind = kind;
			seats.setMedia(seat, null);
		}
		seat.publishing = kind === 'encoder';
		const { generation } = origin;
		try {
			await seatMedia.remove(seat.id);
			// Media must not be asked for a room that has ended: it would make it anew.
			if (seat.gone) throw this.#goneError();
			const made = await make();
			if (seat.gone) throw this.#goneError();
			this.#requireRoom(seat.id, principal);
			// The session went with its origin, and nothing more will be heard of it.
			if (kind === 'encoder' && generation !== origin.generation) throw new DomainError('media_unavailable', 'The media server is starting again.');
			seat.mediaFailed = false;
			return made;
		} catch (error) {
			if (!held) void seats.dismiss(seat, 'left');
			else if (!seat.gone) seats.awaitReturn(seat);
			throw error;
		} finally {
			seat.publishing = false;
		}
	}

	#goneError(): DomainError {
		const { room: roomNow, roster } = this.#options;
		if (roster.movedAway) return notHome();
		const room = roomNow();
		return room && room.state !== 'ended'
			? new DomainError('participant_not_found', 'You were taken off the stage meanwhile.')
			: new DomainError('room_ended', 'This room has ended.');
	}

	#show(seat: Seat, principal: StagePrincipal): void {
		const { roomId, roster } = this.#options;
		const { subject, name } = principal;
		const role = stageRoleOf(principal, roomId, roster.rules);
		const { id, number, kind, mediaId, joinedAt } = seat;
		const before = roster.find(id);
		if (before?.kind === kind) roster.change(id, { name, role, mediaId, connection: 'connected' });
		else roster.set(withEntered(roster.current, { id, subject, number, name, role, kind, muted: before?.muted ?? false, connection: 'connected', mediaId, joinedAt }));
	}
}

function banned(): DomainError {
	return new DomainError('banned', 'This person is banned from the room.');
}
