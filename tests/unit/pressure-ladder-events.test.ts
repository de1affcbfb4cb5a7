import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { EventHub } from '../../server/events/event-hub.ts';
import type { Participant, Room } from '../../server/rooms/room.ts';
import { aRoom } from '../support/rooms.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const person = (number: number): Participant => ({
	id: `p${number}`, subject: `s${number}`, number, name: `Person ${number}`, role: 'speaker', kind: 'browser', muted: false, connection: 'connected', mediaId: null,
	joinedAt: '2026-06-01T18:00:00.000Z',
});

/** A hub with one stream, and what it was sent, with the time of each. */
function follow(eventCadence: number) {
	const clock = new VirtualClock();
	let room = aRoom({ id: 'hall', state: 'open' });
	let roster: Participant[] = [];
	let count = 0;
	const rooms = Object.assign(new EventEmitter<{ changed: [Room]; removed: [Room] }>(), { require: () => room });
	const stages = Object.assign(new EventEmitter<{ rosterChanged: [{ roomId: string }] }>(), { roster: () => roster });
	const media = Object.assign(new EventEmitter<{ counts: [] }>(), { listenersIn: () => count, eventCadence });
	const hub = EventHub.create({ rooms, stages, media, clock, randomId: () => 'run', maxStreams: 10 });
	const told: { event: string; data: unknown; atMs: number }[] = [];
	hub.attach('hall', (chunk) => {
		const event = /^event: (\w+)$/m.exec(chunk)?.[1];
		if (event !== undefined) {
			told.push({ event, data: JSON.parse(/^data: (.*)$/m.exec(chunk)?.[1] ?? 'null'), atMs: clock.nowMs() });
		}
		return true;
	});
	media.emit('counts');
	told.length = 0;
	return {
		clock, hub,
		of: (event: string) => told.filter((each) => each.event === event),
		count: (to: number) => {
			count = to;
			media.emit('counts');
		},
		stage: (people: number) => {
			roster = Array.from({ length: people }, (_, index) => person(index + 1));
			stages.emit('rosterChanged', { roomId: 'hall' });
		},
		state: (state: Room['state']) => {
			room = { ...room, state, version: room.version + 1 };
			rooms.emit('changed', room);
		},
	};
}

it.each([[1, 1_000], [2, 2_000], [4, 4_000]])('at cadence %i counts are %i ms apart', (cadence, apartMs) => {
	const { clock, count, of } = follow(cadence);
	for (let second = 1; second <= 40; second++) {
		clock.advance(1_000);
		count(second);
	}
	const counts = of('listeners');
	expect(Math.abs(counts.length - 40_000 / apartMs)).toBeLessThanOrEqual(1);
	for (const [index, { atMs }] of counts.entries()) {
		expect(atMs - (counts[index - 1]?.atMs ?? -Infinity)).toBeGreaterThanOrEqual(apartMs);
	}
});

it('a stage that changes all the time is told less often under pressure, the first change at once and the last one always', () => {
	const usual = follow(1);
	const pressed = follow(4);
	for (const { clock, stage } of [usual, pressed]) {
		for (let change = 1; change <= 100; change++) {
			clock.advance(100);
			stage(change);
		}
		clock.advance(5_000);
	}
	expect(usual.of('stage')).toHaveLength(100);
	const told = pressed.of('stage');
	expect(told.length).toBeLessThanOrEqual(7);
	expect(told[0]?.atMs).toBeLessThanOrEqual(150);
	expect(told.at(-1)?.data).toMatchObject({ speakers: { length: 100 } });
});

it('that a room goes live or ends is told at once, whatever the pressure', () => {
	const { clock, count, stage, state, of } = follow(4);
	for (const change of ['live', 'ended'] as const) {
		clock.advance(1_000);
		count(clock.nowMs());
		stage(clock.nowMs() / 100);
		const atMs = clock.nowMs();
		state(change);
		clock.advance(100);
		expect(of('room').at(-1)).toMatchObject({ data: { state: change } });
		expect(of('room').at(-1)!.atMs - atMs).toBeLessThanOrEqual(50);
	}
});

it('a stage that was waiting is told once the pressure is over, and none that left', () => {
	const { clock, stage, of, hub } = follow(4);
	stage(1);
	clock.advance(100);
	stage(2);
	clock.advance(1_000);
	expect(of('stage')).toHaveLength(1);
	clock.advance(1_200);
	expect(of('stage').at(-1)?.data).toMatchObject({ speakers: { length: 2 } });
	hub.close();
	expect(clock.pendingTimers).toBe(0);
});
