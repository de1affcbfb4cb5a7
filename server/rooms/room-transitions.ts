import { Compile } from 'typebox/compile';
import { DomainError } from '../errors.ts';
import { endOf, isTimeZone, startOf } from './room-times.ts';
import { type Room, RoomId, RoomSettings, type RoomState } from './room.ts';

/** What makes a room; everything but the title has a default. */
export type NewRoom = { id?: string } & Pick<RoomSettings, 'title'> & Partial<RoomSettings>;

type Removable = 'description' | 'scheduledAt' | 'doorsOpenAt' | 'endsAt' | 'maxDurationMinutes' | 'timeZone' | 'expectedListeners' | 'maxListeners';
/** Changed settings: left out stays as it is, `null` takes an optional setting away (RFC 7396). */
export type RoomPatch = Partial<Omit<RoomSettings, Removable>> & { [K in Removable]?: RoomSettings[K] | null };

export type RoomCommand = 'open' | 'start' | 'end';

const isSettingName = (name: string): name is keyof RoomSettings => name in RoomSettings.properties;
const SETTING_NAMES = Object.keys(RoomSettings.properties).filter(isSettingName);
const INSTANTS = ['scheduledAt', 'doorsOpenAt', 'endsAt'] as const;
const MINUTE_MS = 60_000;
const settingsCheck = Compile(RoomSettings);
const idCheck = Compile(RoomId);

/** The state a command leads to; commands that are not named here are out of order. */
const NEXT: Record<RoomCommand, Partial<Record<RoomState, RoomState>>> = {
	open: { scheduled: 'open', open: 'open' },
	start: { scheduled: 'live', open: 'live', live: 'live' },
	end: { open: 'ended', live: 'ended', ended: 'ended' },
};
const WRONG_ORDER: Record<RoomCommand, string> = {
	open: 'The doors can only be opened while the room is scheduled.',
	start: 'The room can only go live while it is scheduled or open.',
	end: 'The room has not been opened yet, so it cannot be ended; cancel it instead.',
};

/**
 * A scheduled room of version 1.
 * @throws DomainError `invalid_request`
 */
export function newRoom(input: NewRoom, base: { id: string; voices: number; at: Date }): Room {
	if (!idCheck.Check(base.id)) {
		throw new DomainError('invalid_request', 'A room id has 1 to 64 lower-case letters, digits and inner dashes.', { extra: { field: 'id' } });
	}
	const settings = checkedSettings({ voices: base.voices, packingMs: 'auto', visibility: 'public', record: false, ...withoutUndefined({ ...input }) });
	return { ...settings, id: base.id, state: 'scheduled', createdAt: base.at.toISOString(), version: 1 };
}

/**
 * The room with these settings changed, or the very same object if nothing differs.
 * @throws DomainError `room_ended`, `wrong_room_state` (voices once open), `invalid_request`
 */
export function patchedRoom(room: Room, patch: RoomPatch, at: Date): Room {
	if (room.state === 'ended') throw ended(room);
	if (patch.voices !== undefined && patch.voices !== room.voices && room.state !== 'scheduled') {
		throw new DomainError('wrong_room_state', 'The number of voices is fixed once the doors are open.', { extra: { field: 'voices', state: room.state } });
	}
	const merged: Record<string, unknown> = {};
	for (const name of SETTING_NAMES) {
		const value = patch[name] === undefined ? room[name] : patch[name];
		if (value !== null) merged[name] = value;
	}
	const settings = checkedSettings(merged);
	if (SETTING_NAMES.every((name) => settings[name] === room[name])) return room;
	const kept: Room = { ...room, version: room.version + 1 };
	for (const name of SETTING_NAMES) delete (kept as Partial<Room>)[name];
	const patched = withoutStaleWarning({ ...kept, ...settings });
	const end = room.state === 'scheduled' ? undefined : endOf(patched);
	if (end !== undefined && end !== endOf(room) && end <= at.getTime()) {
		throw new DomainError('invalid_request', 'The room would have ended already; end it instead.', { extra: { field: settings.endsAt === room.endsAt ? 'maxDurationMinutes' : 'endsAt' } });
	}
	return patched;
}

/**
 * The room after a command, or the very same object if it is there already.
 * @throws DomainError `room_ended`, `wrong_room_state`
 */
export function transitionedRoom(room: Room, command: RoomCommand, at: Date): Room {
	const state = NEXT[command][room.state];
	if (state === room.state) return room;
	if (room.state === 'ended') throw ended(room);
	if (state === undefined) throw new DomainError('wrong_room_state', WRONG_ORDER[command], { extra: { state: room.state } });
	const instant = at.toISOString();
	const next: Room = { ...room, state, version: room.version + 1 };
	if (state === 'ended') next.endedAt = instant;
	else next.openedAt ??= instant;
	if (state === 'live') next.startedAt = instant;
	return state === 'ended' ? next : withoutStaleWarning(notOverAlready(next, at));
}

/**
 * The room closed before it was ever on air, with what those who wait are to be told; or the very same object if that was done already.
 * @throws DomainError `wrong_room_state` when it is or was on air
 */
export function cancelledRoom(room: Room, reason: string | undefined, at: Date): Room {
	if (room.startedAt !== undefined) throw new DomainError('wrong_room_state', 'The room has been on air; it can be ended, not cancelled.', { extra: { state: room.state } });
	if (room.state === 'ended') return room;
	return { ...room, state: 'ended', endedAt: at.toISOString(), ...(reason !== undefined && { cancelReason: reason }), version: room.version + 1 };
}

/** The room once people are warned that it ends at its time; the very same object if they were, or if it does not end by itself. */
export function warnedRoom(room: Room): Room {
	const end = room.state === 'ended' ? undefined : endOf(room);
	const endingAt = end === undefined ? undefined : new Date(end).toISOString();
	return endingAt === undefined || room.endingAt === endingAt ? room : { ...room, endingAt, version: room.version + 1 };
}

/**
 * The room with its end put off, whatever sets it.
 * @throws DomainError `room_ended`, `wrong_room_state` when it does not end by itself
 */
export function extendedRoom(room: Room, minutes: number): Room {
	if (room.state === 'ended') throw ended(room);
	const end = endOf(room);
	if (end === undefined) throw new DomainError('wrong_room_state', 'This room does not end by itself, so there is nothing to put off.', { extra: { state: room.state } });
	const laterMs = end + minutes * MINUTE_MS;
	const later: Room = { ...room, version: room.version + 1 };
	if (later.endsAt !== undefined && Date.parse(later.endsAt) < laterMs) later.endsAt = new Date(laterMs).toISOString();
	if (later.maxDurationMinutes !== undefined && later.startedAt !== undefined) {
		later.maxDurationMinutes = Math.max(later.maxDurationMinutes, Math.ceil((laterMs - Date.parse(later.startedAt)) / MINUTE_MS));
	}
	checkedSettings({ ...later });
	return withoutStaleWarning(later);
}

/** Somebody opens it after its planned end: it is as long as it was to be, only later. A room whose length nobody planned ends by hand. */
function notOverAlready(room: Room, at: Date): Room {
	if (room.endsAt === undefined || Date.parse(room.endsAt) > at.getTime()) return room;
	const { endsAt, ...open } = room;
	const start = startOf({ ...room, startedAt: undefined });
	return start === undefined ? open : { ...open, endsAt: new Date(at.getTime() + Date.parse(endsAt) - start).toISOString() };
}

/** A warning counts for the end that was meant. */
function withoutStaleWarning(room: Room): Room {
	if (room.endingAt === undefined || Date.parse(room.endingAt) === endOf(room)) return room;
	const { endingAt: _stale, ...rest } = room;
	return rest;
}

function checkedSettings(input: Record<string, unknown>): RoomSettings {
	const known: Record<string, unknown> = {};
	for (const name of SETTING_NAMES) if (input[name] !== undefined) known[name] = input[name];
	if (!settingsCheck.Check(known)) {
		const error = settingsCheck.Errors(known)[0];
		const field = error?.instancePath.slice(1) ?? '';
		const where = field === '' ? 'The room' : `The room's ${field}`;
		throw new DomainError('invalid_request', `${where} is not valid: it ${error?.message ?? 'has the wrong shape'}.`, { extra: { field } });
	}
	const settings = { ...known };
	for (const name of INSTANTS) {
		const value = settings[name];
		if (value !== undefined) settings[name] = utc(name, value);
	}
	if (settings.doorsOpenAt !== undefined && settings.scheduledAt !== undefined && settings.doorsOpenAt > settings.scheduledAt) {
		throw new DomainError('invalid_request', 'The doors must open before the scheduled start or with it.', { extra: { field: 'doorsOpenAt' } });
	}
	const begins = settings.scheduledAt ?? settings.doorsOpenAt;
	if (settings.endsAt !== undefined && begins !== undefined && settings.endsAt <= begins) {
		throw new DomainError('invalid_request', 'The room must end after its start.', { extra: { field: 'endsAt' } });
	}
	if (settings.timeZone !== undefined && !isTimeZone(settings.timeZone)) {
		throw new DomainError('invalid_request', 'The room’s timeZone must be the IANA name of a time zone, e.g. Europe/Berlin.', { extra: { field: 'timeZone' } });
	}
	return settings;
}

/** RFC 3339 in UTC with milliseconds, so that instants compare as strings. */
function utc(name: string, value: string): string {
	const ms = Date.parse(value);
	const text = Number.isNaN(ms) ? '' : new Date(ms).toISOString();
	// A leap second has no Date; an offset at the calendar's edge leaves the four-digit years.
	if (!/^\d{4}-/.test(text)) throw new DomainError('invalid_request', `The room's ${name} is not a date that can be used.`, { extra: { field: name } });
	return text;
}

function ended(room: Room): DomainError {
	return new DomainError('room_ended', 'This room has ended; nothing about it can change any more.', { extra: { endedAt: room.endedAt } });
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}
