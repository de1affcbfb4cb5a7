// What people on a stage are told, and how it ends.
import { beforeEach, describe, expect, it } from 'vitest';
import { clock, enter, expectNoGhosts, media, refusal, ROOM, rooms, settled, setUp, someone, stages, subjects } from '../support/stage-rig.ts';

beforeEach(() => setUp());

describe('what people on stage are told', () => {
	it('of the room', async () => {
		const ann = await enter(someone('ann'));
		await rooms.transition(ROOM, 'start');
		expect(ann.connection.of('room')).toMatchObject([{ room: { id: ROOM, state: 'live' } }]);
	});

	it('of who talks, also those who come later', async () => {
		const ann = await enter(someone('ann'));
		const talkers = { talkers: [{ number: 1, voice: 0 }], dominant: 1 };
		media.emit('talkers', { roomId: ROOM, ...talkers });
		media.emit('talkers', { roomId: 'finale', talkers: [], dominant: null });
		expect(ann.connection.of('talkers')).toEqual([talkers]);
		expect((await enter(someone('bob'))).connection.of('talkers')).toEqual([talkers]);
	});

	it('of the listeners: only changes, at most every two seconds', async () => {
		const ann = await enter(someone('ann'));
		const counts: number[] = [];
		for (const count of [0, 7, 8, 9, 9, 9, 10]) {
			media.audience.set(ROOM, count);
			media.emit('counts');
			counts.push(ann.connection.of('listeners').length);
			clock.advance(1_000);
		}
		expect(ann.connection.of('listeners')).toEqual([{ count: 7 }, { count: 9 }, { count: 10 }]);
		expect(counts).toEqual([0, 1, 1, 2, 2, 2, 3]);
	});

	it('of the listeners in the end what is true, whenever they came', async () => {
		await enter(someone('ann'));
		media.audience.set(ROOM, 5);
		media.emit('counts');
		media.audience.set(ROOM, 6);
		const bob = await enter(someone('bob'));
		expect(bob.connection.of('welcome')[0]?.listenerCount).toBe(6);
		media.audience.set(ROOM, 5);
		clock.advance(2_000);
		media.emit('counts');
		expect(bob.connection.of('listeners').at(-1)).toEqual({ count: 5 });
	});
});

describe('a room that ends', () => {
	it.each(['end', 'remove'] as const)('on %s sends everybody home and forgets their media', async (how) => {
		await rooms.transition(ROOM, 'start');
		const ann = await enter(someone('ann'));
		const bob = await enter(someone('bob'));
		stages.socketLost(bob);
		await (how === 'end' ? rooms.transition(ROOM, 'end') : rooms.remove(ROOM));
		expect(ann.connection.ended).toMatchObject({ ending: 'room_ended' });
		await settled();
		expect(subjects()).toEqual([]);
		expect(clock.pending).toBe(0);
		expectNoGhosts();
		await expect(enter(someone('ann'))).rejects.toEqual(refusal(how === 'end' ? 'room_ended' : 'room_not_found'));
	});

	it('may be made again under the same id', async () => {
		await enter(someone('ann'));
		await rooms.remove(ROOM);
		await rooms.create({ id: ROOM, title: 'Once more' });
		await enter(someone('ann'));
		await settled();
		expect(subjects()).toEqual(['ann']);
		expectNoGhosts();
	});
});

describe('shutdown', () => {
	it('tells everybody to come back, keeps the roster as it is, and lets nobody in', async () => {
		const ann = await enter(someone('ann'));
		stages.socketLost(await enter(someone('bob')));
		const version = stages.rosterVersion(ROOM);
		stages.closeAll('maintenance');
		stages.closeAll('again');
		expect(ann.connection.ended).toEqual({ ending: 'shutting_down', detail: 'maintenance' });
		stages.socketLost(ann);
		expect(clock.pending).toBe(0);
		expect(stages.rosterVersion(ROOM)).toBe(version);
		await expect(enter(someone('cid'))).rejects.toEqual(refusal('shutting_down'));
		expect(media.eventNames().flatMap((name) => media.listeners(name))).toEqual([]);
	});

	it('reaches somebody at the door', async () => {
		const door = media.gates.hold('addSpeaker');
		const entering = enter(someone('ann'));
		await door.reached;
		stages.closeAll('maintenance');
		door.release();
		await expect(entering).rejects.toEqual(refusal('shutting_down'));
		await settled();
		expectNoGhosts();
	});
});
