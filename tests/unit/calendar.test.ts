import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { roomCalendar } from '../../server/http/room-calendar.ts';
import { cancelledRoom, patchedRoom } from '../../server/rooms/room-transitions.ts';
import type { Room } from '../../server/rooms/room.ts';
import { createTestApp, type TestApp } from '../support/fakes/test-app.ts';
import { aRoom } from '../support/rooms.ts';

const URL_OF_ROOM = 'https://rooms.example.org/r/launch';
const NOW_MS = Date.parse('2026-05-20T12:00:00Z');
const times = { doorsOpenAt: '2026-05-24T19:40:00.000Z', scheduledAt: '2026-05-24T20:00:00.000Z' };

interface Component {
	name: string;
	/** Property name (with parameters) → values. */
	properties: Map<string, string[]>;
	components: Component[];
}

/** As RFC 5545 §3.1 has it, and nothing else: lines end with CRLF, have 75 octets at most, and begin with a space when they go on. */
function parse(text: string): Component {
	expect(text.endsWith('\r\n')).toBe(true);
	const physical = text.slice(0, -2).split('\r\n');
	expect(physical.filter((line) => Buffer.byteLength(line) > 75 || !line.isWellFormed() || /[\p{Cc}\u2028\u2029]/u.test(line))).toEqual([]);
	const root: Component = { name: '', properties: new Map(), components: [] };
	const open = [root];
	for (const line of text.replaceAll('\r\n ', '').split('\r\n').slice(0, -1)) {
		const [, name = '', value = ''] = /^([A-Z][A-Z0-9-]*(?:;[A-Z-]+=[^:;]+)*):(.*)$/u.exec(line) ?? expect.fail(`not a content line: ${JSON.stringify(line)}`);
		const current = open.at(-1) ?? expect.fail('ended too often');
		if (name === 'BEGIN') {
			const component = { name: value, properties: new Map<string, string[]>(), components: [] };
			current.components.push(component);
			open.push(component);
		} else if (name === 'END') {
			expect(value).toBe(current.name);
			open.pop();
		} else {
			if (current.components.length > 0) expect.fail(`${name} behind the components of ${current.name}`); // §3.6.1
			current.properties.set(name, [...(current.properties.get(name) ?? []), value]);
		}
	}
	expect(open).toEqual([root]);
	expect(root.components.map((component) => component.name)).toEqual(['VCALENDAR']);
	return root.components[0] ?? expect.fail('no calendar');
}

/** The text of a property, its escapes undone (§3.3.11); none but the four may be there. */
function textOf(component: Component, name: string): string {
	const [value = '', ...more] = component.properties.get(name) ?? expect.fail(`no ${name}`);
	expect(more).toEqual([]);
	expect(value.replaceAll(/\\[\\;,nN]/g, ''), 'all is escaped that has to be').not.toMatch(/[\\;,]/);
	return value.replaceAll(/\\([\\;,nN])/g, (_, what: string) => (what.toLowerCase() === 'n' ? '\n' : what));
}

function eventOf(room: Room, method = 'PUBLISH'): Component {
	const calendar = parse(roomCalendar(room, { url: URL_OF_ROOM, nowMs: NOW_MS }) ?? expect.fail('no calendar'));
	expect(calendar.properties.get('VERSION')).toEqual(['2.0']);
	expect(calendar.properties.get('METHOD')).toEqual([method]);
	expect(calendar.properties.get('PRODID')).toHaveLength(1);
	expect(calendar.components.map(({ name }) => name)).toEqual(['VEVENT']);
	return calendar.components[0] ?? expect.fail('no event');
}

describe('the calendar of a room', () => {
	it('says when, what and where, in UTC', () => {
		const event = eventOf(aRoom({ ...times, title: 'The announcement', description: 'With questions.', version: 4 }));
		expect(event.properties.get('DTSTART')).toEqual(['20260524T200000Z']);
		expect(event.properties.get('DTEND')).toEqual(['20260524T210000Z']);
		expect(event.properties.get('DTSTAMP')).toEqual(['20260520T120000Z']);
		expect(event.properties.get('SEQUENCE')).toEqual(['4']);
		expect(event.properties.get('STATUS')).toEqual(['CONFIRMED']);
		expect(textOf(event, 'SUMMARY')).toBe('The announcement');
		expect(textOf(event, 'DESCRIPTION')).toBe(`With questions.\n\n${URL_OF_ROOM}`);
		expect(event.properties.get('URL;VALUE=URI')).toEqual([URL_OF_ROOM]);
	});

	it('reminds again and again before the start, and when the doors open', () => {
		const alarms = eventOf(aRoom(times)).components;
		expect(alarms.map(({ name, properties }) => [name, properties.get('ACTION'), properties.get('TRIGGER'), properties.get('REPEAT'), properties.get('DURATION')])).toEqual([
			['VALARM', ['DISPLAY'], ['-PT15M'], ['2'], ['PT5M']],
			['VALARM', ['DISPLAY'], ['-PT20M'], undefined, undefined],
		]);
		for (const alarm of alarms) expect(textOf(alarm, 'DESCRIPTION')).toContain('The announcement');
	});

	it.each<[string, Partial<Room>, (string[] | undefined)[]]>([
		['one reminder where both fall together', { scheduledAt: times.scheduledAt, doorsOpenAt: '2026-05-24T19:45:00.000Z' }, [['-PT15M']]],
		['none for doors that nobody planned', { scheduledAt: times.scheduledAt }, [['-PT15M']]],
		['one in the moment in which the doors open', { doorsOpenAt: times.doorsOpenAt }, [['-PT15M'], ['PT0S']]],
		['none once it has ended', { ...times, state: 'ended', startedAt: times.scheduledAt, endedAt: '2026-05-24T22:15:00.000Z' }, []],
	])('has %s', (_what, changes, triggers) => {
		expect(eventOf(aRoom(changes)).components.map(({ properties }) => properties.get('TRIGGER') ?? properties.get('TRIGGER;RELATED=START'))).toEqual(triggers);
	});

	it('is the same event for good, another one for a room that was made anew', () => {
		const uid = (changes: Partial<Room>) => eventOf(aRoom({ ...times, ...changes })).properties.get('UID');
		expect(uid({ title: 'Renamed', scheduledAt: '2026-06-01T20:00:00.000Z', version: 9 })).toEqual(uid({}));
		expect(uid({ createdAt: '2026-05-25T20:00:00.000Z' })).not.toEqual(uid({}));
		expect(uid({ id: 'another' })).not.toEqual(uid({}));
	});

	it('is cancelled when the room ended without ever going live', () => {
		const cancelled = eventOf(aRoom({ ...times, state: 'ended', endedAt: '2026-05-24T21:30:00.000Z', cancelReason: 'Too much snow.' }), 'CANCEL');
		expect(cancelled.properties.get('STATUS')).toEqual(['CANCELLED']);
		expect(cancelled.properties.get('DTEND')).toEqual(['20260524T210000Z']);
		expect(textOf(cancelled, 'DESCRIPTION')).toBe(`Too much snow.\n\n${URL_OF_ROOM}`);
		expect(cancelled.components).toEqual([]);
		const held = eventOf(aRoom({ ...times, state: 'ended', startedAt: times.scheduledAt, endedAt: '2026-05-24T22:15:00.000Z' }));
		expect(held.properties.get('STATUS')).toEqual(['CONFIRMED']);
		expect(held.properties.get('DTEND')).toEqual(['20260524T221500Z']);
	});

	it.each<[string, Partial<Room>, string]>([
		['its end', { endsAt: '2026-05-24T21:45:00.000Z' }, '20260524T214500Z'],
		['how long it may be', { maxDurationMinutes: 90 }, '20260524T213000Z'],
		['both: the earlier', { maxDurationMinutes: 90, endsAt: '2026-05-24T21:15:00.000Z' }, '20260524T211500Z'],
	])('ends as planned by %s', (_what, changes, end) => {
		expect(eventOf(aRoom({ ...times, ...changes })).properties.get('DTEND')).toEqual([end]);
	});

	it.each([
		// One hour before and after the clocks go back in Berlin (25 October 2026, 01:00 UTC): 02:30 comes twice.
		['2026-10-25T00:30:00.000Z', 'Europe/Berlin', 'Sunday, 25 October 2026, 02:30', '20261025T003000Z'],
		['2026-10-25T01:30:00.000Z', 'Europe/Berlin', 'Sunday, 25 October 2026, 02:30', '20261025T013000Z'],
		// The clocks of New York go forward (8 March 2026): there is no 02:30.
		['2026-03-08T06:59:00.000Z', 'America/New_York', 'Sunday, 8 March 2026, 01:59', '20260308T065900Z'],
		['2026-03-08T07:00:00.000Z', 'America/New_York', 'Sunday, 8 March 2026, 03:00', '20260308T070000Z'],
		['2026-06-01T18:00:00.000Z', 'Asia/Kathmandu', 'Monday, 1 June 2026, 23:45', '20260601T180000Z'],
	])('of %s says the time in %s in words, and stays in UTC', (scheduledAt, timeZone, words, start) => {
		const event = eventOf(aRoom({ scheduledAt, timeZone }));
		expect(event.properties.get('DTSTART')).toEqual([start]);
		expect(textOf(event, 'DESCRIPTION')).toBe(`${words} (${timeZone})\n\n${URL_OF_ROOM}`);
	});

	it('grows with every change, so that calendars take the newer one', () => {
		const sequence = (room: Room) => Number(eventOf(room).properties.get('SEQUENCE')?.[0]);
		const planned = aRoom(times);
		const moved = patchedRoom(planned, { scheduledAt: '2026-05-25T20:00:00Z' }, new Date(NOW_MS));
		expect(sequence(moved)).toBeGreaterThan(sequence(planned));
		const cancelled = cancelledRoom(moved, undefined, new Date(NOW_MS));
		expect(Number(eventOf(cancelled, 'CANCEL').properties.get('SEQUENCE')?.[0])).toBeGreaterThan(sequence(moved));
	});

	it('is none without a time', () => {
		expect(roomCalendar(aRoom(), { url: URL_OF_ROOM, nowMs: NOW_MS })).toBeUndefined();
	});

	it.each([
		'End\r\nBEGIN:VALARM\r\nACTION:PROCEDURE',
		'a;b,c\\d\\n"e"',
		'\u0000\u0007\u001b[31m\u0085\u2028x',
		'🎙️'.repeat(60),
		'و'.repeat(200),
		'\ud800 half a pair',
		' leading and trailing ',
	])('holds the title %j', (title) => {
		const event = eventOf(aRoom({ ...times, title, description: title }));
		expect(textOf(event, 'SUMMARY').replaceAll(/\s/g, '')).toBe(title.toWellFormed().replaceAll(/[\p{Cc}\s]/gu, ''));
		expect([...event.properties.keys()].toSorted()).toEqual([...eventOf(aRoom({ ...times, description: 'x' })).properties.keys()].toSorted());
	});

	it('holds any text', () => {
		fc.assert(
			fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }), (title) => {
				const event = eventOf(aRoom({ ...times, title, description: title }));
				expect(event.components).toHaveLength(2);
				textOf(event, 'SUMMARY');
				textOf(event, 'DESCRIPTION');
			}),
			{ numRuns: 60 },
		);
	});
});

describe('GET /v1/rooms/:room/calendar.ics', () => {
	let test: TestApp;
	beforeEach(async () => {
		test = await createTestApp();
		await test.rooms.create({ id: 'launch', title: 'Launch', ...times });
		await test.rooms.create({ id: 'secret', title: 'Secret', visibility: 'private', ...times });
		await test.rooms.create({ id: 'some-day', title: 'Some day' });
	});
	afterEach(() => test.close());
	const get = (room: string, headers: Record<string, string> = {}, query = '') => test.app.inject({ url: `/v1/rooms/${room}/calendar.ics${query}`, headers });

	it('gives everybody the file of a public room, to be kept a while', async () => {
		const answer = await get('launch');
		expect(answer.statusCode).toBe(200);
		expect(answer.headers).toMatchObject({
			'content-type': 'text/calendar; charset=utf-8', 'cache-control': 'public, max-age=60', 'content-disposition': 'inline; filename="launch.ics"',
		});
		expect(parse(answer.body).components[0]?.properties.get('URL;VALUE=URI')).toEqual([URL_OF_ROOM]);
		const again = await get('launch', { 'if-none-match': String(answer.headers.etag) });
		expect([again.statusCode, again.body, again.headers.etag]).toEqual([304, '', answer.headers.etag]);
		await test.rooms.update('launch', { title: 'Renamed' });
		const changed = await get('launch', { 'if-none-match': String(answer.headers.etag) });
		expect(changed.statusCode).toBe(200);
		expect(changed.body).toContain('SUMMARY:Renamed');
		expect((await test.app.inject({ method: 'HEAD', url: '/v1/rooms/launch/calendar.ics' })).statusCode).toBe(200);
	});

	it('shows a private room to holders of a token alone, also where no header can be set, and lets nobody keep it', async () => {
		expect((await get('secret')).json()).toMatchObject({ code: 'token_required' });
		expect((await get('secret', { authorization: await test.bearer('listener', 'launch') })).json()).toMatchObject({ code: 'forbidden' });
		const bearer = await test.bearer('listener', 'secret');
		for (const answer of [await get('secret', { authorization: bearer }), await get('secret', {}, `?access_token=${bearer.slice('Bearer '.length)}`)]) {
			expect(answer.statusCode).toBe(200);
			expect(answer.headers['cache-control']).toBe('private, no-cache');
			expect(answer.body).toContain('SUMMARY:Secret');
			expect(answer.body).not.toContain(bearer.slice('Bearer '.length));
		}
	});

	it('is not there for a room without a time, and for one that is none', async () => {
		expect((await get('some-day')).json()).toMatchObject({ status: 404, code: 'not_found' });
		expect((await get('nowhere')).json()).toMatchObject({ status: 404, code: 'room_not_found' });
		expect((await get('some-day')).headers['cache-control']).toBe('no-store');
	});
});
