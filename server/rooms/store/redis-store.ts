import { EventEmitter } from 'node:events';
import type { RoomState } from '../../cluster/peer-protocol.ts';
import { type Keys, ROOM_TTL_MS } from '../../cluster/redis/keys.ts';
import type { RedisConnection } from '../../cluster/redis/redis-connection.ts';
import { asList, asText, type RedisScript } from '../../cluster/redis/redis-script.ts';
import { DomainError } from '../../errors.ts';
import type { Room } from '../room.ts';
import { EMPTY_ROSTER, type StageRoster } from '../stage-roster.ts';
import {
	BAN, CREATE_ROOM, GENERATION, INDEX_ADD, INDEX_PRUNE, READ_ROOM, REMOVE_ROOM, RESTORE_ROOM, ROOM_HEAD, type RoomHead, SAVE_STAGE, SPEAKER_NUMBER, UNBAN,
	UPDATE_ROOM,
} from './redis-scripts.ts';
import { readRoomChange, readStoredBan, readStoredRoster, type RoomChange, storedRoster } from './room-change.ts';
import { readRoomRecord } from './room-record.ts';
import type { Ban, RoomStore } from './room-store.ts';
import { StoreError } from './store-error.ts';

export interface RedisRoomStoreEvents {
	/** Somebody changed something; this node's own changes come too. */
	change: [change: RoomChange];
	/** From here on no change is missed; those before may have been. */
	listening: [];
}

export interface RedisRoomStoreOptions {
	/** Shared with others; stays open when the store is closed. */
	connection: RedisConnection;
	nodeId: string;
	/** The epoch with which this node is the room's home; undefined: it is not. Then writes are refused while another node is. */
	fence?: (roomId: string) => number | undefined;
}

/** A room in Redis with how often its bans have changed. */
export interface StoredRoom extends RoomState {
	bansVersion: number;
}

const PRUNE_AFTER_MS = 3_600_000;
const LIST_BATCH = 200;

const REFUSALS = {
	[-1]: () => new DomainError('room_exists', 'A room with this id exists already.'),
	[-2]: () => new DomainError('room_not_found', 'There is no room with this id.'),
	[-3]: () => new DomainError('precondition_failed', 'The room has been changed by somebody else meanwhile.'),
	[-4]: () => new DomainError('not_home', 'The room lives on another node now.', { retryAfterSeconds: 1 }),
	[-5]: () => new DomainError('room_not_found', 'This room has been removed.'),
} as const;

/** When a room was made, which tells it from a later one of the same id. */
export const createdAtMsOf = (room: Room): number => Date.parse(room.createdAt);

/**
 * The store of a cluster. Each write is one script, refused with `not_home` when another node has become the room's home.
 * Rejects besides with `store_unavailable` within about a second when Redis does not answer; the change may have been made all the same.
 */
export class RedisRoomStore extends EventEmitter<RedisRoomStoreEvents> implements RoomStore {
	readonly #connection: RedisConnection;
	readonly #keys: Keys;
	readonly #nodeId: string;
	readonly #fence: (roomId: string) => number | undefined;
	#closed = false;

	constructor({ connection, nodeId, fence }: RedisRoomStoreOptions) {
		super();
		this.#connection = connection;
		this.#keys = connection.keys;
		this.#nodeId = nodeId;
		this.#fence = fence ?? (() => undefined);
	}

	/** `change` events from now on. */
	watch(): void {
		this.#connection.on('message', this.#onMessage);
		this.#connection.on('subscribed', this.#onSubscribed);
		this.#connection.subscribe(this.#keys.changes);
	}

	async createRoom(room: Room): Promise<void> {
		// Listed first: a room that is listed and missing is passed over, one that is there and not listed would be lost.
		await this.#index([room.id]);
		await this.#change(CREATE_ROOM, room.id, { kind: 'room', node: this.#nodeId, room }, [createdAtMsOf(room), room.version, JSON.stringify(room)]);
	}

	async updateRoom(room: Room): Promise<void> {
		await this.#change(UPDATE_ROOM, room.id, { kind: 'room', node: this.#nodeId, room }, [room.version, JSON.stringify(room), createdAtMsOf(room)]);
	}

	/** @param createdAtMs the room that is meant, where a later one of the same id is to stay; leaves a tombstone even if Redis has no such room */
	async removeRoom(roomId: string, createdAtMs?: number, epoch = this.#fence(roomId)): Promise<void> {
		await this.#change(REMOVE_ROOM, roomId, undefined, [roomId, createdAtMs ?? ''], epoch);
	}

	async getRoom(roomId: string): Promise<Room | undefined> {
		const record = asText(await this.#call('hget', this.#keys.room(roomId), 'record'));
		return record === undefined ? undefined : readRecord(record, roomId);
	}

	async listRooms({ after, limit }: { after?: string; limit: number }): Promise<Room[]> {
		const rooms: Room[] = [];
		const gone: string[] = [];
		for (let last = after; ; ) {
			const ids = await this.roomIds(last === undefined ? {} : { after: last });
			const found = await Promise.all(ids.map((id) => this.getRoom(id)));
			for (const [index, room] of found.entries()) {
				if (room === undefined) gone.push(ids[index]!);
				else if (rooms.length < limit) rooms.push(room);
			}
			last = ids.at(-1);
			if (ids.length < LIST_BATCH || rooms.length >= limit) break;
		}
		if (gone.length > 0) await this.#run(INDEX_PRUNE, [this.#keys.roomIndex, this.#keys.roomIndexTimes], [PRUNE_AFTER_MS, ...gone]);
		return rooms;
	}

	/** The next 200 ids that are listed, removed ones too, in byte order. */
	async roomIds({ after }: { after?: string }): Promise<string[]> {
		const ids = await this.#call('zrangebylex', this.#keys.roomIndex, after === undefined ? '-' : `(${after}`, '+', 'LIMIT', 0, LIST_BATCH);
		return asList(ids).map((id) => asText(id) ?? '');
	}

	async speakerNumber(roomId: string, subject: string): Promise<number> {
		return this.#change(SPEAKER_NUMBER, roomId, undefined, [roomId, subject]);
	}

	async ban(ban: Ban): Promise<void> {
		await this.#change(BAN, ban.roomId, { kind: 'ban', node: this.#nodeId, ban }, [ban.subject, JSON.stringify(ban)]);
	}

	async unban(roomId: string, subject: string): Promise<boolean> {
		return (await this.#change(UNBAN, roomId, { kind: 'unban', node: this.#nodeId, roomId, subject }, [subject])) === 1;
	}

	async isBanned(roomId: string, subject: string): Promise<boolean> {
		return (await this.#call('hexists', this.#keys.bans(roomId), subject)) === 1;
	}

	async listBans(roomId: string): Promise<Ban[]> {
		const bans = asList(await this.#call('hvals', this.#keys.bans(roomId)));
		return readBans(bans.map((ban) => asText(ban) ?? ''));
	}

	async getValue(key: string): Promise<string | undefined> {
		return asText(await this.#call('get', this.#keys.value(this.#nodeId, key)));
	}

	async setValue(key: string, value: string): Promise<void> {
		await this.#call('set', this.#keys.value(this.#nodeId, key), value, 'PX', ROOM_TTL_MS);
	}

	/**
	 * Keeps who is on stage, unless a newer roster is kept (then nothing happens).
	 * Rejects with `not_home` when the epoch is not the latest, with `room_not_found`.
	 */
	async saveStage(roomId: string, epoch: number, roster: StageRoster): Promise<void> {
		const change: RoomChange = { kind: 'stage', node: this.#nodeId, roomId, epoch, roster: storedRoster(roster) };
		await this.#change(SAVE_STAGE, roomId, change, [roster.version, JSON.stringify(roster)], epoch);
	}

	/** Undefined: nothing was ever saved for this room. */
	async loadStage(roomId: string): Promise<{ epoch: number; roster: StageRoster } | undefined> {
		const [epoch, roster] = asList(await this.#call('hmget', this.#keys.stage(roomId), 'epoch', 'roster')).map(asText);
		return epoch === undefined || roster === undefined ? undefined : { epoch: Number(epoch), roster: readRoster(roster, roomId) };
	}

	/** Everything of a room; undefined: there is none. */
	async roomState(roomId: string): Promise<StoredRoom | undefined> {
		const raw = await this.#run(READ_ROOM, this.#keys.roomKeys(roomId), []);
		if (raw.record === undefined) return undefined;
		return {
			room: readRecord(raw.record, roomId),
			epoch: raw.stageEpoch,
			roster: raw.roster === undefined ? EMPTY_ROSTER : readRoster(raw.roster, roomId),
			bans: readBans(raw.bans),
			numbers: raw.numbers,
			bansVersion: raw.bansVersion,
		};
	}

	roomHead(roomId: string): Promise<RoomHead> {
		return this.#run(ROOM_HEAD, this.#keys.roomKeys(roomId), []);
	}

	/**
	 * Writes a room as this node knows it, unless Redis has a newer one. What a home says (`epoch` given) replaces bans and
	 * numbers; others only add what is missing. The stage goes with it if somebody ever was on it.
	 * Resolves to what Redis has in the end: `same` or this, something `newer`, or a tombstone: then the room is to be forgotten here.
	 * Rejects with `not_home` when the epoch is not the latest.
	 */
	async restoreRoom(state: RoomState, epoch?: number): Promise<'same' | 'newer' | 'removed'> {
		const { room, numbers, bans, roster } = state;
		await this.#index([room.id]);
		const numberList = Object.entries(numbers).flat();
		const banList = bans.flatMap((ban) => [ban.subject, JSON.stringify(ban)]);
		const args = [createdAtMsOf(room), room.version, JSON.stringify(room), numberList.length / 2, ...numberList, bans.length, ...banList];
		const change: RoomChange = { kind: 'restored', node: this.#nodeId, roomId: room.id };
		const reply = await this.#run(RESTORE_ROOM, this.#keys.roomKeys(room.id), [...this.#head(epoch, change), ...args]);
		if (reply === -5) return 'removed';
		if (reply < 0) throw REFUSALS[-4]();
		if (state.epoch > 0 || roster.version > 0) {
			try {
				await this.saveStage(room.id, epoch ?? state.epoch, roster);
			} catch (error) {
				// A newer home has the word on the stage; the room itself is in place.
				if (epoch !== undefined || !(error instanceof DomainError) || error.code !== 'not_home') throw error;
			}
		}
		if (reply === 1) return 'same';
		const head = await this.roomHead(room.id);
		return head.createdAtMs > createdAtMsOf(room) || head.version > room.version ? 'newer' : 'same';
	}

	/** A mark of the data in Redis, made of `candidate` when there is none; another one than before means that data were lost. */
	generation(candidate: string): Promise<string> {
		return this.#run(GENERATION, [this.#keys.generation], [candidate, ROOM_TTL_MS]);
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#connection.off('message', this.#onMessage);
		this.#connection.off('subscribed', this.#onSubscribed);
	}

	readonly #onSubscribed = (): void => void this.emit('listening');
	readonly #onMessage = (channel: string, text: string): void => {
		const change = channel === this.#keys.changes ? readRoomChange(text) : undefined;
		if (change !== undefined) this.emit('change', change);
	};

	/** Runs a writing script with what all of them begin with; a negative reply rejects. */
	async #change(script: RedisScript<number>, roomId: string, change: RoomChange | undefined, args: readonly (string | number)[], epoch = this.#fence(roomId)): Promise<number> {
		const reply = await this.#run(script, this.#keys.roomKeys(roomId), [...this.#head(epoch, change), ...args]);
		if (reply === -1 || reply === -2 || reply === -3 || reply === -4 || reply === -5) throw REFUSALS[reply]();
		return reply;
	}

	#head(epoch: number | undefined, change: RoomChange | undefined): (string | number)[] {
		return [this.#nodeId, epoch ?? '', ROOM_TTL_MS, this.#keys.changes, change === undefined ? '' : JSON.stringify(change)];
	}

	async #index(ids: readonly string[]): Promise<void> {
		await this.#run(INDEX_ADD, [this.#keys.roomIndex, this.#keys.roomIndexTimes], [ROOM_TTL_MS, ...ids]);
	}

	async #run<Reply>(script: RedisScript<Reply>, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
		this.#refuseClosed();
		return this.#connection.run(script, keys, args);
	}

	async #call(...args: Parameters<RedisConnection['call']>): Promise<unknown> {
		this.#refuseClosed();
		return this.#connection.call(...args);
	}

	#refuseClosed(): void {
		if (this.#closed) throw new StoreError('store_closed', 'The room store in Redis is closed.');
	}
}

function readRecord(text: string, roomId: string): Room {
	const where = `room "${roomId}" in Redis`;
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch (error) {
		throw new StoreError('store_damaged', `The record of ${where} is damaged: it is not JSON. Remove that record.`, error);
	}
	return readRoomRecord(value, where);
}

function readRoster(text: string, roomId: string): StageRoster {
	const roster = readStoredRoster(text);
	if (roster === undefined) throw new StoreError('store_damaged', `The stage of room "${roomId}" in Redis is damaged. Remove that record.`);
	return roster;
}

function readBans(texts: readonly string[]): Ban[] {
	return texts.flatMap((text) => readStoredBan(text) ?? []).toSorted((a, b) => (a.subject < b.subject ? -1 : a.subject > b.subject ? 1 : 0));
}
