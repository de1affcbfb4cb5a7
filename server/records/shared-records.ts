import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { ClusterKeys } from '../../auth/cluster-keys.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerParams, Peers } from '../cluster/peer-protocol.ts';
import type { RecordStore, StoredRecord } from './record-store.ts';
import { type PlainRecord, sealRecord, unsealRecord } from './sealed-record.ts';

/** How the nodes of a cluster tell each other. */
export interface RecordSharing {
	store: RecordStore;
	keys: Pick<ClusterKeys, 'keySharing'>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'on' | 'off'>;
	peers: Peers;
}

export interface SharedRecordsOptions<T> {
	/** Letters and dashes; names the records on disk, in Redis and between nodes. */
	kind: string;
	disk: RecordStore;
	/** Absent for a node that is alone. */
	sharing?: RecordSharing | undefined;
	/** Undefined for what is no such value. */
	read: (value: unknown) => T | undefined;
	/** Milliseconds since the epoch. */
	now: () => number;
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'warn'>;
	/** Default: 5 s. */
	syncEveryMs?: number;
}

export interface SharedRecordsEvents<T> {
	/** A record is new or another one (`undefined`: it is gone), here or on another node. */
	changed: [id: string, value: T | undefined];
}

interface Entry<T> {
	version: number;
	untilMs: number;
	/** Null: removed; remembered, so that no node that slept brings it back. */
	value: T | null;
	sealed: string | undefined;
}

const SYNC_EVERY_MS = 5_000;
/** Until every node that was away has heard of a removal. */
const TOMBSTONE_MS = 400 * 86_400_000;
/** In one message between nodes: below its size limit, however long the records are. */
const BATCH = 50;

/**
 * Few and small things that all nodes know, and that outlive every one of them: each node has all of them on its own disk,
 * tells the others directly and through Redis, and puts back what Redis has lost. The later of two changes wins. Nothing
 * waits for Redis: with it away nodes tell each other, and what is known stays known.
 */
export class SharedRecords<T> extends EventEmitter<SharedRecordsEvents<T>> {
	readonly #options: SharedRecordsOptions<T>;
	readonly #entries = new Map<string, Entry<T>>();
	#changes: Promise<unknown> = Promise.resolve();
	#syncing: Promise<void> | undefined;
	#again = false;
	/** The shared store lacks something that is known here. */
	#unsaved = true;
	#closed = false;
	#cancel: () => void = () => {};
	#stop: () => void = () => {};

	/** Redis away keeps nobody from starting. Rejects when the disk cannot be read. */
	static async open<T>(options: SharedRecordsOptions<T>): Promise<SharedRecords<T>> {
		const records = new SharedRecords(options);
		for (const { id, version, untilMs, text } of (await options.disk.load()) ?? []) {
			const value = JSON.parse(text) as unknown;
			const known = value === null ? null : options.read(value);
			if (known === undefined) options.log.warn({ kind: options.kind, record: id }, 'a record on disk is of no known form and is passed over');
			else records.#entries.set(id, { version, untilMs, value: known, sealed: undefined });
		}
		records.#listen();
		await records.sync();
		return records;
	}

	private constructor(options: SharedRecordsOptions<T>) {
		super();
		this.#options = options;
	}

	get(id: string): T | undefined {
		return this.#entries.get(id)?.value ?? undefined;
	}

	/** In order of id. */
	get values(): readonly T[] {
		return [...this.#entries].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, { value }]) => (value === null ? [] : [value]));
	}

	/**
	 * On disk, and told to every node that answers, when this resolves.
	 * @param untilMs it is forgotten then; default: never
	 */
	put(id: string, value: T, untilMs = Number.MAX_SAFE_INTEGER): Promise<void> {
		return this.#change(id, value, untilMs);
	}

	/** Whether there was one. */
	async remove(id: string): Promise<boolean> {
		const there = this.get(id) !== undefined;
		if (there) await this.#change(id, null, this.#options.now() + TOMBSTONE_MS);
		return there;
	}

	/** What another node has told. */
	async take(records: PeerParams<'putRecords'>['records']): Promise<void> {
		await this.#merge(records.map(({ sealed, ...record }) => ({ ...record, text: sealed })));
	}

	/** Exchanges with the shared store now. Never rejects; goes on every few seconds. */
	async sync(): Promise<void> {
		if (this.#closed) return;
		this.#again = this.#syncing !== undefined;
		await (this.#syncing ??= this.#run());
	}

	/** Idempotent. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#cancel();
		this.#stop();
		await this.#syncing;
		await this.#changes;
	}

	#listen(): void {
		const { sharing } = this.#options;
		if (!sharing) return;
		const soon = (): void => void this.sync();
		// It may have missed anything, and Redis may not be there to tell it.
		const nodeUp = ({ nodeId }: { nodeId: string }): void => void this.#tell(nodeId, [...this.#entries.keys()]);
		sharing.view.on('nodeUp', nodeUp);
		const stop = sharing.store.onChange(soon);
		this.#stop = () => {
			stop();
			sharing.view.off('nodeUp', nodeUp);
		};
	}

	async #change(id: string, value: T | null, untilMs: number): Promise<void> {
		await this.#serially(async () => {
			const version = Math.max(this.#options.now(), (this.#entries.get(id)?.version ?? 0) + 1);
			await this.#set(id, { version, untilMs, value, sealed: undefined });
		});
		const { sharing } = this.#options;
		if (!sharing) return;
		const others = sharing.view.nodes().flatMap(({ nodeId }) => (nodeId === sharing.view.nodeId ? [] : [this.#tell(nodeId, [id])]));
		await Promise.all([this.#share([id]), ...others]);
	}

	async #set(id: string, entry: Entry<T>): Promise<void> {
		const { disk } = this.#options;
		const { version, untilMs, value } = entry;
		await disk.put([{ id, version, untilMs, text: JSON.stringify(value) }]);
		this.#entries.set(id, entry);
		this.emit('changed', id, value ?? undefined);
	}

	async #tell(nodeId: string, ids: readonly string[]): Promise<void> {
		const { sharing, kind, log } = this.#options;
		if (!sharing || nodeId === sharing.view.nodeId) return;
		try {
			const records = await this.#stored(ids);
			for (let index = 0; index < records.length; index += BATCH) {
				const batch = records.slice(index, index + BATCH).map(({ text, ...record }) => ({ ...record, sealed: text }));
				await sharing.peers.request(nodeId, 'putRecords', { kind, records: batch });
			}
		} catch (err) {
			log.warn({ err, kind, peer: nodeId }, 'records could not be told to a node; it finds them in Redis, or is told when it is back');
		}
	}

	async #share(ids: readonly string[]): Promise<void> {
		const { sharing, kind, log } = this.#options;
		if (!sharing) return;
		try {
			await sharing.store.put(await this.#stored(ids));
		} catch (err) {
			this.#unsaved = true;
			log.warn({ err, kind }, 'records could not be put into Redis; it is tried again');
		}
	}

	/** Sealed, as they leave this node. */
	async #stored(ids: readonly string[]): Promise<StoredRecord[]> {
		const { sharing, kind } = this.#options;
		if (!sharing) return [];
		const stored: StoredRecord[] = [];
		for (const id of ids) {
			const entry = this.#entries.get(id);
			if (!entry) continue;
			const { version, untilMs, value } = entry;
			entry.sealed ??= await sealRecord({ kind, id, version, untilMs, value }, sharing.keys);
			stored.push({ id, version, untilMs, text: entry.sealed });
		}
		return stored;
	}

	async #run(): Promise<void> {
		const { sharing, kind, log, schedule } = this.#options;
		this.#cancel();
		do {
			this.#again = false;
			await this.#forgetExpired();
			if (!sharing) continue;
			try {
				const there = await sharing.store.load();
				if (there !== undefined || this.#unsaved) {
					await this.#merge(there ?? []);
					if (there !== undefined) await this.#shareMissing(there);
					else await this.#share([...this.#entries.keys()]);
				}
			} catch (err) {
				this.#unsaved = true;
				log.warn({ err, kind }, 'records could not be exchanged through Redis');
			}
		} while (this.#again && !this.#closed);
		this.#syncing = undefined;
		if (!this.#closed) this.#cancel = schedule(this.#options.syncEveryMs ?? SYNC_EVERY_MS, () => void this.sync());
	}

	async #shareMissing(there: readonly StoredRecord[]): Promise<void> {
		const stored = new Map(there.map((record) => [record.id, record]));
		const missing = [...this.#entries].flatMap(([id, { version, sealed }]) => {
			const theirs = stored.get(id);
			// Of the same age and another one: the one that is known here has won.
			return theirs === undefined || theirs.version < version || (theirs.version === version && theirs.text !== sealed) ? [id] : [];
		});
		this.#unsaved = false;
		if (missing.length > 0) await this.#share(missing);
	}

	async #merge(incoming: readonly StoredRecord[]): Promise<void> {
		const { sharing, kind, read, now, log } = this.#options;
		if (!sharing) return;
		for (const { id, version, text } of incoming) {
			if (version < (this.#entries.get(id)?.version ?? 0) || text === this.#entries.get(id)?.sealed) continue;
			const record = await unsealRecord({ kind, id, version }, text, sharing.keys);
			const value = record === undefined ? undefined : record.value === null ? null : read(record.value);
			if (record === undefined || value === undefined) {
				log.warn({ kind, record: id }, 'a shared record cannot be used; do all nodes have the same cluster secret?');
				await this.#outbid(id, version);
			} else if (record.untilMs > now()) {
				await this.#serially(async () => {
					const known = this.#entries.get(id);
					if (this.#isNewer(id, record)) await this.#set(id, { version, untilMs: record.untilMs, value, sealed: text });
					// The same, sealed by another node.
					else if (known?.version === version && JSON.stringify(known.value) === JSON.stringify(value)) known.sealed = text;
				});
			}
		}
	}

	/** What nobody can read must not stand in the place of what is known here. */
	async #outbid(id: string, version: number): Promise<void> {
		const entry = this.#entries.get(id);
		if (!entry || !Number.isSafeInteger(version + 1)) return;
		await this.#serially(() => this.#set(id, { ...entry, version: version + 1, sealed: undefined }));
		await this.#share([id]);
	}

	/** Of two of one version, the same one wins on every node. */
	#isNewer(id: string, { version, value }: PlainRecord): boolean {
		const known = this.#entries.get(id);
		if (!known) return true;
		return version > known.version || (version === known.version && JSON.stringify(value) > JSON.stringify(known.value));
	}

	async #forgetExpired(): Promise<void> {
		const nowMs = this.#options.now();
		for (const [id, { untilMs, value }] of this.#entries) {
			if (untilMs > nowMs) continue;
			this.#entries.delete(id);
			if (value !== null) this.emit('changed', id, undefined);
		}
	}

	#serially<R>(task: () => Promise<R>): Promise<R> {
		const result = this.#changes.then(task);
		this.#changes = result.catch(() => undefined);
		return result;
	}
}
