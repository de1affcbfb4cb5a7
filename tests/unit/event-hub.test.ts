import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { EventHub, type Subscription } from '../../server/events/event-hub.ts';
import type { Participant, Room } from '../../server/rooms/room.ts';
import { aRoom } from '../support/rooms.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

class FakeRooms extends EventEmitter<{ changed: [Room]; removed: [Room] }> {
	readonly #rooms = new Map<string, Room>();
	require(id: string): Room {
		const room = this.#rooms.get(id);
		if (room === undefined) throw new DomainError('room_not_found', 'none');
		return room;
	}
	put(changes: Partial<Room> = {}): void {
		const id = changes.id ?? 'launch';
		const before = this.#rooms.get(id);
		const room = { ...aRoom({ id }), ...before, ...changes, version: (before?.version ?? 0) + 1 };
		this.#rooms.set(id, room);
		this.emit('changed', room);
	}
	remove(id: string): void {
		const room = this.require(id);
		this.#rooms.delete(id);
		this.emit('removed', room);
	}
}

class FakeStages extends EventEmitter<{ rosterChanged: [{ roomId: string }] }> {
	readonly #rosters = new Map<string, Participant[]>();
	roster(roomId: string): readonly Participant[] {
		return this.#rosters.get(roomId) ?? [];
	}
	put(roomId: string, ...people: Partial<Participant>[]): void {
		const roster = people.map(
			(person, index): Participant => ({
				id: `p${index}`,
				subject: `secret-${index}`,
				number: index + 1,
				name: `Person ${index + 1}`,
				role: 'speaker',
				kind: 'browser',
				muted: false,
				connection: 'connected',
				mediaId: null,
				joinedAt: '2026-06-01T18:00:00.000Z',
				...person,
			}),
		);
		this.#rosters.set(roomId, roster);
		this.emit('rosterChanged', { roomId });
	}
}

class FakeMedia extends EventEmitter<{ counts: [] }> {
	readonly #counts = new Map<string, number>();
	listenersIn(roomId: string): number {
		return this.#counts.get(roomId) ?? 0;
	}
	put(count: number, roomId = 'launch'): void {
		this.#counts.set(roomId, count);
		this.emit('counts');
	}
}

class FakeMoves extends EventEmitter<{ changed: [] }> {
	#moves: Record<string, number> = {};
	moves(): Record<string, number> {
		return this.#moves;
	}
	put(moves: Record<string, number>): void {
		this.#moves = moves;
		this.emit('changed');
	}
}

interface Received {
	event: string;
	data: unknown;
	id: string | undefined;
	atMs: number;
}

const MAX_WRITES = 2_000;
let clock: VirtualClock;
let rooms: FakeRooms;
let stages: FakeStages;
let media: FakeMedia;
let hub: EventHub;
let log: { reader: Reader; atMs: number; chunk: string }[];

/** An EventSource as far as the wire goes. */
class Reader {
	readonly received: Received[] = [];
	readonly roomId: string;
	comments = 0;
	retryMs = 0;
	lastEventId: string | undefined;
	takes = true;
	fails = false;
	ended: string | undefined;
	subscription: Subscription | undefined;

	constructor(roomId = 'launch', lastEventId?: string) {
		this.roomId = roomId;
		this.lastEventId = lastEventId;
	}

	attach(to: EventHub = hub): this {
		this.subscription = to.attach(this.roomId, (chunk) => this.#take(chunk), this.lastEventId, (reason) => (this.ended = reason));
		return this;
	}

	latest(event: string): unknown {
		return this.received.findLast((one) => one.event === event)?.data;
	}
	names(): string[] {
		return this.received.map(({ event }) => event);
	}

	#take(chunk: string): boolean {
		if (this.fails) throw new Error('connection reset');
		expect(chunk.endsWith('\n\n')).toBe(true);
		log.push({ reader: this, atMs: clock.nowMs(), chunk });
		for (const block of chunk.split('\n\n')) {
			const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
			if (fields.has('')) this.comments += block === '' ? 0 : 1;
			if (fields.has('retry')) this.retryMs = Number(fields.get('retry'));
			const id = fields.get('id');
			if (id !== undefined) this.lastEventId = id;
			const event = fields.get('event');
			if (event !== undefined) this.received.push({ event, data: JSON.parse(fields.get('data') ?? ''), id, atMs: clock.nowMs() });
		}
		return this.takes;
	}
}

const readers = (count: number, roomId = 'launch'): Reader[] => Array.from({ length: count }, () => new Reader(roomId).attach());
/** The most chunks written in any one second, of those that `counts` says. */
const busiestSecond = (chunks: { atMs: number }[]): number => {
	let most = 0;
	let start = 0;
	for (const [index, { atMs }] of chunks.entries()) {
		while (atMs - chunks[start]!.atMs >= 1_000) start++;
		most = Math.max(most, index - start + 1);
	}
	return most;
};
const makeHub = (maxStreams = 50_000, instance = 'boot-1'): EventHub =>
	EventHub.create({ rooms, stages, media, clock, randomId: () => instance, maxWritesPerSecond: MAX_WRITES, maxStreams });

beforeEach(() => {
	clock = new VirtualClock();
	rooms = new FakeRooms();
	stages = new FakeStages();
	media = new FakeMedia();
	log = [];
	rooms.put({ id: 'launch', scheduledAt: '2026-06-01T18:00:00.000Z' });
	hub = makeHub();
});

describe('a newcomer', () => {
	it('is told everything at once, in one chunk', () => {
		stages.put('launch', { name: 'Ada', role: 'host', muted: true }, { name: 'Sam', connection: 'reconnecting' });
		media.put(41);
		const reader = new Reader().attach();
		expect(log).toHaveLength(1);
		expect(reader.received.map(({ event, data }) => ({ event, data }))).toEqual([
			{ event: 'room', data: { id: 'launch', title: 'The announcement', state: 'scheduled', scheduledAt: '2026-06-01T18:00:00.000Z', voices: 3, version: 1 } },
			{
				event: 'stage',
				data: {
					speakers: [
						{ number: 1, name: 'Ada', role: 'host', muted: true, connected: true },
						{ number: 2, name: 'Sam', role: 'speaker', muted: false, connected: false },
					],
				},
			},
			{ event: 'listeners', data: { count: 41 } },
		]);
		expect(reader.retryMs).toBeGreaterThanOrEqual(1_000);
	});

	it('is refused for a room that is not there', () => {
		expect(() => new Reader('nowhere').attach()).toThrow(DomainError);
		expect(hub.streamCount).toBe(0);
	});

	it('is refused when there are as many streams as may be, until one leaves', () => {
		hub = makeHub(2);
		const [first] = readers(2);
		expect(() => new Reader().attach()).toThrow(expect.objectContaining({ code: 'no_capacity', retryAfterSeconds: 10 }));
		first!.subscription!.close();
		first!.subscription!.close();
		expect(hub.streamCount).toBe(1);
		new Reader().attach();
		expect(hub.streamCount).toBe(2);
	});

	it('costs those who are there nothing', () => {
		const reader = new Reader().attach();
		readers(500);
		clock.advance(900);
		expect(reader.received).toHaveLength(3);
		expect(log).toHaveLength(501);
	});
});

describe('a change', () => {
	it('reaches everybody in the room, and nobody else', () => {
		rooms.put({ id: 'other' });
		const here = readers(5);
		const [there] = readers(1, 'other');
		rooms.put({ state: 'open' });
		stages.put('launch', { name: 'Ada' });
		clock.advance(100);
		for (const reader of here) {
			expect(reader.names().slice(3)).toEqual(['room', 'stage']);
			expect(reader.latest('room')).toMatchObject({ state: 'open', version: 2 });
		}
		expect(there!.received).toHaveLength(3);
	});

	it('that nobody could see is not sent', () => {
		stages.put('launch', { mediaId: 'a' });
		const [reader] = readers(1);
		stages.put('launch', { mediaId: 'b' });
		clock.advance(1_000);
		expect(reader!.received).toHaveLength(3);
	});

	it('that comes in a bunch goes out once, as it is at the end', () => {
		const [reader] = readers(1);
		for (let muted = 0; muted < 20; muted++) stages.put('launch', { name: 'Ada', muted: muted % 2 === 0 });
		clock.advance(100);
		expect(reader!.names()).toEqual(['room', 'stage', 'listeners', 'stage']);
		expect(reader!.latest('stage')).toMatchObject({ speakers: [{ muted: false }] });
	});

	it('takes one shared timer, and none without streams', () => {
		const all = readers(1_000);
		rooms.put({ state: 'open' });
		expect(clock.pendingTimers).toBe(1);
		for (const reader of all) reader.subscription!.close();
		clock.advance(5_000);
		expect(clock.pendingTimers).toBe(0);
	});

	it('reaches everybody when people join while it is still going out', () => {
		const all = readers(600);
		clock.advance(3_000);
		rooms.put({ title: 'First' });
		clock.advance(100);
		rooms.put({ title: 'Second' });
		all.push(...readers(20));
		clock.advance(3_000);
		for (const reader of all) expect(reader.latest('room')).toMatchObject({ title: 'Second' });
	});

	it('of the room comes before one of the stage, and that before the count', () => {
		const all = readers(1_000);
		clock.advance(3_000);
		const before = log.length;
		media.put(1_000);
		stages.put('launch', { name: 'Ada' });
		rooms.put({ state: 'live' });
		clock.advance(4_000);
		const order = log.slice(before).map(({ chunk }) => /event: (\w+)/.exec(chunk)?.[1]);
		expect(order).toEqual([...all.map(() => 'room'), ...all.map(() => 'stage'), ...all.map(() => 'listeners')]);
	});
});

describe('the budget', () => {
	it('holds in every second of a storm with 10,000 streams, and everybody ends up with the latest state', () => {
		for (let room = 0; room < 20; room++) rooms.put({ id: `room-${room}` });
		const all = [...readers(6_000), ...Array.from({ length: 20 }, (_, room) => readers(200, `room-${room}`)).flat()];
		expect(hub.metrics()).toMatchObject({ streams: 10_000, snapshotsTotal: 10_000 });
		log = [];
		for (let step = 0; step < 600; step++) {
			stages.put('launch', { name: 'Ada', muted: step % 2 === 0 });
			if (step % 20 === 0) rooms.put({ title: `Title ${step}` });
			rooms.put({ id: `room-${step % 20}`, title: `Title ${step}` });
			if (step % 10 === 0) for (let room = 0; room < 20; room++) media.put(step + room, `room-${room}`);
			media.put(step);
			clock.advance(100);
		}
		expect(hub.metrics().lagMs).toBeGreaterThan(0);
		expect(busiestSecond(log)).toBeLessThanOrEqual(MAX_WRITES);
		// A storm is written at the full rate, all but the safety margin.
		expect(log.length / 60).toBeGreaterThan(MAX_WRITES * 0.85);
		expect(busiestSecond(log.filter(({ chunk }) => chunk.includes('event: listeners')))).toBeLessThanOrEqual(MAX_WRITES / 2);

		rooms.put({ title: 'Final' });
		stages.put('launch', { name: 'Final' });
		media.put(777);
		clock.advance(60_000);
		expect(busiestSecond(log)).toBeLessThanOrEqual(MAX_WRITES);
		for (const reader of all) {
			const id = reader.roomId;
			expect(reader.latest('room')).toMatchObject({ title: rooms.require(id).title });
			expect(reader.latest('listeners')).toEqual({ count: media.listenersIn(id) });
			if (id === 'launch') expect(reader.latest('stage')).toMatchObject({ speakers: [{ name: 'Final' }] });
		}
		expect(hub.metrics().lagMs).toBe(0);
	});

	it('lets nobody starve: in an endless storm all are served equally, in large rooms and small', () => {
		rooms.put({ id: 'small' });
		const large = readers(4_000);
		const small = readers(10, 'small');
		clock.advance(4_000);
		const before = new Map([...large, ...small].map((reader) => [reader, reader.received.length]));
		for (let step = 0; step < 600; step++) {
			stages.put('launch', { name: `Ada ${step}` });
			stages.put('small', { name: `Sam ${step}` });
			clock.advance(50);
		}
		const served = (some: Reader[]): number[] => some.map((reader) => reader.received.length - before.get(reader)!);
		// 30 s at about 1,820 a second for 4,010 streams: 13 or 14 rounds.
		for (const times of [served(large), served(small)]) {
			expect(Math.min(...times)).toBeGreaterThanOrEqual(12);
			expect(Math.max(...times)).toBeLessThanOrEqual(15);
		}
		expect(hub.metrics().lagMs).toBeLessThan(6_000);
	});

	it('brings counts and signs of life through a storm of more urgent news', () => {
		rooms.put({ id: 'quiet' });
		readers(5_000);
		const [quiet] = readers(1, 'quiet');
		const from = log.length;
		for (let step = 0; step < 900; step++) {
			stages.put('launch', { name: `Ada ${step}` });
			if (step % 10 === 0) media.put(step);
			clock.advance(100);
		}
		expect(log.slice(from).some(({ chunk }) => chunk.includes('event: listeners'))).toBe(true);
		expect(quiet!.comments).toBeGreaterThanOrEqual(2);
		expect(busiestSecond(log.slice(from))).toBeLessThanOrEqual(MAX_WRITES);
	});

	it('is charged for newcomers, but a surge of them never stops the news', () => {
		const old = readers(500);
		clock.advance(3_000);
		rooms.put({ state: 'live' });
		for (let step = 0; step < 10; step++) {
			readers(500);
			clock.advance(100);
		}
		for (const reader of old) expect(reader.latest('room')).toMatchObject({ state: 'live' });

		// Right after the surge the debt halves what flows in.
		log = [];
		rooms.put({ state: 'ended' });
		clock.advance(1_000);
		expect(log.length).toBeGreaterThan(MAX_WRITES * 0.4);
		expect(log.length).toBeLessThan(MAX_WRITES * 0.65);
	});

	it('can be small', () => {
		hub = EventHub.create({ rooms, stages, media, clock, randomId: () => 'x', maxWritesPerSecond: 4, maxStreams: 100 });
		const all = readers(30);
		log = [];
		rooms.put({ state: 'open' });
		media.put(30);
		clock.advance(60_000);
		expect(busiestSecond(log)).toBeLessThanOrEqual(4);
		for (const reader of all) expect(reader.latest('room')).toMatchObject({ state: 'open' });
		expect(() => EventHub.create({ rooms, stages, media, clock, randomId: () => 'x', maxWritesPerSecond: 3, maxStreams: 1 })).toThrow(RangeError);
	});
});

describe('counts', () => {
	it('come every second to a small audience, and only when they changed', () => {
		const [reader] = readers(1);
		for (let second = 1; second <= 10; second++) {
			clock.advance(1_000);
			media.put(Math.ceil(second / 2));
		}
		clock.advance(1_000);
		const counts = reader!.received.filter(({ event }) => event === 'listeners');
		expect(counts.map(({ data }) => data)).toEqual([0, 1, 2, 3, 4, 5].map((count) => ({ count })));
	});

	it('are never sent more often than once a second, however often they are refreshed', () => {
		const [reader] = readers(1);
		for (let step = 1; step <= 100; step++) {
			media.put(step);
			clock.advance(100);
		}
		const at = reader!.received.filter(({ event }) => event === 'listeners').map(({ atMs }) => atMs);
		expect(at.length).toBeGreaterThanOrEqual(9);
		for (const [index, atMs] of at.slice(1).entries()) expect(atMs - at[index]!).toBeGreaterThanOrEqual(1_000);
		clock.advance(1_100);
		expect(reader!.latest('listeners')).toEqual({ count: 100 });
	});

	it('that go back to what was sent are not sent', () => {
		const [reader] = readers(1);
		media.put(5);
		media.put(0);
		clock.advance(5_000);
		expect(reader!.names()).toEqual(['room', 'stage', 'listeners']);
	});

	it.each([
		[500, 1_000, 1_300],
		[5_000, 5_000, 6_500],
		[20_000, 20_000, 26_000],
	])('come to %i streams every %i to %i ms, using half the budget at most', (streams, atLeastMs, atMostMs) => {
		const all = readers(streams);
		clock.advance(10_000);
		log = [];
		for (let second = 0; second < 90; second++) {
			media.put(1_000 + second);
			clock.advance(1_000);
		}
		const counts = log.filter(({ chunk }) => chunk.includes('event: listeners'));
		expect(busiestSecond(counts)).toBeLessThanOrEqual(MAX_WRITES / 2);
		const gaps = all[7]!.received.slice(4).map((one, index) => one.atMs - all[7]!.received[index + 3]!.atMs);
		expect(gaps.length).toBeGreaterThanOrEqual(2);
		const meanMs = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
		expect(meanMs).toBeGreaterThanOrEqual(atLeastMs);
		expect(meanMs).toBeLessThanOrEqual(atMostMs);
	});
});

describe('a reader who comes back', () => {
	it('gets only what it lacks', () => {
		const first = new Reader().attach();
		new Reader().attach();
		first.subscription!.close();
		stages.put('launch', { name: 'Ada' });
		const again = new Reader('launch', first.lastEventId).attach();
		expect(again.names()).toEqual(['stage']);
		const third = new Reader('launch', again.lastEventId).attach();
		expect(third.names()).toEqual([]);
		rooms.put({ state: 'open' });
		clock.advance(100);
		expect(third.names()).toEqual(['room']);
	});

	it('with the id of any event gets the rest, wherever it was cut off', () => {
		const reader = new Reader().attach();
		new Reader().attach();
		for (const [index, { id }] of reader.received.entries()) {
			expect(new Reader('launch', id).attach().names()).toEqual(['room', 'stage', 'listeners'].slice(index + 1));
		}
	});

	it('from another room or another run of the node gets everything', () => {
		rooms.put({ id: 'other' });
		const reader = new Reader().attach();
		expect(new Reader('other', reader.lastEventId).attach().names()).toHaveLength(3);
		const second = makeHub(10, 'boot-2');
		expect(new Reader('launch', reader.lastEventId).attach(second).names()).toHaveLength(3);
	});

	it('to a room that was made anew under its id gets everything', () => {
		const reader = new Reader().attach();
		rooms.remove('launch');
		rooms.put({ id: 'launch' });
		expect(new Reader('launch', reader.lastEventId).attach().names()).toHaveLength(3);
	});

	it.each(['', 'garbage', 'boot-1', 'boot-1.1.2.3', 'boot-1.1.2.3.4.5', 'boot-1.x.2.3.4', 'boot-1.-1.2.3.4', 'boot-1.9e9.2.3.4', 'boot-1.999.999.999.999', '\0', 'x'.repeat(10_000)])(
		'with the id %j gets everything',
		(id) => {
			expect(new Reader('launch', id).attach().names()).toEqual(['room', 'stage', 'listeners']);
		},
	);

	it('with any text for an id gets everything', () => {
		fc.assert(
			fc.property(fc.string(), (id) => {
				expect(new Reader('launch', id).attach().names()).toHaveLength(3);
			}),
		);
	});
});

describe('who is asked to move', () => {
	let moves: FakeMoves;
	beforeEach(() => {
		moves = new FakeMoves();
		hub = EventHub.create({ rooms, stages, media, moves, clock, randomId: () => 'boot-1', maxWritesPerSecond: MAX_WRITES, maxStreams: 50_000 });
	});

	it('is told to everybody in every room as it changes, until it is over', () => {
		rooms.put({ id: 'other' });
		const [here, there] = [new Reader().attach(), new Reader('other').attach()];
		expect(here.names()).not.toContain('move');
		const told: Record<string, number>[] = [{ 'n1.2': 0.25 }, { 'n1.2': 1 }, {}];
		for (const step of told) {
			moves.put(step);
			clock.advance(100);
		}
		for (const reader of [here, there]) expect(reader.received.filter(({ event }) => event === 'move').map(({ data }) => data)).toEqual(told);
	});

	it('is told to newcomers while anybody is, and to nobody else', () => {
		moves.put({ 'n1.2': 0.5 });
		expect(new Reader().attach().latest('move')).toEqual({ 'n1.2': 0.5 });
		moves.put({});
		clock.advance(100);
		expect(new Reader().attach().names()).toEqual(['room', 'stage', 'listeners']);
	});

	it('is told to one who comes back only if it has changed', () => {
		moves.put({ 'n1.2': 0.5 });
		const reader = new Reader().attach();
		new Reader().attach();
		expect(new Reader('launch', reader.lastEventId).attach().names()).toEqual([]);
		moves.put({ 'n1.2': 0.75 });
		expect(new Reader('launch', reader.lastEventId).attach().names()).toEqual(['move']);
	});

	it('comes within the budget, after the stage and before the count', () => {
		const all = readers(1_000);
		clock.advance(3_000);
		const before = log.length;
		media.put(1_000);
		moves.put({ 'n1.2': 0.5 });
		stages.put('launch', { name: 'Ada' });
		clock.advance(4_000);
		const order = log.slice(before).map(({ chunk }) => /event: (\w+)/.exec(chunk)?.[1]);
		expect(order).toEqual([...all.map(() => 'stage'), ...all.map(() => 'move'), ...all.map(() => 'listeners')]);
		expect(busiestSecond(log.slice(before))).toBeLessThanOrEqual(MAX_WRITES);
	});
});

describe('a slow reader', () => {
	it('is left out until its connection takes more, and then gets the latest of each kind once', () => {
		const slow = new Reader().attach();
		const others = readers(3);
		slow.takes = false;
		rooms.put({ title: 'Title 0' });
		clock.advance(100);
		const had = slow.received.length;
		for (let step = 1; step <= 50; step++) {
			rooms.put({ title: `Title ${step}` });
			stages.put('launch', { name: `Ada ${step}` });
			clock.advance(100);
		}
		expect(slow.received).toHaveLength(had);
		expect(hub.metrics()).toMatchObject({ blocked: 1, lagMs: 0 });
		for (const other of others) expect(other.latest('room')).toMatchObject({ title: 'Title 50' });
		slow.takes = true;
		slow.subscription!.drained();
		clock.advance(100);
		expect(slow.received.slice(had).map(({ event }) => event)).toEqual(['room', 'stage']);
		expect(slow.latest('room')).toMatchObject({ title: 'Title 50' });
		expect(hub.metrics().blocked).toBe(0);
	});

	it('whose very first chunk is too much is left out too', () => {
		const slow = new Reader();
		slow.takes = false;
		slow.attach();
		rooms.put({ state: 'open' });
		clock.advance(1_000);
		expect(slow.received).toHaveLength(3);
		slow.subscription!.drained();
		clock.advance(100);
		expect(slow.names().slice(3)).toEqual(['room']);
	});

	it('who is stuck for long is dropped; others are not', () => {
		const stuck = new Reader().attach();
		const [other] = readers(1);
		stuck.takes = false;
		rooms.put({ state: 'open' });
		clock.advance(29_000);
		expect(stuck.ended).toBeUndefined();
		clock.advance(3_000);
		expect(stuck.ended).toBe('slow');
		expect(other!.ended).toBeUndefined();
		expect(hub.metrics()).toMatchObject({ streams: 1, blocked: 0, droppedTotal: 1 });
		stuck.subscription!.drained();
		stuck.subscription!.close();
		expect(hub.streamCount).toBe(1);
	});

	it('whose connection breaks while writing is dropped, and the rest of the room is served', () => {
		const all = readers(10);
		all[4]!.fails = true;
		rooms.put({ state: 'open' });
		clock.advance(100);
		expect(all[4]!.ended).toBe('failed');
		for (const [index, reader] of all.entries()) if (index !== 4) expect(reader.latest('room')).toMatchObject({ state: 'open' });
		expect(hub.streamCount).toBe(9);
	});
});

it('brings the latest state to everybody, whoever comes, leaves, stalls and recovers meanwhile', () => {
	const act = fc.oneof(
		fc.record({ kind: fc.constantFrom('join' as const, 'leave' as const, 'stall' as const, 'drain' as const), who: fc.nat(200) }),
		fc.record({ kind: fc.constantFrom('room' as const, 'stage' as const, 'count' as const, 'wait' as const), who: fc.nat(300) }),
	);
	fc.assert(
		fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
			hub.close();
			hub = EventHub.create({ rooms, stages, media, clock, randomId: () => 'x', maxWritesPerSecond: 100, maxStreams: 1_000 });
			const present = readers(40);
			log = [];
			for (const [step, { kind, who }] of acts.entries()) {
				const reader = present[who % present.length];
				if (kind === 'join') present.push(new Reader().attach());
				else if (kind === 'room') rooms.put({ title: `Title ${step} ${clock.nowMs()}` });
				else if (kind === 'stage') stages.put('launch', { name: `Ada ${step} ${clock.nowMs()}` });
				else if (kind === 'count') media.put(step);
				else if (kind === 'wait') clock.advance(who);
				else if (reader !== undefined && kind === 'leave') {
					reader.subscription!.close();
					present.splice(present.indexOf(reader), 1);
				} else if (reader !== undefined) {
					reader.takes = kind === 'drain';
					if (reader.takes) reader.subscription!.drained();
				}
			}
			for (const reader of present) {
				reader.takes = true;
				reader.subscription!.drained();
			}
			clock.advance(20_000);
			for (const reader of present) {
				expect(reader.latest('room')).toMatchObject({ title: rooms.require('launch').title });
				expect(reader.latest('stage')).toMatchObject({ speakers: stages.roster('launch').map(({ name }) => ({ name })) });
				expect(reader.latest('listeners')).toEqual({ count: media.listenersIn('launch') });
			}
			expect(hub.metrics()).toMatchObject({ streams: present.length, blocked: 0, lagMs: 0 });
		}),
		{ numRuns: 150 },
	);
});

it('keeps quiet streams open with a comment every 15 s, and busy ones need none', () => {
	rooms.put({ id: 'busy' });
	const [quiet] = readers(1);
	const [busy] = readers(1, 'busy');
	for (let second = 0; second < 150; second++) {
		if (second % 10 === 0) rooms.put({ id: 'busy', title: `Title ${second}` });
		clock.advance(1_000);
	}
	expect(quiet!.comments).toBeGreaterThanOrEqual(9);
	expect(quiet!.comments).toBeLessThanOrEqual(11);
	expect(busy!.comments).toBe(0);
	const at = log.filter(({ reader }) => reader === quiet).map(({ atMs }) => atMs);
	for (const [index, atMs] of at.slice(1).entries()) expect(atMs - at[index]!).toBeLessThanOrEqual(15_100);
});

describe('the end', () => {
	it('of the node is told to everybody before anybody is cut off, slow readers and waiting news notwithstanding', () => {
		const all = readers(5_000);
		all[3]!.takes = false;
		rooms.put({ state: 'live' });
		clock.advance(100);
		let endedAtWrite = -1;
		const last = all.at(-1)!;
		for (const reader of all) {
			Object.defineProperty(reader, 'ended', {
				set: () => {
					if (endedAtWrite === -1) endedAtWrite = log.length;
				},
			});
		}
		const before = log.length;
		hub.close('shutting_down');
		hub.close('again');
		expect(log.length - before).toBe(5_000);
		expect(endedAtWrite).toBe(log.length);
		for (const reader of all) expect(reader.received.at(-1)).toMatchObject({ event: 'bye', data: { reason: 'shutting_down', reconnect: true } });
		// They come back evenly, at no more than the node's rate.
		expect(new Set(all.map((reader) => reader.retryMs)).size).toBeGreaterThan(2_000);
		expect(last.retryMs).toBeGreaterThan(3_000);
		expect(hub.streamCount).toBe(0);
		expect(clock.pendingTimers).toBe(0);
		expect(() => new Reader().attach()).toThrow(expect.objectContaining({ code: 'shutting_down' }));
		rooms.put({ state: 'ended' });
		clock.advance(60_000);
		expect(log.length - before).toBe(5_000);
	});

	it('of a room by removal is told to its streams alone, within the budget, and they are ended', () => {
		rooms.put({ id: 'other' });
		const here = readers(3_000);
		const [there] = readers(1, 'other');
		const stalled = here[5]!;
		stalled.takes = false;
		rooms.put({ state: 'open' });
		clock.advance(5_000);
		log = [];
		rooms.remove('launch');
		clock.advance(3_000);
		expect(busiestSecond(log)).toBeLessThanOrEqual(MAX_WRITES);
		for (const reader of here) if (reader !== stalled) expect(reader.latest('bye')).toEqual({ reason: 'room_removed', reconnect: false, retryMs: 0 });
		expect(here[0]!.ended).toBe('room_removed');
		expect(hub.streamCount).toBe(2);
		stalled.subscription!.drained();
		clock.advance(100);
		expect(stalled.ended).toBe('room_removed');
		expect(there!.ended).toBeUndefined();
		expect(hub.streamCount).toBe(1);
	});

	it('of a removed room drops readers who stay stuck, and the node says goodbye to those too', () => {
		const stuck = new Reader().attach();
		stuck.takes = false;
		rooms.put({ state: 'open' });
		clock.advance(100);
		rooms.remove('launch');
		clock.advance(10_000);
		expect(stuck.ended).toBeUndefined();
		clock.advance(25_000);
		expect(stuck.ended).toBe('slow');
		expect(hub.streamCount).toBe(0);
	});
});
