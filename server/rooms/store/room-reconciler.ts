import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { DomainError, type DomainErrorCode } from '../../errors.ts';
import type { KeyedQueue } from '../keyed-queue.ts';
import type { RoomHead } from './redis-scripts.ts';
import { createdAtMsOf, type RedisRoomStore } from './redis-store.ts';
import { compareRooms, type RoomCopies } from './room-copies.ts';
import type { UnsavedMarks } from './unsaved-marks.ts';

export interface RoomReconcilerOptions {
	redis: RedisRoomStore;
	copies: RoomCopies;
	marks: UnsavedMarks;
	/** One task at a time for each room, writes included. */
	queue: KeyedQueue;
	/** This node's epoch if it is the room's home. */
	epochOf: (roomId: string) => number | undefined;
	/** Names a generation of data in Redis. */
	newId: () => string;
	log: Logger;
}

const CONCURRENT = 32;
const GENERATION = 'redis-generation';

export const isCode = (error: unknown, ...codes: DomainErrorCode[]): error is DomainError => error instanceof DomainError && codes.includes(error.code);

/** Brings Redis and this node's copy together. The newer of two wins; a tombstone wins over the room it is for; a room that is simply missing was lost and is written again. */
export class RoomReconciler {
	readonly #options: RoomReconcilerOptions;

	constructor(options: RoomReconcilerOptions) {
		this.#options = options;
	}

	/** Changes that were made here while Redis was away. Rejects with `store_unavailable`; the rest stays marked. */
	async flushUnsaved(): Promise<void> {
		for (const roomId of this.#options.marks.roomIds) await this.#options.queue.run(roomId, () => this.flush(roomId));
	}

	/**
	 * Everything, both ways. Resolves to whether Redis had lost what it had when this node last looked.
	 * Rejects with `store_unavailable`.
	 * @param rewrite also add bans and numbers to rooms that seem to be there
	 */
	async sync(rewrite = false): Promise<boolean> {
		const { redis, copies, marks } = this.#options;
		const generation = await redis.generation(this.#options.newId());
		const before = await copies.replica.getValue(GENERATION);
		const lost = before !== undefined && before !== generation;
		await this.flushUnsaved();
		const ids = new Set([...(await copies.replica.tombstoneIds()), ...(await copies.replica.roomIds())]);
		for (let after: string | undefined; ; ) {
			const page = await redis.roomIds(after === undefined ? {} : { after });
			for (const id of page) ids.add(id);
			after = page.at(-1);
			if (after === undefined) break;
		}
		const waiting = [...ids];
		const work = async (): Promise<void> => {
			for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
				const roomId = id;
				await this.#options.queue.run(roomId, () => this.syncRoom(roomId, rewrite || lost));
			}
		};
		await Promise.all(Array.from({ length: CONCURRENT }, work));
		// Only now: a sync that was interrupted begins anew with the old mark.
		if (marks.roomIds.length === 0 && before !== generation) await copies.replica.setValue(GENERATION, generation);
		return lost;
	}

	/** Within the room's queue: the unsaved changes of one room. */
	async flush(roomId: string): Promise<void> {
		const { redis, copies, marks, log } = this.#options;
		const epoch = marks.epochOf(roomId);
		if (epoch === undefined) return;
		try {
			const state = await copies.state(roomId);
			const tombstoneMs = await copies.replica.tombstoneMs(roomId);
			if (state === undefined) {
				if (tombstoneMs > 0) await redis.removeRoom(roomId, tombstoneMs, epoch);
			} else if ((await redis.restoreRoom(state, epoch)) !== 'same') {
				log.warn({ room: roomId, epoch }, 'changes that were made while Redis was away are given up: it has newer ones');
				await this.#takeBack(roomId);
			}
		} catch (error) {
			if (!isCode(error, 'not_home')) throw error;
			log.warn({ room: roomId, epoch }, 'changes that were made while Redis was away are given up: the room has another home');
			await this.#takeBack(roomId);
		}
		await marks.clear(roomId);
	}

	/** Within the room's queue: what Redis has of a room, if it is newer. */
	async refresh(roomId: string): Promise<void> {
		const { redis, copies, marks } = this.#options;
		if (marks.epochOf(roomId) !== undefined) return;
		const state = await redis.roomState(roomId);
		if (state !== undefined) return copies.take(state, state.bansVersion);
		const { tombstoneMs } = await redis.roomHead(roomId);
		if (tombstoneMs > 0) await copies.bury(roomId, tombstoneMs);
	}

	/** What was changed here does not count: the copy becomes what Redis has, though that may be older. */
	async #takeBack(roomId: string): Promise<void> {
		const { redis, copies, marks } = this.#options;
		const [theirs, ours] = [await redis.roomState(roomId), await copies.replica.getRoom(roomId)];
		await marks.clear(roomId);
		if (theirs === undefined) return this.refresh(roomId);
		// Even one of the same version may be another one.
		if (ours !== undefined && compareRooms(ours, theirs.room) >= 0 && !isDeepStrictEqual(ours, theirs.room)) {
			await copies.replica.putRoom(theirs);
			copies.emit('roomChanged', theirs.room);
			copies.emit('bansChanged', roomId);
		}
		await copies.take(theirs, theirs.bansVersion);
	}

	/** Within the room's queue: one room, both ways. */
	async syncRoom(roomId: string, rewrite = false): Promise<void> {
		const { redis, copies, marks, log } = this.#options;
		if (marks.epochOf(roomId) !== undefined) return;
		try {
			const head = await redis.roomHead(roomId);
			if (head.tombstoneMs > 0) await copies.bury(roomId, head.tombstoneMs);
			const tombstoneMs = await copies.replica.tombstoneMs(roomId);
			if (tombstoneMs > head.tombstoneMs || (head.createdAtMs > 0 && tombstoneMs >= head.createdAtMs)) await redis.removeRoom(roomId, tombstoneMs);
			const room = await copies.replica.getRoom(roomId);
			if (room === undefined) return head.createdAtMs > tombstoneMs ? await this.refresh(roomId) : undefined;
			const order = head.createdAtMs - createdAtMsOf(room) || head.version - room.version;
			if (order < 0 || (order === 0 && rewrite)) await this.#restore(roomId);
			else if (order > 0 || (await this.#isBehind(roomId, head))) await this.refresh(roomId);
			await this.#saveNewerStage(roomId, head);
		} catch (error) {
			if (!isCode(error, 'not_home')) throw error;
			log.debug({ room: roomId }, 'a room was not written again: its home does that');
		}
	}

	async #restore(roomId: string): Promise<void> {
		const { redis, copies, epochOf, log } = this.#options;
		const state = await copies.state(roomId);
		if (state === undefined) return;
		const outcome = await redis.restoreRoom(state, epochOf(roomId));
		if (outcome === 'same') log.debug({ room: roomId }, 'a room was written to Redis again');
		await this.refresh(roomId);
	}

	/** Of two copies of the same version. */
	async #isBehind(roomId: string, head: RoomHead): Promise<boolean> {
		const { copies } = this.#options;
		const numbers = Object.values(await copies.replica.numbers(roomId));
		return this.#stageOrder(roomId, head) > 0 || Math.max(0, ...numbers) !== head.highestNumber || copies.bansVersion(roomId) !== head.bansVersion;
	}

	async #saveNewerStage(roomId: string, head: RoomHead): Promise<void> {
		const stage = this.#options.copies.stages.get(roomId);
		if (stage !== undefined && this.#stageOrder(roomId, head) < 0) await this.#options.redis.saveStage(roomId, stage.epoch, stage.roster);
	}

	/** Above zero: Redis has a newer roster. */
	#stageOrder(roomId: string, head: RoomHead): number {
		const stage = this.#options.copies.stages.get(roomId);
		return head.stageEpoch - (stage?.epoch ?? 0) || head.stageVersion - (stage?.roster.version ?? 0);
	}
}
