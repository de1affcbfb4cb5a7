import { EventEmitter } from 'node:events';
import { DomainError } from '../errors.ts';
import type { KeyedQueue } from '../rooms/keyed-queue.ts';
import type { Participant } from '../rooms/room.ts';
import { withLeft } from '../rooms/stage-roster.ts';
import { type LiveRoster, nobodyHere } from './live-roster.ts';
import type { SeatMedia } from './seat-media.ts';
import type { StageConnection, StageEnding } from './stage-connection.ts';
import { newSeat, type Seat } from './stage-seat.ts';

export interface StageSeatsOptions {
	roster: LiveRoster;
	seatMedia: Pick<SeatMedia, 'outdated' | 'linger' | 'remove'>;
	/** Of all that is done for one person, by participant id. */
	queue: KeyedQueue;
	/** Runs `task` once after `ms`, unless cancelled with the function returned. */
	schedule: (ms: number, task: () => void) => () => void;
	reconnectGraceMs: number;
}

/** The places on one stage, and their connections. Seats and roster change in one synchronous step. */
export class StageSeats extends EventEmitter<{
	/** Somebody's place is given up and the connection ended; media goes afterwards. */
	left: [Seat, StageEnding, Participant | undefined];
}> {
	readonly #options: StageSeatsOptions;
	readonly #seats = new Map<string, Seat>();

	constructor(options: StageSeatsOptions) {
		super();
		this.#options = options;
	}

	get size(): number {
		return this.#seats.size;
	}

	[Symbol.iterator](): Iterator<Seat> {
		return this.#seats.values();
	}

	get(participantId: string): Seat | undefined {
		return this.#seats.get(participantId);
	}

	/** Of somebody whom others see. Throws DomainError `not_home`, `participant_not_found`. */
	require(participantId: string): Seat {
		const { roster } = this.#options;
		roster.requireHere();
		roster.require(participantId);
		const seat = this.#seats.get(participantId);
		if (!seat) throw nobodyHere();
		return seat;
	}

	/** Of somebody who asks over this connection. Throws DomainError `not_home`, `participant_not_found`. */
	heldBy(participantId: string, connection: StageConnection): Seat {
		this.#options.roster.requireHere();
		const seat = this.#seats.get(participantId);
		if (!seat || seat.connection !== connection) throw new DomainError('participant_not_found', 'You are not on this stage any more.');
		return seat;
	}

	/** Runs something with media for a person, after all that was begun for that person before. Rejects with `participant_not_found`. */
	run<T>(participantId: string, connection: StageConnection, task: () => Promise<T>): Promise<T> {
		return this.#options.queue.run(participantId, async () => {
			this.heldBy(participantId, connection);
			return task();
		});
	}

	add(seat: Seat): void {
		this.#seats.set(seat.id, seat);
	}

	/** A place from an earlier home: whoever has it is waited for, and has no media. */
	restore(participant: Participant): void {
		const seat = newSeat(participant);
		seat.publishing = false;
		// Transports of the earlier home are dead, and this one's media knows nobody yet.
		seat.mediaFailed = true;
		this.add(seat);
		this.keep(seat);
	}

	/** Whoever is here is not waited for any more. A connection that was there before is replaced. */
	attach(seat: Seat, connection: StageConnection | null): void {
		const before = seat.connection;
		this.release(seat);
		seat.connection = connection;
		before?.end('replaced');
	}

	setMedia(seat: Seat, mediaId: string | null, connection?: Participant['connection']): void {
		seat.mediaId = mediaId;
		this.#options.roster.change(seat.id, { mediaId, ...(connection && { connection }) });
	}

	/** For the grace period from now on, or from when this was said first. */
	keep(seat: Seat): void {
		if (seat.cancelGrace) return;
		const { schedule, reconnectGraceMs } = this.#options;
		seat.cancelGrace = schedule(reconnectGraceMs, () => void this.dismiss(seat, 'left'));
	}

	/** The same, and others see it. */
	awaitReturn(seat: Seat): void {
		this.keep(seat);
		this.#options.roster.change(seat.id, { connection: 'reconnecting' });
	}

	release(seat: Seat): void {
		seat.cancelGrace?.();
		seat.cancelGrace = null;
	}

	/** The socket is gone without a word: the place is kept for the grace period. Old connections are ignored. */
	connectionLost(participantId: string, connection: StageConnection): void {
		const seat = this.#seats.get(participantId);
		if (!seat || seat.connection !== connection) return;
		seat.connection = null;
		this.awaitReturn(seat);
	}

	/** Resolves when media has forgotten the person. The caller closes the connection after its answer. */
	async leave(participantId: string, connection: StageConnection): Promise<void> {
		const seat = this.heldBy(participantId, connection);
		seat.connection = null;
		await this.dismiss(seat, 'left');
	}

	/** The seat goes at once, media as soon as what is under way for the person has ended. Never rejects. */
	dismiss(seat: Seat, ending: StageEnding, detail?: string): Promise<void> {
		if (seat.gone) return Promise.resolve();
		const { roster, seatMedia, queue } = this.#options;
		seat.gone = true;
		this.#seats.delete(seat.id);
		seatMedia.outdated(seat.id);
		this.release(seat);
		const { connection } = seat;
		seat.connection = null;
		const participant = roster.find(seat.id);
		roster.set(withLeft(roster.current, seat.id));
		connection?.end(ending, detail);
		this.emit('left', seat, ending, participant);
		if (ending === 'demoted' && seat.kind === 'browser') return seatMedia.linger(seat.id);
		return queue.run(seat.id, () => seatMedia.remove(seat.id));
	}

	/** Everybody off, e.g. because the room ended. */
	dismissAll(ending: StageEnding, detail?: string): void {
		for (const seat of this.#seats.values()) void this.dismiss(seat, ending, detail);
	}

	/** The node stops: connections end, but nobody is taken off the roster. */
	disconnectAll(detail: string): void {
		for (const seat of this.#seats.values()) {
			this.release(seat);
			const { connection } = seat;
			seat.connection = null;
			connection?.end('shutting_down', detail);
		}
	}

	/** The room lives elsewhere now, and everybody has their place there. Media is not touched. */
	moveAway(): void {
		for (const seat of this.#seats.values()) {
			seat.gone = true;
			this.release(seat);
			const { connection } = seat;
			seat.connection = null;
			connection?.end('moved');
		}
		this.#seats.clear();
	}

	*connections(): Iterable<StageConnection> {
		for (const { connection } of this.#seats.values()) if (connection) yield connection;
	}

	/** Of hosts and co-hosts. */
	*moderators(): Iterable<StageConnection> {
		for (const { id, role } of this.#options.roster.participants) {
			const connection = role === 'speaker' ? null : this.#seats.get(id)?.connection;
			if (connection) yield connection;
		}
	}
}
