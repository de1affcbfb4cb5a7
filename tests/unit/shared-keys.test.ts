import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CompactEncrypt } from 'jose';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import { KeyRing } from '../../auth/key-ring.ts';
import { TokenIssuer } from '../../auth/token-issuer.ts';
import { TokenVerifier } from '../../auth/token-verifier.ts';
import { firstKeys, SharedKeys } from '../../server/cluster/shared-keys/shared-keys.ts';
import { MemorySharedKeyStore } from '../support/cluster/memory-shared-key-store.ts';
import { VirtualClock } from '../support/stage-fakes.ts';

const secretKeys = deriveClusterKeys('one-secret-that-all-nodes-of-a-cluster-share');
const strangersKeys = deriveClusterKeys('another-secret-of-another-cluster-altogether');
const SETTLE_MS = 10_000;

let root: string;
let store: MemorySharedKeyStore;
let clock: VirtualClock;
let open: { shared: SharedKeys }[];
let warnings: string[];

beforeEach(async () => {
	root = await mkdtemp(path.join(tmpdir(), 'rostrum-shared-keys-'));
	store = new MemorySharedKeyStore();
	clock = new VirtualClock();
	open = [];
	warnings = [];
});
afterEach(async () => {
	await Promise.all(open.map(({ shared }) => shared.close()));
	await rm(root, { recursive: true, force: true });
});

const now = () => clock.now().getTime();
const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push((JSON.parse(line) as { msg: string }).msg) });

/** A node with its own folder, which finds its keys again when it starts anew. */
async function node(name: string, { keys = secretKeys, settleMs = 0 } = {}) {
	const dir = path.join(root, name);
	const keyRing = await KeyRing.open({ dir, now, algorithm: 'EdDSA', settleMs, firstKeys: () => firstKeys(store, keys, log) });
	const shared = await SharedKeys.create({ keyRing, store, secretKeys: keys, schedule: clock.schedule, log });
	const names = { issuer: 'rostrum', audience: 'rostrum', maxTokenTtlSeconds: 3_600 };
	const issuer = new TokenIssuer({ ...names, keys: keyRing, tokenTtlSeconds: 600, newId: () => 'id' });
	const verifier = new TokenVerifier({ ...names, keys: keyRing, clockToleranceSeconds: 0, foreignIssuers: [], now });
	const made = {
		dir, keyRing, shared,
		token: async () => (await issuer.issue({ role: 'admin', subject: name, name, nowSeconds: now() / 1000 })).token,
		takes: (token: string) => verifier.verify(token).then(() => true, () => false),
	};
	open.push(made);
	return made;
}
type Node = Awaited<ReturnType<typeof node>>;
/** Until everybody has heard of what the others have heard of. */
const settle = async (...nodes: Node[]) => {
	for (let round = 0; round < 3; round++) for (const { shared } of nodes) await shared.sync();
};
const kids = ({ keyRing }: Node) => keyRing.kids;

describe('nodes that share keys', () => {
	it('take each other’s tokens, and all sign with the newest key', async () => {
		const [a, b] = [await node('a'), await node('b')];
		const before = await a.token();
		await b.keyRing.rotate();
		await settle(a, b);
		expect(kids(a)).toEqual(kids(b));
		expect(a.keyRing.active.kid).toBe(b.keyRing.active.kid);
		expect([await b.takes(before), await b.takes(await a.token()), await a.takes(await b.token())]).toEqual([true, true, true]);
	});

	it('need no key of their own when others have one', async () => {
		const a = await node('a');
		const b = await node('b');
		expect(kids(b)).toEqual(kids(a));
		expect(kids(a)).toHaveLength(1);
	});

	it('that began apart have all keys of both', async () => {
		store.away = true;
		const [a, b] = [await node('a'), await node('b')];
		expect(kids(a)).not.toEqual(kids(b));
		store.away = false;
		await settle(a, b);
		expect(kids(a)).toHaveLength(2);
		expect(kids(a)).toEqual(kids(b));
	});

	it('hear of a new key without asking, and of one they missed when they ask next', async () => {
		const [a, b] = [await node('a'), await node('b')];
		const { kid } = await a.keyRing.rotate();
		await a.shared.sync();
		await b.shared.sync();
		expect(kids(b)).toContain(kid);

		store.silent = true;
		const { kid: missed } = await a.keyRing.rotate();
		await a.shared.sync();
		expect(kids(b)).not.toContain(missed);
		const heard = store.nextLoad();
		clock.advance(5_000);
		await heard;
		await b.shared.sync();
		expect(kids(b)).toContain(missed);
	});

	it('keep what they have when they start again alone', async () => {
		const [a, b] = [await node('a'), await node('b')];
		await a.keyRing.rotate();
		await settle(a, b);
		store.away = true;
		const again = await node('b');
		expect(kids(again)).toEqual(kids(a));
	});

	it('do not sign with a key that others may not know yet', async () => {
		const [a, b] = [await node('a', { settleMs: SETTLE_MS }), await node('b', { settleMs: SETTLE_MS })];
		clock.advance(SETTLE_MS);
		const old = a.keyRing.active.kid;
		const { kid } = await a.keyRing.rotate();
		expect(a.keyRing.active.kid).toBe(old);
		await settle(a, b);
		clock.advance(SETTLE_MS + 1);
		expect([a.keyRing.active.kid, b.keyRing.active.kid]).toEqual([kid, kid]);
		// Retiring the old one at once is what an operator does whose key leaked.
		const { kid: next } = await a.keyRing.rotate();
		await a.keyRing.retire(kid);
		await a.keyRing.retire(old);
		expect(a.keyRing.active.kid).toBe(next);
	});
});

describe('a key that is retired', () => {
	it('is trusted nowhere any more, also by nodes that were away', async () => {
		const [a, b, late] = [await node('a'), await node('b'), await node('late')];
		await settle(a, b, late);
		await late.shared.close();
		const old = a.keyRing.active.kid;
		const token = await b.token();
		await a.keyRing.rotate();
		await a.keyRing.retire(old);
		await settle(a, b);
		expect([await a.takes(token), await b.takes(token), await late.takes(token)]).toEqual([false, false, true]);
		const back = await node('late');
		expect(await back.takes(token)).toBe(false);
		await settle(a, b, back);
		for (const one of [a, b, back]) {
			expect(kids(one)).not.toContain(old);
			expect((await readdir(one.dir)).filter((file) => file.startsWith(old))).toEqual([`${old}.retired.json`]);
		}
	});

	it('does not come back with the loss of the store, in whatever order nodes write', async () => {
		const [a, b] = [await node('a'), await node('b')];
		await settle(a, b);
		const old = a.keyRing.active.kid;
		await a.keyRing.rotate();
		await settle(a, b);
		// `b` does not hear of it before everything is gone, and then is the first to write.
		store.silent = true;
		await a.keyRing.retire(old);
		await a.shared.sync();
		store.entries.clear();
		await b.shared.sync();
		expect(store.entries.has(old)).toBe(true);
		await settle(a, b);
		expect(kids(b)).toEqual(kids(a));
		expect(kids(b)).not.toContain(old);
	});

	it('stays retired over restarts of the node that did it while the store was away', async () => {
		const [a, b] = [await node('a'), await node('b')];
		await settle(a, b);
		const old = a.keyRing.active.kid;
		store.away = true;
		await a.keyRing.rotate();
		await a.keyRing.retire(old);
		await a.shared.close();
		store.away = false;
		const again = await node('a');
		await settle(again, b);
		for (const one of [again, b]) expect(kids(one)).not.toContain(old);
	});

	it('that is the only one of another node makes that node sign with a new one', async () => {
		const [a, b] = [await node('a'), await node('b')];
		await settle(a, b);
		const old = a.keyRing.active.kid;
		await a.keyRing.rotate();
		await a.keyRing.retire(old);
		await a.shared.sync();
		// Only the word of the retirement is there to be read.
		for (const kid of store.entries.keys()) if (kid !== old) store.entries.delete(kid);
		await b.shared.sync();
		expect(kids(b)).not.toContain(old);
		await settle(a, b);
		expect([await a.takes(await b.token()), await b.takes(await a.token())]).toEqual([true, true]);
	});
});

describe('the store', () => {
	it('that loses everything gets it back from the nodes', async () => {
		const [a, b] = [await node('a'), await node('b')];
		await a.keyRing.rotate();
		await settle(a, b);
		const before = [...store.entries.keys()].toSorted();
		store.entries.clear();
		await b.shared.sync();
		expect([...store.entries.keys()].toSorted()).toEqual(before);
	});

	it('that is away keeps no node from starting, and is asked again', async () => {
		store.away = true;
		const a = await node('a');
		expect(await a.takes(await a.token())).toBe(true);
		store.away = false;
		const heard = store.nextLoad();
		clock.advance(5_000);
		await heard;
		await a.shared.sync();
		expect([...store.entries.keys()]).toEqual(kids(a));
	});

	it('holds nothing that can be read without the secret', async () => {
		const a = await node('a');
		const { d } = await a.keyRing.exportKey(a.keyRing.active.kid);
		const everything = [...store.entries.values()].join();
		expect(everything.length).toBeGreaterThan(100);
		expect(everything).not.toContain(d);
		const parts = everything.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
		expect(parts.some((part) => part.includes(d))).toBe(false);
	});

	it.each<[string, (mine: KeyRing) => Promise<[kid: string, sealed: string]>]>([
		['of another cluster', async () => {
			const stranger = await KeyRing.open({ dir: path.join(root, 'stranger'), now, algorithm: 'EdDSA' });
			const { kid } = stranger.active;
			const apart = new MemorySharedKeyStore();
			const shared = await SharedKeys.create({ keyRing: stranger, store: apart, secretKeys: strangersKeys, schedule: clock.schedule, log });
			await shared.close();
			return [kid, apart.entries.get(kid) ?? ''];
		}],
		['under another key’s name', async (mine) => ['somebody', store.entries.get(mine.active.kid) ?? '']],
		['that is no key at all', async () => ['nonsense', 'nonsense']],
		['that is sealed and no key', async () => [
			'sealed', await new CompactEncrypt(Buffer.from('{"kid":"sealed","key":{"kty":"OKP"}}')).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(secretKeys.keySharing),
		]],
		['that is sealed and a damaged word of a retirement', async () => [
			'../../evil',
			await new CompactEncrypt(Buffer.from('{"kid":"../../evil","retired":{"kid":"../../evil","retiredAtMs":1}}')).setProtectedHeader({ alg: 'dir', enc: 'A256GCM' }).encrypt(secretKeys.keySharing),
		]],
	])('with an entry %s changes no key ring, and says so once', async (_, make) => {
		const a = await node('a');
		const before = kids(a);
		store.entries.set(...(await make(a.keyRing)));
		await a.shared.sync();
		await a.shared.sync();
		expect(kids(a)).toEqual(before);
		expect(a.keyRing.retired).toEqual([]);
		expect(warnings.filter((text) => text.includes('cannot be used'))).toHaveLength(1);
	});

	it('cannot bring a retired key back by an old entry', async () => {
		const a = await node('a');
		const old = a.keyRing.active.kid;
		const entry = store.entries.get(old) ?? '';
		await a.keyRing.rotate();
		await a.keyRing.retire(old);
		await a.shared.sync();
		store.entries.set(old, entry);
		await a.shared.sync();
		expect(kids(a)).not.toContain(old);
		expect(store.entries.get(old)).not.toBe(entry);
	});
});
