import type { RoomSummary } from '../../../stage/protocol.ts';
import { formatDuration, formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { now } from './now.ts';

const STATE_TEXT: Record<RoomSummary['state'], TextKey> = {
	scheduled: 'stateScheduled',
	open: 'stateOpen',
	live: 'stateLive',
	ended: 'stateEnded',
};

export const StateChip = ({ state }: { state: RoomSummary['state'] }) => (
	<span class={`chip chip-${state}`}>
		<span class="chip-dot" aria-hidden="true" />
		{t(STATE_TEXT[state])}
	</span>
);

type Times = Pick<RoomSummary, 'state' | 'scheduledAt' | 'doorsOpenAt' | 'startedAt' | 'endedAt'>;

/** When the room starts, in the reader's own zone; since when it goes on; when it ended. */
export const RoomTimes = ({ room }: { room: Times }) => {
	const nowMs = now.value;
	const { state, scheduledAt, doorsOpenAt, startedAt, endedAt } = room;
	const lines: string[] = [];
	if (state === 'ended' && endedAt !== undefined) {
		lines.push(t('endedAt', { when: formatInstant(endedAt, nowMs) }));
	} else if (state === 'live' && startedAt !== undefined) {
		lines.push(t('startedAgo', { when: formatInstant(startedAt, nowMs) }));
	} else if (state === 'scheduled' || state === 'open') {
		if (state === 'scheduled' && doorsOpenAt !== undefined && Date.parse(doorsOpenAt) > nowMs) {
			lines.push(t('doorsAt', { when: formatInstant(doorsOpenAt, nowMs) }));
		}
		if (scheduledAt !== undefined) {
			lines.push(t('startsAt', { when: formatInstant(scheduledAt, nowMs) }));
		}
	}
	return lines.length === 0 ? null : (
		<p class="times">
			{lines.map((line) => (
				<span key={line}>{line}</span>
			))}
		</p>
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
