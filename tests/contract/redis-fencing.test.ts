// Every write to a room is refused for whoever is not, or no longer, its home: with one script each, so nothing comes in between.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RedisConnection } from '../../server/cluster/redis/redis-connection.ts';
import { DomainError } from '../../server/errors.ts';
import type { StageRoster } from '../../server/rooms/stage-roster.ts';
import { createdAtMsOf, RedisRoomStore } from '../../server/rooms/store/redis-store.ts';
import { openConnection } from '../support/redis/connections.ts';
import { keysWithoutExpiry } from '../support/redis/expiry.ts';
import { RedisServer } from '../support/redis/redis-server.ts';
import { aRoom } from '../support/rooms.ts';

let server: RedisServer;
let connection: RedisConnection;
let epoch: number | undefined;
let store: RedisRoomStore;
/** Another node, as an onlooker. */
let other: RedisRoomStore;

beforeAll(async () => {
	server = await RedisServer.start();
	connection = await openConnection(server.url);
});
afterAll(async () => {
	await connection.close();
	await server.stop();
});
beforeEach(async () => {
	await server.flush();
	epoch = undefined;
	store = new RedisRoomStore({ connection, nodeId: 'node-a', fence: () => epoch });
	other = new RedisRoomStore({ connection, nodeId: 'node-b' });
	await store.createRoom(aRoom());
	await store.ban(ban('banned'));
	await store.speakerNumber('launch', 'host');
	await store.saveStage('launch', 4, roster(1));
});

const ban = (subject: string) => ({ roomId: 'launch', subject, name: 'Sam', bannedBy: 'host-1', bannedAt: '2026-05-24T20:10:00.000Z' });
const roster = (version: number): StageRoster => ({
	version,
	participants: [
		{ id: 'p_1', subject: 'host', number: 1, name: 'Hana', role: 'host', kind: 'browser', muted: version % 2 === 0, connection: 'connected', mediaId: null, joinedAt: '2026-05-24T20:00:00.000Z' },
	],
});
const isHome = (node: string, atEpoch: number, forMs = 60_000): Promise<string> =>
	server.cli('HSET', connection.keys.home('launch'), 'node', node, 'epoch', String(atEpoch), 'untilMs', String(Date.now() + forMs));
const outcome = (work: Promise<unknown>): Promise<string> =>
	work.then(
		() => 'done',
		(error: unknown) => (error instanceof DomainError ? error.code : String(error)),
	);
/** Everything in Redis of the room but its home. */
const everything = async (): Promise<unknown> => [await other.roomState('launch'), await other.roomHead('launch')];
const whole = () => ({ room: aRoom({ title: 'Restored', version: 9 }), epoch: epoch ?? 0, roster: roster(9), bans: [], numbers: { host: 1, late: 2 } });

/** Each write there is; those that name an epoch themselves use `at`. */
const WRITES: readonly [name: string, write: (at: number) => Promise<unknown>][] = [
	['updateRoom', () => store.updateRoom(aRoom({ title: 'Changed', version: 2 }))],
	['removeRoom', () => store.removeRoom('launch')],
	['speakerNumber', () => store.speakerNumber('launch', 'late')],
	['ban', () => store.ban(ban('late'))],
	['unban', () => store.unban('launch', 'banned')],
	['saveStage', (at) => store.saveStage('launch', at, roster(2))],
	['restoreRoom', (at) => store.restoreRoom(whole(), at)],
];

describe.each(WRITES)('%s', (name, write) => {
	it('is refused after another node has become home, and changes nothing', async () => {
		epoch = 5;
		await isHome('node-b', 6);
		const before = await everything();
		expect(await outcome(write(5))).toBe('not_home');
		expect(await everything()).toEqual(before);
	});

	it('is refused though the new home\'s lease has run out: it was home later', async () => {
		epoch = 5;
		await isHome('node-b', 6, -60_000);
		expect(await outcome(write(5))).toBe('not_home');
	});

	it('is refused when another node holds the same epoch', async () => {
		epoch = 5;
		await isHome('node-b', 5);
		expect(await outcome(write(5))).toBe('not_home');
	});

	it.each([
		['of the very epoch', 5],
		['of a higher one, after Redis lost the latest', 6],
	])('is done for the home %s', async (_, held) => {
		epoch = held;
		await isHome('node-a', 5);
		const before = await everything();
		expect(await outcome(write(held))).toBe('done');
		expect(await everything()).not.toEqual(before);
	});

	it('is done when Redis knows of no home', async () => {
		epoch = 5;
		expect(await outcome(write(5))).toBe('done');
	});

	if (name !== 'saveStage' && name !== 'restoreRoom') {
		it('is refused for a node that is no home while another one lives, and done when there is none', async () => {
			await isHome('node-b', 6);
			expect(await outcome(write(0))).toBe('not_home');
			await isHome('node-b', 6, -1);
			expect(await outcome(write(0))).toBe('done');
		});
	}
});

describe('a known speaker', () => {
	it('is told the number whoever is home: nothing is written', async () => {
		epoch = 5;
		await isHome('node-b', 6);
		expect(await store.speakerNumber('launch', 'host')).toBe(1);
	});
});

describe('a stage', () => {
	it('is kept with its epoch, and the newer one stays: by epoch first, by version next', async () => {
		await store.saveStage('launch', 4, roster(3));
		await store.saveStage('launch', 4, roster(2));
		expect(await store.loadStage('launch')).toEqual({ epoch: 4, roster: roster(3) });
		await store.saveStage('launch', 5, roster(1));
		expect(await store.loadStage('launch')).toEqual({ epoch: 5, roster: roster(1) });
		expect(await outcome(store.saveStage('launch', 4, roster(7)))).toBe('not_home');
	});

	it('goes with its room, and none is kept for a room that is not there', async () => {
		await store.removeRoom('launch');
		expect(await store.loadStage('launch')).toBeUndefined();
		expect(await outcome(store.saveStage('launch', 9, roster(1)))).toBe('room_not_found');
	});
});

describe('restoring a room', () => {
	const state = (version: number, more: object = {}) => ({ room: aRoom({ version, title: `v${version}` }), epoch: 4, roster: roster(2), bans: [ban('b')], numbers: { host: 1, guest: 2 }, ...more });

	it('brings everything back after Redis has lost it', async () => {
		await server.flush();
		expect(await store.restoreRoom(state(7))).toBe('same');
		expect(await other.roomState('launch')).toEqual({ ...state(7), bansVersion: 1 });
		expect(await other.listRooms({ limit: 10 })).toEqual([aRoom({ version: 7, title: 'v7' })]);
		expect(await other.speakerNumber('launch', 'next')).toBe(3);
	});

	it('never replaces a newer one, and says so', async () => {
		await store.updateRoom(aRoom({ version: 2 }));
		await store.updateRoom(aRoom({ version: 3, title: 'newer' }));
		expect(await store.restoreRoom(state(2))).toBe('newer');
		expect((await other.getRoom('launch'))?.title).toBe('newer');
	});

	it('adds to bans and numbers unless it is the home that speaks: then it replaces them', async () => {
		await store.restoreRoom(state(1));
		expect((await other.roomState('launch'))?.bans.map(({ subject }) => subject)).toEqual(['b', 'banned']);
		expect((await other.roomState('launch'))?.numbers).toEqual({ host: 1, guest: 2 });
		await store.restoreRoom(state(1, { numbers: { guest: 1, host: 2 } }), 5);
		expect((await other.roomState('launch'))?.bans.map(({ subject }) => subject)).toEqual(['b']);
		expect((await other.roomState('launch'))?.numbers).toEqual({ guest: 1, host: 2 });
	});

	it('gives no number twice', async () => {
		await store.restoreRoom(state(1, { numbers: { stranger: 1 } }));
		expect((await other.roomState('launch'))?.numbers).toEqual({ host: 1 });
	});

	it('makes no ghost of a removed room, even in a Redis that has lost everything but the removal', async () => {
		await store.removeRoom('launch');
		expect(await store.restoreRoom(state(7))).toBe('removed');
		await server.flush();
		await other.removeRoom('launch', createdAtMsOf(aRoom()));
		expect(await store.restoreRoom(state(7))).toBe('removed');
		expect(await other.listRooms({ limit: 10 })).toEqual([]);
	});

	it('of one id made anew goes on beside the tombstone of the old one', async () => {
		const anew = aRoom({ createdAt: '2026-06-01T00:00:00.000Z', title: 'anew' });
		await store.removeRoom('launch');
		expect(await store.restoreRoom({ ...state(1), room: anew })).toBe('same');
		await other.removeRoom('launch', createdAtMsOf(aRoom()));
		expect((await other.getRoom('launch'))?.title).toBe('anew');
	});
});

describe('an update', () => {
	it('is refused when the room is another one of the same id by now', async () => {
		await store.removeRoom('launch');
		await other.createRoom(aRoom({ createdAt: '2026-06-01T00:00:00.000Z', title: 'anew' }));
		expect(await outcome(store.updateRoom(aRoom({ version: 2, title: 'old' })))).toBe('precondition_failed');
		expect((await other.getRoom('launch'))?.title).toBe('anew');
	});
});

describe('what is kept', () => {
	it('has an expiry, whatever was done', async () => {
		epoch = 5;
		for (const [, write] of WRITES.filter(([name]) => name !== 'removeRoom')) await outcome(write(5));
		await store.ban(ban('last'));
		await store.setValue('a', 'b');
		await store.generation('first');
		// Room, numbers, bans, stage; list of rooms and its times; value; generation.
		expect(await server.cli('DBSIZE')).toBe('8');
		expect(await keysWithoutExpiry(server)).toEqual([]);
		await store.removeRoom('launch');
		expect(await keysWithoutExpiry(server)).toEqual([]);
	});

	it('tells one generation of data from the next', async () => {
		expect(await store.generation('first')).toBe('first');
		expect(await other.generation('second')).toBe('first');
		await server.flush();
		expect(await other.generation('second')).toBe('second');
	});

	it('leaves the list when it is gone for an hour', async () => {
		await store.removeRoom('launch');
		await server.cli('HSET', connection.keys.roomIndexTimes, 'launch', String(Date.now() - 3_500_000));
		expect(await store.listRooms({ limit: 10 })).toEqual([]);
		expect(await store.roomIds({})).toEqual(['launch']);
		await server.cli('HSET', connection.keys.roomIndexTimes, 'launch', String(Date.now() - 3_700_000));
		await store.listRooms({ limit: 10 });
		expect(await store.roomIds({})).toEqual([]);
	});

	it('is refused by name when it is damaged', async () => {
		await server.cli('HSET', connection.keys.room('launch'), 'record', '{"id":"launch"}');
		await expect(store.getRoom('launch')).rejects.toThrow(/room "launch" in Redis is damaged/);
	});
});
