import { createPrivateKey, createPublicKey } from 'node:crypto';
import { calculateJwkThumbprint, type CryptoKey, importJWK } from 'jose';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
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
/** A signing key whole, private part and all: for its file, and sealed for other nodes. */
export type KeyFile = Static<typeof KeyFileSchema>;

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

/** What was read as a key file, or what is wrong with it. */
export const checkKeyFile = async (given: unknown): Promise<{ file: KeyFile; fault?: never } | { file?: never; fault: string }> => {
	if (!Value.Check(KeyFileSchema, given)) {
		return { fault: 'it is not an Ed25519 signing key' };
	}
	const { kty, crv, x, kid } = given;
	if (await calculateJwkThumbprint({ kty, crv, x }) !== kid) {
		return { fault: 'its name or id belongs to another key' };
	}
	return publicPartOf(given) === x ? { file: given } : { fault: 'its private and public parts do not belong together' };
};

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

export const toSigningKey = async ({ kty, crv, x, d, kid, alg, use, createdAtMs }: KeyFile): Promise<SigningKey> => {
	const [privateKey, publicKey] = await Promise.all([importJWK({ kty, crv, x, d }, alg), importJWK({ kty, crv, x }, alg)]);
	if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array) {
		throw new KeyRingError('An Ed25519 key was read as a shared secret.');
	}
	return { kid, algorithm: alg, createdAtMs, privateKey, publicKey, publicJwk: Object.freeze({ kty, crv, x, kid, alg, use }) };
};
