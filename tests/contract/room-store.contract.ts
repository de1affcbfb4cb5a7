// What every RoomStore promises, whatever it keeps its data in. A twin joins with one line:
// describeRoomStore('…', async () => ({ store, reopen })).
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../../server/errors.ts';
import type { Ban, RoomStore } from '../../server/rooms/store/room-store.ts';
import { aRoom } from '../support/rooms.ts';

export interface StoreUnderTest {
	/** Empty. */
	store: RoomStore;
	/** Another store on the same data, after `store` was closed. */
	reopen: () => Promise<RoomStore>;
	/** Takes the data away; the store is closed by then. */
	dispose?: () => Promise<void>;
}

const aBan = (changes: Partial<Ban> = {}): Ban => ({
	roomId: 'launch',
	subject: 'user-7',
	name: 'Sam',
	bannedBy: 'host-1',
	bannedAt: '2026-05-24T20:10:00.000Z',
	...changes,
});

const rejection = (promise: Promise<unknown>): Promise<DomainErrorCode | 'no DomainError' | 'resolved'> =>
	promise.then(
		() => 'resolved' as const,
		(error: unknown) => (error instanceof DomainError && error.code in DOMAIN_ERRORS ? error.code : 'no DomainError'),
	);

/** @param lasting whether data outlive the store that wrote them */
export function describeRoomStore(name: string, open: () => Promise<StoreUnderTest>, lasting = true): void {
	describe(`${name} as a RoomStore`, () => {
		let opened: StoreUnderTest;
		let store: RoomStore;

		beforeEach(async () => {
			opened = await open();
			store = opened.store;
		});
		afterEach(async () => {
			await store.close();
			await opened.dispose?.();
		});

		describe('rooms', () => {
			it('gives back every member of a room as it was stored', async () => {
				const room = aRoom({
					title: 'Ankündigung · الإعلان 🎙️ "quoted" \\ \'',
					description: 'Line one\nline two',
					scheduledAt: '2026-06-01T18:00:00.000Z',
					doorsOpenAt: '2026-06-01T17:45:00.000Z',
					expectedListeners: 700_000,
					maxListeners: 10_000_000,
					voices: 8,
					packingMs: 120,
					visibility: 'private',
					record: true,
					state: 'ended',
					openedAt: '2026-06-01T17:45:01.000Z',
					startedAt: '2026-06-01T18:00:01.000Z',
					endedAt: '2026-06-01T19:00:01.000Z',
				});
				await store.createRoom(room);
				expect(await store.getRoom('launch')).toEqual(room);
			});

			it('knows nothing of a room that was never made', async () => {
				expect(await store.getRoom('nowhere')).toBeUndefined();
			});

			it('refuses a second room of the same id and keeps the first', async () => {
				await store.createRoom(aRoom({ title: 'First' }));
				expect(await rejection(store.createRoom(aRoom({ title: 'Second' })))).toBe('room_exists');
				expect((await store.getRoom('launch'))?.title).toBe('First');
			});

			it('replaces a room by its next version, and members that are gone are gone', async () => {
				await store.createRoom(aRoom({ description: 'Soon' }));
				await store.updateRoom(aRoom({ title: 'Renamed', state: 'open', version: 2 }));
				expect(await store.getRoom('launch')).toEqual(aRoom({ title: 'Renamed', state: 'open', version: 2 }));
			});

			it.each([1, 3, 4])('refuses version %i after version 1', async (version) => {
				await store.createRoom(aRoom());
				expect(await rejection(store.updateRoom(aRoom({ title: 'Lost', version })))).toBe('precondition_failed');
				expect(await store.getRoom('launch')).toEqual(aRoom());
			});

			it('refuses to update a room that is not there, and does not make it', async () => {
				expect(await rejection(store.updateRoom(aRoom({ version: 2 })))).toBe('room_not_found');
				expect(await store.getRoom('launch')).toBeUndefined();
			});

			it('lets exactly one of many updates to the same version win', async () => {
				await store.createRoom(aRoom());
				const titles = Array.from({ length: 20 }, (_, index) => `Writer ${index}`);
				const outcomes = await Promise.all(titles.map((title) => rejection(store.updateRoom(aRoom({ title, version: 2 })))));
				expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
				expect(outcomes.filter((outcome) => outcome === 'precondition_failed')).toHaveLength(19);
				const stored = await store.getRoom('launch');
				expect(stored?.title).toBe(titles[outcomes.indexOf('resolved')]);
			});

			it('lets exactly one of many creations of the same id win', async () => {
				const outcomes = await Promise.all(Array.from({ length: 10 }, (_, index) => rejection(store.createRoom(aRoom({ title: `Writer ${index}` })))));
				expect(outcomes.filter((outcome) => outcome === 'resolved')).toHaveLength(1);
				expect((await store.getRoom('launch'))?.title).toBe(`Writer ${outcomes.indexOf('resolved')}`);
			});

			it('forgets a removed room, however often it is removed', async () => {
				await store.createRoom(aRoom());
				await store.removeRoom('launch');
				await store.removeRoom('launch');
				expect(await store.getRoom('launch')).toBeUndefined();
				expect(await store.listRooms({ limit: 10 })).toEqual([]);
			});

			it('lists in byte order of ids, page by page, each room once', async () => {
				const ids = ['b', 'a-1', 'a', 'a1', '9', 'b-0', 'zz', 'a-10'];
				for (const id of ids) await store.createRoom(aRoom({ id }));
				const seen: string[] = [];
				let after: string | undefined;
				for (;;) {
					const page = await store.listRooms(after === undefined ? { limit: 3 } : { after, limit: 3 });
					expect(page.length).toBeLessThanOrEqual(3);
					seen.push(...page.map((room) => room.id));
					after = page.at(-1)?.id;
					if (page.length < 3) break;
				}
				expect(seen).toEqual(['9', 'a', 'a-1', 'a-10', 'a1', 'b', 'b-0', 'zz']);
			});

			it('lists after an id that no room has', async () => {
				for (const id of ['alpha', 'gamma']) await store.createRoom(aRoom({ id }));
				expect((await store.listRooms({ after: 'beta', limit: 10 })).map((room) => room.id)).toEqual(['gamma']);
				expect(await store.listRooms({ after: 'gamma', limit: 10 })).toEqual([]);
			});
		});

		describe('speaker numbers', () => {
			it('counts from 1 in the order of first arrival and is stable', async () => {
				await store.createRoom(aRoom());
				expect(await store.speakerNumber('launch', 'host')).toBe(1);
				expect(await store.speakerNumber('launch', 'guest')).toBe(2);
				expect(await store.speakerNumber('launch', 'host')).toBe(1);
				expect(await store.speakerNumber('launch', 'late')).toBe(3);
			});

			it('counts in each room by itself', async () => {
				await store.createRoom(aRoom());
				await store.createRoom(aRoom({ id: 'other' }));
				expect(await store.speakerNumber('launch', 'a')).toBe(1);
				expect(await store.speakerNumber('other', 'b')).toBe(1);
				expect(await store.speakerNumber('other', 'a')).toBe(2);
			});

			it('gives 100 people who arrive at once 100 numbers, and each of them the same again', async () => {
				await store.createRoom(aRoom());
				const subjects = Array.from({ length: 100 }, (_, index) => `user-${index}`);
				const first = await Promise.all(subjects.map((subject) => store.speakerNumber('launch', subject)));
				expect(first.toSorted((a, b) => a - b)).toEqual(subjects.map((_, index) => index + 1));
				expect(await Promise.all(subjects.map((subject) => store.speakerNumber('launch', subject)))).toEqual(first);
			});

			it('gives one person who arrives 100 times at once one number', async () => {
				await store.createRoom(aRoom());
				const numbers = await Promise.all(Array.from({ length: 100 }, () => store.speakerNumber('launch', 'me')));
				expect(new Set(numbers)).toEqual(new Set([1]));
				expect(await store.speakerNumber('launch', 'you')).toBe(2);
			});

			it('survives a change of the room', async () => {
				await store.createRoom(aRoom());
				await store.speakerNumber('launch', 'a');
				await store.updateRoom(aRoom({ version: 2 }));
				expect(await store.speakerNumber('launch', 'b')).toBe(2);
				expect(await store.speakerNumber('launch', 'a')).toBe(1);
			});

			it('refuses a room that is not there', async () => {
				expect(await rejection(store.speakerNumber('nowhere', 'a'))).toBe('room_not_found');
			});
		});

		describe('bans', () => {
			it('knows who is banned, from which room', async () => {
				await store.createRoom(aRoom());
				await store.createRoom(aRoom({ id: 'other' }));
				await store.ban(aBan());
				expect(await store.isBanned('launch', 'user-7')).toBe(true);
				expect(await store.isBanned('launch', 'user-8')).toBe(false);
				expect(await store.isBanned('other', 'user-7')).toBe(false);
				expect(await store.listBans('launch')).toEqual([aBan()]);
				expect(await store.listBans('other')).toEqual([]);
			});

			it('keeps the first ban when somebody is banned again', async () => {
				await store.createRoom(aRoom());
				await store.ban(aBan());
				await store.ban(aBan({ bannedBy: 'host-2', bannedAt: '2027-01-01T00:00:00.000Z' }));
				expect(await store.listBans('launch')).toEqual([aBan()]);
			});

			it('lists in order of subject', async () => {
				await store.createRoom(aRoom());
				for (const subject of ['c', 'a', 'b']) await store.ban(aBan({ subject }));
				expect((await store.listBans('launch')).map((ban) => ban.subject)).toEqual(['a', 'b', 'c']);
			});

			it('lifts a ban and says whether there was one', async () => {
				await store.createRoom(aRoom());
				await store.ban(aBan());
				expect(await store.unban('launch', 'user-7')).toBe(true);
				expect(await store.unban('launch', 'user-7')).toBe(false);
				expect(await store.isBanned('launch', 'user-7')).toBe(false);
			});

			it('refuses to ban from a room that is not there; asking about it is no error', async () => {
				expect(await rejection(store.ban(aBan({ roomId: 'nowhere' })))).toBe('room_not_found');
				expect(await store.unban('nowhere', 'a')).toBe(false);
				expect(await store.isBanned('nowhere', 'a')).toBe(false);
				expect(await store.listBans('nowhere')).toEqual([]);
			});

			it('takes subjects as they are', async () => {
				await store.createRoom(aRoom());
				const subjects = ["o'brien", '%', '_', ' spaced ', 'user:7', 'UPPER', 'upper', 'سام', '{launch}'];
				for (const subject of subjects) await store.ban(aBan({ subject }));
				expect((await store.listBans('launch')).map((ban) => ban.subject).toSorted()).toEqual(subjects.toSorted());
				expect(await store.unban('launch', 'upper')).toBe(true);
				expect(await store.isBanned('launch', 'UPPER')).toBe(true);
			});
		});

		it('removes a room with its bans and numbers, and no other room\'s', async () => {
			await store.createRoom(aRoom());
			await store.createRoom(aRoom({ id: 'other' }));
			for (const roomId of ['launch', 'other']) {
				await store.ban(aBan({ roomId }));
				await store.speakerNumber(roomId, 'first');
				await store.speakerNumber(roomId, 'second');
			}
			await store.removeRoom('launch');
			await store.createRoom(aRoom());
			expect(await store.listBans('launch')).toEqual([]);
			expect(await store.speakerNumber('launch', 'second')).toBe(1);
			expect(await store.isBanned('other', 'user-7')).toBe(true);
			expect(await store.speakerNumber('other', 'second')).toBe(2);
		});

		it('keeps values of the node', async () => {
			expect(await store.getValue('node-id')).toBeUndefined();
			await store.setValue('node-id', 'first');
			await store.setValue('node-id', 'second');
			await store.setValue('empty', '');
			expect(await store.getValue('node-id')).toBe('second');
			expect(await store.getValue('empty')).toBe('');
		});

		it('does nothing after it was closed, and closing again is no error', async () => {
			await store.createRoom(aRoom());
			await store.close();
			await store.close();
			await expect(store.getRoom('launch')).rejects.toThrow(/closed/);
			await expect(store.setValue('a', 'b')).rejects.toThrow(/closed/);
		});

		if (lasting) it('gives everything back when it is opened again', async () => {
			await store.createRoom(aRoom());
			await store.updateRoom(aRoom({ title: 'Renamed', version: 2 }));
			await store.createRoom(aRoom({ id: 'gone' }));
			await store.removeRoom('gone');
			await store.ban(aBan());
			await store.speakerNumber('launch', 'a');
			await store.speakerNumber('launch', 'b');
			await store.setValue('node-id', 'n1');
			await store.close();
			store = await opened.reopen();
			expect(await store.listRooms({ limit: 10 })).toEqual([aRoom({ title: 'Renamed', version: 2 })]);
			expect(await store.listBans('launch')).toEqual([aBan()]);
			expect(await store.speakerNumber('launch', 'b')).toBe(2);
			expect(await store.speakerNumber('launch', 'c')).toBe(3);
			expect(await store.getValue('node-id')).toBe('n1');
		});
	});
}
