import { CompactEncrypt, compactDecrypt } from 'jose';
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { ClusterKeys } from '../../../auth/cluster-keys.ts';

/** A signing key with its private part, or the word that it was retired. The key ring looks into each itself. */
const SharedKey = Type.Object({ kid: Type.String(), key: Type.Optional(Type.Unknown()), retired: Type.Optional(Type.Unknown()) });
export type SharedKey = Static<typeof SharedKey>;
const validator = Compile(SharedKey);

/** As it may lie in Redis: a JWE (RFC 7516; `dir`, A256GCM), which only nodes can read, or make. */
export async function seal(shared: SharedKey, keys: Pick<ClusterKeys, 'keySharing'>): Promise<string> {
	return await new CompactEncrypt(Buffer.from(JSON.stringify(shared))).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(keys.keySharing);
}

/**
 * Undefined for what no node of this cluster has sealed, and for a key that was put in another's place: who can write
 * to Redis can neither make a key nor bring one back.
 */
export async function unseal(kid: string, sealed: string, keys: Pick<ClusterKeys, 'keySharing'>): Promise<SharedKey | undefined> {
	try {
		const { plaintext } = await compactDecrypt(sealed, keys.keySharing, { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] });
		const shared: unknown = JSON.parse(Buffer.from(plaintext).toString('utf8'));
		return validator.Check(shared) && shared.kid === kid ? shared : undefined;
	} catch {
		return undefined;
	}
}
