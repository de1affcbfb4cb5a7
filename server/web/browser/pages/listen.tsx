import { useSignalEffect } from '@preact/signals';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import type { Quality } from '../sdk/listen.ts';
import { Auditorium } from '../ui/auditorium.tsx';
import { PeopleIcon, PlayIcon, SignalIcon, SilentIcon, SoundIcon, StopIcon } from '../ui/icons.tsx';
import { mount } from '../ui/mount.tsx';
import { PersonItem } from '../ui/people.tsx';
import { Countdown, RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';
import { loadMoreForHand, more } from './listen-later.ts';
import { ListenModel } from './listen-model.ts';
import { Share } from './listen-share.tsx';
import { failureText, ListenStatus } from './listen-status.tsx';

const model = new ListenModel();

const QUALITY: Record<Quality, { text: TextKey; bars: 1 | 2 | 3 }> = {
	good: { text: 'qualityGood', bars: 3 },
	fair: { text: 'qualityFair', bars: 2 },
	poor: { text: 'qualityPoor', bars: 1 },
};

const Player = () => {
	const later = more.value;
	if (later?.isOnStage(model) === true) {
		return <later.OnStage model={model} />;
	}
	const active = model.active.value;
	const over = model.room.value?.state === 'ended';
	return (
		<section class="player" aria-label={t('listen')} data-state={model.state.value}>
			<Auditorium level={model.state.value === 'playing' ? model.level : null}>
				<button type="button" class={`listen-button${active ? ' is-active' : ''}`} disabled={over} onClick={() => model.toggle()}>
					{active ? <StopIcon /> : <PlayIcon />}
					<span>{t(active ? 'stop' : 'listen')}</span>
				</button>
			</Auditorium>
			<ListenStatus model={model} />
			{over && model.room.value?.recorded === true && (
				<a class="button strong" href={`/r/${encodeURIComponent(model.roomId)}/replay`}>
					{t('replayListen')}
				</a>
			)}
			{model.blocked.value && (
				<button type="button" class="button strong" onClick={() => model.unblock()}>
					{t('listenUnblock')}
				</button>
			)}
			<div class="volume">
				<button
					type="button"
					class="icon-button"
					aria-label={t(model.muted.value ? 'unmuteSound' : 'muteSound')}
					onClick={() => model.setMuted(!model.muted.value)}
				>
					{model.muted.value ? <SilentIcon /> : <SoundIcon />}
				</button>
				<input
					type="range"
					min="0"
					max="100"
					aria-label={t('volume')}
					style={{ '--value': `${model.muted.value ? 0 : model.volume.value * 100}%` }}
					value={model.muted.value ? 0 : Math.round(model.volume.value * 100)}
					onInput={(event) => model.setVolume(Number(event.currentTarget.value) / 100)}
				/>
			</div>
			<Facts />
			{later !== null && <later.PlayerMore model={model} />}
		</section>
	);
};

const Facts = () => {
	const count = model.listeners.value;
	const { text, bars } = QUALITY[model.quality.value];
	return (
		<ul class="facts">
			{count !== null && (
				<li data-fact="listeners">
					<PeopleIcon />
					{tCount('listenerCount', count)}
				</li>
			)}
			{model.state.value === 'playing' && (
				<li data-fact="quality" data-quality={model.quality.value}>
					<SignalIcon bars={bars} />
					<span>
						<span class="quiet">{t('quality')}</span> {t(text)}
					</span>
				</li>
			)}
		</ul>
	);
};

const Stage = () => {
	const speaking = new Set(model.speaking.value);
	const people = model.speakers.value;
	const names = people.filter(({ number }) => speaking.has(number)).map(({ name }) => name);
	const playing = model.state.value === 'playing';
	return (
		<section class="stage" aria-labelledby="stage-heading">
			<div class="section-head">
				<h2 id="stage-heading">{t('onStage')}</h2>
				{playing && people.length > 0 && (
					<p class="now-speaking">{names.length === 0 ? t('nobodySpeaking') : t('speakingNow', { names })}</p>
				)}
			</div>
			{people.length === 0 ? (
				<p class="quiet">{t('stageEmpty')}</p>
			) : (
				<ul class="people">
					{people.map((speaker) => (
						<PersonItem
							key={speaker.number}
							person={{ ...speaker, away: !speaker.connected, speaking: playing && speaking.has(speaker.number) }}
						/>
					))}
				</ul>
			)}
			{!model.feedConnected.value && <p class="notice">{t('detailsAway')}</p>}
		</section>
	);
};

const About = () => {
	const room = model.room.value;
	if (room === null) {
		return (
			<section class="about">
				<h1>{model.feedConnected.value ? '\u00A0' : <bdi>{model.roomId}</bdi>}</h1>
			</section>
		);
	}
	return (
		<section class="about">
			<StateChip state={room.state} cancelled={room.cancelled} />
			<h1>
				<bdi>{room.title}</bdi>
			</h1>
			<Countdown room={room} />
			<RoomTimes room={room} />
			{room.recording === true && <p class="notice" role="status">{t('recordingNow')}</p>}
			{room.description !== undefined && (
				<p class="description">
					<bdi>{room.description}</bdi>
				</p>
			)}
		</section>
	);
};

const Page = () => {
	useSignalEffect(() => {
		const title = model.room.value?.title;
		const page = title === undefined ? t('appName') : `${title} · ${t('appName')}`;
		const invitation = model.invitation.value;
		// Of a tab in the background the title is all there is to see.
		document.title = invitation === null ? page : `${t('invitedBy', { name: invitation.by })} · ${page}`;
	});
	const refused = model.refused.value;
	if (refused !== null) {
		return (
			<Shell page="message">
				<h1>{failureText(refused)}</h1>
				<p>
					<a class="button" href="/">
						{t('rooms')}
					</a>
				</p>
			</Shell>
		);
	}
	return (
		<Shell page="listen">
			<About />
			<Player />
			<div class="below">
				<Stage />
				{more.value !== null && <more.value.BelowMore model={model} />}
				<Share model={model} />
			</div>
		</Shell>
	);
};

loadMoreForHand(model.roomId);
await mount(() => <Page />);
