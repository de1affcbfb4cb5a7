import type { Logger } from 'pino';
import type { ClusterKeys } from '../../../auth/cluster-keys.ts';
import type { KeyRing } from '../../../auth/key-ring.ts';
import type { KeyFile } from '../../../auth/signing-key.ts';
import { seal, type SharedKey, unseal } from './sealed-key.ts';
import type { SharedKeyChange, SharedKeyStore } from './shared-key-store.ts';

export interface SharedKeysOptions {
	keyRing: Pick<KeyRing, 'kids' | 'retired' | 'exportKey' | 'importKey' | 'importRetired' | 'on' | 'off'>;
	store: SharedKeyStore;
	secretKeys: Pick<ClusterKeys, 'keySharing'>;
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'info' | 'warn'>;
	/** Default: 5 s. */
	syncEveryMs?: number;
}

const SYNC_EVERY_MS = 5_000;

/**
 * Lets every node of a cluster verify what any of them has signed: all of them have all keys, each on its own disk, and
 * the newest signs everywhere. What is shared lies sealed in Redis. If Redis loses it, the nodes put it there again; a
 * retired key leaves a word behind on every disk, so that it comes back from nowhere.
 */
export class SharedKeys {
	readonly #options: SharedKeysOptions;
	/** Entries that could not be used: said once. */
	readonly #broken = new Map<string, string>();
	#running: Promise<void> | undefined;
	#again = false;
	#closed = false;
	#cancel: () => void = () => {};
	#stopListening: () => void = () => {};

	/** Resolves when keys have been exchanged once, or could not be: Redis away keeps nobody from starting. */
	static async create(options: SharedKeysOptions): Promise<SharedKeys> {
		const shared = new SharedKeys(options);
		shared.#stopListening = options.store.onChange(shared.#soon);
		options.keyRing.on('changed', shared.#soon);
		await shared.sync();
		return shared;
	}

	private constructor(options: SharedKeysOptions) {
		this.#options = options;
	}

	/** Exchanges keys now. Never rejects; goes on every few seconds. */
	async sync(): Promise<void> {
		if (this.#closed) return;
		this.#again = this.#running !== undefined;
		await (this.#running ??= this.#run());
	}

	/** Idempotent. */
	async close(): Promise<void> {
		this.#closed = true;
		this.#cancel();
		this.#stopListening();
		this.#options.keyRing.off('changed', this.#soon);
		await this.#running;
	}

	readonly #soon = (): void => void this.sync();

	async #run(): Promise<void> {
		this.#cancel();
		do {
			this.#again = false;
			try {
				await this.#exchange();
			} catch (err) {
				this.#options.log.warn({ err }, 'signing keys could not be exchanged with other nodes');
			}
		} while (this.#again && !this.#closed);
		this.#running = undefined;
		if (!this.#closed) this.#cancel = this.#options.schedule(this.#options.syncEveryMs ?? SYNC_EVERY_MS, this.#soon);
	}

	async #exchange(): Promise<void> {
		const { store, keyRing } = this.#options;
		const there = await this.#read();
		// New keys first: a key may have been retired in favour of one that came with it.
		for (const { kid, key, retired } of there.values()) if (retired === undefined) await this.#take(kid, keyRing.importKey(key), 'signing key of another node taken');
		for (const { kid, retired } of there.values()) if (retired !== undefined) await this.#take(kid, keyRing.importRetired(retired), 'signing key retired by another node');
		await store.put(await this.#missing(there));
	}

	async #read(): Promise<Map<string, SharedKey>> {
		const { store, secretKeys } = this.#options;
		const entries = new Map<string, SharedKey>();
		for (const [kid, sealed] of await store.load()) {
			const shared = await unseal(kid, sealed, secretKeys);
			if (shared) entries.set(kid, shared);
			else this.#cannotUse(kid, sealed, new Error('it was not sealed by this cluster'));
		}
		return entries;
	}

	async #take(kid: string, importing: Promise<boolean>, message: string): Promise<void> {
		try {
			if (await importing) this.#options.log.info({ kid }, message);
		} catch (error) {
			this.#cannotUse(kid, '', error);
		}
	}

	#cannotUse(kid: string, sealed: string, err: unknown): void {
		if (this.#broken.get(kid) === sealed) return;
		this.#broken.set(kid, sealed);
		this.#options.log.warn({ kid, err }, 'a shared signing key cannot be used; do all nodes have the same cluster secret?');
	}

	/** What this node knows and the store does not. */
	async #missing(there: ReadonlyMap<string, SharedKey>): Promise<SharedKeyChange[]> {
		const { keyRing, secretKeys } = this.#options;
		const changes: SharedKeyChange[] = [];
		for (const retired of keyRing.retired) {
			const { kid } = retired;
			if (there.get(kid)?.retired === undefined) changes.push({ kid, sealed: await seal({ kid, retired }, secretKeys), replace: true });
		}
		for (const kid of keyRing.kids) {
			if (!there.has(kid)) changes.push({ kid, sealed: await seal({ kid, key: await keyRing.exportKey(kid) }, secretKeys), replace: this.#broken.has(kid) });
		}
		return changes;
	}
}

/**
 * Keys that others share, for a node that has none yet: it need not make one of its own. Empty when they cannot be had.
 */
export async function firstKeys(store: Pick<SharedKeyStore, 'load'>, secretKeys: Pick<ClusterKeys, 'keySharing'>, log: Pick<Logger, 'warn'>): Promise<KeyFile[]> {
	try {
		const entries = await Promise.all([...(await store.load())].map(([kid, sealed]) => unseal(kid, sealed, secretKeys)));
		// The key ring looks into each: what is no key is refused there.
		return entries.flatMap((entry) => (entry?.key === undefined || entry.retired !== undefined ? [] : [entry.key as KeyFile]));
	} catch (err) {
		log.warn({ err }, 'no signing keys could be had from other nodes; making one');
		return [];
	}
}
