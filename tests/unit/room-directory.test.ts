import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Room } from '../../server/rooms/room.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { aRoom } from '../support/rooms.ts';

const AT = '2026-06-01T18:00:00.000Z';
const rejection = (promise: Promise<unknown>): Promise<string> =>
	promise.then(
		() => 'resolved',
		(error: unknown) => (error instanceof DomainError ? error.code : String(error)),
	);

describe('the room directory', () => {
	let store: DiskRoomStore;
	let ids: string[];
	let rooms: RoomDirectory;
	let events: string[];
	const open = async (): Promise<RoomDirectory> => {
		const randomId = (): string => ids.shift() ?? 'no-more-ids';
		const directory = await RoomDirectory.create({ store, now: () => new Date(AT), randomId, defaults: { voices: 4 } });
		directory.on('changed', (room, before) => events.push(`${room.id}@${room.version} ${before?.state ?? 'new'}>${room.state}`));
		directory.on('removed', (room) => events.push(`${room.id} removed`));
		return directory;
	};

	beforeEach(async () => {
		store = await DiskRoomStore.open({ file: ':memory:' });
		ids = ['first-id', 'second-id'];
		events = [];
		rooms = await open();
	});

	it('makes a room with an id of its own, stored before it is announced', async () => {
		let stored: Promise<Room | undefined> | undefined;
		rooms.once('changed', ({ id }) => {
			stored = store.getRoom(id);
		});
		const room = await rooms.create({ title: 'Launch' });
		expect(room).toMatchObject({ id: 'first-id', voices: 4, state: 'scheduled', createdAt: AT });
		expect(await stored).toEqual(room);
		expect(rooms.get('first-id')).toBe(room);
		expect(events).toEqual(['first-id@1 new>scheduled']);
	});

	it('tries another id when the first is taken', async () => {
		await rooms.create({ id: 'first-id', title: 'Taken' });
		expect((await rooms.create({ title: 'Launch' })).id).toBe('second-id');
	});

	it('gives up when every id is taken', async () => {
		ids = ['a', 'a', 'a', 'a', 'a', 'a', 'b'];
		await rooms.create({ title: 'Launch' });
		expect(await rejection(rooms.create({ title: 'Launch' }))).toBe('room_exists');
	});

	it('refuses a chosen id that is taken, in memory or only in the store', async () => {
		await rooms.create({ id: 'launch', title: 'One' });
		await store.createRoom(aRoom({ id: 'elsewhere' }));
		expect(await rejection(rooms.create({ id: 'launch', title: 'Two' }))).toBe('room_exists');
		expect(await rejection(rooms.create({ id: 'elsewhere', title: 'Two' }))).toBe('room_exists');
		expect(rooms.require('launch').title).toBe('One');
		expect(events).toHaveLength(1);
	});

	it('lets one of two creations of an id win', async () => {
		const outcomes = await Promise.all(['One', 'Two'].map((title) => rejection(rooms.create({ id: 'launch', title }))));
		expect(outcomes).toEqual(['resolved', 'room_exists']);
	});

	it('loads what is stored, more than a page of it', async () => {
		const expected = Array.from({ length: 1_100 }, (_, index) => `room-${String(index).padStart(4, '0')}`);
		for (const id of expected.toReversed()) await store.createRoom(aRoom({ id }));
		const again = await open();
		expect(again.size).toBe(1_100);
		expect(again.list({ limit: 2_000 }).map((room) => room.id)).toEqual(expected);
	});

	it('says that a room is not there', async () => {
		expect(rooms.get('nowhere')).toBeUndefined();
		expect(() => rooms.require('nowhere')).toThrow(DomainError);
		for (const work of [rooms.update('nowhere', {}), rooms.transition('nowhere', 'open'), rooms.remove('nowhere')]) {
			expect(await rejection(work)).toBe('room_not_found');
		}
	});

	it('lists in order, after an id, by state and visibility', async () => {
		for (const id of ['d', 'b', 'a', 'c']) await rooms.create({ id, title: id, visibility: id === 'b' ? 'private' : 'public' });
		await rooms.transition('c', 'start');
		const listed = (query: Parameters<RoomDirectory['list']>[0]): string => rooms.list(query).map((room) => room.id).join('');
		expect(listed({ limit: 10 })).toBe('abcd');
		expect(listed({ limit: 2 })).toBe('ab');
		expect(listed({ after: 'b', limit: 10 })).toBe('cd');
		expect(listed({ after: 'bb', limit: 1 })).toBe('c');
		expect(listed({ limit: 2, visibility: 'public' })).toBe('ac');
		expect(listed({ limit: 10, states: ['scheduled'], visibility: 'public' })).toBe('ad');
		await rooms.remove('b');
		expect(listed({ limit: 10 })).toBe('acd');
	});

	it('goes from scheduled to ended, and says each step once', async () => {
		await rooms.create({ id: 'launch', title: 'Launch' });
		for (const command of ['open', 'open', 'start', 'start', 'end', 'end'] as const) await rooms.transition('launch', command);
		expect(events).toEqual(['launch@1 new>scheduled', 'launch@2 scheduled>open', 'launch@3 open>live', 'launch@4 live>ended']);
		expect(rooms.require('launch')).toMatchObject({ openedAt: AT, startedAt: AT, endedAt: AT });
		expect(await rejection(rooms.transition('launch', 'start'))).toBe('room_ended');
		expect(await store.getRoom('launch')).toEqual(rooms.require('launch'));
	});

	it('changes one room in the order of the calls, and loses none', async () => {
		await rooms.create({ id: 'launch', title: 'Launch' });
		await Promise.all([
			...Array.from({ length: 50 }, (_, index) => rooms.update('launch', { title: `Title ${index}` })),
			rooms.transition('launch', 'open'),
			rooms.update('launch', { description: 'Last' }),
		]);
		expect(rooms.require('launch')).toMatchObject({ title: 'Title 49', state: 'open', description: 'Last', version: 53 });
	});

	it('goes on after a change that was refused', async () => {
		await rooms.create({ id: 'launch', title: 'Launch' });
		const outcomes = [rooms.update('launch', { title: '' }), rooms.update('launch', { title: 'Good' })].map(rejection);
		expect(await Promise.all(outcomes)).toEqual(['invalid_request', 'resolved']);
	});

	it('shows nothing that the store refused', async () => {
		const room = await rooms.create({ id: 'launch', title: 'Launch' });
		await store.close();
		expect(await rejection(rooms.update('launch', { title: 'Unstored' }))).toMatch(/closed/);
		expect(await rejection(rooms.create({ id: 'other', title: 'Unstored' }))).toMatch(/closed/);
		expect(await rejection(rooms.remove('launch'))).toMatch(/closed/);
		expect(rooms.require('launch')).toBe(room);
		expect(rooms.get('other')).toBeUndefined();
		expect(events).toHaveLength(1);
	});

	it('takes over what the store holds when somebody else has changed it', async () => {
		const room = await rooms.create({ id: 'launch', title: 'Launch' });
		await store.updateRoom({ ...room, title: 'Theirs', version: 2 });
		expect(await rejection(rooms.update('launch', { title: 'Ours' }))).toBe('precondition_failed');
		expect(rooms.require('launch').title).toBe('Theirs');
		expect((await rooms.update('launch', { title: 'Ours' })).version).toBe(3);
	});

	it('removes a room, its bans with it, and the id is free again', async () => {
		await rooms.create({ id: 'launch', title: 'Launch' });
		await store.ban({ roomId: 'launch', subject: 's', name: 'S', bannedBy: 'h', bannedAt: AT });
		await rooms.remove('launch');
		expect(events.at(-1)).toBe('launch removed');
		expect(rooms.get('launch')).toBeUndefined();
		await rooms.create({ id: 'launch', title: 'Again' });
		expect(await store.isBanned('launch', 's')).toBe(false);
	});

	it('gives out rooms that nobody can change by accident', async () => {
		const room = await rooms.create({ id: 'launch', title: 'Launch' });
		expect(() => (room.title = 'Changed')).toThrow(TypeError);
	});
});

describe('a room that another node changes while this one does', () => {
	const AFTER = { version: 9, title: 'Theirs' };
	let store: DiskRoomStore;
	let rooms: RoomDirectory;
	let meanwhile: () => void;
	let told: string[];

	beforeEach(async () => {
		store = await DiskRoomStore.open({ file: ':memory:' });
		rooms = await RoomDirectory.create({ store, now: () => new Date(AT), randomId: () => 'unused-id', defaults: { voices: 4 } });
		for (const id of ['aa', 'bb', 'cc']) await rooms.create({ id, title: id });
		told = [];
		rooms.on('changed', ({ id, version }) => told.push(`${id}@${version}`));
		rooms.on('removed', ({ id }) => told.push(`${id} removed`));
		for (const name of ['updateRoom', 'removeRoom'] as const) {
			const stored = store[name].bind(store);
			store[name] = async (argument: unknown) => {
				await stored(argument as never);
				meanwhile();
			};
		}
	});

	it('stays as far as the other has brought it', async () => {
		meanwhile = () => rooms.take({ ...rooms.require('bb'), ...AFTER });
		await rooms.update('bb', { title: 'Ours' });
		expect(rooms.get('bb')).toMatchObject(AFTER);
		expect(told).toEqual(['bb@9']);
	});

	it('stays away once it was removed there', async () => {
		meanwhile = () => rooms.drop('bb');
		await rooms.update('bb', { title: 'Ours' });
		expect(rooms.list({ limit: 9 }).map(({ id }) => id)).toEqual(['aa', 'cc']);
	});

	it('is removed once, and takes no other along, when both remove it', async () => {
		meanwhile = () => rooms.drop('bb');
		await rooms.remove('bb');
		expect(rooms.list({ limit: 9 }).map(({ id }) => id)).toEqual(['aa', 'cc']);
		expect(told).toEqual(['bb removed']);
	});
});
