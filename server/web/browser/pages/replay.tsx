import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { RecordingSummary, Replay } from '../api/recordings-api.ts';
import { clockTime } from '../locale/clock-time.ts';
import { formatDuration, formatInstant, formatNumber } from '../locale/format.ts';
import { t } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { PauseIcon, PlayIcon } from '../ui/replay-icons.tsx';
import { mount } from '../ui/mount.tsx';
import { now } from '../ui/now.ts';
import { ReplayTimeline, speakerName } from '../ui/replay-timeline.tsx';
import { Shell } from '../ui/shell.tsx';
import { ReplayModel } from './replay-model.ts';

const model = new ReplayModel();
const SKIP_MS = 15_000;

const STATE_TEXT: Record<RecordingSummary['state'], TextKey> = {
	recording: 'replayRecording',
	processing: 'replayProcessing',
	ready: 'replay',
	failed: 'replayFailed',
};

const Audio = ({ replay }: { replay: Replay }) => (
	// The captions are below, as text that every reader can follow.
	<audio
		ref={model.attach}
		preload="metadata"
		onPlay={model.followAudio}
		onPause={model.followAudio}
		onEnded={model.followAudio}
		onTimeUpdate={model.followAudio}
		onSeeked={model.followAudio}
		onWaiting={() => (model.waiting.value = true)}
		onPlaying={() => {
			model.waiting.value = false;
			model.followAudio();
		}}
	>
		{replay.audio.map(({ url, type }, index) => (
			<source key={url} src={model.api.withToken(url)} type={type} onError={() => index === replay.audio.length - 1 && (model.broken.value = true)} />
		))}
		{replay.captions !== null && <track kind="captions" src={model.api.withToken(replay.captions.url)} default onLoad={model.readCues} />}
	</audio>
);

const Player = ({ replay }: { replay: Replay }) => {
	const position = model.positionMs.value;
	const playing = model.playing.value;
	const chapter = replay.chapters[model.chapter.value];
	const at = t('replayPosition', { at: clockTime(position), of: clockTime(replay.durationMs) });
	return (
		<section class="card replay-player" aria-label={t('replay')}>
			<Audio replay={replay} />
			<p class="replay-now">{chapter === undefined ? '\u00A0' : t('replayChapterNow', { name: speakerName(chapter) })}</p>
			<div class="replay-buttons">
				<button type="button" class="button" aria-keyshortcuts="j" onClick={() => model.skip(-SKIP_MS)}>
					{t('replayBack')}
				</button>
				<button type="button" class="button strong replay-play" aria-keyshortcuts="k" onClick={() => model.toggle()}>
					{playing ? <PauseIcon /> : <PlayIcon />}
					<span>{t(playing ? 'replayPause' : 'replayPlay')}</span>
				</button>
				<button type="button" class="button" aria-keyshortcuts="l" onClick={() => model.skip(SKIP_MS)}>
					{t('replayForward')}
				</button>
			</div>
			<input
				type="range"
				min="0"
				max={Math.floor(replay.durationMs / 1_000)}
				step="1"
				aria-label={t('replaySeek')}
				aria-valuetext={at}
				style={{ '--value': `${(Math.floor(position / 1_000) / Math.max(1, Math.floor(replay.durationMs / 1_000))) * 100}%` }}
				value={Math.floor(position / 1_000)}
				onInput={(event) => model.seek(Number(event.currentTarget.value) * 1_000)}
			/>
			<div class="replay-under">
				<span class="replay-clock">{at}</span>
				<label class="replay-speed">
					<span>{t('replaySpeed')}</span>
					<select value={String(model.speed.value)} onChange={(event) => model.setSpeed(Number(event.currentTarget.value))}>
						{model.speeds.map((speed) => (
							<option key={speed} value={String(speed)}>{`${formatNumber(speed, speed % 1 === 0 ? 0 : 2)}×`}</option>
						))}
					</select>
				</label>
			</div>
			{model.broken.value && <p class="notice" role="alert">{t('replayBroken')}</p>}
			{replay.captions !== null && (
				<p class="replay-caption" aria-hidden="true">
					{model.cue.value === null ? '\u00A0' : <bdi>{model.cue.value.speaker === '' ? model.cue.value.text : `${model.cue.value.speaker}: ${model.cue.value.text}`}</bdi>}
				</p>
			)}
			<p class="quiet replay-keys">{t('replayKeys')}</p>
		</section>
	);
};

const Chapters = ({ replay: { chapters } }: { replay: Replay }) =>
	chapters.length === 0 ? null : (
		<section aria-labelledby="chapters-heading">
			<h2 id="chapters-heading">{t('replayChapters')}</h2>
			<ol class="replay-chapters">
				{chapters.map((chapter, index) => (
					<li key={chapter.startMs}>
						<button type="button" aria-current={index === model.chapter.value ? 'true' : undefined} onClick={() => model.playFrom(chapter.startMs)}>
							<span class="replay-clock">{clockTime(chapter.startMs)}</span>
							<bdi>{speakerName(chapter)}</bdi>
						</button>
					</li>
				))}
			</ol>
		</section>
	);

const Transcript = () =>
	model.cues.value.length === 0 ? null : (
		<section aria-labelledby="transcript-heading">
			<h2 id="transcript-heading">{t('replayTranscript')}</h2>
			<ol class="replay-transcript">
				{model.cues.value.map((cue) => (
					<li key={`${cue.startMs} ${cue.text}`}>
						<button type="button" aria-current={cue === model.cue.value ? 'true' : undefined} onClick={() => model.playFrom(cue.startMs)}>
							<span class="replay-clock">{clockTime(cue.startMs)}</span>
							<span dir="auto">
								{cue.speaker !== '' && <strong>{`${cue.speaker}: `}</strong>}
								{cue.text}
							</span>
						</button>
					</li>
				))}
			</ol>
		</section>
	);

const Others = ({ chosen }: { chosen: string | undefined }) => {
	const others = (model.list.value ?? []).filter(({ id }) => id !== chosen);
	return others.length === 0 ? null : (
		<section aria-labelledby="others-heading">
			<h2 id="others-heading">{t('replayOthers')}</h2>
			<ul class="replay-others">
				{others.map(({ id, state, title, startedAt, durationMs }) => (
					<li key={id}>
						{state === 'ready' ? (
							<a href={`?recording=${encodeURIComponent(id)}`}>
								<bdi>{title}</bdi>
							</a>
						) : (
							<bdi>{title}</bdi>
						)}{' '}
						<span class="quiet">
							{formatInstant(startedAt, now.value)} · {state === 'ready' ? formatDuration(durationMs) : t(STATE_TEXT[state])}
						</span>
					</li>
				))}
			</ul>
		</section>
	);
};

/** Keys that players have had for long; nothing where somebody types. */
const useKeys = () =>
	useEffect(() => {
		const pressed = (event: KeyboardEvent) => {
			const typing = event.target instanceof Element && event.target.closest('input, select, textarea') !== null;
			if (typing || event.ctrlKey || event.metaKey || event.altKey) {
				return;
			}
			const act = { KeyK: () => model.toggle(), KeyJ: () => model.skip(-SKIP_MS), KeyL: () => model.skip(SKIP_MS), KeyN: () => model.turn(1), KeyP: () => model.turn(-1) }[event.code];
			if (act) {
				event.preventDefault();
				act();
			}
		};
		document.addEventListener('keydown', pressed);
		return () => document.removeEventListener('keydown', pressed);
	}, []);

const Message = ({ text }: { text: string }) => (
	<Shell page="message">
		<h1>{text}</h1>
		<p>
			<a class="button" href={`/r/${encodeURIComponent(model.roomId)}`}>
				{t('replayToRoom')}
			</a>
		</p>
	</Shell>
);

const Page = () => {
	useKeys();
	useSignalEffect(() => {
		document.title = `${model.replay.value?.title ?? t('replay')} · ${t('appName')}`;
	});
	const problem = model.problem.value;
	const replay = model.replay.value;
	if (problem !== null) {
		return <Message text={problem.status === 401 || problem.status === 403 ? t('listenNotAllowed') : problem.status === 404 ? t('listenNoRoom') : problem.message} />;
	}
	if (model.list.value === null) {
		return <Shell page="replay"><p class="quiet" role="status">{t('loading')}</p></Shell>;
	}
	if (replay === null) {
		const [latest] = model.list.value;
		return <Message text={t(latest === undefined ? 'replayNone' : STATE_TEXT[latest.state === 'ready' ? 'failed' : latest.state])} />;
	}
	return (
		<Shell page="replay">
			<section class="about">
				<h1>
					<bdi>{replay.title}</bdi>
				</h1>
				<p class="times">
					<span>{t('replayOf', { when: formatInstant(replay.startedAt, now.value) })}</span>
					<span>{formatDuration(replay.durationMs)}</span>
				</p>
				{replay.incomplete && <p class="notice">{t('replayIncomplete')}</p>}
			</section>
			<Player replay={replay} />
			{replay.speakers.length > 0 && (
				<section aria-labelledby="speakers-heading">
					<h2 id="speakers-heading">{t('replaySpeakers')}</h2>
					<ReplayTimeline replay={replay} positionMs={model.positionMs.value} speaking={model.speaking.value} seek={(ms) => model.seek(ms)} />
				</section>
			)}
			<Chapters replay={replay} />
			<Transcript />
			<section aria-labelledby="download-heading">
				<h2 id="download-heading">{t('replayDownload')}</h2>
				<p class="row wrap">
					{replay.audio.map(({ url, type }) => (
						<a key={url} class="button" href={model.api.withToken(url)} download>
							{type.startsWith('audio/ogg') ? 'Opus' : 'AAC (M4A)'}
						</a>
					))}
				</p>
			</section>
			<Others chosen={replay.id} />
		</Shell>
	);
};

await mount(() => <Page />);
