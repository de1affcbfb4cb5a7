/** Marks the file as ours (`PRAGMA application_id`, sqlite.org/pragma.html): "RSTM". */
export const APPLICATION_ID = 0x52_53_54_4d;

/**
 * Step n brings a file from `user_version` n to n + 1. Steps that were released never change; add one instead.
 * Ids have the default collation: byte order, as `listRooms` promises.
 */
export const MIGRATIONS: readonly string[] = [
	`
	CREATE TABLE rooms (
		id TEXT PRIMARY KEY NOT NULL,
		version INTEGER NOT NULL,
		state TEXT NOT NULL,
		record TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE speaker_numbers (
		room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
		subject TEXT NOT NULL,
		number INTEGER NOT NULL,
		PRIMARY KEY (room_id, subject),
		UNIQUE (room_id, number)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE bans (
		room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
		subject TEXT NOT NULL,
		name TEXT NOT NULL,
		banned_by TEXT NOT NULL,
		banned_at TEXT NOT NULL,
		PRIMARY KEY (room_id, subject)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE node_values (
		key TEXT PRIMARY KEY NOT NULL,
		value TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	`,
	// What a node of a cluster keeps of the others' rooms. A tombstone outlives its room: it has no reference to one.
	`
	CREATE TABLE stages (
		room_id TEXT PRIMARY KEY NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
		epoch INTEGER NOT NULL,
		roster TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE TABLE tombstones (
		room_id TEXT PRIMARY KEY NOT NULL,
		created_at_ms INTEGER NOT NULL,
		removed_at_ms INTEGER NOT NULL
	) STRICT, WITHOUT ROWID;
	`,
];
