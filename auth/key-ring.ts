import { createPrivateKey, createPublicKey } from 'node:crypto';
import path from 'node:path';
import { calculateJwkThumbprint, type CryptoKey, exportJWK, generateKeyPair, importJWK } from 'jose';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { listKeyFiles, openKeyFolder, readKeyFile, removeKeyFile, writeKeyFile } from './key-file.ts';
import { KeyRingError } from './key-ring-error.ts';

/** A key file: an Ed25519 JWK (RFC 8037) and when it was made, which decides which key signs. */
const KeyFileSchema = Type.Object({
	kty: Type.Literal('OKP'),
	crv: Type.Literal('Ed25519'),
	x: Type.String(),
	d: Type.String(),
	kid: Type.String(),
	alg: Type.Literal('EdDSA'),
	use: Type.Literal('sig'),
	createdAtMs: Type.Integer({ minimum: 0 }),
});
type KeyFile = Static<typeof KeyFileSchema>;
const SUFFIX = '.jwk.json';

/** The public half, as RFC 7517 publishes it. */
export interface PublicJwk {
	readonly kty: 'OKP';
	readonly crv: 'Ed25519';
	readonly x: string;
	readonly kid: string;
	readonly alg: 'EdDSA';
	readonly use: 'sig';
}

export interface SigningKey {
	readonly kid: string;
	readonly algorithm: 'EdDSA';
	readonly createdAtMs: number;
	readonly privateKey: CryptoKey;
	readonly publicKey: CryptoKey;
	readonly publicJwk: PublicJwk;
}

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
}

/**
 * The keys this server signs its tokens with, one file each. The newest signs, all verify. There is no file that
 * names the active key, so a rotation is one rename and a crash can leave no half-done state.
 */
export class KeyRing implements VerificationKeys {
	readonly algorithm: 'EdDSA';
	readonly #dir: string;
	readonly #now: () => number;
	/** Oldest first. */
	#keys: readonly SigningKey[] = [];
	/** Rotations and retirements, one after the other. */
	#changes: Promise<unknown> = Promise.resolve();

	private constructor({ dir, now, algorithm }: KeyRingOptions) {
		this.#dir = dir;
		this.#now = now;
		this.algorithm = algorithm;
	}

	/**
	 * Reads the keys, or makes the first one. The key is on disk for good when this resolves.
	 * @throws KeyRingError when a file is damaged or open to everybody.
	 */
	static async open(options: KeyRingOptions): Promise<KeyRing> {
		const ring = new KeyRing(options);
		await openKeyFolder(ring.#dir);
		const names = await listKeyFiles(ring.#dir, SUFFIX);
		const keys = await Promise.all(names.map((name) => ring.#read(name)));
		ring.#keys = keys.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.kid < b.kid ? -1 : 1));
		if (ring.#keys.length === 0) {
			await ring.rotate();
		}
		return ring;
	}

	/** The key that signs: the newest. */
	get active(): SigningKey {
		const newest = this.#keys.at(-1);
		if (newest === undefined) {
			throw new KeyRingError(`No key in ${this.#dir}.`);
		}
		return newest;
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
			const file: KeyFile = { ...jwk, d, kid, alg: 'EdDSA', use: 'sig', createdAtMs };
			const key = await toSigningKey(file);
			await writeKeyFile(this.#dir, kid + SUFFIX, `${JSON.stringify(file, undefined, '\t')}\n`);
			this.#keys = [...this.#keys, key];
			return key;
		});
	}

	/**
	 * Stops trusting a key for good: tokens it signed are refused from now on.
	 * @throws KeyRingError for the key that signs (rotate first) and for one that is not there.
	 */
	retire(kid: string): Promise<void> {
		return this.#change(async () => {
			if (this.active.kid === kid) {
				throw new KeyRingError(`Key ${kid} is the one that signs; rotate before retiring it.`);
			}
			if (this.publicKey(kid) === undefined) {
				throw new KeyRingError(`There is no key ${kid}.`);
			}
			// Distrusted first: if the file cannot be removed, at least this run does not take its tokens.
			this.#keys = this.#keys.filter((key) => key.kid !== kid);
			await removeKeyFile(this.#dir, kid + SUFFIX);
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

	async #read(name: string): Promise<SigningKey> {
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
		if (!Value.Check(KeyFileSchema, parsed)) {
			throw damaged('it is not an Ed25519 signing key');
		}
		const { kty, crv, x, kid } = parsed;
		if (await calculateJwkThumbprint({ kty, crv, x }) !== kid || name !== kid + SUFFIX) {
			throw damaged('its name or id belongs to another key');
		}
		if (publicPartOf(parsed) !== x) {
			throw damaged('its private and public parts do not belong together');
		}
		return await toSigningKey(parsed);
	}
}

/** The `x` that belongs to a private key; undefined when there is none. */
const publicPartOf = ({ kty, crv, x, d }: KeyFile): string | undefined => {
	try {
		// Through PKCS #8, which holds the private part alone, so that the public one is computed and not just copied.
		const pkcs8 = createPrivateKey({ key: { kty, crv, x, d }, format: 'jwk' }).export({ format: 'pem', type: 'pkcs8' });
		return createPublicKey(pkcs8).export({ format: 'jwk' }).x;
	} catch {
		return undefined;
	}
};

const toSigningKey = async ({ kty, crv, x, d, kid, alg, use, createdAtMs }: KeyFile): Promise<SigningKey> => {
	const [privateKey, publicKey] = await Promise.all([importJWK({ kty, crv, x, d }, alg), importJWK({ kty, crv, x }, alg)]);
	if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) {
		throw new KeyRingError('An Ed25519 key was read as a shared secret.');
	}
	return { kid, algorithm: alg, createdAtMs, privateKey, publicKey, publicJwk: Object.freeze({ kty, crv, x, kid, alg, use }) };
};
