import { CompactEncrypt, compactDecrypt } from 'jose';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import type { ClusterKeys } from '../../auth/cluster-keys.ts';

/** What is sealed: a value, or null for one that was removed; with its place, so that none passes for another. */
const Sealed = Type.Object({ kind: Type.String(), id: Type.String(), version: Type.Integer({ minimum: 1 }), untilMs: Type.Integer(), value: Type.Unknown() });
export type PlainRecord = Static<typeof Sealed>;
const validator = Compile(Sealed);

/** As it may lie in Redis and travel between nodes: a JWE (RFC 7516; `dir`, A256GCM), which only nodes can read, or make. */
export async function sealRecord(record: PlainRecord, keys: Pick<ClusterKeys, 'keySharing'>): Promise<string> {
	return await new CompactEncrypt(Buffer.from(JSON.stringify(record))).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(keys.keySharing);
}

/** Undefined for what no node of this cluster has sealed, and for what was put in another's place or made to look newer. */
export async function unsealRecord(place: { kind: string; id: string; version: number }, sealed: string, keys: Pick<ClusterKeys, 'keySharing'>): Promise<PlainRecord | undefined> {
	try {
		const { plaintext } = await compactDecrypt(sealed, keys.keySharing, { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] });
		const record: unknown = JSON.parse(Buffer.from(plaintext).toString('utf8'));
		const fits = validator.Check(record) && record.kind === place.kind && record.id === place.id && record.version === place.version;
		return fits ? record : undefined;
	} catch {
		return undefined;
	}
}
