import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { APPLICATION_ID, MIGRATIONS } from './disk-schema.ts';
import { StoreError } from './store-error.ts';

// Primary result codes, sqlite.org/rescode.html. The low byte of an extended code is its primary one.
const SQLITE = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26 } as const;
export const SQLITE_FOREIGN_KEY = 787;

const PRIVATE_MODE = 0o600;

/** The SQLite result code of an error, extended where there is one; undefined: not SQLite's error. */
export function sqliteCode(error: unknown): number | undefined {
	return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : undefined;
}

/** Says in plain words what is wrong with the file and what to do. */
export function asStoreError(error: unknown, file: string): StoreError {
	if (error instanceof StoreError) return error;
	const reason = error instanceof Error ? error.message : String(error);
	const code = (sqliteCode(error) ?? 0) & 0xff;
	if (code === SQLITE.busy || code === SQLITE.locked) {
		return new StoreError(
			'store_in_use',
			`The room database ${file} is in use by another process. Two nodes cannot share one data folder: stop the other one, or give this one a data folder of its own.`,
			error,
		);
	}
	if (code === SQLITE.corrupt || code === SQLITE.notADatabase) return damaged(file, reason, error);
	if (code === SQLITE.full) return new StoreError('store_failed', `The room database ${file} cannot be written: the disk is full.`, error);
	return new StoreError('store_failed', `The room database ${file} cannot be used (${reason}). Check that its folder exists and that this user may write there.`, error);
}

/**
 * Opens the database for this process alone and brings its tables up to date.
 *
 * The guard against a second node is SQLite's own exclusive lock (`PRAGMA locking_mode=EXCLUSIVE`): the
 * kernel drops it with the process, so nothing is left to clean up after `kill -9`. With it the WAL index
 * lives on the heap and no -shm file is made. For the lock's sake this process must never open and close
 * the file by other means while it is in use (POSIX locks would go with the first close).
 * @throws StoreError
 */
export function openDatabaseFile(file: string, busyTimeoutMs: number): DatabaseSync {
	const inMemory = file === ':memory:';
	let database: DatabaseSync | undefined;
	try {
		if (!inMemory) makePrivate(file);
		database = new DatabaseSync(file, { timeout: busyTimeoutMs, enableForeignKeyConstraints: true });
		database.exec('PRAGMA locking_mode = EXCLUSIVE');
		// Refuses damage on any page before a room is read from a sound one; the file is small.
		const verdict = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
		if (verdict !== 'ok') throw damaged(file, String(verdict));
		refuseForeign(database, file);
		const mode = database.prepare('PRAGMA journal_mode = WAL').get()?.journal_mode;
		if (!inMemory && mode !== 'wal') throw new StoreError('store_failed', `The room database ${file} lies on a file system that cannot keep a write-ahead log.`);
		database.exec('PRAGMA synchronous = FULL');
		migrate(database, file);
		return database;
	} catch (error) {
		database?.close();
		throw asStoreError(error, file);
	}
}

/** Made before SQLite opens it, so that no moment and no umask shows it to others; the -wal file takes over its mode. */
function makePrivate(file: string): void {
	mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
	try {
		closeSync(openSync(file, 'wx', PRIVATE_MODE));
	} catch (error) {
		if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
	}
	for (const name of [file, `${file}-wal`, `${file}-shm`, `${file}-journal`]) if (existsSync(name)) chmodSync(name, PRIVATE_MODE);
}

function refuseForeign(database: DatabaseSync, file: string): void {
	const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
	const application = Number(database.prepare('PRAGMA application_id').get()?.application_id);
	const tables = Number(database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count);
	if (application !== APPLICATION_ID && (application !== 0 || tables > 0)) {
		throw new StoreError('store_damaged', `The file ${file} is a database of another program. Name another file, or move this one away.`);
	}
	if (version > MIGRATIONS.length) {
		throw new StoreError(
			'store_too_new',
			`The room database ${file} was written by a later version of Rostrum (format ${version}; this one knows ${MIGRATIONS.length}). Start that version again, or restore a backup from before.`,
		);
	}
}

function migrate(database: DatabaseSync, file: string): void {
	const from = Number(database.prepare('PRAGMA user_version').get()?.user_version);
	// Taken even when there is nothing to do: from here on the lock is held.
	database.exec('BEGIN EXCLUSIVE');
	try {
		for (let version = from; version < MIGRATIONS.length; version++) database.exec(MIGRATIONS[version]!);
		if (from < MIGRATIONS.length) database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length}`);
		database.exec('COMMIT');
	} catch (error) {
		if (database.isTransaction) database.exec('ROLLBACK');
		throw asStoreError(error, file);
	}
}

function damaged(file: string, reason: string, cause?: unknown): StoreError {
	return new StoreError(
		'store_damaged',
		`The room database ${file} is damaged (${reason}). Restore ${file} from a backup; or, to start with no rooms and no bans, move it and ${file}-wal away and start again.`,
		cause,
	);
}
