import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { endOf, isCancelled } from '../../server/rooms/room-times.ts';
import { cancelledRoom, extendedRoom, type NewRoom, newRoom, patchedRoom, transitionedRoom, warnedRoom } from '../../server/rooms/room-transitions.ts';
import type { Room } from '../../server/rooms/room.ts';
import { placeOf, Timetable, type TimetableQuery } from '../../server/rooms/timetable.ts';
import { ADMIN_TOKEN, createTestApp, OFFER, type TestApp } from '../support/fakes/test-app.ts';
import { aRoom } from '../support/rooms.ts';

const AT = new Date('2026-06-01T18:00:00Z');
const after = (minutes: number) => new Date(AT.getTime() + minutes * 60_000);
const made = (input: Partial<NewRoom> = {}) => newRoom({ title: 'Launch', ...input }, { id: 'launch', voices: 3, at: AT });
const code = (work: () => unknown): string => {
	try {
		work();
	} catch (error) {
		if (error instanceof DomainError) return error.code;
		throw error;
	}
	return 'none';
};
const plan = { scheduledAt: '2026-06-01T20:00:00.000Z', endsAt: '2026-06-01T21:00:00.000Z' };

describe('the end of a room', () => {
	it('is the earlier of a time and a length, which counts from going live', () => {
		const room = made({ ...plan, maxDurationMinutes: 30 });
		expect(endOf(room)).toBe(Date.parse(plan.endsAt));
		expect(endOf(transitionedRoom(room, 'start', after(120)))).toBe(after(150).getTime());
		expect(endOf(transitionedRoom(room, 'start', after(160)))).toBe(Date.parse(plan.endsAt));
		expect(endOf(made())).toBeUndefined();
	});

	it.each<[string, Partial<NewRoom>, string]>([
		['before its start', { ...plan, endsAt: '2026-06-01T19:59:59Z' }, 'invalid_request'],
		['with its start', { ...plan, endsAt: plan.scheduledAt }, 'invalid_request'],
		['before its doors', { doorsOpenAt: plan.scheduledAt, endsAt: '2026-06-01T19:59:59Z' }, 'invalid_request'],
		['said in another offset', { ...plan, endsAt: '2026-06-01T22:30:00+02:00' }, 'none'],
		['with no minute between', { maxDurationMinutes: 0 }, 'invalid_request'],
	])('%s', (_what, input, expected) => {
		expect(code(() => made(input))).toBe(expected);
	});

	it('is never in the past of a room where people are, whichever way it is set', () => {
		const live = transitionedRoom(made(), 'start', AT);
		expect(code(() => patchedRoom(live, { endsAt: after(9).toISOString() }, after(10)))).toBe('invalid_request');
		expect(code(() => patchedRoom(live, { maxDurationMinutes: 10 }, after(10)))).toBe('invalid_request');
		expect(code(() => patchedRoom(live, { maxDurationMinutes: 11 }, after(10)))).toBe('none');
	});

	it('moves with a room that is opened after it: as long as planned, only later', () => {
		const late = transitionedRoom(made(plan), 'start', after(200));
		expect(late.endsAt).toBe(after(260).toISOString());
		const unplanned = transitionedRoom(made({ endsAt: plan.endsAt }), 'open', after(200));
		expect(unplanned.endsAt).toBeUndefined();
		// Within its time nothing moves.
		expect(transitionedRoom(made(plan), 'open', after(150)).endsAt).toBe(plan.endsAt);
	});

	it('is put off by its host, whatever sets it, and then warned of anew', () => {
		const room = transitionedRoom(made({ ...plan, maxDurationMinutes: 60 }), 'start', after(120));
		const warned = warnedRoom(room);
		expect(warned).toEqual({ ...room, endingAt: plan.endsAt, version: room.version + 1 });
		expect(warnedRoom(warned)).toBe(warned);
		const longer = extendedRoom(warned, 15);
		expect(endOf(longer)).toBe(Date.parse(plan.endsAt) + 15 * 60_000);
		expect(longer).toMatchObject({ endsAt: after(195).toISOString(), maxDurationMinutes: 75, version: warned.version + 1 });
		expect(longer).not.toHaveProperty('endingAt');
		expect(patchedRoom(warned, { endsAt: null, maxDurationMinutes: null }, after(121))).not.toHaveProperty('endingAt');
		expect(patchedRoom(warned, { title: 'Renamed' }, after(121)).endingAt).toBe(plan.endsAt);
		expect(code(() => extendedRoom(transitionedRoom(made(), 'start', AT), 15))).toBe('wrong_room_state');
		expect(code(() => extendedRoom(transitionedRoom(room, 'end', after(121)), 15))).toBe('room_ended');
	});
});

describe('calling off', () => {
	it('ends a room that was never on air, with a reason, once', () => {
		for (const room of [made(plan), transitionedRoom(made(plan), 'open', AT)]) {
			const cancelled = cancelledRoom(room, 'Too much snow', after(1));
			expect(cancelled).toEqual({ ...room, state: 'ended', endedAt: after(1).toISOString(), cancelReason: 'Too much snow', version: room.version + 1 });
			expect(isCancelled(cancelled)).toBe(true);
			expect(cancelledRoom(cancelled, 'Another', after(2))).toBe(cancelled);
		}
		const live = transitionedRoom(made(), 'start', AT);
		expect(code(() => cancelledRoom(live, undefined, AT))).toBe('wrong_room_state');
		expect(code(() => cancelledRoom(transitionedRoom(live, 'end', AT), undefined, AT))).toBe('wrong_room_state');
	});
});

describe('the time zone of a room', () => {
	it.each(['Europe/Berlin', 'America/Argentina/Buenos_Aires', 'UTC', 'Asia/Kathmandu'])('may be %s', (timeZone) => {
		expect(made({ timeZone }).timeZone).toBe(timeZone);
	});
	it.each(['', '+02:00', 'Mars/Olympus_Mons', 'Europe/Berlin; DROP', 'CEST+'])('may not be %j', (timeZone) => {
		expect(code(() => made({ timeZone }))).toBe('invalid_request');
	});
});

describe('the timetable', () => {
	const at = (id: string, minutes: number | undefined) => aRoom({ id, ...(minutes === undefined ? {} : { scheduledAt: after(minutes).toISOString() }) });
	const ids = (table: Timetable, query: TimetableQuery = {}) => [...table.ids(query)];

	it('is in order of time, then id, those without a time last, and follows every change', () => {
		const table = new Timetable();
		for (const room of [at('later', 20), at('b', 10), at('a', 10), at('some-day', undefined)]) table.set(room);
		expect(ids(table)).toEqual(['a', 'b', 'later', 'some-day']);
		expect(ids(table, { order: 'latest' })).toEqual(['some-day', 'later', 'b', 'a']);
		table.set(at('later', 5));
		table.delete('b');
		expect(ids(table)).toEqual(['later', 'a', 'some-day']);
	});

	it('gives what starts from one time to before another, and then nothing without a time', () => {
		const table = new Timetable();
		for (const room of [at('a', 10), at('b', 20), at('c', 30), at('some-day', undefined)]) table.set(room);
		expect(ids(table, { fromMs: after(20).getTime() })).toEqual(['b', 'c']);
		expect(ids(table, { toMs: after(20).getTime() })).toEqual(['a']);
		expect(ids(table, { fromMs: after(10).getTime(), toMs: after(30).getTime(), order: 'latest' })).toEqual(['b', 'a']);
	});

	it('page after page gives each room once in either direction, as a plain sort would have it', () => {
		fc.assert(
			fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }), { maxLength: 12 }), fc.constantFrom('time' as const, 'latest' as const), (minutes, order) => {
				const rooms = minutes.map((minute, index) => at(`room-${index}`, minute));
				const table = new Timetable();
				for (const room of rooms) table.set(room);
				const seen: string[] = [];
				for (let place: string | undefined; ; ) {
					const page = [...table.ids({ order, ...(place === undefined ? {} : { after: place }) })].slice(0, 2);
					if (page.length === 0) break;
					seen.push(...page);
					place = placeOf(rooms.find(({ id }) => id === page.at(-1)) as Room);
				}
				const key = ({ id, scheduledAt = '9' }: Room) => `${scheduledAt} ${id}`;
				const sorted = rooms.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)).map(({ id }) => id);
				expect(seen).toEqual(order === 'time' ? sorted : sorted.toReversed());
			}),
		);
	});

	it('goes on behind a room that was moved or removed meanwhile', () => {
		const table = new Timetable();
		const rooms = [at('a', 10), at('b', 20), at('c', 30)];
		for (const room of rooms) table.set(room);
		const place = placeOf(rooms[1]!);
		table.delete('b');
		expect(ids(table, { after: place })).toEqual(['c']);
		table.set(at('b', 40));
		expect(ids(table, { after: place })).toEqual(['c', 'b']);
	});
});

describe('the API of plans', () => {
	let test: TestApp;
	const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
	beforeEach(async () => {
		test = await createTestApp();
	});
	afterEach(() => test.close());
	const post = (url: string, payload?: object, headers: Record<string, string> = admin) => test.app.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) });
	const list = async (query: string) => {
		const answer = await test.app.inject({ url: `/v1/rooms?${query}` });
		expect(answer.statusCode, answer.body).toBe(200);
		const { rooms, next } = answer.json<{ rooms: Room[]; next?: string }>();
		return { ids: rooms.map(({ id }) => id), next };
	};

	it('lists what is coming up in order of time, page by page', async () => {
		const inHours = (hours: number) => new Date(test.state.nowMs + hours * 3_600_000).toISOString();
		await test.rooms.create({ id: 'a-late', title: 'A', scheduledAt: inHours(50) });
		await test.rooms.create({ id: 'b-soon', title: 'B', scheduledAt: inHours(1) });
		await test.rooms.create({ id: 'c-next', title: 'C', doorsOpenAt: inHours(2) });
		await test.rooms.create({ id: 'd-secret', title: 'D', scheduledAt: inHours(3), visibility: 'private' });
		await test.rooms.create({ id: 'e-some-day', title: 'E' });
		await test.rooms.create({ id: 'f-past', title: 'F', scheduledAt: inHours(-30) });
		await test.rooms.create({ id: 'g-live', title: 'G', scheduledAt: inHours(-1) });
		await test.rooms.transition('g-live', 'start');
		const from = encodeURIComponent(inHours(0));
		expect((await list(`state=scheduled&from=${from}`)).ids).toEqual(['b-soon', 'c-next', 'a-late']);
		expect((await list(`state=scheduled&from=${from}&to=${encodeURIComponent(inHours(2))}`)).ids).toEqual(['b-soon']);
		expect((await list('state=live,open,scheduled&order=time')).ids).toEqual(['f-past', 'g-live', 'b-soon', 'c-next', 'a-late', 'e-some-day']);
		expect((await list('order=latest&state=scheduled&limit=2')).ids).toEqual(['e-some-day', 'a-late']);
		const first = await list(`state=scheduled&from=${from}&limit=2`);
		expect(first.ids).toEqual(['b-soon', 'c-next']);
		const second = await list(`state=scheduled&from=${from}&limit=2&after=${first.next}`);
		expect(second).toEqual({ ids: ['a-late'], next: undefined });
		// An offset that is not UTC is the same instant.
		const berlin = encodeURIComponent(`${new Date(test.state.nowMs + 5 * 3_600_000).toISOString().slice(0, 19)}+02:00`);
		expect((await list(`state=scheduled&from=${berlin}`)).ids).toEqual(['a-late']);
	});

	it.each(['from=tomorrow', 'order=random', 'state=open,', 'order=id&from=2026-06-01T00:00:00Z', 'order=time&after=some-room', 'after=12.some-room'])('refuses %s', async (query) => {
		expect((await test.app.inject({ url: `/v1/rooms?${query}` })).json()).toMatchObject({ status: 400, code: 'invalid_request' });
	});

	it('cancels, and tells those who come early why', async () => {
		await test.rooms.create({ id: 'launch', title: 'Launch', scheduledAt: '2026-05-24T21:00:00Z' });
		await test.rooms.transition('launch', 'open');
		const answer = await post('/v1/rooms/launch/cancel', { reason: 'Too much snow' });
		expect(answer.json()).toMatchObject({ state: 'ended', cancelled: true, cancelReason: 'Too much snow' });
		const refused = await test.app.inject({ method: 'POST', url: '/v1/rooms/launch/listen', headers: { 'content-type': 'application/sdp' }, payload: OFFER });
		expect(refused.json()).toMatchObject({ status: 410, code: 'room_ended', cancelled: true, cancelReason: 'Too much snow', detail: 'This event was cancelled: Too much snow' });
		expect((await post('/v1/rooms/launch/cancel')).statusCode).toBe(200);
		await test.rooms.create({ id: 'on-air', title: 'On air' });
		await test.rooms.transition('on-air', 'start');
		expect((await post('/v1/rooms/on-air/cancel')).json()).toMatchObject({ code: 'wrong_room_state' });
	});

	it('puts off the end of a room, for its host', async () => {
		await test.rooms.create({ id: 'launch', title: 'Launch', maxDurationMinutes: 30 });
		await test.rooms.transition('launch', 'start');
		const host = { authorization: await test.bearer('host', 'launch') };
		expect((await post('/v1/rooms/launch/extend', { minutes: 15 }, host)).json()).toMatchObject({ maxDurationMinutes: 45 });
		expect((await post('/v1/rooms/launch/extend', { minutes: 15 }, { authorization: await test.bearer('cohost', 'launch') })).json()).toMatchObject({ code: 'forbidden' });
		expect((await post('/v1/rooms/launch/extend', { minutes: 0 }, host)).json()).toMatchObject({ code: 'invalid_request' });
		expect((await post('/v1/rooms/launch/extend', {}, host)).json()).toMatchObject({ code: 'invalid_request' });
	});
});
