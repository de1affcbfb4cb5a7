import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { RoomState } from '../../cluster/peer-protocol.ts';
import type { RedisConnection } from '../../cluster/redis/redis-connection.ts';
import { DomainError } from '../../errors.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import type { Room } from '../room.ts';
import type { StageRoster } from '../stage-roster.ts';
import type { DiskRoomStore } from './disk-store.ts';
import { createdAtMsOf, RedisRoomStore } from './redis-store.ts';
import type { RoomChange } from './room-change.ts';
import { RoomCopies, type RoomCopiesEvents } from './room-copies.ts';
import { isCode, RoomReconciler } from './room-reconciler.ts';
import type { Ban, RoomStore } from './room-store.ts';
import { StageCopies, type StageCopy } from './stage-copies.ts';
import { UnsavedMarks } from './unsaved-marks.ts';

export interface ClusterRoomStoreOptions {
	/** Shared with others; stays open when the store is closed. */
	connection: RedisConnection;
	/** This node's copy of everything; closed with the store. */
	replica: DiskRoomStore;
	nodeId: string;
	/** This node's epoch if it is the room's home, from memory (`Homes.epochOf`). */
	epochOf: (roomId: string) => number | undefined;
	/** Random and unique, e.g. node:crypto's `randomUUID`. */
	newId: () => string;
	now: () => number;
	log: Logger;
}

export interface ClusterRoomStoreEvents extends RoomCopiesEvents {
	/** Redis and this node have the same; `lost` tells that Redis had come back without what it had. */
	synced: [lost: boolean];
	/** From here on changes made elsewhere are heard of at once. */
	listening: [];
}

/**
 * The store of a node in a cluster: Redis for all nodes, and this node's copy of it on disk.
 *
 * A write goes to Redis, fenced by this node's epoch, and then into the copy. Reads come from the copy, so nothing that a
 * listener does waits for Redis. While Redis is away a home goes on writing into its copy, and what it wrote is saved when
 * Redis is back; of other rooms writes reject with `store_unavailable`. Changes made elsewhere come as events.
 */
export class ClusterRoomStore extends EventEmitter<ClusterRoomStoreEvents> implements RoomStore {
	readonly #redis: RedisRoomStore;
	readonly #connection: RedisConnection;
	readonly #replica: DiskRoomStore;
	readonly #copies: RoomCopies;
	readonly #marks: UnsavedMarks;
	readonly #reconciler: RoomReconciler;
	readonly #queue = new KeyedQueue();
	readonly #nodeId: string;
	readonly #epochOf: (roomId: string) => number | undefined;
	readonly #now: () => number;
	readonly #log: Logger;
	#syncing: Promise<void> | undefined;
	#syncAgain = false;
	#closed = false;

	/** Brings the copy up to date if Redis answers; goes on with what the copy has if not. */
	static async open(options: ClusterRoomStoreOptions): Promise<ClusterRoomStore> {
		const stages = await StageCopies.open(options.replica, options.log);
		const store = new ClusterRoomStore(options, stages, await UnsavedMarks.open(options.replica));
		store.#redis.watch();
		await store.sync();
		return store;
	}

	private constructor(options: ClusterRoomStoreOptions, stages: StageCopies, marks: UnsavedMarks) {
		super();
		const { connection, replica, nodeId, epochOf, newId, now, log } = options;
		this.#connection = connection;
		this.#replica = replica;
		this.#nodeId = nodeId;
		this.#epochOf = epochOf;
		this.#now = now;
		this.#log = log;
		this.#marks = marks;
		this.#redis = new RedisRoomStore({ connection, nodeId, fence: epochOf });
		this.#copies = new RoomCopies(replica, stages, now);
		this.#reconciler = new RoomReconciler({ redis: this.#redis, copies: this.#copies, marks, queue: this.#queue, epochOf, newId, log });
		this.#copies.on('roomChanged', (room) => this.emit('roomChanged', room));
		this.#copies.on('roomRemoved', (roomId) => this.emit('roomRemoved', roomId));
		this.#copies.on('stageChanged', (roomId, epoch, roster) => this.emit('stageChanged', roomId, epoch, roster));
		this.#copies.on('bansChanged', (roomId) => this.emit('bansChanged', roomId));
		this.#redis.on('change', (change) => this.#onChange(change));
		this.#redis.on('listening', () => {
			this.emit('listening');
			this.#onUp();
		});
		connection.on('up', this.#onUp);
	}

	/** Rooms whose latest changes only this node has. */
	get unsaved(): readonly string[] {
		return this.#marks.roomIds;
	}

	/** Whether changes made elsewhere are heard of at once. */
	get listening(): boolean {
		return this.#connection.listens;
	}

	createRoom(room: Room): Promise<void> {
		return this.#write(room.id, {
			inRedis: async () => {
				// Redis may have lost it, and nobody has noticed yet.
				if ((await this.#replica.getRoom(room.id)) !== undefined) throw new DomainError('room_exists', 'A room with this id exists already.');
				await this.#redis.createRoom(room);
			},
			copy: () => this.#replica.putRoom({ room, bans: [], numbers: {} }),
			alone: () => this.#replica.createRoom(room),
		});
	}

	updateRoom(room: Room): Promise<void> {
		return this.#write(room.id, {
			inRedis: () => this.#redis.updateRoom(room),
			copy: () => this.#replica.putRecord(room),
			alone: () => this.#replica.updateRoom(room),
		});
	}

	removeRoom(roomId: string): Promise<void> {
		const createdAtMs = async (): Promise<number | undefined> => {
			const room = await this.#replica.getRoom(roomId);
			return room === undefined ? undefined : createdAtMsOf(room);
		};
		const bury = async (): Promise<void> => {
			const madeAtMs = await createdAtMs();
			if (madeAtMs !== undefined) await this.#replica.bury(roomId, madeAtMs, this.#now());
			this.#copies.forget(roomId);
		};
		return this.#write(roomId, {
			inRedis: async () => {
				// One that was only just made elsewhere: known first, so that its tombstone holds when the news of it comes late.
				if ((await createdAtMs()) === undefined) await this.#reconciler.refresh(roomId);
				await this.#redis.removeRoom(roomId, await createdAtMs());
			},
			copy: bury,
			alone: bury,
		});
	}

	getRoom(roomId: string): Promise<Room | undefined> {
		return this.#replica.getRoom(roomId);
	}

	listRooms(page: { after?: string; limit: number }): Promise<Room[]> {
		return this.#replica.listRooms(page);
	}

	async speakerNumber(roomId: string, subject: string): Promise<number> {
		const known = new Map(Object.entries(await this.#replica.numbers(roomId))).get(subject);
		if (known !== undefined) return known;
		return this.#write(roomId, {
			inRedis: () => this.#redis.speakerNumber(roomId, subject),
			copy: (number) => this.#replica.putNumber(roomId, subject, number),
			alone: () => this.#replica.speakerNumber(roomId, subject),
		});
	}

	ban(ban: Ban): Promise<void> {
		return this.#write(ban.roomId, {
			inRedis: () => this.#redis.ban(ban),
			copy: async () => {
				if (await this.#replica.isBanned(ban.roomId, ban.subject)) return;
				await this.#replica.ban(ban);
				this.#copies.countBansChange(ban.roomId);
			},
			alone: () => this.#replica.ban(ban),
		});
	}

	unban(roomId: string, subject: string): Promise<boolean> {
		return this.#write(roomId, {
			inRedis: () => this.#redis.unban(roomId, subject),
			copy: async (was) => {
				await this.#replica.unban(roomId, subject);
				if (was) this.#copies.countBansChange(roomId);
			},
			alone: () => this.#replica.unban(roomId, subject),
		});
	}

	isBanned(roomId: string, subject: string): Promise<boolean> {
		return this.#replica.isBanned(roomId, subject);
	}

	listBans(roomId: string): Promise<Ban[]> {
		return this.#replica.listBans(roomId);
	}

	/** Of this node alone: never shared. */
	getValue(key: string): Promise<string | undefined> {
		return this.#replica.getValue(key);
	}

	setValue(key: string, value: string): Promise<void> {
		return this.#replica.setValue(key, value);
	}

	/**
	 * At the home: keeps who is on stage, for whoever becomes home next.
	 * Rejects with `not_home`, `room_not_found`, and `store_unavailable` when Redis is away and this node is not home.
	 */
	saveStage(roomId: string, epoch: number, roster: StageRoster): Promise<void> {
		const copy = async (): Promise<void> => {
			this.#copies.stages.put(roomId, epoch, roster);
		};
		return this.#write(roomId, { inRedis: () => this.#redis.saveStage(roomId, epoch, roster), copy, alone: copy });
	}

	/** The latest roster known here, from memory. */
	stageOf(roomId: string): StageCopy | undefined {
		return this.#copies.stages.get(roomId);
	}

	/** For a node that has just become home: the latest of Redis (if it answers) and of this node. */
	async loadStage(roomId: string): Promise<StageCopy | undefined> {
		await this.refresh(roomId);
		return this.stageOf(roomId);
	}

	/** Everything that this node knows of a room: what peers ask for. */
	roomState(roomId: string): Promise<RoomState | undefined> {
		return this.#copies.state(roomId);
	}

	/** A room's state as its home told it; what is older than what is known here is ignored. */
	take(state: RoomState): Promise<void> {
		return this.#queue.run(state.room.id, async () => {
			if (this.#marks.epochOf(state.room.id) === undefined) await this.#copies.take(state);
		});
	}

	/** Takes in what Redis has of a room. Does nothing while Redis is away. */
	refresh(roomId: string): Promise<void> {
		return this.#queue.run(roomId, async () => {
			try {
				await this.#reconciler.refresh(roomId);
			} catch (error) {
				if (!isCode(error, 'store_unavailable')) throw error;
			}
		});
	}

	/** Brings one room together with Redis, both ways: for a home whose room is older there than here. Does nothing while Redis is away. */
	syncRoom(roomId: string): Promise<void> {
		return this.#queue.run(roomId, async () => {
			try {
				await this.#reconciler.flush(roomId);
				await this.#reconciler.syncRoom(roomId);
			} catch (error) {
				if (!isCode(error, 'store_unavailable')) throw error;
			}
		});
	}

	/** Saves what was changed here while Redis was away. Happens by itself when Redis is back. Rejects with `store_unavailable`. */
	flushUnsaved(): Promise<void> {
		return this.#reconciler.flushUnsaved();
	}

	/** Writes every room that is known here into Redis again, and every tombstone. Happens by itself after Redis lost its data. Rejects with `store_unavailable`. */
	async rewriteAll(): Promise<void> {
		await this.#reconciler.sync(true);
	}

	/** Brings Redis and this node's copy together; `synced` tells when. Happens by itself whenever Redis is back. Never rejects. */
	sync(): Promise<void> {
		if (this.#syncing !== undefined) {
			this.#syncAgain = true;
			return this.#syncing;
		}
		this.#syncing = this.#syncUntilQuiet().finally(() => {
			this.#syncing = undefined;
		});
		return this.#syncing;
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#connection.off('up', this.#onUp);
		await this.#redis.close();
		await this.#syncing;
		await this.#queue.idle();
		await this.#copies.stages.write();
		await this.#replica.close();
	}

	readonly #onUp = (): void => {
		if (!this.#closed) void this.sync();
	};

	async #syncUntilQuiet(): Promise<void> {
		do {
			this.#syncAgain = false;
			if (!this.#connection.answers) return;
			try {
				this.emit('synced', await this.#reconciler.sync());
			} catch (error) {
				// Redis went away again: the next `up` begins anew. Anything else is worth a look.
				if (!isCode(error, 'store_unavailable') && !this.#closed) this.#log.error({ err: error }, 'rooms could not be brought together with Redis');
			}
		} while (this.#syncAgain && !this.#closed);
	}

	#write<T>(roomId: string, step: { inRedis: () => Promise<T>; copy: (result: T) => Promise<void>; alone: () => Promise<T> }): Promise<T> {
		return this.#queue.run(roomId, async () => {
			const epoch = this.#epochOf(roomId);
			try {
				// In order: what was changed while Redis was away goes first.
				await this.#reconciler.flush(roomId);
				const result = await this.#inRedis(roomId, step.inRedis);
				await step.copy(result);
				return result;
			} catch (error) {
				if (!isCode(error, 'store_unavailable') || epoch === undefined) throw error;
			}
			await this.#marks.mark(roomId, epoch);
			return step.alone();
		});
	}

	/** A refusal may only show that Redis and the copy differ (it has lost the latest, or all): then they are brought together and it is tried once more. */
	async #inRedis<T>(roomId: string, work: () => Promise<T>): Promise<T> {
		try {
			return await work();
		} catch (error) {
			if (!isCode(error, 'precondition_failed', 'room_not_found', 'room_exists', 'not_home')) throw error;
			await this.#reconciler.syncRoom(roomId);
			if (isCode(error, 'room_exists', 'not_home')) throw error;
			return work();
		}
	}

	#onChange(change: RoomChange): void {
		if (change.node === this.#nodeId) return;
		const roomId = change.kind === 'room' ? change.room.id : change.kind === 'ban' ? change.ban.roomId : change.roomId;
		const work = async (): Promise<void> => {
			// What was changed here meanwhile is weighed against it when it is saved.
			if (this.#closed || this.#marks.epochOf(roomId) !== undefined) return;
			if (!(await this.#copies.takeChange(change))) await this.#reconciler.refresh(roomId);
		};
		this.#queue.run(roomId, work).catch((error: unknown) => {
			if (!(error instanceof DomainError)) this.#log.error({ err: error, room: roomId }, 'a change made elsewhere could not be taken in');
		});
	}
}
