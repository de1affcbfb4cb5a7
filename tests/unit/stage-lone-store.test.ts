import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RoomDirectoryEvents } from '../../server/rooms/room-directory.ts';
import { EMPTY_ROSTER, type StageRoster, withHands, withRules } from '../../server/rooms/stage-roster.ts';
import { NO_RULES, withSettings, withStanding } from '../../server/rooms/stage-rules.ts';
import { DiskRoomStore } from '../../server/rooms/store/disk-store.ts';
import { LoneStageStore } from '../../server/stage/lone-stage-store.ts';
import { aRoom } from '../support/rooms.ts';
import { VirtualClock } from '../support/stage-fakes.ts';

let clock: VirtualClock;
let replica: DiskRoomStore;
let rooms: EventEmitter<RoomDirectoryEvents>;
const open = (): Promise<LoneStageStore> => LoneStageStore.open({ replica, rooms, schedule: clock.schedule });

/** A stage whose version is this. */
const roster = (version: number): StageRoster => ({ ...EMPTY_ROSTER, version });

beforeEach(async () => {
	clock = new VirtualClock();
	replica = await DiskRoomStore.open({ file: ':memory:' });
	await replica.createRoom(aRoom());
	rooms = new EventEmitter();
});

describe('stages of a node that is alone', () => {
	it('are as they were, rules and hands too', async () => {
		const store = await open();
		const rules = withStanding(withSettings(NO_RULES, { locked: true, maxSize: 4, order: ['p_b', 'p_a'] }), { id: 'p_a', role: 'cohost', kind: 'floor' });
		const hand = { id: 'p_c', subject: 'cat', name: 'Cat', raisedAt: '2026-05-24T20:00:00.000Z', invitation: null };
		const state = withHands(withRules(EMPTY_ROSTER, rules), [hand]);
		await store.saveStage('launch', 1, state);
		const again = await open();
		expect(again.roomIds).toEqual(['launch']);
		expect(await again.loadStage('launch')).toEqual({ epoch: 1, roster: state });
		expect(await again.loadStage('finale')).toBeUndefined();
	});

	it('are written four times a second at most, and at once at the end', async () => {
		const store = await open();
		await store.saveStage('launch', 1, roster(1));
		let written = 1;
		for (const version of [2, 3]) void store.saveStage('launch', 1, roster(version)).then(() => (written = version));
		await new Promise(setImmediate);
		expect(written).toBe(1);
		clock.advance(249);
		await new Promise(setImmediate);
		expect(written).toBe(1);
		clock.advance(1);
		await new Promise(setImmediate);
		expect(written).toBe(3);
		const last = store.saveStage('launch', 1, roster(4));
		store.close();
		await last;
		expect((await (await open()).loadStage('launch'))?.roster.version).toBe(4);
		expect(clock.pending).toBe(0);
	});

	it('go with their room', async () => {
		const store = await open();
		await store.saveStage('launch', 1, roster(1));
		rooms.emit('removed', aRoom());
		await replica.removeRoom('launch');
		expect(await store.loadStage('launch')).toBeUndefined();
		store.close();
		await expect(store.saveStage('launch', 1, roster(2))).rejects.toMatchObject({ code: 'room_not_found' });
	});
});
