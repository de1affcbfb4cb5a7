import { EventEmitter } from 'node:events';
import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';
import type { RoomMediaEvents, SessionCreated } from '../programme/room-media.ts';
import type { RoomCommand } from '../rooms/room-transitions.ts';
import type { RoomDirectory, RoomDirectoryEvents } from '../rooms/room-directory.ts';
import type { Participant, Room } from '../rooms/room.ts';
import { EMPTY_ROSTER, participantIdOf, participantIn } from '../rooms/stage-roster.ts';
import type { StageConnection } from './stage-connection.ts';
import { requirePowerOver, requireRight, type StagePrincipal, stageRoleOf } from './stage-policy.ts';
import { type Entered, StageRoom, type StageRoomOptions } from './stage-room.ts';

export interface StageServiceEvents {
	rosterChanged: [{ roomId: string; version: number; participants: readonly Participant[] }];
}

export interface StageServiceOptions extends Omit<StageRoomOptions, 'roomId' | 'room'> {
	rooms: Pick<RoomDirectory, 'get' | 'transition'> & Pick<EventEmitter<RoomDirectoryEvents>, 'on' | 'off'>;
}

/** One person's place on a stage, as held by one connection. */
export interface StagePlace {
	readonly roomId: string;
	readonly participantId: string;
	readonly connection: StageConnection;
}

/**
 * The stages of all rooms whose home is this node: who may come, who is there, and who may do what to whom.
 * Every method that is refused rejects with a DomainError.
 */
export class StageService extends EventEmitter<StageServiceEvents> {
	readonly #options: StageServiceOptions;
	readonly #stages = new Map<string, StageRoom>();
	#stopListening: () => void = () => {};
	/** Why nobody is let in any more. */
	#closed: string | null = null;

	private constructor(options: StageServiceOptions) {
		super();
		this.#options = options;
	}

	static create(options: StageServiceOptions): StageService {
		const service = new StageService(options);
		service.#listen();
		return service;
	}

	/** In order of number; empty for a room nobody has been on stage of. */
	roster(roomId: string): readonly Participant[] {
		return (this.#stages.get(roomId)?.roster ?? EMPTY_ROSTER).participants;
	}

	/** Grows with every change of the roster while the node runs. */
	rosterVersion(roomId: string): number {
		return (this.#stages.get(roomId)?.roster ?? EMPTY_ROSTER).version;
	}

	/** People on all stages of this node. */
	get participantCount(): number {
		let count = 0;
		for (const stage of this.#stages.values()) count += stage.roster.participants.length;
		return count;
	}

	/** Null while the room has no origin. */
	rtpCapabilities(roomId: string): RtpCapabilities | null {
		return this.#stages.get(roomId)?.rtpCapabilities ?? null;
	}

	/**
	 * Whether this principal could enter now, so that a refusal can be told before a socket is opened.
	 * `enter` looks again. Rejects with `shutting_down`, `room_not_found`, `room_ended`, `forbidden`, `banned`, `stage_full`.
	 */
	async admit(principal: StagePrincipal, roomId: string): Promise<void> {
		this.#requireOpen(principal, roomId);
		const banned = principal.role !== 'admin' && (await this.#options.store.isBanned(roomId, principal.subject));
		if (banned) throw new DomainError('banned', 'This person is banned from the room.');
		const stage = this.#stages.get(roomId);
		if (stage && !stage.hasPlaceFor(participantIdOf(roomId, principal.subject))) {
			throw new DomainError('stage_full', 'Every place on this stage is taken.', { retryAfterSeconds: 10 });
		}
	}

	/**
	 * Brings a person with a browser on stage; `welcome` is the first frame that the connection delivers. An earlier
	 * connection of the same subject is replaced, and its place, number and muted state are kept.
	 * Rejects as `admit` does, and with what media refuses.
	 */
	async enter(principal: StagePrincipal, roomId: string, connection: StageConnection): Promise<Entered> {
		const role = this.#requireOpen(principal, roomId);
		return this.#stageOf(roomId).enter(principal, role, connection);
	}

	/** WHIP: brings a person with an encoder on stage, or replaces the session of one who is there. */
	async publish(principal: StagePrincipal, roomId: string, offer: string): Promise<SessionCreated> {
		const role = this.#requireOpen(principal, roomId);
		return this.#stageOf(roomId).publish(principal, role, offer);
	}

	/** For good; the caller answers and closes the connection. Resolves when media has forgotten the person. */
	async leave({ roomId, participantId, connection }: StagePlace): Promise<void> {
		await this.#require(roomId).leave(participantId, connection);
	}

	/** The connection broke: the place is kept for the grace period. One that was replaced already changes nothing. */
	socketLost({ roomId, participantId, connection }: StagePlace): void {
		this.#stages.get(roomId)?.connectionLost(participantId, connection);
	}

	/** Runs a person's request to media in that person's turn. Rejects with `participant_not_found` when the place is gone. */
	async run<T>({ roomId, participantId, connection }: StagePlace, task: () => Promise<T>): Promise<T> {
		return this.#require(roomId).run(participantId, connection, task);
	}

	/** The person's own doing; nobody else can unmute. */
	async setMuted({ roomId, participantId }: StagePlace, muted: boolean): Promise<void> {
		await this.#require(roomId).setMuted(participantId, muted);
	}

	async muteOther(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const stage = this.#overruled(actor, roomId, participantId);
		await stage.setMuted(participantId, true, actor.name);
	}

	/** Mutes everybody but hosts and whoever asks for it. Tries all before it rejects with the first refusal. */
	async muteAll(actor: StagePrincipal, roomId: string): Promise<void> {
		requireRight(actor, 'stage:moderate', roomId);
		const stage = this.#require(roomId);
		const others = stage.roster.participants.filter(({ role, subject, muted }) => role !== 'host' && subject !== actor.subject && !muted);
		const results = await Promise.allSettled(others.map(({ id }) => stage.setMuted(id, true, actor.name)));
		for (const result of results) {
			// Whoever has left meanwhile is silent too.
			const left = result.status === 'rejected' && result.reason instanceof DomainError && result.reason.code === 'participant_not_found';
			if (result.status === 'rejected' && !left) throw result.reason;
		}
	}

	/** Takes somebody off the stage. The token stays good: to keep the person away, `ban`. */
	async kick(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		await this.#overruled(actor, roomId, participantId).kick(participantId);
		this.#options.log.info({ roomId, participantId, by: actor.subject }, 'participant kicked');
	}

	/** Kick, and refuse the subject in this room from now on. Resolves once the ban is stored. */
	async ban(actor: StagePrincipal, roomId: string, participantId: string): Promise<void> {
		const stage = this.#overruled(actor, roomId, participantId);
		if (participantIn(stage.roster, participantId)?.subject === actor.subject) {
			throw new DomainError('invalid_request', 'Nobody can ban themselves.');
		}
		await stage.ban(participantId, actor.subject);
		this.#options.log.info({ roomId, participantId, by: actor.subject }, 'participant banned');
	}

	/** Doors, live, ended; for hosts. */
	async command(actor: StagePrincipal, roomId: string, command: RoomCommand): Promise<Room> {
		requireRight(actor, 'room:state', roomId);
		return this.#options.rooms.transition(roomId, command);
	}

	/** Tells everybody on every stage to come back later, ends their connections, and lets nobody in any more. Idempotent. */
	closeAll(reason: string): void {
		if (this.#closed !== null) return;
		this.#closed = reason;
		this.#stopListening();
		for (const stage of this.#stages.values()) stage.shutDown(reason);
	}

	#listen(): void {
		const { rooms, media } = this.#options;
		const roomChanged = (room: Room): void => {
			const stage = this.#stages.get(room.id);
			stage?.roomChanged(room);
			if (room.state === 'ended') stage?.dismissAll('room_ended');
		};
		const roomRemoved = (room: Room): void => void this.#forget(room.id);
		const originLost = ({ roomId }: { roomId: string }): void => this.#stages.get(roomId)?.originLost();
		const originReady = ({ roomId, rtpCapabilities }: RoomMediaEvents['originReady'][0]): void =>
			this.#stages.get(roomId)?.originReady(rtpCapabilities);
		const speakerMedia = ({ roomId, participantId, state }: RoomMediaEvents['speakerMedia'][0]): void =>
			this.#stages.get(roomId)?.speakerMedia(participantId, state);
		const talkers = ({ roomId, talkers, dominant }: RoomMediaEvents['talkers'][0]): void =>
			this.#stages.get(roomId)?.talkersChanged(talkers, dominant);
		const counts = (): void => {
			for (const stage of this.#stages.values()) stage.countsRefreshed();
		};
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
		};
	}

	/** A room of the same id may be made again at once: the stage goes only when nothing of the old one is under way. */
	async #forget(roomId: string): Promise<void> {
		const stage = this.#stages.get(roomId);
		if (!stage) return;
		stage.dismissAll('room_ended', 'The room has been removed.');
		await stage.idle();
		if (!this.#options.rooms.get(roomId)) this.#stages.delete(roomId);
	}

	#requireOpen(principal: StagePrincipal, roomId: string): Participant['role'] {
		if (this.#closed !== null) throw new DomainError('shutting_down', this.#closed);
		const role = stageRoleOf(principal, roomId);
		const room = this.#options.rooms.get(roomId);
		if (!room) throw new DomainError('room_not_found', 'There is no room with this id.');
		if (room.state === 'ended') throw new DomainError('room_ended', 'This room has ended.');
		return role;
	}

	#stageOf(roomId: string): StageRoom {
		const known = this.#stages.get(roomId);
		if (known) return known;
		const { rooms, ...rest } = this.#options;
		const stage = new StageRoom({ ...rest, roomId, room: () => rooms.get(roomId) });
		stage.on('rosterChanged', ({ version, participants }) => this.emit('rosterChanged', { roomId, version, participants }));
		this.#stages.set(roomId, stage);
		return stage;
	}

	#require(roomId: string): StageRoom {
		const stage = this.#stages.get(roomId);
		if (stage) return stage;
		if (!this.#options.rooms.get(roomId)) throw new DomainError('room_not_found', 'There is no room with this id.');
		throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
	}

	/** The stage on which `actor` may act on the participant. */
	#overruled(actor: StagePrincipal, roomId: string, participantId: string): StageRoom {
		requireRight(actor, 'stage:moderate', roomId);
		const stage = this.#require(roomId);
		const target = participantIn(stage.roster, participantId);
		if (!target) throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
		requirePowerOver(actor, roomId, target);
		return stage;
	}
}
