import { EventEmitter } from 'node:events';
import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMediaEvents, SessionCreated } from '../programme/room-media.ts';
import type { RoomDirectory, RoomDirectoryEvents } from '../rooms/room-directory.ts';
import type { Participant, Room } from '../rooms/room.ts';
import { participantIdOf, rulesOf, type StageRoster, type StageState } from '../rooms/stage-roster.ts';
import { inOrder } from '../rooms/stage-rules.ts';
import { HomeStages } from './home-stages.ts';
import { openInvitations, type OpenInvitations } from './open-invitations.ts';
import type { StageConnection } from './stage-connection.ts';
import type { Entered } from './stage-door.ts';
import { StagePeople } from './stage-people.ts';
import { type StagePrincipal, stageRoleOf } from './stage-policy.ts';
import { StageRoom, type StageRoomOptions } from './stage-room.ts';
import { alwaysHome, FORGETFUL_STAGE_STORE, type StageHomes, type StageStore } from './stage-store.ts';

export interface StageServiceEvents {
	rosterChanged: [{ roomId: string; version: number; participants: readonly Participant[] }];
	/** See `invitationsIn`. */
	invitationsChanged: [roomId: string];
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

/**
 * The stages of all rooms whose home is this node: who may come, who is there, and who may do what to whom. Of other
 * rooms it knows who is there. Every method that is refused rejects with a DomainError: `not_home` when the room lives
 * on another node.
 */
export class StageService extends EventEmitter<StageServiceEvents> {
	readonly #options: StageServiceOptions;
	readonly #homes: StageHomes;
	readonly #stages: HomeStages;
	/** Hands, roles, and what hosts do to others. */
	readonly people: StagePeople;
	#stopListening: () => void = () => {};
	/** Why nobody is let in any more. */
	#closed: string | null = null;

	private constructor(options: StageServiceOptions) {
		super();
		this.#options = options;
		const { rooms, homes = alwaysHome(), stageStore = FORGETFUL_STAGE_STORE, onBanned, ...rest } = options;
		const { schedule, log } = rest;
		this.#homes = homes;
		const stages = new HomeStages({
			make: (roomId, epoch) => new StageRoom({ ...rest, roomId, room: () => rooms.get(roomId), epoch }),
			rooms,
			homes,
			store: stageStore,
			schedule,
			log,
		});
		this.#stages = stages;
		stages.on('rosterChanged', (roomId, roster) =>
			this.emit('rosterChanged', { roomId, version: roster.version, participants: inOrder(roster.participants, rulesOf(roster)) }),
		);
		stages.on('invitationsChanged', (roomId) => this.emit('invitationsChanged', roomId));
		this.people = new StagePeople({
			room: (roomId) => rooms.get(roomId),
			transition: (roomId, command) => rooms.transition(roomId, command),
			stageOf: (roomId) => stages.of(roomId),
			rulesOf: (roomId) => rulesOf(stages.stateOf(roomId).roster),
			flush: (roomId) => stages.keep(roomId),
			onBanned: (roomId, subject) => onBanned?.(roomId, subject),
			epochOf: (roomId) => stages.epochOf(roomId),
			log,
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

	/** Who is invited onto the stage and has not answered, as far as it is known here; the stage's home tells all nodes with the rest of its state. */
	invitationsIn(roomId: string): OpenInvitations {
		return openInvitations(this.stateOf(roomId).roster);
	}

	/** Grows with every change of the roster, from one home to the next. */
	rosterVersion(roomId: string): number {
		return this.stateOf(roomId).roster.version;
	}

	/** The newest that is known here of a room's stage; epoch 0 when nothing is. */
	stateOf(roomId: string): StageState {
		return this.#stages.stateOf(roomId);
	}

	/** For a node that is home of the room from its start: whoever was on stage is waited for. */
	restore(roomId: string): void {
		this.#stages.restoreSoon(roomId);
	}

	/** The room's home says who is there. Ignored when more is known already, or when this node is the home. */
	applyRemoteStage(roomId: string, epoch: number, roster: StageRoster): void {
		this.#stages.applyRemote(roomId, { epoch, roster });
	}

	/**
	 * Tries again to save what could not be, of one room or of all; before a home is given up, and when the store is
	 * back. Whether everything is saved now.
	 */
	flush(roomId?: string): Promise<boolean> {
		return this.#stages.flush(roomId);
	}

	/** People on all stages of this node. */
	get participantCount(): number {
		let count = 0;
		for (const { roster } of this.#stages) count += roster.participants.length;
		return count;
	}

	/** Null while the room has no origin. */
	rtpCapabilities(roomId: string): RtpCapabilities | null {
		return this.#stages.get(roomId)?.rtpCapabilities ?? null;
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
		const stage = await this.#stages.of(roomId);
		stage.order.requirePlaceFor(participantIdOf(roomId, principal.subject), stageRoleOf(principal, roomId, stage.roster.rules));
	}

	/**
	 * Brings a person with a browser on stage; `welcome` is the first frame that the connection delivers. An earlier
	 * connection of the same subject is replaced, and its place, number and muted state are kept.
	 * Rejects as `admit` does, and with what media refuses.
	 */
	async enter(principal: StagePrincipal, roomId: string, connection: StageConnection): Promise<Entered> {
		this.#requireOpen(roomId);
		const stage = await this.#stages.of(roomId);
		return stage.door.enter(principal, connection);
	}

	/** WHIP: brings a person with an encoder on stage, or replaces the session of one who is there. */
	async publish(principal: StagePrincipal, roomId: string, offer: string): Promise<SessionCreated> {
		this.#requireOpen(roomId);
		const stage = await this.#stages.of(roomId);
		return stage.door.publish(principal, offer);
	}

	/** For good; the caller answers and closes the connection. Resolves when media has forgotten the person. */
	async leave({ roomId, participantId, connection }: StagePlace): Promise<void> {
		await this.#stages.require(roomId).seats.leave(participantId, connection);
	}

	/** The connection broke: the place is kept for the grace period. One that was replaced already changes nothing. */
	socketLost({ roomId, participantId, connection }: StagePlace): void {
		this.#stages.get(roomId)?.seats.connectionLost(participantId, connection);
	}

	/** Runs a person's request to media in that person's turn. Rejects with `participant_not_found` when the place is gone. */
	async run<T>({ roomId, participantId, connection }: StagePlace, task: () => Promise<T>): Promise<T> {
		return this.#stages.require(roomId).seats.run(participantId, connection, task);
	}

	/** The person's own doing; nobody else can unmute. */
	async setMuted({ roomId, participantId }: StagePlace, muted: boolean): Promise<void> {
		await this.#stages.require(roomId).media.setMuted(participantId, muted);
	}

	/** Tells everybody on every stage to come back later, ends their connections, and lets nobody in any more. Idempotent. */
	closeAll(reason: string): void {
		if (this.#closed !== null) return;
		this.#closed = reason;
		this.#stopListening();
		this.#stages.close(reason);
	}

	#listen(): void {
		const { rooms, media } = this.#options;
		const roomChanged = (room: Room): void => {
			const stage = this.#stages.get(room.id);
			stage?.roomChanged(room);
			if (room.state === 'ended') stage?.seats.dismissAll('room_ended');
		};
		const roomRemoved = (room: Room): void => void this.#stages.forget(room.id);
		const originLost = ({ roomId }: { roomId: string }): void => this.#stages.get(roomId)?.media.originLost();
		const originReady = ({ roomId, rtpCapabilities }: RoomMediaEvents['originReady'][0]): void =>
			this.#stages.get(roomId)?.media.originReady(rtpCapabilities);
		const speakerMedia = ({ roomId, participantId, state }: RoomMediaEvents['speakerMedia'][0]): void =>
			this.#stages.get(roomId)?.media.speakerMedia(participantId, state);
		const talkers = ({ roomId, talkers, dominant }: RoomMediaEvents['talkers'][0]): void =>
			this.#stages.get(roomId)?.announce.talkers(talkers, dominant);
		const counts = (): void => {
			for (const stage of this.#stages) stage.countsRefreshed();
		};
		const gained = (roomId: string, epoch: number): void => this.#stages.gained(roomId, epoch);
		const lost = (roomId: string, epoch: number): void => this.#stages.lost(roomId, epoch);
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

	#requireOpen(roomId: string): void {
		if (this.#closed !== null) throw new DomainError('shutting_down', this.#closed);
		const room = this.#options.rooms.get(roomId);
		if (!room) throw new DomainError('room_not_found', 'There is no room with this id.');
		if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
	}
}
