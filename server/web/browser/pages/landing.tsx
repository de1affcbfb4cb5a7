import { signal } from '@preact/signals';
import { type RoomResource, RoomsApi } from '../api/rooms-api.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { PeopleIcon } from '../ui/icons.tsx';
import { mount } from '../ui/mount.tsx';
import { Countdown, RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';

const REFRESH_MS = 20_000;

const api = new RoomsApi();
const rooms = signal<readonly RoomResource[] | null>(null);
const next = signal<string | undefined>(undefined);
const failed = signal(false);

const load = async (): Promise<void> => {
	try {
		const page = await api.list();
		// Whoever has asked for more keeps it: only the first page is refreshed.
		const fresh = new Set(page.rooms.map(({ id }) => id));
		const more = (rooms.value ?? []).slice(page.rooms.length).filter(({ id }) => !fresh.has(id));
		rooms.value = [...page.rooms, ...more];
		if (more.length === 0) {
			next.value = page.next;
		}
		failed.value = false;
	} catch {
		failed.value = true;
	}
};

const loadMore = async (): Promise<void> => {
	try {
		const page = await api.list(next.value);
		rooms.value = [...(rooms.value ?? []), ...page.rooms];
		next.value = page.next;
	} catch {
		failed.value = true;
	}
};

const GROUPS: readonly { text: TextKey; states: readonly RoomResource['state'][] }[] = [
	{ text: 'roomsLive', states: ['live'] },
	{ text: 'roomsUpcoming', states: ['open', 'scheduled'] },
	{ text: 'roomsPast', states: ['ended'] },
];

/** Soonest first; rooms without a date last. */
const bySchedule = (a: RoomResource, b: RoomResource): number => (a.scheduledAt ?? '9').localeCompare(b.scheduledAt ?? '9');

const RoomCard = ({ room }: { room: RoomResource }) => (
	<li class={`card room-card is-${room.state}`}>
		<StateChip state={room.state} />
		<h3>
			<a href={`/r/${encodeURIComponent(room.id)}`}>
				<bdi>{room.title}</bdi>
			</a>
		</h3>
		<Countdown room={room} />
		<RoomTimes room={room} />
		{room.description !== undefined && (
			<p class="description clamp">
				<bdi>{room.description}</bdi>
			</p>
		)}
		{(room.state === 'live' || room.state === 'open') && (
			<p class="facts">
				<PeopleIcon />
				{tCount('listenerCount', room.listenerCount)}
			</p>
		)}
	</li>
);

const Page = () => {
	document.title = `${t('rooms')} · ${t('appName')}`;
	const all = rooms.value;
	return (
		<Shell page="landing">
			<div class="lead">
				<h1>{t('rooms')}</h1>
				<p>{t('roomsIntro')}</p>
			</div>
			<div role="status">
				{failed.value && <p class="notice">{t('roomsFailed')}</p>}
				{all === null && !failed.value && <p class="quiet">{t('loading')}</p>}
				{all?.length === 0 && <p class="quiet">{t('roomsNone')}</p>}
			</div>
			{GROUPS.map(({ text, states }) => {
				const group = (all ?? []).filter(({ state }) => states.includes(state)).toSorted(bySchedule);
				return group.length === 0 ? null : (
					<section key={text} aria-labelledby={`group-${text}`}>
						<h2 id={`group-${text}`}>{t(text)}</h2>
						<ul class="cards">
							{group.map((room) => (
								<RoomCard key={room.id} room={room} />
							))}
						</ul>
					</section>
				);
			})}
			{next.value !== undefined && (
				<button type="button" class="button" onClick={() => void loadMore()}>
					{t('moreRooms')}
				</button>
			)}
			<footer class="foot">
				<a href="/admin">{t('operate')}</a>
			</footer>
		</Shell>
	);
};

await mount(() => <Page />);
void load();
setInterval(() => document.visibilityState === 'visible' && void load(), REFRESH_MS);
