import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { RoomSummary } from '../../../stage/protocol.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { AirModel } from '../pages/air-model.ts';
import { AskDialog } from './ask-dialog.tsx';
import { confirmed } from './confirm.tsx';
import { MicrophoneIcon, MutedIcon } from './icons.tsx';
import { MicrophonePicker } from './microphone-picker.tsx';
import { RecordingNote } from './recording-note.tsx';

interface OnAirProps {
	model: AirModel;
	/** Of the room; only a live one is heard by more than the stage. */
	state: RoomSummary['state'] | undefined;
	children?: ComponentChildren;
}

const airText = (model: AirModel, muted: boolean, live: boolean): TextKey => {
	if (model.microphoneState.value !== 'open') {
		return model.microphoneState.value === 'asking' ? 'microphoneAsking' : 'youHaveNoMicrophone';
	}
	if (muted) {
		return 'youAreMuted';
	}
	return live ? 'youAreOnAir' : 'youAreReady';
};

const connectionText = (model: AirModel): TextKey | null => {
	const view = model.view.value;
	if (view?.state === 'connecting') {
		return view.delayedBecause === 'stage_full' ? 'stageFull' : view.delayedBecause === null ? 'joining' : 'listenServerAway';
	}
	if (view?.state === 'reconnecting') {
		return view.delayedBecause === 'moved' ? 'stageMoving' : 'stageReconnecting';
	}
	return view?.media === 'off' ? 'stageMediaAway' : view?.media === 'connecting' ? 'stageMediaConnecting' : null;
};

/** One's own microphone on stage: whether it is on air, and the button for it. */
export const OnAir = ({ model, state, children }: OnAirProps) => {
	useMuteKey(model);
	const view = model.view.value;
	const muted = view?.muted ?? false;
	const trouble = connectionText(model);
	const onAir = model.microphoneState.value === 'open' && !muted && state === 'live' && trouble === null;
	return (
		<section class={`card air${onAir ? ' is-on-air' : ''}`} aria-label={t('microphone')} data-muted={String(muted)} data-media={view?.media}>
			{view?.recording === true && <RecordingNote consent={false} />}
			<p class="air-state" role="status">
				{t(trouble ?? airText(model, muted, state === 'live'))}
			</p>
			{view?.mutedBy != null && (
				<p class="air-note" role="status">
					{t('mutedByOther', { name: view.mutedBy })}
				</p>
			)}
			{model.talkingWhileMuted.value && (
				<p class="air-note" role="alert">
					{t('mutedWhileTalking')}
				</p>
			)}
			<button
				type="button"
				class={`mute-button${muted ? ' is-muted' : ''}`}
				aria-keyshortcuts="m"
				disabled={!model.canToggleMute.value}
				onClick={() => model.toggleMute()}
			>
				{muted ? <MutedIcon /> : <MicrophoneIcon />}
				<span>{t(muted ? 'unmute' : 'mute')}</span>
			</button>
			<p class="air-key" aria-hidden="true">
				<kbd>M</kbd>
			</p>
			<MicrophonePicker model={model} />
			{model.blocked.value && (
				<button type="button" class="button strong" onClick={() => model.unblock()}>
					{t('listenUnblock')}
				</button>
			)}
			{children}
			<button type="button" class="button" onClick={() => void confirmed(t('leaveQuestion'), t('leave')).then((yes) => yes && model.leave())}>
				{t('leave')}
			</button>
			{view?.unmuteRequestedBy != null && <UnmuteAsk key={view.unmuteRequestedBy} model={model} by={view.unmuteRequestedBy} />}
		</section>
	);
};

/** Nobody's microphone is opened by somebody else: they ask, and one answers. */
const UnmuteAsk = ({ model, by }: { model: AirModel; by: string }) => {
	const answered = useSignal(false);
	return answered.value ? null : (
		<AskDialog
			question={t('unmuteAsked', { name: by })}
			yes={t('unmute')}
			no={t('unmuteStay')}
			onAnswer={(yes) => {
				answered.value = true;
				model.answerUnmute(yes);
			}}
			onAside={() => {
				answered.value = true;
				model.answerUnmute(false);
			}}
		>
			<p>{t('unmuteAskedHelp')}</p>
		</AskDialog>
	);
};

const useMuteKey = (model: AirModel) =>
	useEffect(() => {
		const pressed = (event: KeyboardEvent) => {
			const typing = event.target instanceof Element && event.target.closest('input, select, textarea, dialog') !== null;
			if (event.code === 'KeyM' && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey && !typing) {
				event.preventDefault();
				model.toggleMute();
			}
		};
		document.addEventListener('keydown', pressed);
		return () => document.removeEventListener('keydown', pressed);
	}, [model]);
