import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { type NewRoom, newRoom, patchedRoom as patchedAt, type RoomCommand, type RoomPatch, transitionedRoom } from '../../server/rooms/room-transitions.ts';
import { readableRoomId } from '../../server/rooms/room-id.ts';
import type { Room, RoomState } from '../../server/rooms/room.ts';
import { aRoom } from '../support/rooms.ts';

const AT = new Date('2026-06-01T18:00:00Z');
const made = (input: Partial<NewRoom> = {}) => newRoom({ title: 'Launch', ...input }, { id: 'launch', voices: 3, at: AT });
const patchedRoom = (room: Room, patch: RoomPatch) => patchedAt(room, patch, AT);
const refusal = (work: () => unknown): { code: string; message: string } => {
	try {
		work();
	} catch (error) {
		if (error instanceof DomainError) return { code: error.code, message: error.message };
		throw error;
	}
	return { code: 'none', message: '' };
};

describe('a new room', () => {
	it('is scheduled, of version 1, with the defaults', () => {
		expect(made()).toEqual({
			id: 'launch',
			title: 'Launch',
			voices: 3,
			packingMs: 'auto',
			visibility: 'public',
			record: false,
			state: 'scheduled',
			createdAt: '2026-06-01T18:00:00.000Z',
			version: 1,
		});
	});

	it('keeps what was asked for, and only settings', () => {
		const smuggled = { voices: 5, packingMs: 40 as const, visibility: 'private' as const, record: true, description: undefined, state: 'live', version: 7 };
		expect(made(smuggled)).toMatchObject({ voices: 5, packingMs: 40, visibility: 'private', record: true, state: 'scheduled', version: 1 });
		expect(made(smuggled)).not.toHaveProperty('description');
	});

	it('has its instants in UTC', () => {
		expect(made({ doorsOpenAt: '2026-06-01T19:45:00+02:00', scheduledAt: '2026-06-01T13:00:00.5-05:00' })).toMatchObject({
			doorsOpenAt: '2026-06-01T17:45:00.000Z',
			scheduledAt: '2026-06-01T18:00:00.500Z',
		});
	});

	it.each<[string, Partial<NewRoom>]>([
		['no title', { title: '' }],
		['a title that is too long', { title: 't'.repeat(201) }],
		['no voices', { voices: 0 }],
		['half a voice', { voices: 1.5 }],
		['a date without a time zone', { scheduledAt: '2026-06-01T18:00:00' }],
		['a day that does not exist', { scheduledAt: '2026-02-30T18:00:00Z' }],
		['a leap second, which no clock here knows', { scheduledAt: '2026-06-30T23:59:60Z' }],
		['an instant that leaves the calendar', { scheduledAt: '9999-12-31T23:59:00-10:00' }],
		['doors that open after the start', { doorsOpenAt: '2026-06-01T18:00:01Z', scheduledAt: '2026-06-01T18:00:00Z' }],
		['doors that open after the start by their offsets only', { doorsOpenAt: '2026-06-01T18:00:00-01:00', scheduledAt: '2026-06-01T18:30:00+00:00' }],
	])('is refused with %s', (_, input) => {
		const { code, message } = refusal(() => made(input));
		expect(code).toBe('invalid_request');
		expect(message).toMatch(/^(The room|The doors).*\.$/);
	});

	it('may open its doors at the very start', () => {
		expect(refusal(() => made({ doorsOpenAt: '2026-06-01T18:00:00Z', scheduledAt: '2026-06-01T20:00:00+02:00' })).code).toBe('none');
	});

	it.each(['', '-a', 'a-', 'A', 'a b', 'a/b', 'ä', 'x'.repeat(65)])('is refused with the id "%s"', (id) => {
		expect(refusal(() => newRoom({ title: 'Launch' }, { id, voices: 3, at: AT })).code).toBe('invalid_request');
	});
});

describe('a patch', () => {
	it('changes what it names and leaves the rest', () => {
		const room = aRoom({ description: 'Soon', state: 'live', openedAt: '2026-06-01T17:00:00.000Z', version: 4 });
		expect(patchedRoom(room, { title: 'Now' })).toEqual({ ...room, title: 'Now', version: 5 });
	});

	it('takes optional settings away with null', () => {
		const room = aRoom({ description: 'Soon', maxListeners: 5 });
		expect(patchedRoom(room, { description: null, maxListeners: null })).toEqual(aRoom({ version: 2 }));
	});

	it('that changes nothing gives the same room', () => {
		const room = aRoom({ scheduledAt: '2026-06-01T18:00:00.000Z' });
		expect(patchedRoom(room, {})).toBe(room);
		expect(patchedRoom(room, { title: room.title, scheduledAt: '2026-06-01T20:00:00+02:00', description: null })).toBe(room);
	});

	it('checks doors against a start that stays', () => {
		const room = aRoom({ scheduledAt: '2026-06-01T18:00:00.000Z' });
		expect(refusal(() => patchedRoom(room, { doorsOpenAt: '2026-06-01T18:00:01Z' })).code).toBe('invalid_request');
		expect(refusal(() => patchedRoom(room, { doorsOpenAt: '2026-06-01T18:00:01Z', scheduledAt: null })).code).toBe('none');
	});

	it.each<[RoomState, string]>([
		['scheduled', 'none'],
		['open', 'wrong_room_state'],
		['live', 'wrong_room_state'],
		['ended', 'room_ended'],
	])('of the voices of a room that is %s: %s', (state, code) => {
		expect(refusal(() => patchedRoom(aRoom({ state }), { voices: 5 })).code).toBe(code);
	});

	it('may repeat the voices of an open room', () => {
		expect(patchedRoom(aRoom({ state: 'open' }), { voices: 3, title: 'Now' }).title).toBe('Now');
	});

	it('of an ended room is refused, whatever it says', () => {
		expect(refusal(() => patchedRoom(aRoom({ state: 'ended' }), {})).code).toBe('room_ended');
	});

	it.each<RoomPatch>([{ title: '' }, { voices: 9 }, { expectedListeners: -1 }, { scheduledAt: 'tomorrow' }])('of %j is refused', (patch) => {
		expect(refusal(() => patchedRoom(aRoom(), patch)).code).toBe('invalid_request');
	});
});

describe('a command', () => {
	it.each<[RoomState, RoomCommand, string]>([
		['scheduled', 'open', 'open'],
		['scheduled', 'start', 'live'],
		['scheduled', 'end', 'wrong_room_state'],
		['open', 'open', 'open'],
		['open', 'start', 'live'],
		['open', 'end', 'ended'],
		['live', 'open', 'wrong_room_state'],
		['live', 'start', 'live'],
		['live', 'end', 'ended'],
		['ended', 'open', 'room_ended'],
		['ended', 'start', 'room_ended'],
		['ended', 'end', 'ended'],
	])('in state %s: %s gives %s', (state, command, outcome) => {
		const room = aRoom({ state });
		const { code } = refusal(() => transitionedRoom(room, command, AT));
		expect(code === 'none' ? transitionedRoom(room, command, AT).state : code).toBe(outcome);
	});

	it('notes when it happened, and starting opens too', () => {
		const opened = transitionedRoom(aRoom(), 'open', AT);
		expect(opened).toEqual(aRoom({ state: 'open', openedAt: AT.toISOString(), version: 2 }));
		const later = new Date(AT.getTime() + 60_000);
		expect(transitionedRoom(opened, 'start', later)).toMatchObject({ openedAt: AT.toISOString(), startedAt: later.toISOString(), version: 3 });
		expect(transitionedRoom(aRoom(), 'start', AT)).toMatchObject({ openedAt: AT.toISOString(), startedAt: AT.toISOString(), version: 2 });
		expect(transitionedRoom(opened, 'end', later)).toMatchObject({ endedAt: later.toISOString() });
	});

	it('never leads backwards, and every change is one version', () => {
		const order: RoomState[] = ['scheduled', 'open', 'live', 'ended'];
		fc.assert(
			fc.property(fc.array(fc.constantFrom<RoomCommand>('open', 'start', 'end')), (commands) => {
				let room = aRoom();
				for (const command of commands) {
					let next = room;
					refusal(() => (next = transitionedRoom(room, command, AT)));
					expect(order.indexOf(next.state)).toBeGreaterThanOrEqual(order.indexOf(room.state));
					expect(next.version).toBe(next === room ? room.version : room.version + 1);
					room = next;
				}
			}),
		);
	});
});

describe('a generated id', () => {
	it('is a valid room id whatever the bytes', () => {
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), (bytes) => {
				const id = readableRoomId(() => bytes);
				expect(id).toMatch(/^[2-9b-z]{4}-[2-9b-z]{4}-[2-9b-z]{4}$/);
				expect(newRoom({ title: 'Launch' }, { id, voices: 3, at: AT }).id).toBe(id);
			}),
		);
	});

	it('uses every byte', () => {
		const base = new Uint8Array(12);
		const ids = new Set(Array.from({ length: 12 }, (_, place) => readableRoomId(() => base.with(place, 20))));
		expect(ids.size).toBe(12);
	});
});
