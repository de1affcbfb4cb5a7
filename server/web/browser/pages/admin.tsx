import { useSignal } from '@preact/signals';
import type { RoomResource } from '../api/rooms-api.ts';
import { formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import { ConfirmDialog, confirmed } from '../ui/confirm.tsx';
import { InviteForm } from '../ui/invite-form.tsx';
import { mount } from '../ui/mount.tsx';
import { problemText } from '../ui/problem-text.ts';
import { RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';
import { AdminModel } from './admin-model.ts';
import { NewRoomForm } from './new-room-form.tsx';

const model = new AdminModel();

const SignIn = () => {
	const token = useSignal('');
	return (
		<form
			class="card sign-in"
			onSubmit={(event) => {
				event.preventDefault();
				void model.signIn(token.value.trim());
			}}
		>
			<h1>{t('adminTitle')}</h1>
			<label class="field">
				<span>{t('adminToken')}</span>
				<input
					type="password"
					required
					dir="ltr"
					autoComplete="current-password"
					aria-describedby="token-help"
					value={token.value}
					onInput={(event) => {
						token.value = event.currentTarget.value;
					}}
				/>
			</label>
			<p id="token-help" class="quiet">
				{t('adminTokenHelp')}
			</p>
			<div role="alert">{model.wrongToken.value && <p class="notice">{t('adminWrongToken')}</p>}</div>
			<button type="submit" class="button strong">
				{t('adminSignIn')}
			</button>
		</form>
	);
};

const Server = () => {
	const readiness = model.readiness.value;
	const rooms = model.rooms.value ?? [];
	const listeners = rooms.reduce((sum, { listenerCount }) => sum + listenerCount, 0);
	return (
		<section class="card server" aria-labelledby="server-heading">
			<h2 id="server-heading">{t('adminServer')}</h2>
			<ul class="figures">
				<li>{tCount('adminRoomCount', rooms.length)}</li>
				<li>{tCount('adminLiveCount', rooms.filter(({ state }) => state === 'live').length)}</li>
				<li>{tCount('listenerCount', listeners)}</li>
			</ul>
			{readiness !== null && (
				<ul class="components">
					{readiness.components.map(({ name, ready, detail }) => (
						<li key={name} class={ready ? 'is-ready' : 'is-not-ready'}>
							<bdi>{COMPONENT_TEXT[name] === undefined ? name : t(COMPONENT_TEXT[name])}</bdi>
							<span>{t(ready ? 'adminReady' : 'adminNotReady')}</span>
							{detail !== undefined && <bdi class="quiet">{detailText(detail)}</bdi>}
						</li>
					))}
				</ul>
			)}
		</section>
	);
};

/** `/readyz` speaks to programs; these are its words for people. */
const COMPONENT_TEXT: Readonly<Record<string, 'adminStageShards' | 'adminListenerShards' | 'adminAdmission'>> = {
	'stage shards': 'adminStageShards',
	'listener shards': 'adminListenerShards',
	admission: 'adminAdmission',
};

const detailText = (detail: string): string => {
	const [, alive, total] = /^(\d+) of (\d+)$/.exec(detail) ?? [];
	return alive === undefined || total === undefined ? detail : t('adminOf', { alive: formatNumber(Number(alive)), total: formatNumber(Number(total)) });
};

const RoomCard = ({ room }: { room: RoomResource }) => {
	const { id, title, state, visibility } = room;
	const ask = async (question: string, confirm: string, act: () => Promise<void>) => {
		if (await confirmed(question, confirm)) {
			await act();
		}
	};
	return (
		<li class="card admin-room">
			<div class="admin-room-head">
				<div>
					<StateChip state={state} />
					<h3>
						<a href={`/r/${encodeURIComponent(id)}`}>
							<bdi>{title}</bdi>
						</a>
					</h3>
					<RoomTimes room={room} />
					<p class="quiet">
						<bdi>{id}</bdi> · {t(visibility === 'public' ? 'adminPublic' : 'adminPrivate')} · {tCount('listenerCount', room.listenerCount)}
					</p>
				</div>
				<div class="row wrap">
					{state === 'scheduled' && (
						<button type="button" class="button" onClick={() => void model.command(id, 'open')}>
							{t('openDoors')}
						</button>
					)}
					{(state === 'scheduled' || state === 'open') && (
						<button type="button" class="button" onClick={() => void model.command(id, 'start')}>
							{t('goLive')}
						</button>
					)}
					{state !== 'ended' && (
						<button type="button" class="button" onClick={() => void ask(t('endQuestion'), t('endConfirm'), () => model.command(id, 'end'))}>
							{t('endRoom')}
						</button>
					)}
					<button
						type="button"
						class="button"
						onClick={() => void ask(t('adminDeleteQuestion', { title }), t('adminDeleteConfirm'), () => model.remove(id))}
					>
						{t('adminDelete')}
					</button>
				</div>
			</div>
			{state !== 'ended' && (
				<details>
					<summary>{t('adminLinks')}</summary>
					<InviteForm
						roles={['host', 'cohost', 'speaker', 'listener']}
						invite={(role, name) => model.invite(id, role, name)}
						{...(visibility === 'public' ? { listenUrl: room.links.listen } : {})}
					/>
				</details>
			)}
		</li>
	);
};

const Console = () => {
	const rooms = model.rooms.value;
	return (
		<>
			<div class="lead with-action">
				<h1>{t('adminTitle')}</h1>
				<button type="button" class="button" onClick={() => model.signOut()}>
					{t('adminSignOut')}
				</button>
			</div>
			<div role="alert">
				{model.failure.value !== null && <p class="notice">{t('actionFailed', { reason: problemText(model.failure.value) })}</p>}
			</div>
			<div class="columns admin-columns">
				<section aria-labelledby="rooms-heading">
					<h2 id="rooms-heading">{t('adminRooms')}</h2>
					{rooms?.length === 0 && <p class="quiet">{t('adminNoRooms')}</p>}
					{rooms === null && <p class="quiet">{t('loading')}</p>}
					<ul class="stack">
						{rooms?.map((room) => (
							<RoomCard key={room.id} room={room} />
						))}
					</ul>
				</section>
				<div class="stack">
					<Server />
					<NewRoomForm create={(room) => model.create(room)} />
				</div>
			</div>
			<ConfirmDialog />
		</>
	);
};

const Page = () => {
	document.title = `${t('adminTitle')} · ${t('appName')}`;
	return <Shell page="admin">{model.token.value === undefined ? <SignIn /> : <Console />}</Shell>;
};

await mount(() => <Page />);
