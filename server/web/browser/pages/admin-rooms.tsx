import type { AdminRoom } from '../api/admin-types.ts';
import type { Readiness } from '../api/rooms-api.ts';
import { formatNumber } from '../locale/format.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { LiveView, Panel } from '../ui/admin-live-view.tsx';
import { RoomTimes, StateChip } from '../ui/room-state.tsx';
import { addressOf } from './admin-address.ts';
import { CapacityPanel } from './admin-capacity.tsx';
import { admin } from './admin-model.ts';
import { RoomForm } from './admin-room-form.tsx';

/** `/readyz` speaks to programs; these are its words for people. */
const COMPONENT_TEXT: Readonly<Record<string, TextKey>> = {
	'stage shards': 'adminStageShards',
	'listener shards': 'adminListenerShards',
	admission: 'adminAdmission',
	overflow: 'adminOverflow',
	recording: 'adminRecordingComponent',
	cluster: 'adminCluster',
};

/** A name that is the same in every language. */
const nameOf = (component: string): string => (component === 'redis' ? 'Redis' : component);

const detailText = (detail: string): string => {
	const [, alive, total] = /^(\d+) of (\d+)$/.exec(detail) ?? [];
	const [, nodes] = /^(\d+) nodes$/.exec(detail) ?? [];
	if (nodes !== undefined) {
		return tCount('adminNodeCount', Number(nodes));
	}
	return alive === undefined || total === undefined ? detail : t('adminOf', { alive: formatNumber(Number(alive)), total: formatNumber(Number(total)) });
};

const Components = ({ readiness }: { readiness: Readiness }) => (
	<ul class="components">
		{readiness.components.map(({ name, ready, detail }) => (
			<li key={name} class={ready ? 'is-ready' : 'is-not-ready'}>
				<bdi>{COMPONENT_TEXT[name] === undefined ? nameOf(name) : t(COMPONENT_TEXT[name])}</bdi>
				<span>{t(ready ? 'adminReady' : 'adminNotReady')}</span>
				{detail !== undefined && <bdi class="quiet">{detailText(detail)}</bdi>}
			</li>
		))}
	</ul>
);

const RoomRow = ({ room }: { room: AdminRoom }) => {
	const { id, title, state, visibility, listenerCount, stage } = room;
	return (
		<li class="card admin-room">
			<StateChip state={state} />
			<h3>
				<a href={addressOf({ section: 'rooms', roomId: id })}>
					<bdi>{title}</bdi>
				</a>
			</h3>
			<RoomTimes room={room} />
			<p class="quiet">
				<bdi>{id}</bdi> · {t(visibility === 'public' ? 'adminPublic' : 'adminPrivate')} · {tCount('listenerCount', listenerCount)} · {tCount('adminOnStageCount', stage.length)}
			</p>
		</li>
	);
};

/** What goes on first, what is to come next, what is over last. */
const ORDER = { live: 0, open: 1, scheduled: 2, ended: 3 } as const;
const byState = (a: AdminRoom, b: AdminRoom): number => ORDER[a.state] - ORDER[b.state] || (a.scheduledAt ?? '9').localeCompare(b.scheduledAt ?? '9');

const Rooms = ({ rooms }: { rooms: readonly AdminRoom[] }) => (
	<>
		<ul class="figures">
			<li>{tCount('adminRoomCount', rooms.length)}</li>
			<li>{tCount('adminLiveCount', rooms.filter(({ state }) => state === 'live').length)}</li>
			<li>{tCount('listenerCount', rooms.reduce((sum, { listenerCount }) => sum + listenerCount, 0))}</li>
		</ul>
		{rooms.length === 0 && <p class="quiet">{t('adminNoRooms')}</p>}
		<ul class="stack admin-room-list">
			{rooms.toSorted(byState).map((room) => (
				<RoomRow key={room.id} room={room} />
			))}
		</ul>
	</>
);

/** All rooms, a new one, and how the server is. */
export const RoomsSection = () => {
	const rooms = admin.rooms();
	const create = (settings: object): Promise<boolean> =>
		admin.act(async (api) => {
			const { id } = await api.send<AdminRoom>('POST', '/v1/rooms', settings);
			location.hash = addressOf({ section: 'rooms', roomId: id });
			return t('adminRoomMade');
		}, rooms);
	return (
		<div class="columns admin-columns">
			<section class="stack" aria-labelledby="rooms-heading">
				<h2 id="rooms-heading">{t('adminRooms')}</h2>
				<LiveView live={rooms}>{(list) => <Rooms rooms={list} />}</LiveView>
			</section>
			<div class="stack">
				<Panel id="server" title={t('adminServer')} live={admin.readiness()}>
					{(readiness) => <Components readiness={readiness} />}
				</Panel>
				<CapacityPanel />
				<RoomForm title={t('adminNewRoom')} submit={t('adminCreate')} save={create} />
			</div>
		</div>
	);
};
