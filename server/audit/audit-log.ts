import type { Logger } from 'pino';
import { Compile } from 'typebox/compile';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerHandlers, Peers } from '../cluster/peer-protocol.ts';
import { ActSessions } from './act-sessions.ts';
import { type AuditAct, AuditEntry, type AuditFilter } from './audit-entry.ts';
import { AuditFiles } from './audit-files.ts';

export interface AuditLogOptions {
	/** The folder of the log itself (`<dataDir>/audit`). */
	dir: string;
	nodeId: string;
	/** Default 400 days. */
	keepMs?: number;
	/** Default 1 MiB: small enough to be read whole. */
	maxFileBytes?: number;
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	peers: Peers;
	/** Milliseconds since the epoch. */
	now: () => number;
	log: Pick<Logger, 'error' | 'warn'>;
}

/** What was found, and which nodes were not heard. */
export interface AuditPage {
	entries: AuditEntry[];
	/** The id to go on after; undefined on the last page. */
	next: string | undefined;
	missing: string[];
}

const KEEP_MS = 400 * 86_400_000;
const MAX_FILE_BYTES = 1024 * 1024;
/** Refusals are written as long as they come no faster than this; whoever floods the log must not wash it away. */
const REFUSALS_BURST = 100;
const REFUSALS_PER_SECOND = 5;
const PEER_TIMEOUT_MS = 2_000;
const validator = Compile(AuditEntry);

/**
 * Who did what, when, from where, and what came of it. Each node appends what it does to files of its own, many acts with
 * one flush, and an act is answered only when its entry is on disk. There is no way to change or remove an entry but its
 * age. Questions are answered for all nodes together.
 */
export class AuditLog {
	readonly #options: AuditLogOptions;
	readonly #files: AuditFiles;
	readonly #sessions: ActSessions;
	#waiting: { line: string; written: () => void }[] = [];
	#writing: Promise<void> | undefined;
	#lastMs = 0;
	#count = 0;
	#allowance = REFUSALS_BURST;
	#allowanceAtMs = 0;
	#suppressed = 0;
	#failed = false;
	readonly #totals = { written: 0, lost: 0, suppressed: 0 };

	/** Rejects when the folder cannot be used. */
	static async open(options: AuditLogOptions): Promise<AuditLog> {
		const { dir, maxFileBytes = MAX_FILE_BYTES, keepMs = KEEP_MS, now } = options;
		return new AuditLog(options, await AuditFiles.open({ dir, maxFileBytes, keepMs, now }));
	}

	private constructor(options: AuditLogOptions, files: AuditFiles) {
		this.#options = options;
		this.#files = files;
		this.#sessions = new ActSessions(options.now);
		this.#allowanceAtMs = options.now();
	}

	/** Entries since the start: on disk, lost since the disk failed, and refusals that came too fast to be written. */
	get totals(): Readonly<Record<'written' | 'lost' | 'suppressed', number>> {
		return this.#totals;
	}

	/**
	 * Writes an entry, or for what is done over and over one for a stretch of it (see ActSessions); undefined writes nothing. Resolves when it is on disk. Never rejects: what was done was done, and a
	 * full disk must not keep a host from muting somebody; that is said loudly in the program's log.
	 */
	record(done: AuditAct | undefined): Promise<void> {
		const act = done && this.#sessions.admit(done);
		if (act === undefined || !this.#admits(act)) return Promise.resolve();
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#waiting.push({ line: JSON.stringify(this.#entry(act)), written: resolve });
		this.#writing ??= this.#write();
		return promise;
	}

	/** Of this node alone, newest first. */
	async findHere({ limit, room, action, subject, after }: AuditFilter): Promise<AuditEntry[]> {
		await this.#writing;
		const found: AuditEntry[] = [];
		for await (const lines of this.#files.newestFirst()) {
			for (const line of lines.toReversed()) {
				const entry = read(line);
				if (!entry || (after !== undefined && entry.id >= after) || (room !== undefined && entry.room !== room) || (subject !== undefined && entry.actor.subject !== subject)) continue;
				if (action !== undefined && entry.action !== action && !entry.action.startsWith(`${action}.`)) continue;
				if (found.push(entry) === limit) return found;
			}
		}
		return found;
	}

	/** Of all nodes, newest first. */
	async find(filter: AuditFilter): Promise<AuditPage> {
		const { view, peers, log } = this.#options;
		// One more than asked for tells whether there is a next page.
		const wanted = { ...filter, limit: filter.limit + 1 };
		const missing: string[] = [];
		const pages = await Promise.all(
			view.nodes().map(async ({ nodeId }) => {
				if (nodeId === view.nodeId) return this.findHere(wanted);
				try {
					return (await peers.request(nodeId, 'auditEntries', wanted, { timeoutMs: PEER_TIMEOUT_MS })).entries;
				} catch (err) {
					log.warn({ err, peer: nodeId }, 'the audit log of a node could not be read');
					missing.push(nodeId);
					return [];
				}
			}),
		);
		const all = pages.flat().toSorted((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
		const entries = all.slice(0, filter.limit);
		return { entries, next: all.length > filter.limit ? entries.at(-1)?.id : undefined, missing };
	}

	readonly handlers: Pick<PeerHandlers, 'auditEntries'> = {
		auditEntries: async (filter) => ({ entries: await this.findHere(filter) }),
	};

	/** Writes what is waiting. Idempotent. */
	async close(): Promise<void> {
		await this.#writing;
		await this.#files.close();
	}

	#entry(act: AuditAct): AuditEntry {
		const { nodeId, now } = this.#options;
		// In order also where two acts share a millisecond or the clock is set back.
		const atMs = Math.max(now(), this.#lastMs);
		this.#count = atMs === this.#lastMs ? this.#count + 1 : 0;
		this.#lastMs = atMs;
		const id = `${atMs.toString(16).padStart(12, '0')}-${this.#count.toString(16).padStart(5, '0')}-${nodeId}`;
		const suppressed = this.#suppressed;
		this.#suppressed = 0;
		return { id, at: new Date(atMs).toISOString(), node: nodeId, ...act, ...(suppressed === 0 ? {} : { suppressed }) };
	}

	#admits({ outcome }: AuditAct): boolean {
		if (outcome !== 'refused') return true;
		const nowMs = this.#options.now();
		this.#allowance = Math.min(REFUSALS_BURST, this.#allowance + (Math.max(0, nowMs - this.#allowanceAtMs) / 1000) * REFUSALS_PER_SECOND);
		this.#allowanceAtMs = nowMs;
		if (this.#allowance < 1) {
			this.#suppressed++;
			this.#totals.suppressed++;
			return false;
		}
		this.#allowance--;
		return true;
	}

	async #write(): Promise<void> {
		// What comes in the same turn goes out together.
		await Promise.resolve();
		while (this.#waiting.length > 0) {
			const batch = this.#waiting;
			this.#waiting = [];
			try {
				await this.#files.append(batch.map(({ line }) => line));
				this.#failed = false;
				this.#totals.written += batch.length;
			} catch (err) {
				const { log } = this.#options;
				if (!this.#failed) log.error({ err, entries: batch.length }, 'the audit log cannot be written: acts go unrecorded; look after the disk');
				this.#failed = true;
				this.#totals.lost += batch.length;
			}
			for (const { written } of batch) written();
		}
		this.#writing = undefined;
	}
}

function read(line: string): AuditEntry | undefined {
	if (line === '') return undefined;
	try {
		const entry: unknown = JSON.parse(line);
		return validator.Check(entry) ? entry : undefined;
	} catch {
		return undefined; // Cut off by a crash.
	}
}
