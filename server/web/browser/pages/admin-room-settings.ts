// Between a room's form and the API: pure, so that it can be tested without a page.
import type { AdminRoom, RoomSettings } from '../api/admin-types.ts';

/** Just what is asked of FormData. */
interface Fields {
	get(name: string): unknown;
}

const PACKINGS = [20, 40, 60, 120] as const;

/**
 * What a form holds. Times in it are those of the reader's own zone; the API wants instants.
 * @param clearing whether empty fields are to be removed (null) or left out
 */
export const readSettings = (fields: Fields, clearing: boolean): RoomSettings => {
	const text = (name: string): string | undefined => {
		const value = fields.get(name);
		return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
	};
	const instant = (name: string): string | undefined => {
		const local = text(name);
		return local === undefined ? undefined : new Date(local).toISOString();
	};
	const count = (name: string): number | undefined => {
		const written = text(name);
		return written === undefined ? undefined : Number(written);
	};
	const id = text('id');
	const optional = {
		description: text('description'),
		scheduledAt: instant('scheduledAt'),
		doorsOpenAt: instant('doorsOpenAt'),
		endsAt: instant('endsAt'),
		expectedListeners: count('expectedListeners'),
		maxListeners: count('maxListeners'),
	};
	const entries = Object.entries(optional).flatMap(([name, value]): [string, string | number | null][] => (value !== undefined ? [[name, value]] : clearing ? [[name, null]] : []));
	return {
		title: text('title') ?? '',
		visibility: fields.get('visibility') === 'private' ? 'private' : 'public',
		packingMs: PACKINGS.find((ms) => String(ms) === fields.get('packingMs')) ?? 'auto',
		record: fields.get('record') !== null,
		...(id === undefined ? {} : { id }),
		...Object.fromEntries(entries),
	};
};

/** Of the settings those that are different from the room's: what two people change at the same time does not undo the other's. */
export const changed = (room: AdminRoom, settings: RoomSettings): Partial<RoomSettings> => {
	const now: Readonly<Record<string, unknown>> = { ...room, packingMs: room.packingMs ?? 'auto', record: room.record ?? false };
	return Object.fromEntries(Object.entries(settings).filter(([name, value]) => !same(name, now[name] ?? null, value)));
};

/** A form's times know no seconds; and where the clocks go back, an hour comes twice: what looks the same in the form was not changed. */
const same = (name: string, now: unknown, wanted: unknown): boolean =>
	name.endsWith('At') && typeof now === 'string' && typeof wanted === 'string' ? localTime(now) === localTime(wanted) : now === wanted;

/** For a `datetime-local` field, in the reader's own zone: `2026-05-24T18:00`. */
export const localTime = (instant: string | undefined): string => {
	if (instant === undefined) {
		return '';
	}
	const date = new Date(instant);
	const two = (value: number): string => String(value).padStart(2, '0');
	return `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
};

/** The reader's own, as its name in the time zone database. */
export const timeZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;
