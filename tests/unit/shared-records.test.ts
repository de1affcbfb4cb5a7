import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { deriveClusterKeys } from '../../auth/cluster-keys.ts';
import type { Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import { DiskRecordStore } from '../../server/records/disk-record-store.ts';
import type { RecordStore, StoredRecord } from '../../server/records/record-store.ts';
import { SharedRecords } from '../../server/records/shared-records.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { FakeView, nodeReport } from '../support/cluster/http-nodes.ts';
import { silent } from '../support/redis/connections.ts';

/** Redis, which may be away, and whose messages nobody hears. */
class Shelf implements RecordStore {
	readonly records = new Map<string, StoredRecord>();
	away = false;
	async load(): Promise<readonly StoredRecord[]> {
		this.#require();
		return [...this.records.values()];
	}
	async put(records: readonly StoredRecord[]): Promise<void> {
		this.#require();
		for (const record of records) if ((this.records.get(record.id)?.version ?? 0) <= record.version) this.records.set(record.id, record);
	}
	onChange(): () => void {
		return () => {};
	}
	#require(): void {
		if (this.away) throw new DomainError('store_unavailable', 'away');
	}
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
	for (const close of closing.splice(0).toReversed()) await close();
});

/** Nodes that share records. The clock is the test's, and nothing happens by itself but what the nodes tell each other. */
async function nodes(count: number, { secret = () => 'a-cluster-secret-of-more-than-32-characters' }: { secret?: (index: number) => string } = {}) {
	const shelf = new Shelf();
	const clock = { nowMs: 1_000 };
	const reports = new Map(Array.from({ length: count }, (_, index) => [`node-${index}`, nodeReport(`node-${index}`, 'http://127.0.0.1:1')]));
	const all: SharedRecords<string>[] = [];
	const deaf = new Set<string>();
	const peers: Peers = {
		request: async (nodeId, _name, params) => {
			if (deaf.has(nodeId)) throw new DomainError('peer_unreachable', 'deaf');
			await all[Number(nodeId.slice(5))]?.take((params as { records: [] }).records);
			return {} as never;
		},
	};
	const disks = await Promise.all(Array.from({ length: count }, () => DiskRoomStore.open({ file: ':memory:' })));
	const views = Array.from({ length: count }, (_, index) => new FakeView(`node-${index}`, reports));
	const start = async (index: number): Promise<SharedRecords<string>> => {
		const records = await SharedRecords.open<string>({
			kind: 'things',
			disk: new DiskRecordStore(disks[index]!, 'things', () => clock.nowMs),
			sharing: { store: shelf, keys: deriveClusterKeys(secret(index)), view: views[index]!, peers },
			read: (value) => (typeof value === 'string' ? value : undefined),
			now: () => clock.nowMs,
			schedule: () => () => {},
			log: silent,
		});
		all[index] = records;
		return records;
	};
	for (let index = 0; index < count; index++) await start(index);
	closing.push(async () => {
		await Promise.all(all.map((records) => records.close()));
		await Promise.all(disks.map((disk) => disk.close()));
	});
	return { all, shelf, clock, deaf, views, start };
}

describe('shared records', () => {
	it('are known to all nodes when the change is answered, and announced', async () => {
		const { all } = await nodes(3);
		const heard: unknown[] = [];
		all[2]!.on('changed', (...news) => heard.push(news));
		await all[0]!.put('one', 'first');
		expect(all.map((each) => each.get('one'))).toEqual(['first', 'first', 'first']);
		await all[1]!.put('one', 'second');
		expect(await all[2]!.remove('one')).toBe(true);
		expect(await all[0]!.remove('one')).toBe(false);
		expect(all.map((each) => each.values)).toEqual([[], [], []]);
		expect(heard).toEqual([['one', 'first'], ['one', 'second'], ['one', undefined]]);
	});

	it('reach a node that no message reaches through Redis, and one whose Redis is away by messages', async () => {
		const { all, shelf, deaf } = await nodes(2);
		deaf.add('node-1');
		await all[0]!.put('one', 'by Redis');
		expect(all[1]!.get('one')).toBeUndefined();
		await all[1]!.sync();
		expect(all[1]!.get('one')).toBe('by Redis');
		deaf.clear();
		shelf.away = true;
		await all[0]!.put('two', 'directly');
		expect(all[1]!.get('two')).toBe('directly');
		// It is put there when Redis is back, also when it comes back empty.
		shelf.away = false;
		shelf.records.clear();
		await all[0]!.sync();
		expect([...shelf.records.keys()].toSorted()).toEqual(['one', 'two']);
	});

	it('outlive the process, and a removal is not undone by a node that slept through it', async () => {
		const { all, shelf, deaf, start, views } = await nodes(2);
		await all[0]!.put('one', 'kept');
		await all[0]!.put('two', 'removed');
		await all[1]!.close();
		deaf.add('node-1');
		await all[0]!.remove('two');
		shelf.away = true;
		const again = await start(1);
		expect(again.values).toEqual(['kept', 'removed']);
		deaf.clear();
		// Each tells the other what it has; the sleeper's is older.
		views[1]!.emit('nodeUp', nodeReport('node-0', 'http://127.0.0.1:1'));
		views[0]!.emit('nodeUp', nodeReport('node-1', 'http://127.0.0.1:1'));
		await expect.poll(() => [all[0]!.values, again.values]).toEqual([['kept'], ['kept']]);
	});

	it('are forgotten when their time is over', async () => {
		const { all, clock } = await nodes(1);
		const gone: string[] = [];
		all[0]!.on('changed', (id, value) => void (value === undefined && gone.push(id)));
		await all[0]!.put('short', 'text', clock.nowMs + 10);
		await all[0]!.put('long', 'text');
		clock.nowMs += 10;
		await all[0]!.sync();
		expect([gone, all[0]!.values]).toEqual([['short'], ['text']]);
	});

	it('come from nodes of this cluster alone: whoever can write to Redis can neither read, make, age nor lose one', async () => {
		const { all, shelf } = await nodes(2);
		await all[0]!.put('one', 'a secret');
		const sealed = shelf.records.get('one')!;
		expect(sealed.text).not.toContain('secret');
		// Made up, put in another's place, made to look newer.
		shelf.records.set('two', { ...sealed, id: 'two', text: randomBytes(40).toString('base64url') });
		shelf.records.set('three', { ...sealed, id: 'three' });
		shelf.records.set('one', { ...sealed, version: sealed.version + 5 });
		await Promise.all(all.map((each) => each.sync()));
		expect(all.map((each) => each.values)).toEqual([['a secret'], ['a secret']]);
		await all[0]!.sync();
		expect(shelf.records.get('one')?.version).toBe(sealed.version + 6);
		const { all: strangers } = await nodes(2, { secret: (index) => `another-secret-${index}-of-more-than-32-characters` });
		await strangers[0]!.put('one', 'theirs');
		expect(strangers[1]!.get('one')).toBeUndefined();
	});

	it('of two changes at the same time the same one wins everywhere', async () => {
		const { all, deaf, shelf } = await nodes(2);
		deaf.add('node-0').add('node-1');
		shelf.away = true;
		await Promise.all([all[0]!.put('one', 'apple'), all[1]!.put('one', 'pear')]);
		deaf.clear();
		shelf.away = false;
		await all[0]!.sync();
		await all[1]!.sync();
		await all[0]!.sync();
		expect(all.map((each) => each.get('one'))).toEqual(['pear', 'pear']);
	});
});
