import { EventEmitter } from 'node:events';
import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMediaEvents, SessionCreated } from '../programme/room-media.ts';
import type { RoomDirectory, RoomDirectoryEvents } from '../rooms/room-directory.ts';
import type { Participant, Room } from '../rooms/room.ts';
import { EMPTY_ROSTER, isNewer, looksTheSame, participantIdOf, rulesOf, type StageRoster, type StageState } from '../rooms/stage-roster.ts';
import { inOrder } from '../rooms/stage-rules.ts';
import type { StageConnection } from './stage-connection.ts';
import { StagePeople } from './stage-people.ts';
import { type StagePrincipal, stageRoleOf } from './stage-policy.ts';
import { StageKeeper } from './stage-keeper.ts';
import { type Entered, notHome, StageRoom, type StageRoomOptions } from './stage-room.ts';
import { alwaysHome, FORGETFUL_STAGE_STORE, type StageHomes, type StageStore } from './stage-store.ts';

export interface StageServiceEvents {
	rosterChanged: [{ roomId: string; version: number; participants: readonly Participant[] }];
}

export interface StageServiceOptions extends Omit<StageRoomOptions, 'roomId' | 'room' | 'epoch'> {
	rooms: Pick<RoomDirectory, 'get' | 'transition'> & Pick<EventEmitter<RoomDirectoryEvents>, 'on' | 'off'>;
	/** Default: every room lives here. */
	homes?: StageHomes;
	/** Default: none. */
	stageStore?: StageStore;
	/** Somebody was banned from a room: whatever else of theirs is open there is to end. Default: nothing is. */
	onBanned?: (roomId: string, subject: string) => void;
}

/** One person's place on a stage, as held by one connection. */
export interface StagePlace {
	readonly roomId: string;
	readonly participantId: string;
	readonly connection: StageConnection;
}

/** The stage of a room that lives here. */
interface HomeStage {
	stage: StageRoom;
	epoch: number;
}

/** Between two tries to read what an earlier home has left. */
const RESTORE_RETRY_MS = 1_000;
const NOBODY: StageState = { epoch: 0, roster: EMPTY_ROSTER };

/**
 * The stages of all rooms whose home is this node: who may come, who is there, and who may do what to whom. Of other
 * rooms it knows who is there. Every method that is refused rejects with a DomainError: `not_home` when the room lives
 * on another node.
 *
 * A stage is there from the moment that what an earlier home has left of it was read, until the home is lost: then its
 * people are sent away to come back, and find their places at the next home.
 */
export class StageService extends EventEmitter<StageServiceEvents> {
	readonly #options: StageServiceOptions;
	readonly #homes: StageHomes;
	readonly #store: StageStore;
	readonly #keeper: StageKeeper;
	/** Hands, roles, and what hosts do to others. */
	readonly people: StagePeople;
	readonly #stages = new Map<string, HomeStage>();
	readonly #restoring = new Map<string, { epoch: number; done: Promise<StageRoom> }>();
	/** What other nodes, or this one when it was their home, said last of rooms that do not live here. */
	readonly #replicas = new Map<string, StageState>();
	/** Epochs that turned out to be over before the home was told to be lost. */
	readonly #fenced = new Map<string, number>();
	#stopListening: () => void = () => {};
	/** Why nobody is let in any more. */
	#closed: string | null = null;

	private constructor(options: StageServiceOptions) {
		super();
		this.#options = options;
		this.#homes = options.homes ?? alwaysHome();
		this.#store = options.stageStore ?? FORGETFUL_STAGE_STORE;
		this.#keeper = new StageKeeper({ store: this.#store, fenced: (roomId, epoch) => this.#fence(roomId, epoch), log: options.log });
		this.people = new StagePeople({
			room: (roomId) => options.rooms.get(roomId),
			transition: (roomId, command) => options.rooms.transition(roomId, command),
			stageOf: (roomId) => this.#stageOf(roomId),
			rulesOf: (roomId) => rulesOf(this.stateOf(roomId).roster),
			flush: (roomId) => this.#keeper.flush(roomId),
			onBanned: (roomId, subject) => options.onBanned?.(roomId, subject),
			epochOf: (roomId) => this.#epochOf(roomId),
			log: options.log,
		});
	}

	static create(options: StageServiceOptions): StageService {
		const service = new StageService(options);
		service.#listen();
		return service;
	}

	/** In the hosts' order, otherwise by number; empty for a room nobody has been on stage of. */
	roster(roomId: string): readonly Participant[] {
		const { roster } = this.stateOf(roomId);
		return inOrder(roster.participants, rulesOf(roster));
	}

	/** Grows with every change of the roster, from one home to the next. */
	rosterVersion(roomId: string): number {
		return this.stateOf(roomId).roster.version;
	}

	/** The newest that is known here of a room's stage; epoch 0 when nothing is. */
	stateOf(roomId: string): StageState {
		const home = this.#stages.get(roomId);
		return home ? { epoch: home.epoch, roster: home.stage.roster } : (this.#replicas.get(roomId) ?? this.#store.stageOf?.(roomId) ?? NOBODY);
	}

	/** For a node that is home of the room from its start: whoever was on stage is waited for. */
	restore(roomId: string): void {
		if (!this.#stages.has(roomId)) this.#restoreSoon(roomId, 0);
	}

	/** The room's home says who is there. Ignored when more is known already, or when this node is the home. */
	applyRemoteStage(roomId: string, epoch: number, roster: StageRoster): void {
		const state = { epoch, roster };
		const mine = this.#epochOf(roomId);
		if (this.#stages.has(roomId) || (mine !== undefined && mine >= epoch) || !isNewer(state, this.stateOf(roomId))) return;
		const before = this.stateOf(roomId).roster;
		this.#replicas.set(roomId, state);
		// Hands, and what is settled for people who are not there, are nobody's to see.
		if (!looksTheSame(before, roster)) this.#tell(roomId, roster);
	}

	/**
	 * Tries again to save what could not be, of one room or of all; before a home is given up, and when the store is
	 * back. Whether everything is saved now.
	 */
	flush(roomId?: string): Promise<boolean> {
		for (const [id, { stage }] of this.#stages) if (roomId === undefined || roomId === id) stage.hands.keepNow();
		return this.#keeper.flush(roomId);
	}

	/** People on all stages of this node. */
	get participantCount(): number {
		let count = 0;
		for (const { stage } of this.#stages.values()) count += stage.roster.participants.length;
		return count;
	}

	/** Null while the room has no origin. */
	rtpCapabilities(roomId: string): RtpCapabilities | null {
		return this.#stages.get(roomId)?.stage.rtpCapabilities ?? null;
	}

	/**
	 * Whether this principal could enter now, so that a refusal can be told before a socket is opened.
	 * `enter` looks again. Rejects with `shutting_down`, `room_not_found`, `room_ended`, `forbidden`, `banned`, `stage_full`, `stage_locked`.
	 */
	async admit(principal: StagePrincipal, roomId: string): Promise<void> {
		this.#requireOpen(roomId);
		// What is known here of the stage is enough for most of those who may not come.
		stageRoleOf(principal, roomId, rulesOf(this.stateOf(roomId).roster));
		const banned = principal.role !== 'admin' && (await this.#options.store.isBanned(roomId, principal.subject));
		if (banned) throw new DomainError('banned', 'This person is banned from the room.');
		const stage = await this.#stageOf(roomId);
		stage.requirePlaceFor(participantIdOf(roomId, principal.subject), stageRoleOf(principal, roomId, stage.rules));
	}

	/**
	 * Brings a person with a browser on stage; `welcome` is the first frame that the connection delivers. An earlier
	 * connection of the same subject is replaced, and its place, number and muted state are kept.
	 * Rejects as `admit` does, and with what media refuses.
	 */
	async enter(principal: StagePrincipal, roomId: string, connection: StageConnection): Promise<Entered> {
		this.#requireOpen(roomId);
		const stage = await this.#stageOf(roomId);
		return stage.enter(principal, connection);
	}

	/** WHIP: brings a person with an encoder on stage, or replaces the session of one who is there. */
	async publish(principal: StagePrincipal, roomId: string, offer: string): Promise<SessionCreated> {
		this.#requireOpen(roomId);
		const stage = await this.#stageOf(roomId);
		return stage.publish(principal, offer);
	}

	/** For good; the caller answers and closes the connection. Resolves when media has forgotten the person. */
	async leave({ roomId, participantId, connection }: StagePlace): Promise<void> {
		await this.#require(roomId).leave(participantId, connection);
	}

	/** The connection broke: the place is kept for the grace period. One that was replaced already changes nothing. */
	socketLost({ roomId, participantId, connection }: StagePlace): void {
		this.#stages.get(roomId)?.stage.connectionLost(participantId, connection);
	}

	/** Runs a person's request to media in that person's turn. Rejects with `participant_not_found` when the place is gone. */
	async run<T>({ roomId, participantId, connection }: StagePlace, task: () => Promise<T>): Promise<T> {
		return this.#require(roomId).run(participantId, connection, task);
	}

	/** The person's own doing; nobody else can unmute. */
	async setMuted({ roomId, participantId }: StagePlace, muted: boolean): Promise<void> {
		await this.#require(roomId).setMuted(participantId, muted);
	}

	/** Tells everybody on every stage to come back later, ends their connections, and lets nobody in any more. Idempotent. */
	closeAll(reason: string): void {
		if (this.#closed !== null) return;
		this.#closed = reason;
		this.#stopListening();
		for (const { stage } of this.#stages.values()) stage.shutDown(reason);
	}

	#listen(): void {
		const { rooms, media } = this.#options;
		const roomChanged = (room: Room): void => {
			const stage = this.#stages.get(room.id)?.stage;
			stage?.roomChanged(room);
			if (room.state === 'ended') stage?.dismissAll('room_ended');
		};
		const roomRemoved = (room: Room): void => void this.#forget(room.id);
		const originLost = ({ roomId }: { roomId: string }): void => this.#stages.get(roomId)?.stage.originLost();
		const originReady = ({ roomId, rtpCapabilities }: RoomMediaEvents['originReady'][0]): void =>
			this.#stages.get(roomId)?.stage.originReady(rtpCapabilities);
		const speakerMedia = ({ roomId, participantId, state }: RoomMediaEvents['speakerMedia'][0]): void =>
			this.#stages.get(roomId)?.stage.speakerMedia(participantId, state);
		const talkers = ({ roomId, talkers, dominant }: RoomMediaEvents['talkers'][0]): void =>
			this.#stages.get(roomId)?.stage.talkersChanged(talkers, dominant);
		const counts = (): void => {
			for (const { stage } of this.#stages.values()) stage.countsRefreshed();
		};
		const gained = (roomId: string, epoch: number): void => {
			const home = this.#stages.get(roomId);
			// The same home under a new number: whatever was kept under the old one is out of date.
			if (home && home.epoch < epoch) {
				home.epoch = epoch;
				this.#keeper.save(roomId, this.stateOf(roomId));
			} else if (!home) {
				this.#restoreSoon(roomId, 0);
			}
		};
		const lost = (roomId: string, epoch: number): void => this.#stepDown(roomId, epoch);
		this.#homes.on('gained', gained);
		this.#homes.on('lost', lost);
		rooms.on('changed', roomChanged);
		rooms.on('removed', roomRemoved);
		media.on('originLost', originLost);
		media.on('originReady', originReady);
		media.on('speakerMedia', speakerMedia);
		media.on('talkers', talkers);
		media.on('counts', counts);
		this.#stopListening = () => {
			rooms.off('changed', roomChanged);
			rooms.off('removed', roomRemoved);
			media.off('originLost', originLost);
			media.off('originReady', originReady);
			media.off('speakerMedia', speakerMedia);
			media.off('talkers', talkers);
			media.off('counts', counts);
			this.#homes.off('gained', gained);
			this.#homes.off('lost', lost);
		};
	}

	/** A room of the same id may be made again at once: the stage goes only when nothing of the old one is under way. */
	async #forget(roomId: string): Promise<void> {
		this.#replicas.delete(roomId);
		const home = this.#stages.get(roomId);
		if (!home) return;
		home.stage.dismissAll('room_ended', 'The room has been removed.');
		await home.stage.idle();
		if (this.#options.rooms.get(roomId) || this.#stages.get(roomId) !== home) return;
		this.#stages.delete(roomId);
		this.#keeper.drop(roomId);
	}

	/** This node's epoch for the room, unless it is known to be over. */
	#epochOf(roomId: string): number | undefined {
		const epoch = this.#homes.epochOf(roomId);
		return epoch !== undefined && epoch <= (this.#fenced.get(roomId) ?? 0) ? undefined : epoch;
	}

	#fence(roomId: string, epoch: number): void {
		this.#fenced.set(roomId, epoch);
		this.#stepDown(roomId, epoch);
	}

	#stepDown(roomId: string, epoch: number): void {
		const home = this.#stages.get(roomId);
		if (!home || home.epoch > epoch) return;
		this.#options.log.info({ room: roomId, epoch, participants: home.stage.roster.participants.length }, 'the stage steps down');
		// Until its next home says otherwise, this is who is there.
		const state = this.stateOf(roomId);
		this.#stages.delete(roomId);
		this.#replicas.set(roomId, state);
		this.#keeper.drop(roomId);
		home.stage.stepDown();
	}

	/** Not only when somebody comes: whoever does not come back is to lose the place in time. */
	#restoreSoon(roomId: string, attempt: number): void {
		this.#stageOf(roomId).catch((error: unknown) => {
			if (this.#closed !== null || this.#epochOf(roomId) === undefined) return;
			if (attempt === 0) this.#options.log.warn({ room: roomId, err: error }, 'the stage could not be read; it is tried again');
			this.#options.schedule(RESTORE_RETRY_MS, () => this.#restoreSoon(roomId, attempt + 1));
		});
	}

	/** The room's stage, with everybody on it whom an earlier home had there. Rejects with `not_home`, and as the store does. */
	#stageOf(roomId: string): Promise<StageRoom> {
		const epoch = this.#epochOf(roomId);
		if (epoch === undefined) return Promise.reject(notHome());
		const home = this.#stages.get(roomId);
		if (home) return Promise.resolve(home.stage);
		const under = this.#restoring.get(roomId);
		if (under?.epoch === epoch) return under.done;
		const done = this.#restore(roomId, epoch).finally(() => {
			if (this.#restoring.get(roomId)?.done === done) this.#restoring.delete(roomId);
		});
		this.#restoring.set(roomId, { epoch, done });
		return done;
	}

	async #restore(roomId: string, epoch: number): Promise<StageRoom> {
		const stored = (await this.#store.loadStage(roomId)) ?? NOBODY;
		if (this.#epochOf(roomId) !== epoch) throw notHome();
		const replica = this.#replicas.get(roomId) ?? NOBODY;
		const { roster } = isNewer(replica, stored) ? replica : stored;
		const stage = this.#open(roomId, epoch);
		if (roster.version > 0) stage.restore(roster);
		if (roster.participants.length > 0) this.#options.log.info({ room: roomId, epoch, participants: roster.participants.length }, 'the stage is restored');
		// It ended while nobody was its home.
		if (this.#options.rooms.get(roomId)?.state === 'ended') stage.dismissAll('room_ended');
		if (this.#closed !== null) stage.shutDown(this.#closed);
		return stage;
	}

	#requireOpen(roomId: string): void {
		if (this.#closed !== null) throw new DomainError('shutting_down', this.#closed);
		const room = this.#options.rooms.get(roomId);
		if (!room) throw new DomainError('room_not_found', 'There is no room with this id.');
		if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
	}

	#open(roomId: string, epoch: number): StageRoom {
		const { rooms, homes: _homes, stageStore: _stageStore, onBanned: _onBanned, ...rest } = this.#options;
		const stage = new StageRoom({ ...rest, roomId, room: () => rooms.get(roomId), epoch: () => this.#epochOf(roomId) });
		const home: HomeStage = { stage, epoch };
		stage.on('rosterChanged', (roster) => this.#tell(roomId, roster));
		stage.on('stateChanged', (roster) => this.#keeper.save(roomId, { epoch: home.epoch, roster }));
		this.#stages.set(roomId, home);
		this.#replicas.delete(roomId);
		return stage;
	}

	#tell(roomId: string, roster: StageRoster): void {
		this.emit('rosterChanged', { roomId, version: roster.version, participants: inOrder(roster.participants, rulesOf(roster)) });
	}

	#require(roomId: string): StageRoom {
		const home = this.#stages.get(roomId);
		if (home) return home.stage;
		if (!this.#options.rooms.get(roomId)) throw new DomainError('room_not_found', 'There is no room with this id.');
		if (this.#epochOf(roomId) === undefined) throw notHome();
		throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
	}
}
