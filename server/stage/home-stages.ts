import { EventEmitter } from 'node:events';
import { DomainError } from '../errors.ts';
import type { RoomDirectory } from '../rooms/room-directory.ts';
import { EMPTY_ROSTER, isNewer, looksTheSame, type StageRoster, type StageState } from '../rooms/stage-roster.ts';
import { notHome } from './live-roster.ts';
import { sameInvitations } from './open-invitations.ts';
import { StageKeeper } from './stage-keeper.ts';
import type { StageLog } from './stage-log.ts';
import type { StageRoom } from './stage-room.ts';
import type { StageHomes, StageStore } from './stage-store.ts';

export interface HomeStagesOptions {
	/** A stage without anybody on it. `epoch`: of this node as the room's home, for the log. */
	make: (roomId: string, epoch: () => number | undefined) => StageRoom;
	rooms: Pick<RoomDirectory, 'get'>;
	homes: Pick<StageHomes, 'epochOf'>;
	store: StageStore;
	schedule: (ms: number, task: () => void) => () => void;
	log: StageLog;
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
 * The stages that live on this node, and what is known here of all others.
 *
 * A stage is there from the moment that what an earlier home has left of it was read, until the home is lost: then its
 * people are sent away to come back, and find their places at the next home.
 */
export class HomeStages extends EventEmitter<{
	/** What people see of a stage has changed, wherever it lives. */
	rosterChanged: [roomId: string, roster: StageRoster];
	/** Others than before are invited onto a stage, wherever it lives. */
	invitationsChanged: [roomId: string];
}> {
	readonly #options: HomeStagesOptions;
	readonly #keeper: StageKeeper;
	readonly #stages = new Map<string, HomeStage>();
	readonly #restoring = new Map<string, { epoch: number; done: Promise<StageRoom> }>();
	/** What other nodes, or this one when it was their home, said last of rooms that do not live here. */
	readonly #replicas = new Map<string, StageState>();
	/** Epochs that turned out to be over before the home was told to be lost. */
	readonly #fenced = new Map<string, number>();
	/** Why nobody is let in any more. */
	#closed: string | null = null;

	constructor(options: HomeStagesOptions) {
		super();
		this.#options = options;
		const { store, log } = options;
		this.#keeper = new StageKeeper({ store, fenced: (roomId, epoch) => this.#fence(roomId, epoch), log });
	}

	*[Symbol.iterator](): Iterator<StageRoom> {
		for (const { stage } of this.#stages.values()) yield stage;
	}

	/** Only when it lives here already. */
	get(roomId: string): StageRoom | undefined {
		return this.#stages.get(roomId)?.stage;
	}

	/** For somebody who says that they are on it. Throws DomainError `room_not_found`, `not_home`, `participant_not_found`. */
	require(roomId: string): StageRoom {
		const stage = this.get(roomId);
		if (stage) return stage;
		if (!this.#options.rooms.get(roomId)) throw new DomainError('room_not_found', 'There is no room with this id.');
		if (this.epochOf(roomId) === undefined) throw notHome();
		throw new DomainError('participant_not_found', 'Nobody on this stage has that id.');
	}

	/** The room's stage, with everybody on it whom an earlier home had there. Rejects with `not_home`, and as the store does. */
	of(roomId: string): Promise<StageRoom> {
		const epoch = this.epochOf(roomId);
		if (epoch === undefined) return Promise.reject(notHome());
		const stage = this.get(roomId);
		if (stage) return Promise.resolve(stage);
		const under = this.#restoring.get(roomId);
		if (under?.epoch === epoch) return under.done;
		const done = this.#restore(roomId, epoch).finally(() => {
			if (this.#restoring.get(roomId)?.done === done) this.#restoring.delete(roomId);
		});
		this.#restoring.set(roomId, { epoch, done });
		return done;
	}

	/** The newest that is known here of a room's stage; epoch 0 when nothing is. */
	stateOf(roomId: string): StageState {
		const home = this.#stages.get(roomId);
		return home ? { epoch: home.epoch, roster: home.stage.roster.current } : (this.#replicas.get(roomId) ?? this.#options.store.stageOf?.(roomId) ?? NOBODY);
	}

	/** This node's epoch for the room, unless it is known to be over. */
	epochOf(roomId: string): number | undefined {
		const epoch = this.#options.homes.epochOf(roomId);
		return epoch !== undefined && epoch <= (this.#fenced.get(roomId) ?? 0) ? undefined : epoch;
	}

	/** Not only when somebody comes: whoever does not come back is to lose the place in time. */
	restoreSoon(roomId: string, attempt = 0): void {
		if (this.#stages.has(roomId)) return;
		this.of(roomId).catch((error: unknown) => {
			if (this.#closed !== null || this.epochOf(roomId) === undefined) return;
			const { schedule, log } = this.#options;
			if (attempt === 0) log.warn({ room: roomId, err: error }, 'the stage could not be read; it is tried again');
			schedule(RESTORE_RETRY_MS, () => this.restoreSoon(roomId, attempt + 1));
		});
	}

	/** This node is the room's home since that epoch. */
	gained(roomId: string, epoch: number): void {
		const home = this.#stages.get(roomId);
		if (!home) {
			this.restoreSoon(roomId);
		} else if (home.epoch < epoch) {
			// The same home under a new number: whatever was kept under the old one is out of date.
			home.epoch = epoch;
			this.#keeper.save(roomId, this.stateOf(roomId));
		}
	}

	lost(roomId: string, epoch: number): void {
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

	/** The room's home says who is there. Ignored when more was told already, or when this node is the home. */
	applyRemote(roomId: string, said: StageState): void {
		const mine = this.epochOf(roomId);
		if (this.#stages.has(roomId) || (mine !== undefined && mine >= said.epoch)) return;
		// Not what the store has: that takes in what comes before it tells of it.
		const before = this.#replicas.get(roomId);
		if (before && !isNewer(said, before)) return;
		const stored = this.#options.store.stageOf?.(roomId);
		const state = stored && isNewer(stored, said) ? stored : said;
		this.#replicas.set(roomId, state);
		// Hands, and what is settled for people who are not there, are nobody's to see.
		if (!before || !looksTheSame(before.roster, state.roster)) this.emit('rosterChanged', roomId, state.roster);
		if (!before || !sameInvitations(before.roster, state.roster)) this.emit('invitationsChanged', roomId);
	}

	/** Tries again to save what could not be, of one room or of all. Whether everything is saved now. */
	flush(roomId?: string): Promise<boolean> {
		for (const [id, { stage }] of this.#stages) if (roomId === undefined || roomId === id) stage.hands.keepNow();
		return this.keep(roomId);
	}

	/** The same of what was to be kept by now, without haste. */
	keep(roomId?: string): Promise<boolean> {
		return this.#keeper.flush(roomId);
	}

	/** A room of the same id may be made again at once: the stage goes only when nothing of the old one is under way. */
	async forget(roomId: string): Promise<void> {
		this.#replicas.delete(roomId);
		const home = this.#stages.get(roomId);
		if (!home) return;
		home.stage.seats.dismissAll('room_ended', 'The room has been removed.');
		await home.stage.idle();
		if (this.#options.rooms.get(roomId) || this.#stages.get(roomId) !== home) return;
		this.#stages.delete(roomId);
		this.#keeper.drop(roomId);
	}

	/** Ends everybody's connection, and lets nobody in any more. Idempotent. */
	close(reason: string): void {
		if (this.#closed !== null) return;
		this.#closed = reason;
		for (const { stage } of this.#stages.values()) stage.shutDown(reason);
	}

	async #restore(roomId: string, epoch: number): Promise<StageRoom> {
		const { store, rooms, log } = this.#options;
		const stored = (await store.loadStage(roomId)) ?? NOBODY;
		if (this.epochOf(roomId) !== epoch) throw notHome();
		const replica = this.#replicas.get(roomId) ?? NOBODY;
		const { roster } = isNewer(replica, stored) ? replica : stored;
		const stage = this.#open(roomId, epoch);
		if (roster.version > 0) stage.restore(roster);
		if (roster.participants.length > 0) log.info({ room: roomId, epoch, participants: roster.participants.length }, 'the stage is restored');
		// It ended while nobody was its home.
		if (rooms.get(roomId)?.state === 'ended') stage.seats.dismissAll('room_ended');
		if (this.#closed !== null) stage.shutDown(this.#closed);
		return stage;
	}

	#open(roomId: string, epoch: number): StageRoom {
		const stage = this.#options.make(roomId, () => this.epochOf(roomId));
		const home: HomeStage = { stage, epoch };
		let before = this.stateOf(roomId).roster;
		stage.roster.on('rosterChanged', (roster) => this.emit('rosterChanged', roomId, roster));
		stage.roster.on('stateChanged', (roster) => {
			this.#keeper.save(roomId, { epoch: home.epoch, roster });
			if (!sameInvitations(before, roster)) this.emit('invitationsChanged', roomId);
			before = roster;
		});
		this.#stages.set(roomId, home);
		this.#replicas.delete(roomId);
		return stage;
	}

	#fence(roomId: string, epoch: number): void {
		this.#fenced.set(roomId, epoch);
		this.lost(roomId, epoch);
	}
}
