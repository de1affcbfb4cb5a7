import type { Participant, Room, RoomState } from '../../rooms/room.ts';
import { isCancelled, isTimeZone, startOf } from '../../rooms/room-times.ts';

/** What a room's share card and link previews say; nothing else of the room is known to what makes them. */
export interface ShareFacts {
	id: string;
	/** As people read it, on one line. */
	title: string;
	description: string | undefined;
	state: RoomState | 'cancelled';
	/** Milliseconds since the epoch. */
	startMs: number | undefined;
	/** IANA name; undefined: UTC. */
	timeZone?: string | undefined;
	host: string | undefined;
}

type Direction = 'ltr' | 'rtl';
export type ShareLanguage = 'en' | 'ar';

const WORDS = {
	en: { scheduled: 'Live audio', open: 'Doors open', live: 'Live now', ended: 'Ended', cancelled: 'Cancelled', host: (name: string) => `with ${name}`, untitled: 'Live audio room' },
	ar: { scheduled: 'بث صوتي', open: 'الأبواب مفتوحة', live: 'مباشر الآن', ended: 'انتهت', cancelled: 'أُلغيت', host: (name: string) => `مع ${name}`, untitled: 'غرفة صوتية مباشرة' },
} as const;

/** @param stage the people there, as far as anybody may know */
export function shareFacts(room: Room, stage: readonly Pick<Participant, 'name' | 'role'>[]): ShareFacts {
	const host = stage.find(({ role }) => role === 'host')?.name;
	return {
		id: room.id,
		title: oneLine(room.title),
		description: room.description === undefined ? undefined : oneLine(room.description) || undefined,
		state: isCancelled(room) ? 'cancelled' : room.state,
		startMs: startOf(room),
		timeZone: room.timeZone !== undefined && isTimeZone(room.timeZone) ? room.timeZone : undefined,
		host: host === undefined ? undefined : oneLine(host) || undefined,
	};
}

export function shareWords(facts: ShareFacts): { state: string; when: string | undefined; host: string | undefined } {
	const language = languageOf(facts.title);
	const words = WORDS[language];
	return {
		state: words[facts.state],
		when: facts.startMs === undefined ? undefined : whenText(facts.startMs, language, facts.timeZone),
		host: facts.host === undefined ? undefined : words.host(facts.host),
	};
}

/**
 * The day in words and the time, where the event was announced, else in UTC: a picture is the same for all time zones, so
 * it says which one it means.
 */
export function whenText(startMs: number, language: ShareLanguage, timeZone = 'UTC'): string {
	const locale = language === 'ar' ? 'ar-u-nu-latn' : 'en-GB';
	const day = new Intl.DateTimeFormat(locale, { timeZone, weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }).format(startMs);
	const time = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', timeZoneName: 'short' }).format(startMs);
	// As one piece, whichever way the text around it runs.
	return `${day} · ${language === 'ar' ? `\u2066${time}\u2069` : time}`;
}

/** By the first letter that has a direction (Unicode UAX #9, rule P2). */
export function directionOf(text: string): Direction {
	const first = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]|\p{L}/u.exec(text)?.[0];
	return first !== undefined && /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/u.test(first) ? 'rtl' : 'ltr';
}

const languageOf = (text: string): ShareLanguage => (/\p{Script=Arabic}/u.test(/\p{L}/u.exec(text)?.[0] ?? '') ? 'ar' : 'en');

export const untitled = (facts: ShareFacts): string => WORDS[languageOf(facts.title)].untitled;

/**
 * Without what has no place on one line, or is there to deceive: control characters, and those that turn the direction of
 * the text around them (which lets "moc.elpmaxe" read as something else).
 */
export function oneLine(text: string): string {
	return text
		.toWellFormed()
		.replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ')
		.replaceAll(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]/g, '')
		.replaceAll(/\s+/g, ' ')
		.trim();
}
