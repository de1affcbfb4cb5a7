import { useSignal, useSignalEffect } from '@preact/signals';
import { formatDuration, formatInstant, formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { type FullReason, fullReasonOf, type OverflowState, type ProblemError } from '../sdk/listen.ts';
import { now } from '../ui/now.ts';
import type { ListenModel } from './listen-model.ts';

/** A countdown that is read out with every second says nothing else any more. */
const SPOKEN_EVERY_MS = 10_000;

const FULL: Record<FullReason, TextKey> = { full: 'listenFull', room_full: 'listenRoomFull', paced: 'listenPaced' };
const OVERFLOW: Partial<Record<OverflowState, TextKey>> = { starting: 'listenOverflowStarting', failing: 'listenOverflowFailing' };

export const failureText = ({ status, code, message: reason }: Pick<ProblemError, 'status' | 'code' | 'message'>): string =>
	code === 'banned' ? t('listenBanned') : status === 401 || status === 403 ? t('listenNotAllowed') : status === 404 ? t('listenNoRoom') : t('listenFailed', { reason });

/** A room with open doors and a time to come: what its start is called. */
const startOf = (model: ListenModel): string | null => {
	const room = model.room.value;
	return room?.state === 'open' && room.scheduledAt !== undefined && Date.parse(room.scheduledAt) > now.value ? formatInstant(room.scheduledAt, now.value) : null;
};

const waitingText = (model: ListenModel): string => {
	const problem = model.problem.value;
	if (problem === null || problem.code === 'room_not_open') {
		return t('listenDoors');
	}
	const overflow = OVERFLOW[model.overflow.value];
	if (overflow !== undefined) {
		return t(overflow);
	}
	return t(problem.code === 'rate_limited' ? 'listenLimited' : FULL[fullReasonOf(problem) ?? 'full']);
};

const statusText = (model: ListenModel): string => {
	const problem = model.problem.value;
	const rejoinedAfterMs = model.rejoinedAfterMs.value;
	if (model.blocked.value && model.active.value) {
		return t('listenBlocked');
	}
	const start = startOf(model);
	switch (model.state.value) {
		case 'idle':
			return t(model.room.value?.state === 'scheduled' ? 'listenIdleEarly' : 'listenIdle');
		case 'connecting':
			return t(problem === null ? 'listenConnecting' : 'listenServerAway');
		case 'reconnecting':
			return t(problem === null ? 'listenReconnecting' : 'listenServerAway');
		case 'waiting':
			return waitingText(model);
		case 'overflow':
			return start === null ? t('listenOverflow') : t('listenOverflowSoon', { when: start });
		case 'ended':
			return t(model.room.value?.cancelled === true ? 'listenCancelled' : 'listenEnded');
		case 'failed':
			return failureText(problem ?? { status: 0, code: '', message: '' });
		default:
			if (rejoinedAfterMs !== null) {
				return t('listenRejoined', { seconds: formatNumber(rejoinedAfterMs / 1_000, 1) });
			}
			if (start !== null) {
				return t('listenPlayingSoonAt', { when: start });
			}
			return t(model.room.value?.state === 'open' ? 'listenPlayingSoon' : 'listenPlaying');
	}
};

/** Who is ahead, and when the next try is. Nothing while it does not matter. */
const queueText = (model: ListenModel): string => {
	const state = model.state.value;
	const problem = model.problem.value;
	if ((state !== 'waiting' && state !== 'overflow') || problem === null || problem.code === 'room_not_open') {
		return '';
	}
	const queue = model.queue.value;
	const ahead = queue === null ? [] : [queue.ahead === 0 ? t('queueNext') : tCount('queueAhead', queue.ahead)];
	if (state === 'overflow') {
		// They hear the room: only how far they are from a place of their own.
		return ahead.join('');
	}
	const nextTryAtMs = model.nextTryAtMs.value;
	const leftMs = nextTryAtMs === null ? 0 : nextTryAtMs - now.value;
	return [...ahead, leftMs > 0 ? t('nextTry', { time: formatDuration(leftMs) }) : t('nextTryNow')].join(' · ');
};

/** What is the case, in words; read out whenever it changes, and the queue now and then. */
export const ListenStatus = ({ model }: { model: ListenModel }) => {
	const spoken = useSignal({ text: '', atMs: 0 });
	useSignalEffect(() => {
		const text = queueText(model);
		const { text: said, atMs } = spoken.peek();
		if (text !== said && (text === '' || now.value - atMs >= SPOKEN_EVERY_MS)) {
			spoken.value = { text, atMs: now.value };
		}
	});
	const queue = queueText(model);
	return (
		<div class="status-lines">
			<p class="status" role="status">
				{statusText(model)}
			</p>
			{queue !== '' && (
				<p class="queue" aria-hidden="true">
					{queue}
				</p>
			)}
			<p class="hidden" aria-live="polite" data-spoken>
				{spoken.value.text}
			</p>
		</div>
	);
};
