import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DomainError } from '../../errors.ts';
import type { Room } from '../room.ts';
import { asStoreError, openDatabaseFile, SQLITE_FOREIGN_KEY, sqliteCode } from './disk-file.ts';
import { readRoomRecord } from './room-record.ts';
import type { Ban, RoomStore } from './room-store.ts';
import { StoreError } from './store-error.ts';

export interface DiskRoomStoreOptions {
	/** Path of the database, made if it is missing; `:memory:` keeps everything in this process. */
	file: string;
	/** How long to wait for another process to let go of the file, e.g. a node that is just ending. Default 2,000. */
	busyTimeoutMs?: number;
}

const SQL = {
	insertRoom: 'INSERT INTO rooms (id, version, state, record) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
	updateRoom: 'UPDATE rooms SET version = ?, state = ?, record = ? WHERE id = ? AND version = ?',
	deleteRoom: 'DELETE FROM rooms WHERE id = ?',
	room: 'SELECT id, version, state, record FROM rooms WHERE id = ?',
	rooms: 'SELECT id, version, state, record FROM rooms WHERE id > ? ORDER BY id LIMIT ?',
	number: 'SELECT number FROM speaker_numbers WHERE room_id = ? AND subject = ?',
	insertNumber: `INSERT INTO speaker_numbers (room_id, subject, number)
		SELECT ?1, ?2, coalesce(max(number), 0) + 1 FROM speaker_numbers WHERE room_id = ?1 RETURNING number`,
	insertBan: `INSERT INTO bans (room_id, subject, name, banned_by, banned_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	deleteBan: 'DELETE FROM bans WHERE room_id = ? AND subject = ?',
	ban: 'SELECT 1 AS one FROM bans WHERE room_id = ? AND subject = ?',
	bans: 'SELECT room_id, subject, name, banned_by, banned_at FROM bans WHERE room_id = ? ORDER BY subject',
	value: 'SELECT value FROM node_values WHERE key = ?',
	setValue: 'INSERT INTO node_values (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
	deleteValue: 'DELETE FROM node_values WHERE key = ?',
	values: 'SELECT key, value FROM node_values WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key',
	putRoom: `INSERT INTO rooms (id, version, state, record) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state, record = excluded.record`,
	roomIds: 'SELECT id FROM rooms ORDER BY id',
	numbers: 'SELECT subject, number FROM speaker_numbers WHERE room_id = ? ORDER BY number',
	putNumber: 'INSERT OR REPLACE INTO speaker_numbers (room_id, subject, number) VALUES (?, ?, ?)',
	deleteNumbers: 'DELETE FROM speaker_numbers WHERE room_id = ?',
	deleteBans: 'DELETE FROM bans WHERE room_id = ?',
	putStage: `INSERT INTO stages (room_id, epoch, roster) VALUES (?, ?, ?)
		ON CONFLICT (room_id) DO UPDATE SET epoch = excluded.epoch, roster = excluded.roster`,
	stages: 'SELECT room_id, epoch, roster FROM stages',
	deleteStage: 'DELETE FROM stages WHERE room_id = ?',
	bury: `INSERT INTO tombstones (room_id, created_at_ms, removed_at_ms) VALUES (?, ?, ?)
		ON CONFLICT (room_id) DO UPDATE SET created_at_ms = max(created_at_ms, excluded.created_at_ms), removed_at_ms = excluded.removed_at_ms`,
	unbury: 'DELETE FROM tombstones WHERE room_id = ?',
	forgetTombstones: 'DELETE FROM tombstones WHERE removed_at_ms < ?',
	tombstone: 'SELECT created_at_ms FROM tombstones WHERE room_id = ?',
	tombstones: 'SELECT room_id, created_at_ms FROM tombstones',
} as const;

/** As long as Redis keeps its own. */
const TOMBSTONE_TTL_MS = 400 * 86_400_000;

/**
 * The store of a node without Redis: one SQLite file (WAL, synchronous=FULL), so that a change is on the
 * disk before its promise resolves. Calls block for one fsync: changes to rooms are rare, and nothing a
 * listener does comes here. In a cluster it is the node's copy of what all nodes share. Rejects with StoreError besides what RoomStore names.
 */
export class DiskRoomStore implements RoomStore {
	readonly #file: string;
	readonly #database: DatabaseSync;
	readonly #statements: Record<keyof typeof SQL, StatementSync>;
	#closed = false;

	private constructor(file: string, database: DatabaseSync) {
		this.#file = file;
		this.#database = database;
		const entries = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]);
		this.#statements = Object.fromEntries(entries);
	}

	/** Rejects with StoreError `store_in_use`, `store_damaged`, `store_too_new`, `store_failed`. */
	static async open(options: DiskRoomStoreOptions): Promise<DiskRoomStore> {
		return new DiskRoomStore(options.file, openDatabaseFile(options.file, options.busyTimeoutMs ?? 2_000));
	}

	createRoom(room: Room): Promise<void> {
		return this.#run(({ insertRoom }) => {
			const { changes } = insertRoom.run(room.id, room.version, room.state, JSON.stringify(room));
			if (changes === 0) throw new DomainError('room_exists', 'A room with this id exists already.');
		});
	}

	updateRoom(room: Room): Promise<void> {
		return this.#run((statements) => {
			const { changes } = statements.updateRoom.run(room.version, room.state, JSON.stringify(room), room.id, room.version - 1);
			if (changes !== 0) return;
			if (statements.room.get(room.id) === undefined) throw roomNotFound();
			throw new DomainError('precondition_failed', 'The room has been changed by somebody else meanwhile.');
		});
	}

	removeRoom(roomId: string): Promise<void> {
		return this.#run(({ deleteRoom }) => {
			deleteRoom.run(roomId);
		});
	}

	getRoom(roomId: string): Promise<Room | undefined> {
		return this.#run(({ room }) => {
			const row = room.get(roomId);
			return row === undefined ? undefined : this.#room(row);
		});
	}

	listRooms(page: { after?: string; limit: number }): Promise<Room[]> {
		return this.#run(({ rooms }) => rooms.all(page.after ?? '', page.limit).map((row) => this.#room(row)));
	}

	speakerNumber(roomId: string, subject: string): Promise<number> {
		return this.#run(({ number, insertNumber }) => {
			// Somebody who comes back costs no write. Nothing else runs in between: this is one synchronous stretch.
			const known = number.get(roomId, subject) ?? insertNumber.get(roomId, subject);
			return Number(known?.number);
		});
	}

	ban(ban: Ban): Promise<void> {
		return this.#run(({ insertBan }) => {
			insertBan.run(ban.roomId, ban.subject, ban.name, ban.bannedBy, ban.bannedAt);
		});
	}

	unban(roomId: string, subject: string): Promise<boolean> {
		return this.#run(({ deleteBan }) => deleteBan.run(roomId, subject).changes !== 0);
	}

	isBanned(roomId: string, subject: string): Promise<boolean> {
		return this.#run(({ ban }) => ban.get(roomId, subject) !== undefined);
	}

	listBans(roomId: string): Promise<Ban[]> {
		return this.#run(({ bans }) =>
			bans.all(roomId).map((row) => ({
				roomId: String(row.room_id),
				subject: String(row.subject),
				name: String(row.name),
				bannedBy: String(row.banned_by),
				bannedAt: String(row.banned_at),
			})),
		);
	}

	getValue(key: string): Promise<string | undefined> {
		return this.#run(({ value }) => {
			const row = value.get(key);
			return row === undefined ? undefined : String(row.value);
		});
	}

	setValue(key: string, value: string): Promise<void> {
		return this.#run(({ setValue }) => {
			setValue.run(key, value);
		});
	}

	// What follows is for a node of a cluster, which keeps a copy of everything here: these take what the cluster has settled already.

	/** With its bans and numbers instead of whatever is here; a tombstone of this id goes. The stage stays unless the room is another one. */
	putRoom(copy: { room: Room; bans: readonly Ban[]; numbers: Readonly<Record<string, number>> }): Promise<void> {
		const { room, bans, numbers } = copy;
		return this.#transact((statements) => {
			const row = statements.room.get(room.id);
			if (row !== undefined && this.#room(row).createdAt !== room.createdAt) statements.deleteStage.run(room.id);
			statements.putRoom.run(room.id, room.version, room.state, JSON.stringify(room));
			statements.deleteNumbers.run(room.id);
			statements.deleteBans.run(room.id);
			for (const [subject, number] of Object.entries(numbers)) statements.putNumber.run(room.id, subject, number);
			for (const ban of bans) statements.insertBan.run(room.id, ban.subject, ban.name, ban.bannedBy, ban.bannedAt);
			statements.unbury.run(room.id);
		});
	}

	/** The room alone, of whatever version; its bans and numbers stay. */
	putRecord(room: Room): Promise<void> {
		return this.#run(({ putRoom }) => {
			putRoom.run(room.id, room.version, room.state, JSON.stringify(room));
		});
	}

	/** Whoever else had this number loses it. Rejects with `room_not_found`. */
	putNumber(roomId: string, subject: string, number: number): Promise<void> {
		return this.#run(({ putNumber }) => {
			putNumber.run(roomId, subject, number);
		});
	}

	numbers(roomId: string): Promise<Record<string, number>> {
		return this.#run(({ numbers }) => Object.fromEntries(numbers.all(roomId).map((row) => [String(row.subject), Number(row.number)])));
	}

	roomIds(): Promise<string[]> {
		return this.#run(({ roomIds }) => roomIds.all().map((row) => String(row.id)));
	}

	/** Rejects with `room_not_found`. */
	putStage(roomId: string, epoch: number, roster: string): Promise<void> {
		return this.#run(({ putStage }) => {
			putStage.run(roomId, epoch, roster);
		});
	}

	stages(): Promise<{ roomId: string; epoch: number; roster: string }[]> {
		return this.#run(({ stages }) => stages.all().map((row) => ({ roomId: String(row.room_id), epoch: Number(row.epoch), roster: String(row.roster) })));
	}

	/** Removes the room and remembers that whatever was made under this id at `createdAtMs` or before is gone. */
	bury(roomId: string, createdAtMs: number, nowMs: number): Promise<void> {
		return this.#transact((statements) => {
			statements.deleteRoom.run(roomId);
			statements.bury.run(roomId, createdAtMs, nowMs);
			statements.forgetTombstones.run(nowMs - TOMBSTONE_TTL_MS);
		});
	}

	/** When the removed room of this id was made; 0: none was removed. */
	tombstoneMs(roomId: string): Promise<number> {
		return this.#run(({ tombstone }) => Number(tombstone.get(roomId)?.created_at_ms ?? 0));
	}

	tombstoneIds(): Promise<string[]> {
		return this.#run(({ tombstones }) => tombstones.all().map((row) => String(row.room_id)));
	}

	/** All values whose keys begin so. */
	values(prefix: string): Promise<{ key: string; value: string }[]> {
		return this.#run(({ values }) => values.all(prefix).map((row) => ({ key: String(row.key), value: String(row.value) })));
	}

	removeValue(key: string): Promise<void> {
		return this.#run(({ deleteValue }) => {
			deleteValue.run(key);
		});
	}

	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#database.close();
	}

	async #run<T>(work: (statements: Record<keyof typeof SQL, StatementSync>) => T): Promise<T> {
		if (this.#closed) throw new StoreError('store_closed', `The room database ${this.#file} is closed.`);
		try {
			return work(this.#statements);
		} catch (error) {
			if (error instanceof DomainError) throw error;
			if (sqliteCode(error) === SQLITE_FOREIGN_KEY) throw roomNotFound();
			throw asStoreError(error, this.#file);
		}
	}

	#transact<T>(work: (statements: Record<keyof typeof SQL, StatementSync>) => T): Promise<T> {
		return this.#run((statements) => {
			this.#database.exec('BEGIN IMMEDIATE');
			try {
				const result = work(statements);
				this.#database.exec('COMMIT');
				return result;
			} catch (error) {
				if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
				throw error;
			}
		});
	}

	#room(row: Record<string, unknown>): Room {
		const where = `room "${String(row.id)}" in ${this.#file}`;
		let record: unknown;
		try {
			record = JSON.parse(String(row.record));
		} catch (error) {
			throw new StoreError('store_damaged', `The record of ${where} is damaged: it is not JSON. Restore a backup, or remove that record.`, error);
		}
		// The columns are what updates compare with, so they win.
		return readRoomRecord({ ...(typeof record === 'object' ? record : {}), id: row.id, version: row.version, state: row.state }, where);
	}
}

function roomNotFound(): DomainError {
	return new DomainError('room_not_found', 'There is no room with this id.');
}
