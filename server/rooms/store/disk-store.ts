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
} as const;

/**
 * The store of a node without Redis: one SQLite file (WAL, synchronous=FULL), so that a change is on the
 * disk before its promise resolves. Calls block for one fsync: changes to rooms are rare, and nothing a
 * listener does comes here. Rejects with StoreError besides what RoomStore names.
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
