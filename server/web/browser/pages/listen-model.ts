import { batch, computed, signal } from '@preact/signals';
import type { RoomSummary } from '../../../stage/protocol.ts';
import { takeLinkToken } from '../api/link-token.ts';
import {
	type CaptionLine, EventFeed, type Invitation, ListenSession, type ListenState, type MovePortions, type OverflowState, type ProblemError, type PublicSpeaker, type Quality, type QueueInfo, type ReactionCounts, Servers,
} from '../sdk/listen.ts';
import { loadMore } from './listen-later.ts';
import { roomFromPath } from './room-path.ts';

const VOLUME_KEY = 'rostrum.volume';
/** Everybody who waits at the doors is told in the same second; nobody misses anything before the room is live. */
const DOORS_SPREAD_MS = 4_000;
const LIVE_SPREAD_MS = 1_500;

const storedVolume = (): number => {
	try {
		const volume = Number(localStorage.getItem(VOLUME_KEY) ?? 1);
		return volume >= 0 && volume <= 1 ? volume : 1;
	} catch {
		return 1;
	}
};

/** What the listen page shows, from the session (sound, who speaks) and the feed (names, counts, state). */
export class ListenModel {
	readonly roomId = roomFromPath();
	readonly room = signal<RoomSummary | null>(null);
	readonly speakers = signal<readonly PublicSpeaker[]>([]);
	readonly listeners = signal<number | null>(null);
	readonly captions = signal<readonly CaptionLine[]>([]);
	readonly reactions = signal<ReactionCounts | null>(null);
	/** A host asks this person, whose hand may be down, on stage; as the room's stream tells it. */
	readonly invitation = signal<Invitation | null>(null);
	readonly feedConnected = signal(true);
	readonly refused = signal<ProblemError | null>(null);
	readonly state = signal<ListenState>('idle');
	readonly problem = signal<ProblemError | null>(null);
	readonly overflow = signal<OverflowState>('off');
	readonly queue = signal<QueueInfo | null>(null);
	/** When the session asks again by itself; milliseconds since the epoch. */
	readonly nextTryAtMs = signal<number | null>(null);
	readonly speaking = signal<readonly number[]>([]);
	readonly quality = signal<Quality>('good');
	readonly blocked = signal(false);
	readonly rejoinedAfterMs = signal<number | null>(null);
	readonly volume = signal(storedVolume());
	readonly muted = signal(false);
	readonly active = computed(() => !['idle', 'ended', 'failed'].includes(this.state.value));
	/** For the doors' calendar entry: a private room's is not for everybody. */
	get token(): string | undefined {
		return this.#token;
	}
	readonly level = (): number => this.#session?.level() ?? 0;
	/** Where else the room can be reached. */
	get servers(): Servers {
		return this.#servers;
	}

	readonly #token = takeLinkToken(this.roomId);
	readonly #servers = new Servers();
	readonly #feed: EventFeed;
	#moves: MovePortions = {};
	#session: ListenSession | undefined;
	#heldBack = false;

	constructor() {
		this.#feed = new EventFeed({ room: this.roomId, servers: this.#servers, ...(this.#token === undefined ? {} : { token: this.#token }) });
		this.#feed.on('room', (room) => this.#roomChanged(room));
		this.#feed.on('stage', ({ speakers }) => {
			this.speakers.value = speakers;
		});
		this.#feed.on('listeners', ({ count }) => {
			this.listeners.value = count;
		});
		this.#feed.on('captions', ({ items }) => {
			this.captions.value = items;
			if (items.length > 0) {
				// They are for those who do not listen, too.
				loadMore();
			}
		});
		this.#feed.on('reactions', (reactions) => {
			this.reactions.value = reactions;
		});
		this.#feed.on('invitation', ({ invitation }) => {
			this.invitation.value = invitation;
			if (invitation !== null) {
				loadMore();
			}
		});
		this.#feed.on('move', (portions) => {
			this.#moves = portions;
			this.#session?.move(portions);
		});
		this.#feed.on('connection', ({ connected }) => {
			this.feedConnected.value = connected;
		});
		this.#feed.on('refused', ({ problem }) => {
			this.refused.value = problem;
		});
		this.#feed.start();
	}

	/** In a user's click. */
	toggle(): void {
		if (this.active.value) {
			this.#session?.stop();
			return;
		}
		const voices = this.room.value?.voices;
		// A new one each time: the number of voices may have become known since.
		this.#session = new ListenSession({
			room: this.roomId,
			servers: this.#servers,
			...(this.#token === undefined ? {} : { token: this.#token }),
			...(voices === undefined ? {} : { voices }),
		});
		this.#follow(this.#session);
		this.#session.move(this.#moves);
		this.#session.volume = this.volume.value;
		this.#session.muted = this.muted.value || this.#heldBack;
		this.rejoinedAfterMs.value = null;
		this.blocked.value = false;
		performance.mark('rostrum:listen');
		this.#session.start();
	}

	unblock(): void {
		this.blocked.value = false;
		this.#session?.resume();
	}

	setVolume(volume: number): void {
		this.volume.value = volume;
		this.setMuted(false);
		if (this.#session !== undefined) {
			this.#session.volume = volume;
		}
		try {
			localStorage.setItem(VOLUME_KEY, String(volume));
		} catch {
			// Lasts as long as the page, then.
		}
	}

	setMuted(muted: boolean): void {
		this.muted.value = muted;
		if (this.#session !== undefined) {
			this.#session.muted = muted || this.#heldBack;
		}
	}

	/** Silence, whatever is chosen, while the stage itself is heard. The session goes on: coming back is no more than this. */
	holdBack(yes: boolean): void {
		this.#heldBack = yes;
		this.setMuted(this.muted.value);
	}

	listen(): void {
		if (!this.active.value && this.room.value?.state !== 'ended') {
			this.toggle();
		}
	}

	/** The room's stream is a guest's own from now on. */
	identify(guestToken: string): void {
		this.#feed.identify(guestToken);
	}

	/** Nothing more is to be had here. */
	turnAway(problem: ProblemError): void {
		this.#feed.close();
		this.#session?.stop();
		this.refused.value = problem;
	}

	#follow(session: ListenSession): void {
		session.on('state', ({ state, problem, retryInMs, queue, overflow }) => {
			batch(() => {
				this.state.value = state;
				this.problem.value = problem;
				this.overflow.value = overflow;
				this.queue.value = queue;
				this.nextTryAtMs.value = retryInMs === null ? null : Date.now() + retryInMs;
			});
			if (state !== 'playing') {
				this.rejoinedAfterMs.value = null;
			}
			if (problem?.code === 'banned') {
				this.turnAway(problem);
			} else if (state !== 'connecting') {
				loadMore();
			}
			this.#tellSystem(state);
		});
		session.on('speakers', ({ numbers }) => {
			this.speaking.value = numbers;
		});
		session.on('quality', ({ quality }) => {
			this.quality.value = quality;
		});
		session.on('blocked', () => {
			this.blocked.value = true;
		});
		session.on('rejoined', ({ gapMs }) => {
			this.rejoinedAfterMs.value = gapMs;
			setTimeout(() => {
				this.rejoinedAfterMs.value = null;
			}, 8_000);
		});
		session.on('firstaudio', () => performance.measure('rostrum:first-audio', 'rostrum:listen'));
	}

	#roomChanged(room: RoomSummary): void {
		const before = this.room.value;
		this.room.value = room;
		if (room.state === 'ended') {
			this.#session?.end();
			this.state.value = 'ended';
		} else if (before?.state !== room.state && this.problem.value?.code === 'room_not_open' && room.state !== 'scheduled') {
			// Only whoever waits for the doors: a queue for places keeps its pace.
			this.#session?.wake(room.state === 'live' ? LIVE_SPREAD_MS : DOORS_SPREAD_MS);
		}
		this.#tellSystem(this.state.value);
	}

	/** The lock screen and the headphones' button. */
	#tellSystem(state: ListenState): void {
		if (!('mediaSession' in navigator)) {
			return;
		}
		const sounds = state === 'playing' || state === 'overflow';
		navigator.mediaSession.playbackState = sounds ? 'playing' : 'none';
		if (sounds && this.room.value !== null) {
			navigator.mediaSession.metadata = new MediaMetadata({ title: this.room.value.title });
			navigator.mediaSession.setActionHandler('stop', () => this.#session?.stop());
		}
	}
}
