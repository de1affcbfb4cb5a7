import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import type { HomesEvents } from '../../server/cluster/homes.ts';
import { DomainError } from '../../server/errors.ts';
import { Agenda } from '../../server/rooms/agenda.ts';
import { Doors, TOO_LATE_MS } from '../../server/rooms/doors.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Room } from '../../server/rooms/room.ts';
import { FakeRoomStore } from '../support/fakes/fake-room-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const START = Date.parse('2026-05-24T20:00:00.000Z');
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

class Homes extends EventEmitter<HomesEvents> {
	home = true;
	epochOf(): number | undefined {
		return this.home ? 1 : undefined;
	}
	gain(roomId: string): void {
		this.home = true;
		this.emit('gained', roomId, 2, true);
	}
}

interface Node {
	clock: VirtualClock;
	rooms: RoomDirectory;
	homes: Homes;
	store: FakeRoomStore;
	doors: Doors;
	/** Rooms and when they went from scheduled to open, in ms from the start. */
	opened: [room: string, atMs: number][];
	at(ms: number): string;
	/** Lets time pass, with everything that is asynchronous within it. */
	pass(ms: number): Promise<void>;
}

async function node({ store = new FakeRoomStore(), clock = new VirtualClock(), home = true, prewarmMs = MINUTE } = {}): Promise<Node> {
	const now = () => START + clock.nowMs();
	const rooms = await RoomDirectory.create({ store, now: () => new Date(now()), randomId: () => 'made-up', defaults: { voices: 3 } });
	const homes = new Homes();
	homes.home = home;
	const opened: Node['opened'] = [];
	rooms.on('changed', (room, before) => {
		if (before?.state === 'scheduled' && room.state === 'open') opened.push([room.id, clock.nowMs()]);
	});
	const doors = Doors.create({ rooms, homes, prewarmMs, endWarningMs: 5 * MINUTE, now, schedule: (ms, task) => clock.schedule(task, ms), log: pino({ level: 'silent' }) });
	return {
		clock, rooms, homes, store, doors, opened,
		at: (ms) => new Date(START + ms).toISOString(),
		pass: async (ms) => {
			clock.advance(0);
			await settled();
			for (const endMs = clock.nowMs() + ms; clock.nowMs() < endMs; ) {
				clock.advance(Math.min(MINUTE / 2, endMs - clock.nowMs()));
				await settled();
			}
		},
	};
}

/** Everything that waits for promises alone is through. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('the doors of rooms', () => {
	it('open at their time, each once, and start nothing', async () => {
		const { rooms, opened, at, pass } = await node();
		await rooms.create({ id: 'later', title: 'Later', doorsOpenAt: at(20 * MINUTE), scheduledAt: at(30 * MINUTE) });
		await rooms.create({ id: 'soon', title: 'Soon', doorsOpenAt: at(10 * MINUTE), scheduledAt: at(15 * MINUTE) });
		await rooms.create({ id: 'by-hand', title: 'Its host opens it', scheduledAt: at(10 * MINUTE) });
		await pass(10 * MINUTE - 1);
		expect(opened).toEqual([]);
		await pass(1);
		expect(opened).toEqual([['soon', 10 * MINUTE]]);
		await pass(DAY);
		expect(opened).toEqual([['soon', 10 * MINUTE], ['later', 20 * MINUTE]]);
		expect(rooms.require('soon').state).toBe('open');
		expect(rooms.require('by-hand').state).toBe('scheduled');
	});

	it('need one timer for any number of rooms, months ahead, and none without', async () => {
		const { clock, rooms, doors, opened, at, pass } = await node();
		expect(clock.pendingTimers).toBe(0);
		for (let i = 0; i < 50; i++) await rooms.create({ id: `room-${i}`, title: 'A room', doorsOpenAt: at(60 * DAY + i) });
		expect(clock.pendingTimers).toBe(1);
		// More than 2^31 - 1 ms: a timer of that length would fire at once.
		await pass(10 * MINUTE);
		expect(opened).toEqual([]);
		clock.advance(60 * DAY);
		await settled();
		clock.advance(MINUTE);
		await settled();
		expect(opened.map(([room]) => room)).toHaveLength(50);
		await pass(2 * MINUTE);
		expect(clock.pendingTimers).toBe(0);
		doors.close();
	});

	it('follow the time when it is moved, taken away, or the room is removed', async () => {
		const { rooms, opened, at, pass } = await node();
		for (const id of ['earlier', 'later', 'never', 'gone', 'past']) await rooms.create({ id, title: id, doorsOpenAt: at(10 * MINUTE) });
		await rooms.update('earlier', { doorsOpenAt: at(5 * MINUTE) });
		await rooms.update('later', { doorsOpenAt: at(20 * MINUTE) });
		await rooms.update('never', { doorsOpenAt: null });
		await rooms.remove('gone');
		await pass(MINUTE);
		await rooms.update('past', { doorsOpenAt: at(0) });
		await pass(DAY);
		expect(opened).toEqual([['past', MINUTE], ['earlier', 5 * MINUTE], ['later', 20 * MINUTE]]);
	});

	it('do not open when their time is moved in the very moment in which it comes', async () => {
		const { rooms, opened, at, pass, clock } = await node();
		await rooms.create({ id: 'town-hall', title: 'Town hall', doorsOpenAt: at(MINUTE) });
		const moved = rooms.update('town-hall', { doorsOpenAt: at(5 * MINUTE) }); // Stored, but not yet seen.
		clock.advance(MINUTE);
		await moved;
		await pass(MINUTE);
		expect(opened).toEqual([]);
		await pass(5 * MINUTE);
		expect(opened).toEqual([['town-hall', 5 * MINUTE]]);
	});

	it('are opened late, once, by a node that was down at their time', async () => {
		const first = await node();
		await first.rooms.create({ id: 'missed', title: 'Missed', doorsOpenAt: first.at(MINUTE), scheduledAt: first.at(10 * MINUTE) });
		first.doors.close();
		const clock = new VirtualClock();
		clock.advance(10 * MINUTE + TOO_LATE_MS);
		const second = await node({ store: first.store, clock });
		await second.pass(0);
		expect(second.opened).toEqual([['missed', clock.nowMs()]]);
		second.doors.close();
		const third = await node({ store: first.store, clock });
		await third.pass(DAY);
		expect(third.opened).toEqual([]);
	});

	it('stay shut when the planned start is long past, until somebody says otherwise', async () => {
		const first = await node();
		await first.rooms.create({ id: 'forgotten', title: 'Forgotten', doorsOpenAt: first.at(MINUTE), scheduledAt: first.at(10 * MINUTE) });
		first.doors.close();
		const clock = new VirtualClock();
		clock.advance(10 * MINUTE + TOO_LATE_MS + 1);
		const { rooms, opened, at, pass, doors } = await node({ store: first.store, clock });
		await pass(DAY);
		expect(opened).toEqual([]);
		expect(doors.isNear('forgotten')).toBe(false);
		await rooms.update('forgotten', { scheduledAt: at(clock.nowMs() + MINUTE) });
		await pass(MINUTE);
		expect(opened).toHaveLength(1);
	});

	it('are opened by the home alone, and by the next one when it moves', async () => {
		const { rooms, homes, opened, at, pass, clock } = await node({ home: false });
		await rooms.create({ id: 'town-hall', title: 'Town hall', doorsOpenAt: at(MINUTE) });
		await pass(5 * MINUTE);
		expect(opened).toEqual([]);
		homes.gain('town-hall');
		clock.advance(0);
		await settled();
		expect(opened).toEqual([['town-hall', 5 * MINUTE]]);
	});

	it('are tried again while the store refuses', async () => {
		const { rooms, store, opened, at, pass } = await node();
		await rooms.create({ id: 'town-hall', title: 'Town hall', doorsOpenAt: at(MINUTE) });
		const { updateRoom } = store;
		store.updateRoom = () => Promise.reject(new DomainError('store_unavailable', 'Redis is away'));
		await pass(2 * MINUTE);
		expect(opened).toEqual([]);
		store.updateRoom = updateRoom;
		await pass(MINUTE);
		expect(opened).toHaveLength(1);
	});

	it('leave a room alone that a host opened, started or ended before', async () => {
		const { rooms, opened, at, pass } = await node();
		for (const id of ['open', 'live', 'ended']) await rooms.create({ id, title: id, doorsOpenAt: at(10 * MINUTE) });
		await rooms.transition('open', 'open');
		await rooms.transition('live', 'start');
		await rooms.transition('ended', 'start');
		await rooms.transition('ended', 'end');
		const versions = () => ['open', 'live', 'ended'].map((id) => rooms.require(id).version);
		const before = versions();
		await pass(DAY);
		expect(versions()).toEqual(before);
		expect(opened).toEqual([['open', 0]]);
	});

	it('warn of the end and end the room at its time, each once, and both by its home', async () => {
		const { rooms, homes, at, pass } = await node({ home: false });
		await rooms.create({ id: 'town-hall', title: 'Town hall', scheduledAt: at(0), endsAt: at(60 * MINUTE) });
		await rooms.create({ id: 'debate', title: 'Debate', maxDurationMinutes: 30 });
		await rooms.create({ id: 'endless', title: 'Endless' });
		for (const id of ['town-hall', 'debate', 'endless']) await rooms.transition(id, 'start');
		const seen: [string, string, number][] = [];
		rooms.on('changed', (room) => seen.push([room.id, room.state === 'ended' ? 'ended' : `ends at ${room.endingAt}`, room.version]));
		await pass(20 * MINUTE);
		expect(seen).toEqual([]);
		homes.home = true;
		await pass(DAY);
		expect(seen).toEqual([
			['debate', `ends at ${at(30 * MINUTE)}`, 3],
			['debate', 'ended', 4],
			['town-hall', `ends at ${at(60 * MINUTE)}`, 3],
			['town-hall', 'ended', 4],
		]);
		expect(rooms.require('debate').endedAt).toBe(at(30 * MINUTE));
		expect(rooms.require('endless').state).toBe('live');
	});

	it('end no room whose host puts it off, not even in the very moment, and warn again before the new end', async () => {
		const { rooms, at, pass, clock } = await node();
		await rooms.create({ id: 'town-hall', title: 'Town hall', scheduledAt: at(0), endsAt: at(60 * MINUTE) });
		await rooms.transition('town-hall', 'start');
		await pass(56 * MINUTE);
		expect(rooms.require('town-hall').endingAt).toBe(at(60 * MINUTE));
		await pass(4 * MINUTE - 1);
		const extended = rooms.extend('town-hall', 15); // Stored, but not yet seen.
		clock.advance(1);
		await extended;
		await pass(5 * MINUTE);
		expect(rooms.require('town-hall').state).toBe('live');
		expect(rooms.require('town-hall').endingAt).toBeUndefined();
		await pass(5 * MINUTE);
		expect(rooms.require('town-hall').endingAt).toBe(at(75 * MINUTE));
		await pass(5 * MINUTE);
		expect(rooms.require('town-hall')).toMatchObject({ state: 'ended', endedAt: at(75 * MINUTE) });
	});

	it('end a room at once, without a warning, where no node ran at its time; and warn at once where the end is near', async () => {
		const first = await node();
		await first.rooms.create({ id: 'over', title: 'Over', scheduledAt: first.at(0), endsAt: first.at(10 * MINUTE) });
		await first.rooms.create({ id: 'near', title: 'Near', scheduledAt: first.at(0), endsAt: first.at(62 * MINUTE) });
		for (const id of ['over', 'near']) await first.rooms.transition(id, 'start');
		first.doors.close();
		const clock = new VirtualClock();
		clock.advance(60 * MINUTE);
		const { rooms, at, pass } = await node({ store: first.store, clock });
		await pass(0);
		expect(rooms.require('over')).toMatchObject({ state: 'ended', endedAt: at(60 * MINUTE), version: 3 });
		expect(rooms.require('near')).toMatchObject({ state: 'live', endingAt: at(62 * MINUTE) });
	});

	it('do not open for an event that should be over by now, and follow its host who starts it late', async () => {
		const first = await node();
		await first.rooms.create({ id: 'missed', title: 'Missed', doorsOpenAt: first.at(MINUTE), scheduledAt: first.at(2 * MINUTE), endsAt: first.at(12 * MINUTE) });
		first.doors.close();
		const clock = new VirtualClock();
		clock.advance(20 * MINUTE);
		const { rooms, at, pass, opened } = await node({ store: first.store, clock });
		await pass(10 * MINUTE);
		expect(opened).toEqual([]);
		await rooms.transition('missed', 'start');
		await pass(10 * MINUTE - 1);
		expect(rooms.require('missed').state).toBe('live');
		await pass(1);
		expect(rooms.require('missed')).toMatchObject({ state: 'ended', endedAt: at(40 * MINUTE) });
	});

	it('leave a cancelled room alone', async () => {
		const { rooms, opened, at, pass } = await node();
		await rooms.create({ id: 'off', title: 'Off', doorsOpenAt: at(MINUTE), scheduledAt: at(2 * MINUTE), endsAt: at(12 * MINUTE) });
		await rooms.cancel('off', 'Too much snow');
		const { version } = rooms.require('off');
		await pass(DAY);
		expect(opened).toEqual([]);
		expect(rooms.require('off')).toMatchObject({ version, cancelReason: 'Too much snow' });
	});

	it('need a home a little before, and earlier where edges are to be made ahead', async () => {
		const { rooms, doors, at, pass } = await node({ home: false, prewarmMs: 5 * MINUTE });
		await rooms.create({ id: 'large', title: 'Large', doorsOpenAt: at(DAY), expectedListeners: 10_000 });
		await rooms.create({ id: 'small', title: 'Small', doorsOpenAt: at(DAY) });
		await rooms.create({ id: 'by-hand', title: 'By hand' });
		const near = () => ['large', 'small', 'by-hand'].filter((id) => doors.isNear(id));
		expect(near()).toEqual([]);
		await pass(DAY - 5 * MINUTE);
		expect(near()).toEqual(['large']);
		await pass(5 * MINUTE);
		// Nobody has opened them yet: they still need one.
		expect(near()).toEqual(['large', 'small']);
		await rooms.transition('large', 'open');
		expect(near()).toEqual(['small']);
	});

	it('stay as they are once the node closes', async () => {
		const { rooms, doors, clock, opened, at, pass } = await node();
		await rooms.create({ id: 'town-hall', title: 'Town hall', doorsOpenAt: at(MINUTE) } satisfies Partial<Room> & { title: string });
		doors.close();
		doors.close();
		await pass(DAY);
		expect(opened).toEqual([]);
		expect(clock.pendingTimers).toBe(0);
	});
});

describe('an agenda', () => {
	it('calls for everything in order of time, whatever was set, moved and struck off', () => {
		const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
		const step = fc.oneof(
			fc.record({ do: fc.constant('set' as const), key, atMs: fc.integer({ min: 0, max: 400_000 }) }),
			fc.record({ do: fc.constant('delete' as const), key }),
			fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 150_000 }) }),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
				const clock = new VirtualClock();
				const called: [string, number][] = [];
				const agenda = new Agenda({ now: () => clock.nowMs(), schedule: (ms, task) => clock.schedule(task, ms), onDue: (due) => called.push([due, clock.nowMs()]) });
				const expected: [string, number][] = [];
				const model = new Map<string, number>();
				const run = (ms: number) => {
					const [startMs, endMs] = [clock.nowMs(), clock.nowMs() + ms];
					const due = [...model].map(([name, atMs]): [string, number] => [name, Math.max(startMs, atMs)]).filter(([, atMs]) => atMs <= endMs);
					due.sort((a, b) => a[1] - b[1] || (model.get(a[0]) ?? 0) - (model.get(b[0]) ?? 0) || (a[0] < b[0] ? -1 : 1));
					for (const [name] of due) model.delete(name);
					expected.push(...due);
					clock.advance(ms);
				};
				for (const one of steps) {
					if (one.do === 'set') {
						agenda.set(one.key, one.atMs);
						model.set(one.key, one.atMs);
					} else if (one.do === 'delete') {
						agenda.delete(one.key);
						model.delete(one.key);
					} else {
						run(one.ms);
					}
				}
				run(500_000);
				expect(called).toEqual(expected);
				expect([agenda.size, clock.pendingTimers]).toEqual([0, 0]);
			}),
		);
	});
});
