import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia } from '../programme/room-media.ts';
import type { Hand } from '../rooms/hand-queue.ts';
import { KeyedQueue } from '../rooms/keyed-queue.ts';
import type { Participant, Room } from '../rooms/room.ts';
import { type StageRoster, withAllReconnecting, withHands } from '../rooms/stage-roster.ts';
import type { RoomStore } from '../rooms/store/room-store.ts';
import { LiveRoster, notHome } from './live-roster.ts';
import { HANDS_SHOWN, type HandsPage } from './protocol.ts';
import { SeatMedia } from './seat-media.ts';
import { StageAnnouncer } from './stage-announcer.ts';
import { encodeEvent, type StageConnection, type StageEnding } from './stage-connection.ts';
import { StageDoor } from './stage-door.ts';
import { StageHands } from './stage-hands.ts';
import type { StageLog } from './stage-log.ts';
import { StageMedia } from './stage-media.ts';
import { StageOrder } from './stage-order.ts';
import { StageOrigin } from './stage-origin.ts';
import type { Seat } from './stage-seat.ts';
import { StageSeats } from './stage-seats.ts';

export interface StageRoomOptions {
	roomId: string;
	/** The room as it is now. */
	room: () => Room | undefined;
	store: Pick<RoomStore, 'isBanned' | 'speakerNumber' | 'ban'>;
	media: RoomMedia;
	now: () => Date;
	randomId: () => string;
	/** Runs `task` once after `ms`, unless cancelled with the function returned. */
	schedule: (ms: number, task: () => void) => () => void;
	reconnectGraceMs: number;
	maxStageSize: number;
	/** Hands that may be up at once, open invitations with them; default 1,000. */
	maxHands?: number;
	/** Base URLs of other nodes that lead here; default none. */
	alternates?: () => readonly string[];
	/** Of the home, for the log. */
	epoch?: () => number | undefined;
	log: StageLog;
}

const MAX_HANDS = 1_000;

/**
 * The stage of one room, made of its parts, from the moment that it lives here until it does not any more.
 *
 * How races are kept from leaving ghosts: seats and roster change in one synchronous step, so everybody
 * always sees a whole state; whatever has to be awaited for a person (store, media) runs in that person's
 * own queue, looks again at the seat after each wait, and a removal from media queues behind what is under
 * way. Different people never wait for each other, so a stage of fifty heals as fast as a stage of one.
 */
export class StageRoom {
	/** Who is there, and all that the next home must know. */
	readonly roster = new LiveRoster();
	/** Places and connections. */
	readonly seats: StageSeats;
	readonly hands: StageHands;
	/** What is settled. */
	readonly order: StageOrder;
	/** Who comes, and who may not. */
	readonly door: StageDoor;
	readonly media: StageMedia;
	/** To everybody on stage. */
	readonly announce: StageAnnouncer;
	readonly #options: StageRoomOptions;
	readonly #queue = new KeyedQueue();
	readonly #origin = new StageOrigin();
	/** As it was announced last. */
	#recording = false;
	#shuttingDown: string | null = null;

	constructor(options: StageRoomOptions) {
		this.#options = options;
		const { roomId, room, store, media, reconnectGraceMs, maxStageSize, maxHands, now, randomId, schedule, epoch, log } = options;
		const { roster } = this;
		const origin = this.#origin;
		const queue = this.#queue;
		const seatMedia = new SeatMedia({ roomId, media, origin, queue, isMuted: (id) => roster.find(id)?.muted === true, schedule, ...(epoch && { epoch }), log });
		const seats = new StageSeats({ roster, seatMedia, queue, schedule, reconnectGraceMs });
		const announce = new StageAnnouncer(() => seats.connections());
		const hands = new StageHands({
			max: maxHands ?? MAX_HANDS,
			now,
			schedule,
			keep: (kept: readonly Hand[]) => roster.set(withHands(roster.current, kept)),
			show: (page) => showHands(page, seats.moderators()),
		});
		const showHandsTo = (id: string): void => this.#showHandsTo(id);
		const order = new StageOrder({ roomId, room, maxStageSize, roster, seats, hands, showHandsTo, stopping: () => this.#shuttingDown !== null, epoch, log });
		const stageMedia = new StageMedia({ roomId, room, media, origin, seatMedia, roster, seats, queue, announce, randomId });
		this.door = new StageDoor({
			roomId, room, store, media, origin, seatMedia, stageMedia, roster, seats, order, hands, queue, now, showHandsTo,
			welcome: (...entered) => this.#welcome(...entered),
			closed: () => this.#shuttingDown,
		});
		this.seats = seats;
		this.hands = hands;
		this.order = order;
		this.media = stageMedia;
		this.announce = announce;
		seats.on('left', (seat, ending, was) => this.#left(seat, ending, was));
		// People on stage see it before anybody else is told.
		roster.on('rosterChanged', () => this.#announceStage());
	}

	/** Null while there is no origin. */
	get rtpCapabilities(): RtpCapabilities | null {
		return this.#origin.rtpCapabilities;
	}

	/** Before anything else: goes on from where an earlier home was. Whoever was there is waited for, and has no media. */
	restore(kept: StageRoster): void {
		for (const participant of kept.participants) this.seats.restore(participant);
		this.roster.set(withAllReconnecting(kept));
		this.hands.restore(kept.hands ?? []);
	}

	/** Resolves once nothing of this room is under way. */
	idle(): Promise<void> {
		return this.#queue.idle();
	}

	/** The node stops: connections end, but nobody is taken off the roster, and nobody is let in any more. */
	shutDown(reason: string): void {
		this.#shuttingDown = reason;
		this.hands.keepNow();
		this.hands.close(new DomainError('shutting_down', reason, { retryAfterSeconds: 1 }));
		this.seats.disconnectAll(reason);
	}

	/** The room lives elsewhere now. Everybody keeps their place there, so the roster stays as it is; media is not touched. */
	stepDown(): void {
		this.hands.close(notHome());
		this.roster.moveAway();
		this.seats.moveAway();
	}

	roomChanged(room: Room): void {
		this.announce.room(room);
		if (this.order.settings.recording !== this.#recording) this.#announceStage();
	}

	/** Media has counted anew, which it does once a second. */
	countsRefreshed(): void {
		const { media, roomId, now } = this.#options;
		this.announce.listeners(media.listenersIn(roomId), now().getTime());
	}

	#left(seat: Seat, ending: StageEnding, was: Participant | undefined): void {
		this.hands.nudge(seat.id);
		if (was?.role === 'host' && ending !== 'room_ended') this.order.succeed();
	}

	#welcome(seat: Seat, connection: StageConnection, resumed: boolean, room: Room): void {
		const { roomId, media, reconnectGraceMs, alternates } = this.#options;
		const { rtpCapabilities, generation } = this.#origin;
		this.announce.welcome(connection, {
			me: this.roster.require(seat.id),
			resumed,
			mediaChanged: seat.toldGeneration !== generation,
			rtpCapabilities,
			reconnectGraceMs,
			alternates: alternates?.() ?? [],
			room,
			roster: this.roster.current,
			settings: this.order.settings,
			listenerCount: media.listenersIn(roomId),
		});
		if (rtpCapabilities) seat.toldGeneration = generation;
	}

	/** Whoever may see the queue from now on. */
	#showHandsTo(participantId: string): void {
		const connection = this.seats.get(participantId)?.connection;
		if (!connection || this.roster.find(participantId)?.role === 'speaker') return;
		showHands(this.hands.page({ limit: HANDS_SHOWN }), [connection]);
	}

	#announceStage(): void {
		const { settings } = this.order;
		this.#recording = settings.recording;
		this.announce.stage(this.roster.current, settings);
	}
}

function showHands(page: HandsPage, connections: Iterable<StageConnection>): void {
	const frame = encodeEvent('hands', page);
	for (const connection of connections) connection.deliver(frame);
}
