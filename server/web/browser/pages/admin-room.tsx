import { useSignal } from '@preact/signals';
import type { AdminRoom, Placement, RoomSettings } from '../api/admin-types.ts';
import { segment } from '../api/admin-api.ts';
import type { RoomCommand } from '../api/rooms-api.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { Action } from '../ui/admin-ask.tsx';
import { LiveView, Panel } from '../ui/admin-live-view.tsx';
import { asProblem } from '../sdk/problem.ts';
import { FanOutTree } from '../ui/admin-tree.tsx';
import { RoomTimes, StateChip } from '../ui/room-state.tsx';
import { addressOf } from './admin-address.ts';
import { admin, CALM_MS } from './admin-model.ts';
import { BansPanel } from './admin-bans.tsx';
import { PreflightPanel } from './admin-preflight.tsx';
import { RecordingsPanel } from './admin-recordings.tsx';
import { RoomForm } from './admin-room-form.tsx';
import { LinksPanel } from './admin-room-links.tsx';
import { StagePanel } from './admin-stage.tsx';

const COMMAND_TEXT: Readonly<Record<RoomCommand, { button: TextKey; done: TextKey }>> = {
	open: { button: 'openDoors', done: 'adminDoorsOpened' },
	start: { button: 'goLive', done: 'adminWentLive' },
	end: { button: 'endRoom', done: 'adminRoomEnded' },
};

/** Of one press of the button that says so. */
const EXTENSION_MINUTES = 15;

const Command = ({ room: { id }, command }: { room: AdminRoom; command: RoomCommand }) => {
	const { button, done } = COMMAND_TEXT[command];
	return (
		<Action
			{...(command === 'end' ? { question: { text: t('endQuestion'), confirm: t('endConfirm') } } : {})}
			act={() =>
				admin.act(async (api) => {
					await api.send('POST', `/v1/rooms/${segment(id)}/${command}`);
					return t(done);
				}, admin.room(id))
			}
		>
			{t(button)}
		</Action>
	);
};

const Head = ({ room }: { room: AdminRoom }) => {
	const { id, title, state, visibility, listenerCount } = room;
	const remove = () =>
		admin.act(async (api) => {
			await api.send('DELETE', `/v1/rooms/${segment(id)}`);
			location.hash = addressOf({ section: 'rooms' });
			return t('adminRoomDeleted');
		}, admin.rooms());
	const told = (command: 'cancel' | 'extend', body: object, done: TextKey) =>
		admin.act(async (api) => {
			await api.send('POST', `/v1/rooms/${segment(id)}/${command}`, body);
			return t(done);
		}, admin.room(id));
	return (
		<div class="admin-head">
			<div class="admin-head-text">
				<StateChip state={state} />
				<h2>
					<bdi>{title}</bdi>
				</h2>
				<RoomTimes room={room} />
				<p class="quiet">
					<bdi>{id}</bdi> · {t(visibility === 'public' ? 'adminPublic' : 'adminPrivate')} · {tCount('listenerCount', listenerCount)}
				</p>
			</div>
			<div class="row wrap">
				{state === 'scheduled' && <Command room={room} command="open" />}
				{(state === 'scheduled' || state === 'open') && <Command room={room} command="start" />}
				{(state === 'scheduled' || state === 'open') && (
					<Action act={() => told('cancel', {}, 'adminCancelled')} question={{ text: t('adminCancelQuestion', { title }), confirm: t('adminCancelConfirm') }}>
						{t('adminCancelRoom')}
					</Action>
				)}
				{state === 'live' && (room.endsAt !== undefined || room.maxDurationMinutes !== undefined) && (
					<Action act={() => told('extend', { minutes: EXTENSION_MINUTES }, 'adminExtended')}>{t('adminExtend')}</Action>
				)}
				{state !== 'ended' && <Command room={room} command="end" />}
				<a class="button" href={`/r/${segment(id)}`}>
					{t('goListening')}
				</a>
				<Action act={remove} question={{ text: t('adminDeleteQuestion', { title }), confirm: t('adminDeleteConfirm') }}>
					{t('adminDelete')}
				</Action>
			</div>
		</div>
	);
};

const PlacementPanel = ({ id }: { id: string }) => (
	<Panel id="placement" title={t('adminPlacement')} live={admin.read<Placement>(`/v1/admin/rooms/${segment(id)}/placement`, CALM_MS)}>
		{(placement) => (
			<>
				<ul class="figures">
					{Object.entries(placement.listeners).map(([node, listeners]) => (
						<li key={node}>
							<bdi>{node}</bdi>: {tCount('listenerCount', listeners)}
						</li>
					))}
				</ul>
				<FanOutTree placement={placement} />
			</>
		)}
	</Panel>
);

/** Its settings. While somebody is at them, what others change meanwhile does not take them away; only what was changed here is sent. */
const Settings = ({ room }: { room: AdminRoom }) => {
	const edited = useSignal<AdminRoom | null>(null);
	const base = edited.value ?? room;
	const save = async (settings: Partial<RoomSettings>): Promise<boolean> => {
		const saved =
			Object.keys(settings).length === 0 ||
			(await admin.act(async (api) => {
				await api.send('PATCH', `/v1/rooms/${segment(room.id)}`, settings);
				return t('adminSaved');
			}, admin.room(room.id)));
		if (saved) {
			edited.value = null;
		}
		return saved;
	};
	return (
		<div
			onInput={() => {
				edited.value ??= room;
			}}
		>
			<RoomForm key={base.version} title={t('adminEdit')} submit={t('adminSave')} room={base} save={save} />
		</div>
	);
};

/** One room: its states, who is on stage, where its sound goes, and whether all is ready for it. */
export const RoomSection = ({ id }: { id: string }) => {
	const live = admin.room(id);
	const gone = live.failure.value !== null && asProblem(live.failure.value).code === 'room_not_found';
	return (
		<div class="stack">
			<p>
				<a href={addressOf({ section: 'rooms' })}>{t('adminAllRooms')}</a>
			</p>
			{gone ? (
				<p class="notice" role="alert">
					{t('listenNoRoom')}
				</p>
			) : (
				<LiveView live={live}>
					{(room) => (
						<>
							<Head room={room} />
							<div class="columns admin-columns">
								<div class="stack">
									<StagePanel room={room} />
									<PlacementPanel id={id} />
									<PreflightPanel id={id} />
									<RecordingsPanel room={room} />
								</div>
								<div class="stack">
									{room.state !== 'ended' && <LinksPanel room={room} />}
									<BansPanel id={id} />
									<Settings room={room} />
								</div>
							</div>
						</>
					)}
				</LiveView>
			)}
		</div>
	);
};
