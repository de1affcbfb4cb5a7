import { formatLocale } from './language.ts';

/** A moment in the reader's own zone, or in another one, and language; the year only where it is another one. */
export const formatInstant = (instant: string, nowMs: number, timeZone?: string): string => {
	const date = new Date(instant);
	const now = new Date(nowMs);
	const day = new Intl.DateTimeFormat('en', { dateStyle: 'short', ...(timeZone === undefined ? {} : { timeZone }) });
	const year = new Intl.DateTimeFormat('en', { year: 'numeric', ...(timeZone === undefined ? {} : { timeZone }) });
	return new Intl.DateTimeFormat(formatLocale.value, {
		...(timeZone === undefined ? {} : { timeZone }),
		...(day.format(date) === day.format(now) ? {} : { weekday: 'short', day: 'numeric', month: 'long' }),
		...(year.format(date) === year.format(now) ? {} : { year: 'numeric' }),
		hour: 'numeric',
		minute: '2-digit',
		timeZoneName: 'short',
	}).format(date);
};

const unit = (value: number, name: string): string =>
	new Intl.NumberFormat(formatLocale.value, { style: 'unit', unit: name, unitDisplay: 'long' }).format(value);

/** Time left in the two largest units that matter, e.g. "2 hours, 5 minutes" or "40 seconds". */
export const formatDuration = (ms: number): string => {
	const total = Math.max(0, Math.ceil(ms / 1_000));
	const days = Math.floor(total / 86_400);
	const hours = Math.floor((total % 86_400) / 3_600);
	const minutes = Math.floor((total % 3_600) / 60);
	const seconds = total % 60;
	const parts =
		days > 0
			? [unit(days, 'day'), ...(hours > 0 ? [unit(hours, 'hour')] : [])]
			: hours > 0
				? [unit(hours, 'hour'), ...(minutes > 0 ? [unit(minutes, 'minute')] : [])]
				: minutes > 0
					? [unit(minutes, 'minute'), unit(seconds, 'second')]
					: [unit(seconds, 'second')];
	return new Intl.ListFormat(formatLocale.value, { type: 'unit', style: 'narrow' }).format(parts);
};

export const formatNumber = (value: number, digits = 0): string =>
	new Intl.NumberFormat(formatLocale.value, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);

/** @param value 0 to 1 */
export const formatPercent = (value: number, digits = 0): string =>
	new Intl.NumberFormat(formatLocale.value, { style: 'percent', maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);

/** The city, as people say it, of an IANA zone: `New York`. */
export const zoneCity = (timeZone: string): string => (timeZone.split('/').at(-1) ?? timeZone).replaceAll('_', ' ');
