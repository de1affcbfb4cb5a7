import { useSignalEffect } from '@preact/signals';
import { t, tCount } from '../locale/language.ts';
import { Mark, PlayIcon, SilentIcon, SoundIcon, StopIcon } from '../ui/icons.tsx';
import { mount } from '../ui/mount.tsx';
import { StateChip } from '../ui/room-state.tsx';
import { more } from './listen-later.ts';
import { ListenModel } from './listen-model.ts';
import { failureText, ListenStatus } from './listen-status.tsx';

const model = new ListenModel();

/** The small player, in a frame of somebody else's page. */
const Embed = () => {
	useSignalEffect(() => {
		document.title = model.room.value?.title ?? t('appName');
	});
	const refused = model.refused.value;
	const room = model.room.value;
	const active = model.active.value;
	const count = model.listeners.value;
	if (refused !== null) {
		return (
			<main class="embed">
				<h1>{failureText(refused)}</h1>
			</main>
		);
	}
	return (
		<main class="embed" data-state={model.state.value}>
			<div class="embed-head">
				<h1>{room === null ? '\u00A0' : <bdi>{room.title}</bdi>}</h1>
				{room !== null && <StateChip state={room.state} cancelled={room.cancelled} />}
			</div>
			<div class="embed-row">
				<button type="button" class={`listen-button${active ? ' is-active' : ''}`} disabled={room?.state === 'ended'} onClick={() => model.toggle()}>
					{active ? <StopIcon /> : <PlayIcon />}
					<span>{t(active ? 'stop' : 'listen')}</span>
				</button>
				<div class="grow">
					<ListenStatus model={model} />
					{model.blocked.value && (
						<button type="button" class="button strong" onClick={() => model.unblock()}>
							{t('listenUnblock')}
						</button>
					)}
				</div>
				<button
					type="button"
					class="icon-button"
					aria-label={t(model.muted.value ? 'unmuteSound' : 'muteSound')}
					onClick={() => model.setMuted(!model.muted.value)}
				>
					{model.muted.value ? <SilentIcon /> : <SoundIcon />}
				</button>
			</div>
			{more.value !== null && <more.value.EmbedMore model={model} />}
			<div class="embed-foot">
				<span class="quiet">{count === null ? '' : tCount('listenerCount', count)}</span>
				<a class="brand" href={`/r/${encodeURIComponent(model.roomId)}`} target="_blank" rel="noopener noreferrer">
					<Mark />
					<span>{t('embedOpen')}</span>
				</a>
			</div>
		</main>
	);
};

await mount(() => <Embed />);
