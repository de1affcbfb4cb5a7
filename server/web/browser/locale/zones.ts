// What clocks show where: pure, so that it can be tested anywhere.

const wallClock = (ms: number, timeZone: string | undefined): string =>
	new Intl.DateTimeFormat('en-GB', { ...(timeZone === undefined ? {} : { timeZone }), dateStyle: 'short', timeStyle: 'medium' }).format(ms);

/**
 * Whether clocks in a zone show another time than the reader's own at that moment: the offset counts, not the name, and it
 * changes with the seasons. A zone that this browser does not know counts as no other.
 *
 * @param own the reader's zone; absent: this machine's
 */
export const isElsewhere = (instant: string, timeZone: string, own?: string): boolean => {
	const ms = Date.parse(instant);
	try {
		return wallClock(ms, timeZone) !== wallClock(ms, own);
	} catch {
		return false;
	}
};
