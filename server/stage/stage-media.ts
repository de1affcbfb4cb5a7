import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import type { KeyedQueue } from '../rooms/keyed-queue.ts';
import type { Room } from '../rooms/room.ts';
import { withChanged, withoutMedia } from '../rooms/stage-roster.ts';
import type { LiveRoster } from './live-roster.ts';
import type { SeatMedia } from './seat-media.ts';
import type { StageAnnouncer } from './stage-announcer.ts';
import { encodeEvent } from './stage-connection.ts';
import type { StageOrigin } from './stage-origin.ts';
import type { Seat } from './stage-seat.ts';
import type { StageSeats } from './stage-seats.ts';

export interface StageMediaOptions {
	roomId: string;
	/** The room as it is now. */
	room: () => Room | undefined;
	media: Pick<RoomMedia, 'setMuted'>;
	origin: StageOrigin;
	seatMedia: Pick<SeatMedia, 'add' | 'addAgain'>;
	roster: LiveRoster;
	seats: StageSeats;
	queue: KeyedQueue;
	announce: Pick<StageAnnouncer, 'mediaReady' | 'mediaLost'>;
	randomId: () => string;
}

/** What becomes of the people on one stage when their media, or the origin of all of it, comes and goes. */
export class StageMedia {
	readonly #options: StageMediaOptions;

	constructor(options: StageMediaOptions) {
		this.#options = options;
	}

	/** In the person's queue only: media knows them from now on, or as soon as there is an origin again. */
	async add(room: Room, seat: Seat): Promise<void> {
		const rtpCapabilities = await this.#options.seatMedia.add(room, seat);
		if (rtpCapabilities) this.originReady(rtpCapabilities);
	}

	/** `by` is the name of a moderator; without it the person does it. Rejects with `participant_not_found`. */
	setMuted(participantId: string, muted: boolean, by?: string): Promise<void> {
		const { roomId, media, origin, roster, seats, queue } = this.#options;
		return queue.run(participantId, async () => {
			const seat = seats.require(participantId);
			const { generation } = origin;
			try {
				await media.setMuted(roomId, participantId, muted);
			} catch (error) {
				if (!origin.willHeal(error, generation)) throw error;
			}
			if (seat.gone || roster.require(participantId).muted === muted) return;
			roster.change(participantId, { muted });
			if (by !== undefined) seat.connection?.deliver(encodeEvent('muted', { by }));
		});
	}

	/** Asks a person to open their microphone, which nobody else can. Throws DomainError `participant_not_found`, `not_reachable`. */
	askToUnmute(participantId: string, by: string): void {
		const { roster, seats } = this.#options;
		const { connection } = seats.require(participantId);
		if (!roster.require(participantId).muted) return;
		if (!connection) throw new DomainError('not_reachable', 'This person is not connected, or speaks with an encoder: nobody is there to be asked.', { retryAfterSeconds: 2 });
		connection.deliver(encodeEvent('unmuteRequested', { by }));
	}

	originLost(): void {
		const { origin, roster, seats, announce } = this.#options;
		origin.lose();
		let after = withoutMedia(roster.current);
		for (const seat of seats) {
			seat.mediaId = null;
			// A browser is told over its socket; an encoder finds out by itself and publishes again.
			if (seat.kind === 'encoder' && !seat.publishing) {
				seats.keep(seat);
				after = withChanged(after, seat.id, { connection: 'reconnecting' });
			}
		}
		roster.set(after);
		announce.mediaLost();
	}

	originReady(rtpCapabilities: RtpCapabilities): void {
		const { origin, seats, queue, announce } = this.#options;
		if (!origin.found(rtpCapabilities)) return;
		for (const seat of seats) void queue.run(seat.id, () => this.#addAgain(seat));
		// Not after the adding: what clients ask for now queues behind it anyway, and they hear no sound meanwhile.
		announce.mediaReady(rtpCapabilities);
		for (const seat of seats) if (seat.connection) seat.toldGeneration = origin.generation;
	}

	/**
	 * A person's media came or went. A browser's place hangs on its socket, so its media only changes what
	 * others can consume. An encoder has no socket: `disconnected` (its network went, or it died) keeps its place
	 * for the grace period, for publishing again resumes; so does a `closed` that follows. `closed` out of good
	 * health is a goodbye (DELETE): the encoder leaves at once.
	 */
	speakerMedia(participantId: string, state: 'producing' | 'connected' | 'disconnected' | 'closed'): void {
		const { seats, randomId } = this.#options;
		const seat = seats.get(participantId);
		if (!seat) return;
		if (state === 'producing') seats.setMedia(seat, randomId());
		else if (seat.kind === 'encoder') this.#encoderMedia(seat, state);
		else if (state === 'closed') seats.setMedia(seat, null);
	}

	#encoderMedia(seat: Seat, state: 'connected' | 'disconnected' | 'closed'): void {
		const { seats, randomId } = this.#options;
		const waitedFor = seat.cancelGrace !== null;
		if (seat.publishing) return;
		if (state === 'connected') {
			seats.release(seat);
			if (waitedFor) seats.setMedia(seat, randomId(), 'connected');
		} else if (state === 'closed' && !waitedFor) {
			void seats.dismiss(seat, 'left');
		} else {
			seats.keep(seat);
			seats.setMedia(seat, null, 'reconnecting');
		}
	}

	async #addAgain(seat: Seat): Promise<void> {
		const { room: roomNow, seatMedia, seats } = this.#options;
		const room = roomNow();
		if (seat.gone || !room || room.state === 'ended' || (await seatMedia.addAgain(room, seat))) return;
		seat.mediaFailed = true;
		const { connection } = seat;
		if (!connection || seat.gone) return;
		seats.connectionLost(seat.id, connection);
		connection.end('media_unavailable');
	}
}
