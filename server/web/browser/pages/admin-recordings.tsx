import { segment } from '../api/admin-api.ts';
import type { AdminRoom } from '../api/admin-types.ts';
import { formatDuration, formatInstant } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import { Panel } from '../ui/admin-live-view.tsx';
import { now } from '../ui/now.ts';
import { admin, CALM_MS } from './admin-model.ts';

interface Recording {
	id: string;
	/** `processing`: it is over, and being mixed. */
	state: 'recording' | 'processing' | 'ready' | 'failed';
	startedAt: string;
	durationMs: number;
	failure?: string;
	/** What hinders it at present. */
	problem?: { code: string };
}

const STATE_TEXT: Readonly<Record<Recording['state'], TextKey>> = {
	recording: 'adminRecordingNow',
	processing: 'adminRecordingProcessing',
	ready: 'adminReady',
	failed: 'adminCheckFailed',
};

const PROBLEM_TEXT: Readonly<Partial<Record<string, TextKey>>> = {
	disk_full: 'recordDiskFull',
	disk_error: 'recordDiskError',
	no_sound: 'recordNoSound',
	no_ffmpeg: 'recordNoFfmpeg',
	mix_failed: 'recordMixFailed',
	storage_unavailable: 'recordStorageUnavailable',
};

/** A newer server may know of others. */
const problemText = (code: string): string => {
	const key = PROBLEM_TEXT[code];
	return key === undefined ? code : t(key);
};

/** What was recorded of a room; begun, ended and deleted here, too. */
export const RecordingsPanel = ({ room: { id, state } }: { room: AdminRoom }) => {
	const path = `/v1/rooms/${segment(id)}/recordings`;
	const live = admin.read<{ recordings: readonly Recording[] }>(path, CALM_MS);
	const act = (method: 'POST' | 'DELETE', url: string, done: string) =>
		admin.act(async (api) => {
			await api.send(method, url);
			return done;
		}, live);
	return (
		<Panel id="recordings" title={t('adminRecordings')} live={live}>
			{({ recordings }) => {
				const running = recordings.some((recording) => recording.state === 'recording');
				return (
					<>
						{recordings.length === 0 && <p class="quiet">{t('adminNoRecordings')}</p>}
						{!running && state !== 'ended' && <Action act={() => act('POST', path, t('adminRecordingStarted'))}>{t('adminStartRecording')}</Action>}
						<ul class="admin-list">
							{recordings.map((recording) => (
								<li key={recording.id}>
									<p>
										{formatInstant(recording.startedAt, now.value)}{' '}
										<span class="quiet">
											{[t(STATE_TEXT[recording.state]), formatDuration(recording.durationMs), ...(recording.failure === undefined ? [] : [recording.failure])].join(' · ')}
										</span>
									</p>
									{recording.problem !== undefined && (
										<p class="notice" role="status">
											{problemText(recording.problem.code)}
										</p>
									)}
									<div class="row wrap">
										{recording.state === 'recording' && (
											<Action act={() => act('POST', `${path}/${segment(recording.id)}/stop`, t('adminRecordingStopped'))}>{t('adminStopRecording')}</Action>
										)}
										{recording.state === 'ready' && (
											<a class="button" href={`/r/${segment(id)}/replay`}>
												{t('adminReplay')}
											</a>
										)}
										{recording.state !== 'recording' && (
											<Action
												act={() => act('DELETE', `${path}/${segment(recording.id)}`, t('adminRecordingDeleted'))}
												question={{ text: t('adminDeleteRecordingQuestion'), confirm: t('adminDeleteConfirm') }}
											>
												{t('adminDelete')}
											</Action>
										)}
									</div>
								</li>
							))}
						</ul>
					</>
				);
			}}
		</Panel>
	);
};
