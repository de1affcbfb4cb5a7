import { EventEmitter } from 'node:events';
import path from 'node:path';
import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair } from 'jose';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { listKeyFiles, openKeyFolder, readKeyFile, removeKeyFile, writeKeyFile } from './key-file.ts';
import { KeyRingError } from './key-ring-error.ts';
import { checkKeyFile, type KeyFile, type PublicJwk, type SigningKey, toSigningKey } from './signing-key.ts';

const SUFFIX = '.jwk.json';

/** What stays of a key that was retired, so that it is not taken back from a node that still has it. */
const RetiredFileSchema = Type.Object({ kid: Type.String({ pattern: '^[\\w-]{43}$' }), retiredAtMs: Type.Integer({ minimum: 0 }) });
export type RetiredKey = Static<typeof RetiredFileSchema>;
const RETIRED_SUFFIX = '.retired.json';

/** What the verifier needs of a key ring. */
export interface VerificationKeys {
	readonly algorithm: 'EdDSA';
	publicKey(kid: string): CryptoKey | undefined;
}

export interface KeyRingOptions {
	/** The folder of the keys itself (`<dataDir>/keys`); made with mode 0700 when absent. One process at a time. */
	readonly dir: string;
	/** Milliseconds since the epoch. */
	readonly now: () => number;
	readonly algorithm: 'EdDSA';
	/**
	 * Milliseconds until a new key signs, if there is an older one: long enough for the other nodes of a cluster to
	 * know it. Default 0.
	 */
	readonly settleMs?: number;
	/** Where there is no key yet: keys to begin with, such as those of other nodes. Default: one is made. */
	readonly firstKeys?: () => Promise<readonly KeyFile[]>;
}

export interface KeyRingEvents {
	/** A key was made here, or retired here. Not for those that were imported. */
	changed: [];
}

/**
 * The keys this server signs its tokens with, one file each. The newest signs, all verify. There is no file that
 * names the active key, so a rotation is one rename and a crash can leave no half-done state.
 */
export class KeyRing extends EventEmitter<KeyRingEvents> implements VerificationKeys {
	readonly algorithm: 'EdDSA';
	readonly #dir: string;
	readonly #now: () => number;
	readonly #settleMs: number;
	/** Oldest first. */
	#keys: readonly SigningKey[] = [];
	readonly #retired = new Map<string, RetiredKey>();
	/** Rotations and retirements, one after the other. */
	#changes: Promise<unknown> = Promise.resolve();

	private constructor({ dir, now, algorithm, settleMs = 0 }: KeyRingOptions) {
		super();
		this.#dir = dir;
		this.#now = now;
		this.#settleMs = settleMs;
		this.algorithm = algorithm;
	}

	/**
	 * Reads the keys, or makes the first one. The key is on disk for good when this resolves.
	 * @throws KeyRingError when a file is damaged or open to everybody.
	 */
	static async open(options: KeyRingOptions): Promise<KeyRing> {
		const ring = new KeyRing(options);
		await openKeyFolder(ring.#dir);
		for (const name of await listKeyFiles(ring.#dir, RETIRED_SUFFIX)) {
			await ring.#readRetired(name);
		}
		const names = await listKeyFiles(ring.#dir, SUFFIX);
		const keys = await Promise.all(names.map(async (name) => toSigningKey(await ring.#read(name))));
		// A crash can come between the two halves of a retirement; the word that the key is retired comes first.
		ring.#keys = sorted(keys.filter(({ kid }) => !ring.#retired.has(kid)));
		for (const { kid } of keys.filter((key) => ring.#retired.has(key.kid))) {
			await removeKeyFile(ring.#dir, kid + SUFFIX);
		}
		if (ring.#keys.length === 0) {
			for (const file of (await options.firstKeys?.()) ?? []) {
				await ring.importKey(file);
			}
		}
		if (ring.#keys.length === 0) {
			await ring.rotate();
		}
		return ring;
	}

	/** The key that signs: the newest of those that have settled. */
	get active(): SigningKey {
		const newest = this.#keys.at(-1);
		if (newest === undefined) {
			throw new KeyRingError(`No key in ${this.#dir}.`);
		}
		if (this.#settleMs === 0) {
			return newest;
		}
		const settledAtMs = this.#now() - this.#settleMs;
		// Of keys that are all young, the oldest is the one that most nodes know.
		return this.#keys.findLast(({ createdAtMs }) => createdAtMs <= settledAtMs) ?? this.#keys[0] ?? newest;
	}

	/** All keys that are trusted, oldest first. */
	get keys(): readonly Pick<SigningKey, 'kid' | 'createdAtMs'>[] {
		return this.#keys;
	}

	/** Ids of all keys that are trusted, oldest first. */
	get kids(): readonly string[] {
		return this.#keys.map(({ kid }) => kid);
	}

	/** Keys that were retired, here or on another node. */
	get retired(): readonly RetiredKey[] {
		return [...this.#retired.values()];
	}

	publicKey(kid: string): CryptoKey | undefined {
		return this.#keys.find((key) => key.kid === kid)?.publicKey;
	}

	/** Makes a new key, which signs from now on. Older keys verify until they are retired. */
	rotate(): Promise<SigningKey> {
		return this.#change(async () => {
			const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
			const { x = '', d = '' } = await exportJWK(privateKey);
			const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const;
			const kid = await calculateJwkThumbprint(jwk);
			// Later than every other, even when the clock went backwards or two rotations share a millisecond.
			const createdAtMs = Math.max(Math.trunc(this.#now()), (this.#keys.at(-1)?.createdAtMs ?? -1) + 1);
			const key = await this.#add({ ...jwk, d, kid, alg: 'EdDSA', use: 'sig', createdAtMs });
			this.emit('changed');
			return key;
		});
	}

	/** A key with its private part, for another node. @throws KeyRingError for one that is not there. */
	async exportKey(kid: string): Promise<KeyFile> {
		if (this.publicKey(kid) === undefined) {
			throw new KeyRingError(`There is no key ${kid}.`);
		}
		return await this.#read(kid + SUFFIX);
	}

	/**
	 * Trusts a key that another node made; the newest of all signs. One that is here or was retired changes nothing.
	 *
	 * @returns whether it was new
	 * @throws KeyRingError for what is not a whole signing key
	 */
	async importKey(given: unknown): Promise<boolean> {
		const { file, fault } = await checkKeyFile(given);
		if (file === undefined) {
			throw new KeyRingError(`A key from another node cannot be used (${fault}).`);
		}
		return await this.#change(async () => {
			if (this.#retired.has(file.kid) || this.publicKey(file.kid) !== undefined) {
				return false;
			}
			await this.#add(file);
			return true;
		});
	}

	/**
	 * Stops trusting a key that was retired on another node; makes a new one if there is no other.
	 *
	 * @returns whether that was news
	 */
	async importRetired(given: unknown): Promise<boolean> {
		if (!Value.Check(RetiredFileSchema, given)) {
			throw new KeyRingError('A retired key from another node cannot be read.');
		}
		if (this.#retired.has(given.kid)) {
			return false;
		}
		if (this.#keys.length === 1 && this.#keys[0]?.kid === given.kid) {
			await this.rotate();
		}
		await this.#change(() => this.#distrust(given));
		return true;
	}

	/**
	 * Stops trusting a key for good: tokens it signed are refused from now on.
	 * @throws KeyRingError for the key that signs (rotate first) and for one that is not there.
	 */
	retire(kid: string): Promise<void> {
		return this.#change(async () => {
			if (this.#keys.at(-1)?.kid === kid) {
				throw new KeyRingError(`Key ${kid} is the one that signs; rotate before retiring it.`);
			}
			if (this.publicKey(kid) === undefined) {
				throw new KeyRingError(`There is no key ${kid}.`);
			}
			await this.#distrust({ kid, retiredAtMs: Math.max(0, Math.trunc(this.#now())) });
			this.emit('changed');
		});
	}

	/** The JSON Web Key Set for others to verify with (RFC 7517 §5), newest first; public parts only. */
	jwks(): { keys: PublicJwk[] } {
		return { keys: this.#keys.map((key) => key.publicJwk).toReversed() };
	}

	#change<T>(run: () => Promise<T>): Promise<T> {
		const result = this.#changes.then(run);
		this.#changes = result.catch(() => undefined);
		return result;
	}

	async #add(file: KeyFile): Promise<SigningKey> {
		const key = await toSigningKey(file);
		await writeKeyFile(this.#dir, file.kid + SUFFIX, `${JSON.stringify(file, undefined, '\t')}\n`);
		this.#keys = sorted([...this.#keys, key]);
		return key;
	}

	async #distrust(retired: RetiredKey): Promise<void> {
		const { kid } = retired;
		const known = this.publicKey(kid) !== undefined;
		// In memory first: if the disk fails, at least this run does not take its tokens.
		this.#keys = this.#keys.filter((key) => key.kid !== kid);
		this.#retired.set(kid, retired);
		await writeKeyFile(this.#dir, kid + RETIRED_SUFFIX, `${JSON.stringify(retired)}\n`);
		if (known) {
			await removeKeyFile(this.#dir, kid + SUFFIX);
		}
	}

	async #readRetired(name: string): Promise<void> {
		let parsed: unknown;
		try {
			parsed = JSON.parse(await readKeyFile(this.#dir, name));
		} catch (error) {
			if (!(error instanceof SyntaxError)) {
				throw error;
			}
		}
		if (!Value.Check(RetiredFileSchema, parsed) || name !== parsed.kid + RETIRED_SUFFIX) {
			throw new KeyRingError(`The file ${path.join(this.#dir, name)} is damaged. It says that a key was retired: put it back from a backup, or delete it if you trust that key.`);
		}
		this.#retired.set(parsed.kid, parsed);
	}

	async #read(name: string): Promise<KeyFile> {
		const file = path.join(this.#dir, name);
		const damaged = (why: string, cause?: unknown) => new KeyRingError(
			`The key file ${file} is damaged (${why}). Put it back from a backup, or delete it: `
			+ 'a new key is made if it was the only one, and tokens and links signed with it stop working.',
			{ cause },
		);
		const text = await readKeyFile(this.#dir, name);
		let parsed: unknown;
		try {
			parsed = JSON.parse(text);
		} catch {
			// The parser's message quotes the text, which is a private key.
			throw damaged(text === '' ? 'it is empty' : 'it is not JSON');
		}
		const { file: key, fault } = await checkKeyFile(parsed);
		if (key === undefined) {
			throw damaged(fault);
		}
		if (name !== key.kid + SUFFIX) {
			throw damaged('its name or id belongs to another key');
		}
		return key;
	}
}

/** Oldest first, in the same order on every node. */
const sorted = (keys: readonly SigningKey[]): SigningKey[] =>
	keys.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.kid < b.kid ? -1 : 1));
