import { signal } from '@preact/signals';
import { type RoomQuery, type RoomResource, RoomsApi } from '../api/rooms-api.ts';
import { t, tCount } from '../locale/language.ts';
import type { TextKey } from '../locale/messages.ts';
import { PeopleIcon } from '../ui/icons.tsx';
import { mount } from '../ui/mount.tsx';
import { now } from '../ui/now.ts';
import { Countdown, RoomTimes, StateChip } from '../ui/room-state.tsx';
import { Shell } from '../ui/shell.tsx';

const REFRESH_MS = 20_000;
/** A plan that nobody has followed for so long is no news. */
const OVERDUE_MS = 6 * 3_600_000;
const EARLIER = 12;

const api = new RoomsApi();
const failed = signal(false);

/** Rooms page by page, of which the first is kept up to date. */
class Pages {
	readonly rooms = signal<readonly RoomResource[] | null>(null);
	readonly next = signal<string | undefined>(undefined);
	readonly #query: RoomQuery;

	constructor(query: RoomQuery) {
		this.#query = query;
	}

	async refresh(): Promise<void> {
		const page = await api.list(this.#query);
		// Whoever has asked for more keeps it, save what has come forward.
		const fresh = new Set(page.rooms.map(({ id }) => id));
		const more = (this.rooms.value ?? []).slice(page.rooms.length).filter(({ id }) => !fresh.has(id));
		this.rooms.value = [...page.rooms, ...more];
		if (more.length === 0) {
			this.next.value = page.next;
		}
	}

	async more(): Promise<void> {
		const page = await api.list({ ...this.#query, after: this.next.value });
		const known = new Set((this.rooms.value ?? []).map(({ id }) => id));
		this.rooms.value = [...(this.rooms.value ?? []), ...page.rooms.filter(({ id }) => !known.has(id))];
		this.next.value = page.next;
	}
}

const current = new Pages({ state: 'live,open,scheduled', order: 'time' });
const earlier = new Pages({ state: 'ended', order: 'latest', limit: EARLIER });

const attempt = async (work: Promise<unknown>): Promise<void> => {
	failed.value = await work.then(
		() => false,
		() => true,
	);
};

const isOverdue = ({ state, scheduledAt, doorsOpenAt }: RoomResource): boolean => {
	const start = scheduledAt ?? doorsOpenAt;
	return state === 'scheduled' && start !== undefined && now.value - Date.parse(start) > OVERDUE_MS;
};

const RoomCard = ({ room }: { room: RoomResource }) => (
	<li class={`card room-card is-${room.state}`}>
		<StateChip state={room.state} cancelled={room.cancelled} />
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

const Group = ({ text, rooms, pages }: { text: TextKey; rooms: readonly RoomResource[]; pages?: Pages | undefined }) =>
	rooms.length === 0 ? null : (
		<section aria-labelledby={`group-${text}`}>
			<h2 id={`group-${text}`}>{t(text)}</h2>
			<ul class="cards">
				{rooms.map((room) => (
					<RoomCard key={room.id} room={room} />
				))}
			</ul>
			{pages?.next.value !== undefined && (
				<button type="button" class="button" aria-describedby={`group-${text}`} onClick={() => void attempt(pages.more())}>
					{t('moreRooms')}
				</button>
			)}
		</section>
	);

const Page = () => {
	document.title = `${t('rooms')} · ${t('appName')}`;
	const all = current.rooms.value;
	const live = (all ?? []).filter(({ state }) => state === 'live');
	const upcoming = (all ?? []).filter((room) => room.state !== 'live' && !isOverdue(room));
	const past = earlier.rooms.value ?? [];
	return (
		<Shell page="landing">
			<div class="lead">
				<h1>{t('rooms')}</h1>
				<p>{t('roomsIntro')}</p>
			</div>
			<div role="status">
				{failed.value && <p class="notice">{t('roomsFailed')}</p>}
				{all === null && !failed.value && <p class="quiet">{t('loading')}</p>}
				{all?.length === 0 && past.length === 0 && <p class="quiet">{t('roomsNone')}</p>}
			</div>
			<Group text="roomsLive" rooms={live} pages={upcoming.length === 0 ? current : undefined} />
			<Group text="roomsUpcoming" rooms={upcoming} pages={current} />
			<Group text="roomsPast" rooms={past} pages={earlier} />
			<footer class="foot">
				<a href="/admin">{t('operate')}</a>
			</footer>
		</Shell>
	);
};

await mount(() => <Page />);
void attempt(Promise.all([current.refresh(), earlier.refresh()]));
setInterval(() => document.visibilityState === 'visible' && void attempt(current.refresh()), REFRESH_MS);
