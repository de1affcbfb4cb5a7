import { chmodSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { WebhookDelivery } from './webhook-schemas.ts';

/** A message as it waits in the outbox. */
export interface Delivery {
	id: string;
	webhook: string;
	/** The message's id, the same in every attempt and for every webhook. */
	event: string;
	type: string;
	room: string | undefined;
	/** The body, as it is signed and sent. */
	payload: string;
	createdMs: number;
	state: WebhookDelivery['state'];
	attempts: number;
	/** When it is to be tried; of those that wait. */
	nextMs: number;
	log: Attempt[];
}

export type Attempt = WebhookDelivery['log'][number];

export interface DeliveryQuery {
	webhook: string;
	limit: number;
	state?: WebhookDelivery['state'];
	after?: string;
}

const SCHEMA = `
	CREATE TABLE IF NOT EXISTS deliveries (
		id TEXT PRIMARY KEY NOT NULL, webhook TEXT NOT NULL, event TEXT NOT NULL, type TEXT NOT NULL, room TEXT, payload TEXT NOT NULL,
		created_ms INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL, log TEXT NOT NULL,
		UNIQUE (webhook, event)
	) STRICT, WITHOUT ROWID;
	CREATE INDEX IF NOT EXISTS due ON deliveries (state, next_ms);
	CREATE INDEX IF NOT EXISTS of_webhook ON deliveries (webhook, id);
	CREATE TABLE IF NOT EXISTS told (event TEXT PRIMARY KEY NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

const SQL = {
	insert: `INSERT INTO deliveries (id, webhook, event, type, room, payload, created_ms, state, attempts, next_ms, log) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
	update: 'UPDATE deliveries SET state = ?, attempts = ?, next_ms = ?, log = ? WHERE id = ?',
	get: 'SELECT * FROM deliveries WHERE id = ?',
	due: `SELECT * FROM deliveries WHERE state = 'pending' AND next_ms <= ? ORDER BY next_ms, id LIMIT ?`,
	next: `SELECT min(next_ms) AS next FROM deliveries WHERE state = 'pending' AND next_ms > ?`,
	list: 'SELECT * FROM deliveries WHERE webhook = ? AND id < ? AND (? IS NULL OR state = ?) ORDER BY id DESC LIMIT ?',
	pending: `SELECT count(*) AS count FROM deliveries WHERE webhook = ? AND state = 'pending'`,
	oldest: `SELECT webhook, min(created_ms) AS oldest FROM deliveries WHERE state = 'pending' GROUP BY webhook`,
	counts: 'SELECT state, count(*) AS count FROM deliveries GROUP BY state',
	removeOf: 'DELETE FROM deliveries WHERE webhook = ?',
	prune: `DELETE FROM deliveries WHERE (state = 'delivered' AND created_ms < ?) OR (state = 'dead' AND created_ms < ?)`,
	tell: 'INSERT INTO told (event, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING',
	told: 'SELECT 1 AS one FROM told WHERE event = ?',
	forget: 'DELETE FROM told WHERE at_ms < ?',
} as const;

/** After every id. */
const LAST = '~';

/**
 * Messages to webhooks that have not been delivered yet, and what became of the others, in a SQLite file of the node's own.
 * What was put in is there after `kill -9`. Methods throw what SQLite throws; calls block for one flush at most, and nothing
 * that a listener does comes here.
 */
export class Outbox {
	readonly #database: DatabaseSync;
	readonly #statements: Record<keyof typeof SQL, StatementSync>;
	#closed = false;

	/** @param file its folder exists; `:memory:` keeps everything in this process */
	static open(file: string): Outbox {
		const database = new DatabaseSync(file, { timeout: 2_000 });
		try {
			if (file !== ':memory:') chmodSync(file, 0o600);
			database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
			database.exec(SCHEMA);
			return new Outbox(database);
		} catch (error) {
			database.close();
			throw error;
		}
	}

	private constructor(database: DatabaseSync) {
		this.#database = database;
		this.#statements = Object.fromEntries(Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)])) as Record<keyof typeof SQL, StatementSync>;
	}

	/** All or none, once for each event and webhook: a repetition changes nothing. Remembers that the event was told. */
	add(event: string, deliveries: readonly Delivery[], nowMs: number): void {
		const { insert, tell } = this.#statements;
		this.#transact(() => {
			for (const { id, webhook, type, room, payload, createdMs, state, attempts, nextMs, log } of deliveries) {
				insert.run(id, webhook, event, type, room ?? null, payload, createdMs, state, attempts, nextMs, JSON.stringify(log));
			}
			tell.run(event, nowMs);
		});
	}

	/** Whether an event of this id was ever put in, were there webhooks or not. */
	wasTold(event: string): boolean {
		return this.#statements.told.get(event) !== undefined;
	}

	save({ id, state, attempts, nextMs, log }: Delivery): void {
		this.#statements.update.run(state, attempts, nextMs, JSON.stringify(log), id);
	}

	get(id: string): Delivery | undefined {
		const row = this.#statements.get.get(id);
		return row && read(row);
	}

	/** Those whose time has come, the longest waiting first. */
	due(nowMs: number, limit: number): Delivery[] {
		return this.#statements.due.all(nowMs, limit).map(read);
	}

	/** When the next one after that is due; undefined: none waits. */
	nextAfter(nowMs: number): number | undefined {
		const next = this.#statements.next.get(nowMs)?.['next'];
		return typeof next === 'number' ? next : undefined;
	}

	/** Newest first. */
	list({ webhook, limit, state, after }: DeliveryQuery): Delivery[] {
		return this.#statements.list.all(webhook, after ?? LAST, state ?? null, state ?? null, limit).map(read);
	}

	pendingOf(webhook: string): number {
		return Number(this.#statements.pending.get(webhook)?.['count'] ?? 0);
	}

	/** When the oldest that waits was put in, by webhook. */
	get oldestPending(): { webhook: string; createdMs: number }[] {
		return this.#statements.oldest.all().map((row) => ({ webhook: String(row['webhook']), createdMs: Number(row['oldest']) }));
	}

	/** How many there are in each state. */
	get counts(): Record<WebhookDelivery['state'], number> {
		const counts = { pending: 0, delivered: 0, dead: 0 };
		for (const { state, count } of this.#statements.counts.all()) counts[state as keyof typeof counts] = Number(count);
		return counts;
	}

	removeOf(webhook: string): void {
		this.#statements.removeOf.run(webhook);
	}

	/** Forgets what is older, in milliseconds since the epoch. */
	prune(before: { deliveredMs: number; deadMs: number; toldMs: number }): void {
		this.#statements.prune.run(before.deliveredMs, before.deadMs);
		this.#statements.forget.run(before.toldMs);
	}

	/** Idempotent. */
	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#database.close();
	}

	#transact(work: () => void): void {
		this.#database.exec('BEGIN IMMEDIATE');
		try {
			work();
			this.#database.exec('COMMIT');
		} catch (error) {
			if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
			throw error;
		}
	}
}

function read(row: Record<string, unknown>): Delivery {
	return {
		id: String(row['id']),
		webhook: String(row['webhook']),
		event: String(row['event']),
		type: String(row['type']),
		room: typeof row['room'] === 'string' ? row['room'] : undefined,
		payload: String(row['payload']),
		createdMs: Number(row['created_ms']),
		state: String(row['state']) as Delivery['state'],
		attempts: Number(row['attempts']),
		nextMs: Number(row['next_ms']),
		log: JSON.parse(String(row['log'])) as Attempt[],
	};
}
