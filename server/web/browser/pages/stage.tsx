import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type InviteRole, RoomsApi } from '../api/rooms-api.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { RosterEntry } from '../../../stage/protocol.ts';
import { ConfirmDialog, confirmed } from '../ui/confirm.tsx';
import { MicrophoneIcon, MutedIcon, PeopleIcon, RemoveIcon } from '../ui/icons.tsx';
import { InviteForm } from '../ui/invite-form.tsx';
import { LevelBar } from '../ui/level-bar.tsx';
import { mount } from '../ui/mount.tsx';
import { PersonItem, ROLE_TEXT } from '../ui/people.tsx';
import { problemText } from '../ui/problem-text.ts';
import { Countdown, RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';
import { type MicrophoneState, StageModel } from './stage-model.ts';

const model = new StageModel();

const MICROPHONE_TEXT: Partial<Record<MicrophoneState, TextKey>> = {
	asking: 'microphoneAsking',
	denied: 'microphoneDenied',
	none: 'microphoneNone',
	busy: 'microphoneBusy',
	insecure: 'microphoneInsecure',
	failed: 'microphoneFailed',
	gone: 'microphoneGone',
};

const LEFT_TEXT: Readonly<Record<string, TextKey>> = {
	left: 'stageLeft',
	kicked: 'stageKicked',
	replaced: 'stageReplaced',
	room_ended: 'stageRoomEnded',
	token_invalid: 'stageTokenBad',
	token_required: 'stageTokenBad',
	forbidden: 'stageForbidden',
	banned: 'stageForbidden',
	room_not_found: 'listenNoRoom',
};

const isStageRole = (role: string): role is keyof typeof ROLE_TEXT => role in ROLE_TEXT;

const Heading = () => {
	const room = model.room.value;
	return (
		<section class="about">
			{room !== null && <StateChip state={room.state} />}
			<h1>
				<bdi>{room?.title ?? t('stageTitle')}</bdi>
			</h1>
			{room !== null && <Countdown room={room} />}
			{room !== null && <RoomTimes room={room} />}
		</section>
	);
};

const MicrophonePicker = () => {
	const state = model.microphoneState.value;
	const text = MICROPHONE_TEXT[state];
	return (
		<div class="microphone">
			{state === 'open' ? (
				<>
					<label class="field">
						<span>{t('microphone')}</span>
						<select value={model.deviceId.value ?? ''} onChange={(event) => void model.openMicrophone(event.currentTarget.value)}>
							{model.devices.value.map(({ deviceId, label }, index) => (
								<option key={deviceId} value={deviceId}>
									{label === '' ? t('microphoneDefault', { number: String(index + 1) }) : label}
								</option>
							))}
						</select>
					</label>
					<LevelBar label={t('microphoneLevel')} level={model.level} />
				</>
			) : (
				<>
					{text !== undefined && (
						<p class={state === 'asking' ? 'quiet' : 'notice'} role={state === 'asking' ? 'status' : 'alert'}>
							{t(text)}
						</p>
					)}
					{state !== 'asking' && (
						<button type="button" class="button" onClick={() => void model.openMicrophone()}>
							<MicrophoneIcon />
							{t(state === 'closed' ? 'microphoneAllow' : 'tryAgain')}
						</button>
					)}
				</>
			)}
		</div>
	);
};

const Preparing = () => {
	const { face } = model;
	const open = model.microphoneState.value === 'open';
	return (
		<section class="card prepare" aria-label={t('microphone')}>
			{face !== undefined && (
				<header>
					{face.name !== '' && <h2>{t('helloName', { name: face.name })}</h2>}
					{isStageRole(face.role) && <p class="quiet">{t('youAre', { role: t(ROLE_TEXT[face.role]) })}</p>}
				</header>
			)}
			<MicrophonePicker />
			{open && <p class="quiet" role="status">{t(model.heard.value ? 'microphoneHeard' : 'microphoneSilent')}</p>}
			<p class="quiet">{t('headphones')}</p>
			<div class="row">
				<button type="button" class={`button${open ? ' strong' : ''}`} onClick={() => model.join()}>
					{t(open ? 'join' : 'joinWithout')}
				</button>
			</div>
		</section>
	);
};

const airText = (muted: boolean): TextKey => {
	if (model.microphoneState.value !== 'open') {
		return 'youHaveNoMicrophone';
	}
	if (muted) {
		return 'youAreMuted';
	}
	return model.room.value?.state === 'live' ? 'youAreOnAir' : 'youAreReady';
};

const connectionText = (): TextKey | null => {
	const view = model.view.value;
	if (view?.state === 'connecting') {
		return view.delayedBecause === 'stage_full' ? 'stageFull' : view.delayedBecause === null ? 'joining' : 'listenServerAway';
	}
	if (view?.state === 'reconnecting') {
		return view.delayedBecause === 'moved' ? 'stageMoving' : 'stageReconnecting';
	}
	return view?.media === 'off' ? 'stageMediaAway' : view?.media === 'connecting' ? 'stageMediaConnecting' : null;
};

const OnAir = () => {
	const view = model.view.value;
	const muted = view?.muted ?? false;
	const microphone = model.microphoneState.value === 'open';
	const trouble = connectionText();
	const onAir = microphone && !muted && model.room.value?.state === 'live' && trouble === null;
	return (
		<section class={`card air${onAir ? ' is-on-air' : ''}`} aria-label={t('microphone')} data-muted={String(muted)} data-media={view?.media}>
			<p class="air-state" role="status">
				{t(trouble ?? airText(muted))}
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
			<MicrophonePicker />
			{model.blocked.value && (
				<button type="button" class="button strong" onClick={() => model.unblock()}>
					{t('listenUnblock')}
				</button>
			)}
			<button type="button" class="button" onClick={() => void confirmed(t('leaveQuestion'), t('leave')).then((yes) => yes && model.leave())}>
				{t('leave')}
			</button>
		</section>
	);
};

const Roster = () => {
	const view = model.view.value;
	const talking = new Set(view?.talking);
	return (
		<section class="stage" aria-labelledby="stage-heading">
			<div class="section-head">
				<h2 id="stage-heading">{t('onStage')}</h2>
				<p class="facts">
					<PeopleIcon />
					{tCount('listenerCount', view?.listenerCount ?? 0)}
				</p>
			</div>
			<ul class="people">
				{view?.roster.map((entry) => (
					<PersonItem
						key={entry.id}
						person={{
							...entry,
							away: entry.connection === 'reconnecting',
							speaking: talking.has(entry.number),
							self: entry.id === view.participantId,
						}}
					>
						{model.moderator.value && entry.id !== view.participantId && <Moderation entry={entry} />}
					</PersonItem>
				))}
			</ul>
		</section>
	);
};

const Moderation = ({ entry: { id, name, muted } }: { entry: RosterEntry }) => (
	<span class="person-actions">
		{!muted && (
			<button type="button" class="icon-button" aria-label={t('muteName', { name })} title={t('mute')} onClick={() => model.muteOther(id)}>
				<MutedIcon />
			</button>
		)}
		<button
			type="button"
			class="icon-button"
			aria-label={t('kickName', { name })}
			title={t('kickConfirm')}
			onClick={() => void confirmed(t('kickQuestion', { name }), t('kickConfirm')).then((yes) => yes && model.kick(id))}
		>
			<RemoveIcon />
		</button>
	</span>
);

const HostPanel = () => {
	const state = model.room.value?.state;
	const token = model.token ?? '';
	const invite = (role: InviteRole, name: string) => new RoomsApi(token).invite(model.roomId, role, name);
	return (
		<section class="card host" aria-labelledby="host-heading">
			<h2 id="host-heading">{t('runRoom')}</h2>
			<div class="row wrap">
				{model.host.value && state === 'scheduled' && (
					<button type="button" class="button" title={t('openDoorsHelp')} onClick={() => model.command('open')}>
						{t('openDoors')}
					</button>
				)}
				{model.host.value && (state === 'scheduled' || state === 'open') && (
					<button type="button" class="button strong" title={t('goLiveHelp')} onClick={() => model.command('start')}>
						{t('goLive')}
					</button>
				)}
				<button type="button" class="button" onClick={() => model.muteAll()}>
					{t('muteAll')}
				</button>
				{model.host.value && state !== 'ended' && (
					<button
						type="button"
						class="button"
						onClick={() => void confirmed(t('endQuestion'), t('endConfirm')).then((yes) => yes && model.command('end'))}
					>
						{t('endRoom')}
					</button>
				)}
			</div>
			{model.host.value && (
				<InviteForm roles={['speaker', 'cohost', 'listener']} invite={invite} listenUrl={`${location.origin}/r/${encodeURIComponent(model.roomId)}`} />
			)}
		</section>
	);
};

const useMuteKey = () =>
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
	}, []);

const Page = () => {
	useMuteKey();
	useSignalEffect(() => {
		document.title = `${model.room.value?.title ?? t('stageTitle')} · ${t('stageTitle')}`;
	});
	const view = model.view.value;
	if (model.token === undefined) {
		return (
			<Shell page="message">
				<h1>{t('stageNoToken')}</h1>
				<p>{t('stageNoTokenHelp')}</p>
				<p>
					<a class="button" href={`/r/${encodeURIComponent(model.roomId)}`}>
						{t('goListening')}
					</a>
				</p>
			</Shell>
		);
	}
	if (view?.state === 'left') {
		const because = view.leftBecause ?? '';
		const again = because === 'left' || because === 'replaced' || because === 'kicked';
		return (
			<Shell page="message">
				<h1>{t(LEFT_TEXT[because] ?? 'stageGone')}</h1>
				{again && (
					<p>
						<button type="button" class="button" onClick={() => model.prepareAgain()}>
							{t('rejoin')}
						</button>
					</p>
				)}
			</Shell>
		);
	}
	const failure = model.failure.value;
	return (
		<Shell page="stage">
			<Heading />
			<div role="alert">{failure !== null && <p class="notice">{t('actionFailed', { reason: problemText(failure) })}</p>}</div>
			{view === null ? (
				<Preparing />
			) : (
				<div class="columns">
					<OnAir />
					<div class="stack">
						<Roster />
						{model.moderator.value && <HostPanel />}
					</div>
				</div>
			)}
			<ConfirmDialog />
		</Shell>
	);
};

await mount(() => <Page />);
