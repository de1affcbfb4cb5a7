import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { APPLICATION_ID, MIGRATIONS } from '../../server/rooms/store/disk-schema.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { StoreError } from '../../server/rooms/store/store-error.ts';
import { aRoom } from '../support/rooms.ts';
import { describeRoomStore } from './room-store.contract.ts';

const newFolder = (): Promise<string> => mkdtemp(path.join(tmpdir(), 'rostrum-store-'));

const inMemory = (): Promise<DiskRoomStore> => DiskRoomStore.open({ file: ':memory:' });
describeRoomStore('the disk store in memory', async () => ({ store: await inMemory(), reopen: inMemory }), false);

describeRoomStore('the disk store on a file', async () => {
	const folder = await newFolder();
	const reopen = (): Promise<DiskRoomStore> => DiskRoomStore.open({ file: path.join(folder, 'rostrum.db') });
	return { store: await reopen(), reopen, dispose: () => rm(folder, { recursive: true }) };
});

describe('the file of the disk store', () => {
	let folder: string;
	let file: string;
	const open = (): Promise<DiskRoomStore> => DiskRoomStore.open({ file, busyTimeoutMs: 20 });
	const openError = async (): Promise<StoreError> => {
		const outcome = await open().then(
			async (store) => store.close(),
			(error: unknown) => error,
		);
		if (!(outcome instanceof StoreError)) throw new Error('expected a StoreError', { cause: outcome });
		return outcome;
	};
	/** What another program does to the file while no store has it. */
	const tamper = (sql: string): void => {
		const database = new DatabaseSync(file);
		database.exec(sql);
		database.close();
	};

	beforeEach(async () => {
		folder = await newFolder();
		file = path.join(folder, 'data', 'rostrum.db');
	});
	afterEach(() => rm(folder, { recursive: true }));

	it.each([0o000, 0o022, 0o277])('is for its owner alone, write-ahead log included, under umask %i', async (umask) => {
		const script = `
			process.umask(${umask});
			const { DiskRoomStore } = await import(${JSON.stringify(new URL('../../server/rooms/store/disk-store.ts', import.meta.url).href)});
			const store = await DiskRoomStore.open({ file: ${JSON.stringify(path.join(folder, 'rostrum.db'))} });
			await store.setValue('a', 'b');
			process.stdout.write('written');
			process.stdin.resume();
		`;
		const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
		const gone = once(child, 'exit');
		try {
			await Promise.race([once(child.stdout, 'data'), gone]);
			const names = (await readdir(folder)).toSorted();
			expect(names).toContain('rostrum.db');
			expect(names).toContain('rostrum.db-wal');
			for (const name of names) expect(`${name} ${((await stat(path.join(folder, name))).mode & 0o777).toString(8)}`).toBe(`${name} 600`);
		} finally {
			child.kill('SIGKILL');
			await gone;
		}
	});

	it('closes to others a file that was open to them', async () => {
		await (await open()).close();
		await chmod(file, 0o644);
		await (await open()).close();
		expect((await stat(file)).mode & 0o777).toBe(0o600);
	});

	it('refuses a second store in plain words, and lets it in once the first is closed', async () => {
		const first = await open();
		const error = await openError();
		expect(error.code).toBe('store_in_use');
		expect(error.message).toContain(file);
		expect(error.message).toMatch(/another process.*data folder/);
		await first.setValue('still', 'works');
		await first.close();
		const second = await open();
		expect(await second.getValue('still')).toBe('works');
		await second.close();
	});

	it('refuses a store of another process, and needs no cleaning up after that one was killed', async () => {
		const script = `
			const { DiskRoomStore } = await import(${JSON.stringify(new URL('../../server/rooms/store/disk-store.ts', import.meta.url).href)});
			const store = await DiskRoomStore.open({ file: ${JSON.stringify(file)} });
			await store.setValue('by', 'the other process');
			process.stdout.write('open');
			process.stdin.resume();
		`;
		const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
		const gone = once(child, 'exit');
		try {
			await Promise.race([once(child.stdout, 'data'), gone]);
			expect((await openError()).code).toBe('store_in_use');
		} finally {
			child.kill('SIGKILL');
			await gone;
		}
		const store = await open();
		expect(await store.getValue('by')).toBe('the other process');
		await store.close();
	});

	it.each([
		['something else altogether', 'x'.repeat(8_192)],
		['a stub of a database', 'SQLite format 3\0'.padEnd(700, '\x7f')],
	])('says what to do when it is %s, and leaves it as it is', async (_, content) => {
		await (await open()).close();
		await writeFile(file, content);
		const error = await openError();
		expect(error.code).toBe('store_damaged');
		expect(error.message).toContain(file);
		expect(error.message).toMatch(/backup/);
		expect(await readFile(file, 'latin1')).toBe(content);
	});

	it('notices pages that were overwritten', async () => {
		const store = await open();
		for (let index = 0; index < 200; index++) await store.createRoom(aRoom({ id: `room-${index}`, description: 'd'.repeat(500) }));
		await store.close();
		const bytes = await readFile(file);
		bytes.fill(0xa5, 5 * 4_096, 9 * 4_096);
		await writeFile(file, bytes);
		expect((await openError()).code).toBe('store_damaged');
	});

	it('refuses a database of another program', async () => {
		await (await open()).close();
		await rm(file);
		tamper('CREATE TABLE bookmarks (url TEXT)');
		const error = await openError();
		expect(error.code).toBe('store_damaged');
		expect(error.message).toMatch(/another program/);
	});

	it('brings a file of the first format up to date, with what is in it', async () => {
		await (await open()).close();
		await rm(file);
		const room = aRoom();
		tamper(`${MIGRATIONS[0]}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = 1;
			INSERT INTO rooms VALUES ('launch', 1, 'scheduled', '${JSON.stringify(room)}');
			INSERT INTO speaker_numbers VALUES ('launch', 'host', 1)`);
		const store = await open();
		expect(await store.getRoom('launch')).toEqual(room);
		await store.putStage('launch', 3, '{}');
		expect(await store.stages()).toEqual([{ roomId: 'launch', epoch: 3, roster: '{}' }]);
		expect(await store.numbers('launch')).toEqual({ host: 1 });
		await store.close();
	});

	it('keeps tombstones until a room of that id is made anew, and for 400 days at most', async () => {
		const store = await open();
		const day = 86_400_000;
		await store.createRoom(aRoom());
		await store.bury('launch', 1_000, 0);
		await store.bury('launch', 500, 10);
		expect(await store.getRoom('launch')).toBeUndefined();
		expect(await store.tombstoneMs('launch')).toBe(1_000);
		await store.bury('other', 7, 400 * day);
		expect(await store.tombstoneIds()).toEqual(['launch', 'other']);
		await store.bury('third', 7, 401 * day);
		expect(await store.tombstoneIds()).toEqual(['other', 'third']);
		await store.putRoom({ room: aRoom({ id: 'other' }), bans: [], numbers: { host: 1 } });
		expect(await store.tombstoneMs('other')).toBe(0);
		await store.close();
	});

	it('refuses a file of a later version', async () => {
		await (await open()).close();
		tamper('PRAGMA user_version = 999');
		const error = await openError();
		expect(error.code).toBe('store_too_new');
		expect(error.message).toMatch(/later version.*999/);
	});

	it.each([
		['is not JSON', `'{"title":'`],
		['has a member of the wrong type', `json_set(record, '$.voices', 'three')`],
		['lacks a member', `json_remove(record, '$.title')`],
		['is no object', `'7'`],
	])('names file and room when a record %s, and still gives the other rooms', async (_, record) => {
		const first = await open();
		for (const id of ['fine', 'launch']) await first.createRoom(aRoom({ id }));
		await first.close();
		tamper(`UPDATE rooms SET record = ${record} WHERE id = 'launch'`);
		const store = await open();
		const error: unknown = await store.getRoom('launch').catch((error: unknown) => error);
		expect(error).toBeInstanceOf(StoreError);
		expect(error).toMatchObject({ code: 'store_damaged' });
		expect(String(error)).toContain(file);
		expect(String(error)).toContain('"launch"');
		expect(await store.getRoom('fine')).toEqual(aRoom({ id: 'fine' }));
		await store.close();
	});

	it('says what to check when it cannot be made', async () => {
		await writeFile(path.join(folder, 'data'), 'a file where the folder should be');
		const error = await openError();
		expect(error.code).toBe('store_failed');
		expect(error.message).toContain(file);
	});
});
