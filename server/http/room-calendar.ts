import ical, { ICalAlarmType, type ICalAlarmData, ICalCalendarMethod, ICalEventStatus } from 'ical-generator';
import type { Room } from '../rooms/room.ts';
import { isCancelled, isTimeZone, plannedEndOf, startOf } from '../rooms/room-times.ts';

export interface CalendarContext {
	/** Of the listening page. */
	url: string;
	/** Milliseconds since the epoch. */
	nowMs: number;
}

/** Where nobody says how long an event will be, calendars show it so long. */
const ASSUMED_LENGTH_MS = 3_600_000;
const REMIND_SECONDS = 15 * 60;
/** The reminder comes again, until the start: somebody who has put it off once is not to miss the event. */
const REMIND_AGAIN = { times: 2, interval: 5 * 60 } as const;

/**
 * The event as an iCalendar object (RFC 5545), published (RFC 5546 §3.2.1) or cancelled (§3.2.5): instants are UTC, so that
 * every calendar shows them in its own time zone, whatever rules that has by then; a later version of the same event
 * replaces the earlier one. The time in the zone in which it was announced stands in the words.
 *
 * @returns undefined for a room without a time
 */
export function roomCalendar(room: Room, { url, nowMs }: CalendarContext): string | undefined {
	const startMs = startOf(room);
	if (startMs === undefined) {
		return undefined;
	}
	const cancelled = isCancelled(room);
	const calendar = ical({ prodId: { company: 'Rostrum', product: 'Rostrum', language: 'EN' }, method: cancelled ? ICalCalendarMethod.CANCEL : ICalCalendarMethod.PUBLISH });
	const title = plain(room.title);
	const endMs = plannedEndOf(room) ?? 0;
	const event = calendar.createEvent({
		// A room that is made anew under the same id is another event; every node of a cluster says the same.
		id: `${room.id}-${Date.parse(room.createdAt).toString(36)}@rostrum`,
		stamp: new Date(nowMs),
		created: new Date(room.createdAt),
		sequence: room.version,
		start: new Date(startMs),
		end: new Date(endMs > startMs ? endMs : startMs + ASSUMED_LENGTH_MS),
		summary: title,
		description: wordsOf(room, startMs, url),
		location: url,
		url,
		status: cancelled ? ICalEventStatus.CANCELLED : ICalEventStatus.CONFIRMED,
	});
	for (const alarm of room.state === 'ended' ? [] : alarmsOf(room, startMs, title)) {
		event.createAlarm(alarm);
	}
	return alarmsLast(`${calendar.toString()}\r\n`); // Every line ends so, the last one too (§3.1).
}

function wordsOf({ description, cancelReason, timeZone }: Room, startMs: number, url: string): string {
	const there = timeZone === undefined || !isTimeZone(timeZone) ? [] : [`${localTime(startMs, timeZone)} (${timeZone})`];
	return [...(cancelReason === undefined ? [] : [plain(cancelReason)]), ...(description === undefined ? [] : [plain(description)]), ...there, url].join('\n\n');
}

/** As people there would say it, e.g. "Sunday 24 May 2026, 22:00". */
function localTime(ms: number, timeZone: string): string {
	const day = new Intl.DateTimeFormat('en-GB', { timeZone, weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }).format(ms);
	return `${day}, ${new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(ms)}`;
}

/** Alarms come after all properties of their event (§3.6.1); the library puts some behind them. No text can look like them: its line breaks are escaped. */
function alarmsLast(calendar: string): string {
	const alarms: string[] = [];
	const properties = calendar.replaceAll(/^BEGIN:VALARM\r\n(?:.*\r\n)*?END:VALARM\r\n/gm, (alarm) => {
		alarms.push(alarm);
		return '';
	});
	return properties.replace(/^END:VEVENT\r\n/m, (end) => alarms.join('') + end);
}

/** Before the start, again and again, and when the doors open. */
function alarmsOf({ doorsOpenAt }: Room, startMs: number, title: string): ICalAlarmData[] {
	const type = ICalAlarmType.display;
	const doorsSeconds = doorsOpenAt === undefined ? undefined : Math.round((startMs - Date.parse(doorsOpenAt)) / 1_000);
	const reminder: ICalAlarmData = { type, triggerBefore: REMIND_SECONDS, repeat: REMIND_AGAIN, description: `Soon: ${title}` };
	if (doorsSeconds === undefined || doorsSeconds === REMIND_SECONDS) {
		return [reminder];
	}
	return [reminder, { type, triggerBefore: doorsSeconds, description: doorsSeconds === 0 ? `Now: ${title}` : `The doors are open: ${title}` }];
}

/** Text as RFC 5545 §3.1 has it: without control characters, save line breaks, which the library escapes. */
function plain(text: string): string {
	return text
		.toWellFormed()
		.replaceAll(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
		// eslint-disable-next-line no-control-regex -- They are what is to go.
		.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f]/g, ' ');
}
