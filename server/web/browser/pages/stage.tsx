import { useSignalEffect } from '@preact/signals';
import { type InviteRole, RoomsApi } from '../api/rooms-api.ts';
import { formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { RosterEntry } from '../../../stage/protocol.ts';
import { type Action, ActionMenu } from '../ui/action-menu.tsx';
import { ConfirmDialog, confirmed } from '../ui/confirm.tsx';
import { HandsQueue } from '../ui/hands-queue.tsx';
import { PeopleIcon } from '../ui/icons.tsx';
import { InviteForm } from '../ui/invite-form.tsx';
import { MicrophonePicker } from '../ui/microphone-picker.tsx';
import { mount } from '../ui/mount.tsx';
import { OnAir } from '../ui/on-air.tsx';
import { PersonItem, ROLE_TEXT } from '../ui/people.tsx';
import { problemText } from '../ui/problem-text.ts';
import { RecordingControls } from '../ui/recording-controls.tsx';
import { RecordingNote } from '../ui/recording-note.tsx';
import { Countdown, RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';
import { LockIcon } from '../ui/stage-icons.tsx';
import { actionsOn } from './stage-actions.ts';
import { StageModel } from './stage-model.ts';

const model = new StageModel();

const LEFT_TEXT: Readonly<Record<string, TextKey>> = {
	left: 'stageLeft',
	kicked: 'stageKicked',
	demoted: 'stageDemoted',
	replaced: 'stageReplaced',
	room_ended: 'stageRoomEnded',
	token_invalid: 'stageTokenBad',
	token_required: 'stageTokenBad',
	forbidden: 'stageForbidden',
	banned: 'stageBanned',
	stage_locked: 'stageLockedFull',
	room_not_found: 'listenNoRoom',
};

const EXTENSION_MINUTES = 15;
const isStageRole = (role: string): role is keyof typeof ROLE_TEXT => role in ROLE_TEXT;

const Heading = () => {
	const room = model.room.value;
	return (
		<section class="about">
			{room !== null && <StateChip state={room.state} cancelled={room.cancelled} />}
			<h1>
				<bdi>{room?.title ?? t('stageTitle')}</bdi>
			</h1>
			{room !== null && <Countdown room={room} />}
			{room !== null && <RoomTimes room={room} />}
		</section>
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
			{model.recording.value && <RecordingNote consent />}
			<MicrophonePicker model={model} />
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

const Roster = () => {
	const view = model.view.value;
	const talking = new Set(view?.talking);
	const roster = view?.roster ?? [];
	return (
		<section class="stage" aria-labelledby="stage-heading">
			<div class="section-head">
				<h2 id="stage-heading">{t('onStage')}</h2>
				<p class="facts">
					<PeopleIcon />
					{tCount('listenerCount', view?.listenerCount ?? 0)}
				</p>
			</div>
			{view?.locked === true && (
				<p class="stage-note" role="status">
					<LockIcon />
					{t('stageIsLocked')}
				</p>
			)}
			<ul class="people">
				{roster.map((entry, index) => (
					<PersonItem
						key={entry.id}
						person={{
							...entry,
							away: entry.connection === 'reconnecting',
							speaking: talking.has(entry.number),
							self: entry.id === view?.participantId,
						}}
					>
						{model.moderator.value && <Moderation entry={entry} index={index} count={roster.length} />}
					</PersonItem>
				))}
			</ul>
		</section>
	);
};

const Moderation = ({ entry, index, count }: { entry: RosterEntry; index: number; count: number }) => {
	const { id, name } = entry;
	const view = model.view.value;
	const ask = (question: TextKey, confirm: TextKey, then: () => void) => void confirmed(t(question, { name }), t(confirm)).then((yes) => yes && then());
	const all: Record<ReturnType<typeof actionsOn>[number], Action> = {
		mute: { text: t('mute'), run: () => model.muteOther(id) },
		askUnmute: { text: t('askUnmute'), run: () => model.askToUnmute(id) },
		makeCohost: { text: t('makeCohost'), run: () => model.promote(id, 'cohost') },
		handOver: { text: t('handOver'), run: () => ask('handOverQuestion', 'handOverConfirm', () => model.promote(id, 'host')) },
		makeSpeaker: { text: t('makeSpeaker'), run: () => model.demote(id, 'speaker') },
		demote: { text: t('demote'), run: () => model.demote(id, 'listener') },
		moveUp: { text: t('moveUp'), run: () => model.move(id, -1) },
		moveDown: { text: t('moveDown'), run: () => model.move(id, 1) },
		kick: { text: t('kickConfirm'), grave: true, run: () => ask('kickQuestion', 'kickConfirm', () => model.kick(id)) },
		ban: { text: t('ban'), grave: true, run: () => ask('banQuestion', 'banConfirm', () => model.ban(id)) },
	};
	const actions = actionsOn(entry, { role: view?.role ?? 'speaker', self: id === view?.participantId, index, count }).map((name) => all[name]);
	return actions.length === 0 ? null : <ActionMenu label={t('moreActions', { name })} actions={actions} />;
};

/** Who may come, and how many. */
const StageSettings = () => {
	const view = model.view.value;
	const locked = view?.locked === true;
	const places = view?.maxSize ?? 0;
	return (
		<div class="row wrap stage-settings">
			<button type="button" class="button" aria-pressed={locked} onClick={() => model.setStage({ locked: !locked })}>
				<LockIcon />
				{t(locked ? 'unlockStage' : 'lockStage')}
			</button>
			<label class="field stage-size">
				<span>{t('stageSize')}</span>
				<input
					// What is typed stays while people talk, which draws this anew all the time.
					key={places}
					type="number"
					min="1"
					max="500"
					inputMode="numeric"
					defaultValue={String(places)}
					aria-describedby="stage-taken"
					onChange={(event) => {
						const maxSize = event.currentTarget.valueAsNumber;
						if (Number.isInteger(maxSize) && maxSize >= 1) {
							model.setStage({ maxSize });
						}
					}}
				/>
			</label>
			<p id="stage-taken" class="quiet">
				{t('stageSizeOf', { taken: formatNumber(view?.roster.length ?? 0), places: formatNumber(places) })}
			</p>
		</div>
	);
};

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
				{model.host.value && model.room.value?.endingAt !== undefined && state !== 'ended' && (
					<button type="button" class="button" title={t('extendHelp')} onClick={() => model.attempt(new RoomsApi(token).extend(model.roomId, EXTENSION_MINUTES))}>
						{t('extendRoom')}
					</button>
				)}
				{model.host.value && (state === 'open' || state === 'live') && (
					<RecordingControls roomId={model.roomId} token={token} recording={model.recording.value} attempt={(work) => model.attempt(work)} />
				)}
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
			<StageSettings />
			{model.host.value && (
				<InviteForm roles={['speaker', 'cohost', 'listener']} invite={invite} open={model.openLinks.value ?? undefined} />
			)}
		</section>
	);
};

const Page = () => {
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
		const again = because === 'left' || because === 'replaced';
		const listens = because === 'demoted' || because === 'kicked' || because === 'left';
		return (
			<Shell page="message">
				<h1>{t(LEFT_TEXT[because] ?? 'stageGone')}</h1>
				<p class="row wrap">
					{again && (
						<button type="button" class="button" onClick={() => model.prepareAgain()}>
							{t('rejoin')}
						</button>
					)}
					{listens && (
						<a class="button" href={`/r/${encodeURIComponent(model.roomId)}`}>
							{t('goListening')}
						</a>
					)}
				</p>
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
					<OnAir model={model} state={model.room.value?.state} />
					<div class="stack">
						<Roster />
						{model.moderator.value && <HandsQueue model={model} />}
						{model.moderator.value && <HostPanel />}
					</div>
				</div>
			)}
			<ConfirmDialog />
		</Shell>
	);
};

await mount(() => <Page />);
