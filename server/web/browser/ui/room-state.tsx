import type { RoomSummary } from '../../../stage/protocol.ts';
import { formatDuration, formatInstant, zoneCity } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { isElsewhere } from '../locale/zones.ts';
import { now } from './now.ts';

const STATE_TEXT: Record<RoomSummary['state'], TextKey> = {
	scheduled: 'stateScheduled',
	open: 'stateOpen',
	live: 'stateLive',
	ended: 'stateEnded',
};

/** @param cancelled it ended without ever having been on air */
export const StateChip = ({ state, cancelled = false }: { state: RoomSummary['state']; cancelled?: boolean | undefined }) => (
	<span class={`chip chip-${state}`}>
		<span class="chip-dot" aria-hidden="true" />
		{t(cancelled ? 'stateCancelled' : STATE_TEXT[state])}
	</span>
);

type Times = Pick<RoomSummary, 'state' | 'scheduledAt' | 'doorsOpenAt' | 'startedAt' | 'endedAt' | 'endingAt' | 'timeZone' | 'cancelled' | 'cancelReason'>;

const linesOf = ({ state, scheduledAt, doorsOpenAt, startedAt, endedAt, timeZone, cancelled }: Times, nowMs: number): string[] => {
	if (state === 'ended') {
		return endedAt === undefined ? [] : [t(cancelled ? 'cancelledAt' : 'endedAt', { when: formatInstant(endedAt, nowMs) })];
	}
	if (state === 'live') {
		return startedAt === undefined ? [] : [t('startedAgo', { when: formatInstant(startedAt, nowMs) })];
	}
	const lines: string[] = [];
	if (state === 'scheduled' && doorsOpenAt !== undefined && Date.parse(doorsOpenAt) > nowMs) {
		lines.push(t('doorsAt', { when: formatInstant(doorsOpenAt, nowMs) }));
	}
	if (scheduledAt !== undefined) {
		lines.push(t('startsAt', { when: formatInstant(scheduledAt, nowMs) }));
		if (timeZone !== undefined && isElsewhere(scheduledAt, timeZone)) {
			lines.push(t('timeThere', { when: formatInstant(scheduledAt, nowMs, timeZone), zone: zoneCity(timeZone) }));
		}
	}
	return lines;
};

/** When the room starts, in the reader's own zone and where it was announced; since when it goes on and when it ends by itself; when it ended, and why it was called off. */
export const RoomTimes = ({ room }: { room: Times }) => {
	const nowMs = now.value;
	const { state, endingAt, cancelReason } = room;
	const lines = linesOf(room, nowMs);
	return (
		<>
			{lines.length > 0 && (
				<p class="times">
					{lines.map((line) => (
						<span key={line}>{line}</span>
					))}
				</p>
			)}
			{state === 'ended' && cancelReason !== undefined && (
				<p class="notice">
					<bdi>{cancelReason}</bdi>
				</p>
			)}
			{(state === 'open' || state === 'live') && endingAt !== undefined && (
				<p class="notice" role="status">
					{t('endingAt', { when: formatInstant(endingAt, nowMs) })}
				</p>
			)}
		</>
	);
};

/** To the next thing that happens by the room's plan: the doors, then the start. */
export const Countdown = ({ room: { state, doorsOpenAt, scheduledAt } }: { room: Times }) => {
	const doors = state === 'scheduled' && doorsOpenAt !== undefined;
	const at = doors ? doorsOpenAt : scheduledAt;
	if (at === undefined || (state !== 'scheduled' && state !== 'open')) {
		return null;
	}
	const leftMs = Date.parse(at) - now.value;
	return (
		<p class="countdown" role="timer" aria-live="off">
			{leftMs > 0 ? t(doors ? 'doorsCountdown' : 'countdown', { time: formatDuration(leftMs) }) : t(doors ? 'doorsAnyMoment' : 'startsAnyMoment')}
		</p>
	);
};
