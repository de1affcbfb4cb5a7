import { formatLocale } from './language.ts';

/** A place in a replay as players show it: 4:05, or 1:04:05. */
export const clockTime = (ms: number): string => {
	const total = Math.max(0, Math.floor(ms / 1_000));
	const number = (value: number, digits: number) => new Intl.NumberFormat(formatLocale.value, { minimumIntegerDigits: digits, useGrouping: false }).format(value);
	const hours = Math.floor(total / 3_600);
	const minutes = Math.floor((total % 3_600) / 60);
	return `${hours > 0 ? `${number(hours, 1)}:${number(minutes, 2)}` : number(minutes, 1)}:${number(total % 60, 2)}`;
};
