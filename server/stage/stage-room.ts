import { holderIfKnown } from '../../auth/token-holder.ts';
import { EventEmitter } from 'node:events';
import type { RtpCapabilities, Talker } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMedia, SessionCreated } from '../programme/room-media.ts';
import { isRecording, type Participant, type Room, type StageRole } from '../rooms/room.ts';
import type { RoomStore } from '../rooms/store/room-store.ts';
import {
	EMPTY_ROSTER,
	looksTheSame,
	participantIdOf,
	participantIn,
	rulesOf,
	type StageRoster,
	withAllReconnecting,
	withChanged,
	withEntered,
	withHands,
	withLeft,
	withoutMedia,
	withRules,
} from '../rooms/stage-roster.ts';
import type { Hand } from '../rooms/hand-queue.ts';
import { KeyedQueue } from '../rooms/keyed-queue.ts';
import { type StageRules, type Standing, standingOf, withSettings, withStanding } from '../rooms/stage-rules.ts';
import { HANDS_SHOWN, type HandsPage, type StageSettings } from './protocol.ts';
import { SeatMedia } from './seat-media.ts';
import { StageAnnouncer } from './stage-announcer.ts';
import { encodeEvent, type StageConnection, type StageEnding } from './stage-connection.ts';
import { StageHands } from './stage-hands.ts';
import { StageOrigin } from './stage-origin.ts';
import { type StagePrincipal, stageRoleOf, successor } from './stage-policy.ts';
import { newSeat, type Seat } from './stage-seat.ts';

/** What the stage writes to the log; pino's and Fastify's loggers fit. */
export interface StageLog {
	debug(fields: object, message: string): void;
	info(fields: object, message: string): void;
	warn(fields: object, message: string): void;
	error(fields: object, message: string): void;
}

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

export interface Entered {
	participant: Participant;
	/** The place on stage was kept since an earlier connection, and its media with it. */
	resumed: boolean;
	/** Null while the media server is starting again. */
	rtpCapabilities: RtpCapabilities | null;
}

const MAX_HANDS = 1_000;

/**
 * The stage of one room: who has a place, and that media follows.
 *
 * How races are kept from leaving ghosts: seats and roster change in one synchronous step, so everybody
 * always sees a whole state; whatever has to be awaited for a person (store, media) runs in that person's
 * own queue, looks again at the seat after each wait, and a removal from media queues behind what is under
 * way. Different people never wait for each other, so a stage of fifty heals as fast as a stage of one.
 */
export class StageRoom extends EventEmitter<{
	/** What people see has changed. */
	rosterChanged: [StageRoster];
	/** Something that is to be kept has changed; told after `rosterChanged`. */
	stateChanged: [StageRoster];
}> {
	readonly #options: StageRoomOptions;
	readonly #seats = new Map<string, Seat>();
	readonly #queue = new KeyedQueue();
	/** People whose ban is on its way to the store. */
	readonly #banning = new Set<string>();
	#roster: StageRoster = EMPTY_ROSTER;
	readonly #origin = new StageOrigin();
	readonly #seatMedia: SeatMedia;
	readonly hands: StageHands;
	/** As it was announced last. */
	#recording = false;
	readonly #announce = new StageAnnouncer(() => this.#connections());
	#shuttingDown: string | null = null;
	/** The room lives elsewhere: nothing that still runs here may change anything any more. */
	#moved = false;

	constructor(options: StageRoomOptions) {
		super();
		this.#options = options;
		const { roomId, media, maxHands, now, schedule, epoch, log } = options;
		this.#seatMedia = new SeatMedia({
			roomId,
			media,
			origin: this.#origin,
			queue: this.#queue,
			isMuted: (id) => participantIn(this.#roster, id)?.muted === true,
			schedule,
			...(epoch && { epoch }),
			log,
		});
		this.hands = new StageHands({
			max: maxHands ?? MAX_HANDS,
			now,
			schedule,
			keep: (hands: readonly Hand[]) => this.#setRoster(withHands(this.#roster, hands)),
			show: (page) => this.#showHands(page, this.#moderators()),
		});
	}

	get roster(): StageRoster {
		return this.#roster;
	}

	get rtpCapabilities(): RtpCapabilities | null {
		return this.#origin.rtpCapabilities;
	}

	/** Before anything else: goes on from where an earlier home was. Whoever was there is waited for, and has no media. */
	restore(roster: StageRoster): void {
		for (const participant of roster.participants) {
			const seat = newSeat(participant);
			seat.publishing = false;
			// Transports of the earlier home are dead, and this one's media knows nobody yet.
			seat.mediaFailed = true;
			this.#seats.set(seat.id, seat);
			this.#keepPlace(seat);
		}
		this.#setRoster(withAllReconnecting(roster));
		this.hands.restore(roster.hands ?? []);
	}

	get rules(): StageRules {
		return rulesOf(this.#roster);
	}

	get settings(): StageSettings {
		const { maxStageSize, room } = this.#options;
		const { locked, maxSize } = this.rules;
		const now = room();
		return { locked, maxSize: Math.min(maxSize ?? maxStageSize, maxStageSize), recording: now !== undefined && isRecording(now) };
	}

	/** Throws DomainError `invalid_request` for a size that this node does not allow. */
	set(change: Partial<Pick<StageRules, 'locked' | 'maxSize' | 'order'>>): void {
		if (this.#moved) throw notHome();
		const { maxStageSize } = this.#options;
		if (change.maxSize !== undefined && change.maxSize > maxStageSize) throw new DomainError('invalid_request', `A stage holds ${maxStageSize} people at most.`);
		this.#setRoster(withRules(this.#roster, withSettings(this.rules, change)));
	}

	/** Gives somebody, on stage or not, another standing. Of those on stage, others and they themselves see it at once. */
	appoint(standing: Standing): void {
		if (this.#moved) throw notHome();
		const { id, role } = standing;
		this.#setRoster(withRules(this.#roster, withStanding(this.rules, standing)));
		const participant = participantIn(this.#roster, id);
		if (participant && role !== 'listener' && participant.role !== role) {
			this.#setRoster(withChanged(this.#roster, id, { role }));
			this.#seats.get(id)?.connection?.deliver(encodeEvent('role', { role }));
			this.#showHandsTo(id);
		}
		this.hands.nudge(id);
		if (participant?.role === 'host' && role === 'speaker') this.#succeed();
	}

	/** Throws DomainError `stage_full` or `stage_locked` when this person would find no place; one that is held counts. */
	requirePlaceFor(participantId: string, role: StageRole): void {
		if (this.#seats.has(participantId)) return;
		const { locked, maxSize } = this.settings;
		// Whoever runs the room is not to be shut out of it by their own doing.
		const runs = role !== 'speaker';
		if (locked && !runs) throw new DomainError('stage_locked', 'Nobody new comes on stage at present.', { retryAfterSeconds: 10 });
		const most = runs ? this.#options.maxStageSize : maxSize;
		if (this.#seats.size >= most) throw new DomainError('stage_full', `There are ${this.#seats.size} people on stage; ${most} is the limit.`, { retryAfterSeconds: 10 });
	}

	/** Resolves once nothing of this room is under way. */
	idle(): Promise<void> {
		return this.#queue.idle();
	}

	/** A person with a browser. `welcome` is the first thing the connection delivers. */
	enter(principal: StagePrincipal, connection: StageConnection): Promise<Entered> {
		const id = participantIdOf(this.#options.roomId, principal.subject);
		return this.#queue.run(id, async () => {
			const number = await this.#letIn(id, principal);
			const room = this.#requireRoom(id, principal);
			const held = this.#seats.get(id);
			const resumed = held?.kind === 'browser' && !held.mediaFailed;
			const seat = held ?? this.#newSeat(id, number, 'browser', principal);
			if (!resumed) {
				await this.#freshMedia(principal, seat, held, 'browser', async () => {
					await this.#addToMedia(room, seat);
				});
			}
			this.#show(seat, principal);
			this.#welcome(seat, connection, resumed, room);
			this.#attach(seat, connection);
			this.hands.remove(id);
			this.hands.nudge(id);
			this.#showHandsTo(id);
			return { participant: this.#require(id), resumed, rtpCapabilities: this.rtpCapabilities };
		});
	}

	/** A person with an encoder (WHIP). An earlier session or browser of the same person is replaced. */
	publish(principal: StagePrincipal, offer: string): Promise<SessionCreated> {
		const { media } = this.#options;
		const id = participantIdOf(this.#options.roomId, principal.subject);
		return this.#queue.run(id, async () => {
			const number = await this.#letIn(id, principal);
			const room = this.#requireRoom(id, principal);
			const held = this.#seats.get(id);
			const seat = held ?? this.#newSeat(id, number, 'encoder', principal);
			const session = await this.#freshMedia(principal, seat, held, 'encoder', async () => {
				await this.#addToMedia(room, seat);
				return media.publish(room, id, offer, holderIfKnown(principal));
			});
			this.#attach(seat, null);
			this.#show(seat, principal);
			this.hands.remove(id);
			return session;
		});
	}

	/** The socket is gone without a word: the place is kept for the grace period. Old connections are ignored. */
	connectionLost(participantId: string, connection: StageConnection): void {
		const seat = this.#seats.get(participantId);
		if (!seat || seat.connection !== connection) return;
		seat.connection = null;
		this.#keepPlace(seat);
		this.#setRoster(withChanged(this.#roster, seat.id, { connection: 'reconnecting' }));
	}

	/** Resolves when media has forgotten the person. The caller closes the connection after its answer. */
	async leave(participantId: string, connection: StageConnection): Promise<void> {
		const seat = this.#seatOf(participantId, connection);
		seat.connection = null;
		await this.#dismiss(seat, 'left');
	}

	/** Takes somebody off the stage. Whoever was brought there by a host needs that again to come back. Rejects with `participant_not_found`. */
	async kick(participantId: string): Promise<void> {
		const seat = this.#requireSeat(participantId);
		if (standingOf(this.rules, participantId)) this.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		await this.#dismiss(seat, 'kicked');
	}

	/** Back to the audience, until a host says otherwise. Rejects with `participant_not_found`. */
	async demote(participantId: string): Promise<void> {
		const seat = this.#requireSeat(participantId);
		this.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		await this.#dismiss(seat, 'demoted');
	}

	/** Off the stage and out of the queue, with no way back; resolves once the ban is stored. */
	async ban({ subject, name }: Pick<Participant, 'subject' | 'name'>, bannedBy: string): Promise<void> {
		if (this.#moved) throw notHome();
		const { roomId, store, now } = this.#options;
		const participantId = participantIdOf(roomId, subject);
		// An entry that asked the store just before this ban must not get past it.
		this.#banning.add(participantId);
		this.hands.remove(participantId);
		if (standingOf(this.rules, participantId)) this.appoint({ id: participantId, role: 'listener', kind: 'cap' });
		const seat = this.#seats.get(participantId);
		const removed = seat && this.#dismiss(seat, 'banned');
		try {
			await store.ban({ roomId, subject, name, bannedBy, bannedAt: now().toISOString() });
		} finally {
			void this.#queue.run(participantId, async () => {
				this.#banning.delete(participantId);
			});
		}
		await removed;
	}

	/** `by` is the name of a moderator; without it the person does it. */
	setMuted(participantId: string, muted: boolean, by?: string): Promise<void> {
		const { roomId, media } = this.#options;
		return this.#queue.run(participantId, async () => {
			const seat = this.#requireSeat(participantId);
			const generation = this.#origin.generation;
			try {
				await media.setMuted(roomId, participantId, muted);
			} catch (error) {
				if (!this.#origin.willHeal(error, generation)) throw error;
			}
			if (seat.gone || this.#require(participantId).muted === muted) return;
			this.#setRoster(withChanged(this.#roster, participantId, { muted }));
			if (by !== undefined) seat.connection?.deliver(encodeEvent('muted', { by }));
		});
	}

	/** Asks a person to open their microphone, which nobody else can. Throws DomainError `participant_not_found`, `not_reachable`. */
	askToUnmute(participantId: string, by: string): void {
		const { connection } = this.#requireSeat(participantId);
		if (!this.#require(participantId).muted) return;
		if (!connection) throw new DomainError('not_reachable', 'This person is not connected, or speaks with an encoder: nobody is there to be asked.', { retryAfterSeconds: 2 });
		connection.deliver(encodeEvent('unmuteRequested', { by }));
	}

	/** Runs something with media for a person, after all that was begun for that person before. Rejects with `participant_not_found`. */
	run<T>(participantId: string, connection: StageConnection, task: () => Promise<T>): Promise<T> {
		return this.#queue.run(participantId, async () => {
			this.#seatOf(participantId, connection);
			return task();
		});
	}

	/** Everybody off, e.g. because the room ended. */
	dismissAll(ending: StageEnding, detail?: string): void {
		for (const seat of this.#seats.values()) void this.#dismiss(seat, ending, detail);
	}

	/** The node stops: connections end, but nobody is taken off the roster, and nobody is let in any more. */
	shutDown(reason: string): void {
		this.#shuttingDown = reason;
		this.hands.keepNow();
		this.hands.close(new DomainError('shutting_down', reason, { retryAfterSeconds: 1 }));
		for (const seat of this.#seats.values()) {
			seat.cancelGrace?.();
			seat.cancelGrace = null;
			const connection = seat.connection;
			seat.connection = null;
			connection?.end('shutting_down', reason);
		}
	}

	/** The room lives elsewhere now. Everybody keeps their place there, so the roster stays as it is; media is not touched. */
	stepDown(): void {
		this.hands.close(notHome());
		this.#moved = true;
		for (const seat of this.#seats.values()) {
			seat.gone = true;
			this.#release(seat);
			const connection = seat.connection;
			seat.connection = null;
			connection?.end('moved');
		}
		this.#seats.clear();
	}

	roomChanged(room: Room): void {
		this.#announce.room(room);
		const { settings } = this;
		if (settings.recording !== this.#recording) this.#announceStage();
	}

	talkersChanged(talkers: Talker[], dominant: number | null): void {
		this.#announce.talkers(talkers, dominant);
	}

	/** Media has counted anew, which it does once a second. */
	countsRefreshed(): void {
		const { media, roomId, now } = this.#options;
		this.#announce.listeners(media.listenersIn(roomId), now().getTime());
	}

	originLost(): void {
		this.#origin.lose();
		let roster = withoutMedia(this.#roster);
		for (const seat of this.#seats.values()) {
			seat.mediaId = null;
			// A browser is told over its socket; an encoder finds out by itself and publishes again.
			if (seat.kind === 'encoder' && !seat.publishing) {
				this.#keepPlace(seat);
				roster = withChanged(roster, seat.id, { connection: 'reconnecting' });
			}
		}
		this.#setRoster(roster);
		this.#announce.mediaLost();
	}

	originReady(rtpCapabilities: RtpCapabilities): void {
		if (!this.#origin.found(rtpCapabilities)) return;
		for (const seat of this.#seats.values()) void this.#queue.run(seat.id, () => this.#addAgain(seat));
		// Not after the adding: what clients ask for now queues behind it anyway, and they hear no sound meanwhile.
		this.#announce.mediaReady(rtpCapabilities);
		for (const seat of this.#seats.values()) if (seat.connection) seat.toldGeneration = this.#origin.generation;
	}

	/**
	 * A person's media came or went. A browser's place hangs on its socket, so its media only changes what
	 * others can consume. An encoder has no socket: `disconnected` (its network went, or it died) keeps its place
	 * for the grace period, for publishing again resumes; so does a `closed` that follows. `closed` out of good
	 * health is a goodbye (DELETE): the encoder leaves at once.
	 */
	speakerMedia(participantId: string, state: 'producing' | 'connected' | 'disconnected' | 'closed'): void {
		const seat = this.#seats.get(participantId);
		if (!seat) return;
		if (state === 'producing') this.#setMedia(seat, this.#options.randomId());
		else if (seat.kind === 'encoder') this.#encoderMedia(seat, state);
		else if (state === 'closed') this.#setMedia(seat, null);
	}

	#encoderMedia(seat: Seat, state: 'connected' | 'disconnected' | 'closed'): void {
		const waitedFor = seat.cancelGrace !== null;
		if (seat.publishing) return;
		if (state === 'connected') {
			this.#release(seat);
			if (waitedFor) this.#setMedia(seat, this.#options.randomId(), 'connected');
		} else if (state === 'closed' && !waitedFor) {
			void this.#dismiss(seat, 'left');
		} else {
			this.#keepPlace(seat);
			this.#setMedia(seat, null, 'reconnecting');
		}
	}

	#setMedia(seat: Seat, mediaId: string | null, connection?: Participant['connection']): void {
		seat.mediaId = mediaId;
		this.#setRoster(withChanged(this.#roster, seat.id, { mediaId, ...(connection && { connection }) }));
	}

	/** Asks the store whether the person may come, and for the number. */
	async #letIn(id: string, principal: StagePrincipal): Promise<number> {
		const { roomId, store } = this.#options;
		// An admin could lift the ban; pretending otherwise protects nobody.
		if (principal.role !== 'admin' && (await store.isBanned(roomId, principal.subject))) throw new DomainError('banned', 'This person is banned from the room.');
		return this.#seats.get(id)?.number ?? (await store.speakerNumber(roomId, principal.subject));
	}

	/** Looks again at everything that may have changed while somebody waited at the door. */
	#requireRoom(id: string, principal: StagePrincipal): Room {
		if (this.#moved) throw notHome();
		if (this.#shuttingDown !== null) throw new DomainError('shutting_down', this.#shuttingDown);
		const room = this.#options.room();
		if (!room) throw new DomainError('room_not_found', 'There is no such room.');
		if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
		if (principal.role !== 'admin' && this.#banning.has(id)) throw new DomainError('banned', 'This person is banned from the room.');
		stageRoleOf(principal, room.id, this.rules);
		return room;
	}

	/** The place is reserved before it is granted, so that two at the door cannot both take the last one. */
	#newSeat(id: string, number: number, kind: Participant['kind'], principal: StagePrincipal): Seat {
		this.requirePlaceFor(id, stageRoleOf(principal, this.#options.roomId, this.rules));
		const seat = newSeat({ id, number, kind, joinedAt: this.#options.now().toISOString() });
		this.#seats.set(id, seat);
		return seat;
	}

	/** Gives a seat media from scratch: what media knew of the person before goes first. Undoes its half when it fails. */
	async #freshMedia<T>(
		principal: StagePrincipal,
		seat: Seat,
		held: Seat | undefined,
		kind: Participant['kind'],
		make: () => Promise<T>,
	): Promise<T> {
		if (held) {
			this.#attach(seat, null);
			this.#seatMedia.outdated(seat.id);
			seat.kind = kind;
			this.#setMedia(seat, null);
		}
		seat.publishing = kind === 'encoder';
		const generation = this.#origin.generation;
		try {
			await this.#seatMedia.remove(seat.id);
			// Media must not be asked for a room that has ended: it would make it anew.
			if (seat.gone) throw this.#goneError();
			const made = await make();
			if (seat.gone) throw this.#goneError();
			this.#requireRoom(seat.id, principal);
			// The session went with its origin, and nothing more will be heard of it.
			if (kind === 'encoder' && generation !== this.#origin.generation) throw new DomainError('media_unavailable', 'The media server is starting again.');
			seat.mediaFailed = false;
			return made;
		} catch (error) {
			if (!held) {
				void this.#dismiss(seat, 'left');
			} else if (!seat.gone) {
				this.#keepPlace(seat);
				this.#setRoster(withChanged(this.#roster, seat.id, { connection: 'reconnecting' }));
			}
			throw error;
		} finally {
			seat.publishing = false;
		}
	}

	#goneError(): DomainError {
		if (this.#moved) return notHome();
		const room = this.#options.room();
		return room && room.state !== 'ended'
			? new DomainError('participant_not_found', 'You were taken off the stage meanwhile.')
			: new DomainError('room_ended', 'This room has ended.');
	}

	#attach(seat: Seat, connection: StageConnection | null): void {
		const before = seat.connection;
		this.#release(seat);
		seat.connection = connection;
		before?.end('replaced');
	}

	#show(seat: Seat, principal: StagePrincipal): void {
		const { subject, name } = principal;
		const role = stageRoleOf(principal, this.#options.roomId, this.rules);
		const muted = participantIn(this.#roster, seat.id)?.muted ?? false;
		const { id, number, kind, mediaId, joinedAt } = seat;
		const known = participantIn(this.#roster, id)?.kind === kind;
		this.#setRoster(
			known
				? withChanged(this.#roster, id, { name, role, mediaId, connection: 'connected' })
				: withEntered(this.#roster, { id, subject, number, name, role, kind, muted, connection: 'connected', mediaId, joinedAt }),
		);
	}

	/** Before the connection is attached, so that nothing precedes its `welcome`. */
	#welcome(seat: Seat, connection: StageConnection, resumed: boolean, room: Room): void {
		const { roomId, media, reconnectGraceMs, alternates } = this.#options;
		const { rtpCapabilities, generation } = this.#origin;
		this.#announce.welcome(connection, {
			me: this.#require(seat.id),
			resumed,
			mediaChanged: seat.toldGeneration !== generation,
			rtpCapabilities,
			reconnectGraceMs,
			alternates: alternates?.() ?? [],
			room,
			roster: this.#roster,
			settings: this.settings,
			listenerCount: media.listenersIn(roomId),
		});
		if (rtpCapabilities) seat.toldGeneration = generation;
	}

	#keepPlace(seat: Seat): void {
		if (seat.cancelGrace) return;
		seat.cancelGrace = this.#options.schedule(this.#options.reconnectGraceMs, () => void this.#dismiss(seat, 'left'));
	}

	#release(seat: Seat): void {
		seat.cancelGrace?.();
		seat.cancelGrace = null;
	}

	/** The seat goes at once, media as soon as what is under way for the person has ended. Never rejects. */
	#dismiss(seat: Seat, ending: StageEnding, detail?: string): Promise<void> {
		if (seat.gone) return Promise.resolve();
		seat.gone = true;
		this.#seats.delete(seat.id);
		this.#seatMedia.outdated(seat.id);
		this.#release(seat);
		const connection = seat.connection;
		seat.connection = null;
		const wasHost = participantIn(this.#roster, seat.id)?.role === 'host';
		this.#setRoster(withLeft(this.#roster, seat.id));
		connection?.end(ending, detail);
		this.hands.nudge(seat.id);
		if (wasHost && ending !== 'room_ended') this.#succeed();
		if (ending === 'demoted' && seat.kind === 'browser') return this.#seatMedia.linger(seat.id);
		return this.#queue.run(seat.id, () => this.#seatMedia.remove(seat.id));
	}

	/** No host is left: somebody takes over, for a room must not die with one person. */
	#succeed(): void {
		const { roomId, room, epoch, log } = this.#options;
		if (this.#shuttingDown !== null || room()?.state === 'ended' || this.#roster.participants.some(({ role }) => role === 'host')) return;
		const heir = successor(this.#roster.participants);
		if (!heir) return;
		this.appoint({ id: heir.id, role: 'host', kind: 'floor' });
		log.info({ room: roomId, participant: heir.id, epoch: epoch?.() }, 'co-host took over as host');
	}

	async #addToMedia(room: Room, seat: Seat): Promise<void> {
		const rtpCapabilities = await this.#seatMedia.add(room, seat);
		if (rtpCapabilities) this.originReady(rtpCapabilities);
	}

	async #addAgain(seat: Seat): Promise<void> {
		const room = this.#options.room();
		if (seat.gone || !room || room.state === 'ended' || (await this.#seatMedia.addAgain(room, seat))) return;
		seat.mediaFailed = true;
		const connection = seat.connection;
		if (!connection || seat.gone) return;
		this.connectionLost(seat.id, connection);
		connection.end('media_unavailable');
	}

	#require(participantId: string): Participant {
		const participant = participantIn(this.#roster, participantId);
		if (!participant) throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
		return participant;
	}

	#requireSeat(participantId: string): Seat {
		if (this.#moved) throw notHome();
		this.#require(participantId);
		const seat = this.#seats.get(participantId);
		if (!seat) throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
		return seat;
	}

	#seatOf(participantId: string, connection: StageConnection): Seat {
		if (this.#moved) throw notHome();
		const seat = this.#seats.get(participantId);
		if (!seat || seat.connection !== connection) throw new DomainError('participant_not_found', 'You are not on this stage any more.');
		return seat;
	}

	*#connections(): Iterable<StageConnection> {
		for (const { connection } of this.#seats.values()) if (connection) yield connection;
	}

	*#moderators(): Iterable<StageConnection> {
		for (const { id, role } of this.#roster.participants) {
			const connection = role === 'speaker' ? null : this.#seats.get(id)?.connection;
			if (connection) yield connection;
		}
	}

	#showHands(page: HandsPage, connections: Iterable<StageConnection>): void {
		const frame = encodeEvent('hands', page);
		for (const connection of connections) connection.deliver(frame);
	}

	/** Whoever may see the queue from now on. */
	#showHandsTo(participantId: string): void {
		const connection = this.#seats.get(participantId)?.connection;
		if (!connection || participantIn(this.#roster, participantId)?.role === 'speaker') return;
		this.#showHands(this.hands.page({ limit: HANDS_SHOWN }), [connection]);
	}

	#announceStage(): void {
		const { settings } = this;
		this.#recording = settings.recording;
		this.#announce.stage(this.#roster, settings);
	}

	#setRoster(roster: StageRoster): void {
		if (roster === this.#roster || this.#moved) return;
		const before = this.#roster;
		this.#roster = roster;
		if (!looksTheSame(before, roster)) {
			this.#announceStage();
			this.emit('rosterChanged', roster);
		}
		this.emit('stateChanged', roster);
	}
}

export function notHome(): DomainError {
	return new DomainError('not_home', 'This room lives on another node; come back and you are taken there.');
}
