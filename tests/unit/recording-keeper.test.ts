import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordingFolders } from '../../server/recording/recording-folders.ts';
import { RecordingKeeper } from '../../server/recording/recording-keeper.ts';
import { RecordingError, RecordingProblems } from '../../server/recording/recording-problem.ts';
import type { RecordingRecord } from '../../server/recording/recording-record.ts';
import type { RecordingStorage } from '../../server/recording/recording-storage.ts';
import { silent } from '../support/redis/connections.ts';
import { aRoom } from '../support/rooms.ts';

const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-05-24T20:00:00.000Z');
const room = aRoom({ id: 'hall' });

const record = (id: string, daysAgo: number, more: Partial<RecordingRecord> = {}): RecordingRecord => ({
	id, roomId: room.id, roomCreatedAt: room.createdAt, title: 'Hall', state: 'ready', startedAt: new Date(NOW_MS - daysAgo * DAY_MS).toISOString(), endedAt: new Date(NOW_MS - daysAgo * DAY_MS).toISOString(),
	nodes: ['node-a'], missing: [], durationMs: 1, files: {}, captions: false, speakers: [], chapters: [], ...more,
});

/** What a bucket has; away when the test says so. */
class Shelf implements RecordingStorage {
	readonly records = new Map<string, RecordingRecord>();
	away = false;
	/** It cannot delete these. */
	readonly stuck = new Set<string>();

	async store(): Promise<void> {}
	async list(which: { roomId: string } | { storedBefore: Date }): Promise<RecordingRecord[]> {
		this.#answer();
		return [...this.records.values()].filter(({ roomId, endedAt = '' }) => ('roomId' in which ? roomId === which.roomId : new Date(endedAt) < which.storedBefore));
	}
	async get(_roomId: string, id: string): Promise<RecordingRecord | undefined> {
		this.#answer();
		return this.records.get(id);
	}
	async open(): Promise<undefined> {}
	async remove(_roomId: string, id: string): Promise<boolean> {
		this.#answer();
		if (this.stuck.has(id)) throw new RecordingError('storage_unavailable', 'no', { word: 'AccessDenied' });
		return this.records.delete(id);
	}
	close(): void {}

	#answer(): void {
		if (this.away) throw new RecordingError('storage_unavailable', 'away');
	}
}

describe('what is kept of recordings', () => {
	let dir: string;
	let folders: RecordingFolders;
	let storage: Shelf;
	let problems: RecordingProblems;
	let finished: string[];
	let keeper: RecordingKeeper;
	beforeEach(() => {
		dir = mkdtempSync(path.join(tmpdir(), 'rostrum-keeper-'));
		folders = new RecordingFolders(dir);
		storage = new Shelf();
		problems = new RecordingProblems(() => NOW_MS);
		finished = [];
		keeper = new RecordingKeeper({
			config: { keepDays: 90 },
			folders, storage, problems,
			shelf: { partsElsewhere: async () => [] },
			finisher: { finish: (_room, id) => void finished.push(id), fetchEarly: async () => Promise.reject(new Error('the disk fails')), fetchMissing: async () => false },
			space: { look: async () => Promise.reject(new Error('no file system')) },
			view: { nodeId: 'node-a', nodes: () => [] },
			rooms: { get: () => undefined },
			isWriting: (_room, id) => id === 'running',
			isBusy: () => false,
			goOn: () => undefined,
			now: () => NOW_MS,
			log: silent,
		});
	});
	afterEach(() => {
		keeper.close();
		rmSync(dir, { recursive: true, force: true });
	});
	const onDisk = async () => (await folders.list()).map(({ id }) => id).toSorted();

	it('goes when it is too old, here and in the bucket, and what cannot be deleted keeps nothing else from it', async () => {
		for (const [id, daysAgo] of [['a', 91], ['b', 89], ['c', 200]] as const) {
			await folders.put(record(id, daysAgo));
			storage.records.set(`stored${id}`, record(`stored${id}`, daysAgo));
		}
		await folders.put(record('running', 100, { state: 'capturing' }));
		storage.stuck.add('storeda');
		await keeper.expire();
		expect(await onDisk()).toEqual(['b', 'running']);
		expect([...storage.records.keys()]).toEqual(['storeda', 'storedb']);
		storage.stuck.clear();
		await keeper.expire();
		expect([...storage.records.keys()]).toEqual(['storedb']);
	});

	it('goes from this disk when it is too old also while the bucket is away', async () => {
		await folders.put(record('a', 91));
		await folders.put(record('b', 91));
		storage.away = true;
		await keeper.expire();
		expect(await onDisk()).toEqual([]);
	});

	it('goes with its room, from a bucket that is away as soon as it can be asked; recordings of another room of that name stay', async () => {
		await folders.put(record('a', 1));
		storage.records.set('b', record('b', 1));
		storage.records.set('other', record('other', 1, { roomCreatedAt: '2020-01-01T00:00:00.000Z' }));
		storage.away = true;
		await keeper.removeAll(room);
		expect(await onDisk()).toEqual([]);
		await keeper.expire();
		storage.away = false;
		expect(storage.records.size).toBe(2);
		await keeper.expire();
		expect([...storage.records.keys()]).toEqual(['other']);
	});

	it('is finished whatever else fails, and counted by what hinders it', async () => {
		await folders.put(record('running', 0, { state: 'capturing' }));
		await folders.put(record('a', 0, { state: 'stopped' }));
		await folders.put(record('b', 0, { state: 'stopped' }));
		await folders.put(record('crashed', 0, { state: 'capturing' }));
		problems.begin(room.id, 'b', new RecordingError('disk_full', 'full'), 'mix_failed');
		await keeper.settle();
		expect(finished.toSorted()).toEqual(['a', 'b', 'crashed']);
		expect(keeper.waiting).toEqual({ none: 2, disk_full: 1 });
		expect((await folders.get(room.id, 'crashed'))?.state).toBe('stopped');
	});
});
