import type { HandsPage, RoomSummary, RosterEntry, StageEvent, StageParams, StageResults } from '../../../stage/protocol.ts';
import { Emitter } from './emitter.ts';
import { Microphone } from './microphone.ts';
import { StageMedia } from './stage-media.ts';
import { StageSocket } from './stage-socket.ts';

export type StageState = 'idle' | 'connecting' | 'on-stage' | 'reconnecting' | 'left';

/** Everything a page needs to draw a stage; replaced as a whole with every change. */
export interface StageView {
	readonly state: StageState;
	/** Why it is `left`: `left`, `kicked`, `banned`, `demoted`, `replaced`, `room_ended`, `token_invalid`, … */
	readonly leftBecause: string | null;
	/** Why it is still `connecting` or `reconnecting`, where the server said so: `stage_full`, `shutting_down`, … */
	readonly delayedBecause: string | null;
	readonly participantId: string | null;
	/** One's own number in the roster. */
	readonly number: number | null;
	readonly role: RosterEntry['role'] | null;
	readonly room: RoomSummary | null;
	readonly roster: readonly RosterEntry[];
	/** Numbers of those who have a voice now. */
	readonly talking: readonly number[];
	readonly listenerCount: number;
	/** `off`: the media server is away; it comes back by itself. */
	readonly media: 'off' | 'connecting' | 'ready';
	/** Everybody else on stage has been heard by way of the stage: whatever played the room till then may be silent now. */
	readonly hears: boolean;
	readonly muted: boolean;
	/** Who muted one, when it was somebody else; null after the next unmute. */
	readonly mutedBy: string | null;
	/** Who asks one to unmute; null once it was answered. */
	readonly unmuteRequestedBy: string | null;
	/** Nobody new comes on stage. */
	readonly locked: boolean;
	/** People on stage at once, at most; null until the server has said so. */
	readonly maxSize: number | null;
	readonly recording: boolean;
	/** The head of the queue of raised hands; null for those who do not run the room. */
	readonly hands: HandsPage | null;
}

export interface StageSessionEvents {
	change: StageView;
	/** The browser wants another click: call `play()` in it. */
	blocked: Record<string, never>;
}

export interface StageSessionOptions {
	room: string;
	token: string;
	baseUrl?: string;
	/** Shared with whatever shows the level before joining; closed with the session. */
	microphone?: Microphone;
	random?: () => number;
}

const EMPTY: StageView = {
	state: 'idle',
	leftBecause: null,
	delayedBecause: null,
	participantId: null,
	number: null,
	role: null,
	room: null,
	roster: [],
	talking: [],
	listenerCount: 0,
	media: 'off',
	hears: false,
	muted: false,
	mutedBy: null,
	unmuteRequestedBy: null,
	locked: false,
	maxSize: null,
	recording: false,
	hands: null,
};

const runs = (role: RosterEntry['role']): boolean => role === 'host' || role === 'cohost';

/** A place on a room's stage: speaks, hears the others, and for hosts runs the room. Survives lost sockets and media servers. */
export class StageSession extends Emitter<StageSessionEvents> {
	readonly microphone: Microphone;
	readonly #socket: StageSocket;
	readonly #media: StageMedia;
	#view = EMPTY;
	#page: AbortController | undefined;

	constructor({ room, token, baseUrl, microphone = new Microphone(), random = Math.random }: StageSessionOptions) {
		super();
		this.microphone = microphone;
		this.#socket = new StageSocket({ room, token, random, ...(baseUrl === undefined ? {} : { baseUrl }) });
		this.#media = new StageMedia(this.#socket, random);
		this.#wire();
	}

	get view(): StageView {
		return this.#view;
	}

	/** Call it in a user's click, so that the others may be heard. The microphone, if open, goes on air muted or not as the server says. */
	join(): void {
		if (this.#view.state !== 'idle') {
			return;
		}
		this.#watchPage();
		this.#change({ state: 'connecting' });
		void this.#media.setTrack(this.microphone.track);
		this.#socket.open();
	}

	/**
	 * Opens a microphone, or changes to another, on air without a break.
	 * @throws MicrophoneError
	 */
	async setMicrophone(deviceId?: string): Promise<void> {
		await this.microphone.open(deviceId);
		await this.#media.setTrack(this.microphone.track);
	}

	/** At once on this side; the server is told as soon as it can be. */
	async mute(): Promise<void> {
		this.#setMuted(true);
		if (this.#socket.ready) {
			await this.#socket.request('mute', {});
		}
	}

	async unmute(): Promise<void> {
		await this.#socket.request('unmute', {});
		this.#setMuted(false);
	}

	set volume(volume: number) {
		this.#media.volume = volume;
	}

	/** After `blocked`, in a user's click. */
	play(): void {
		this.#media.play();
	}

	/** Hosts and co-hosts. @throws ProblemError, like all that follow */
	async command(command: 'open' | 'start' | 'end'): Promise<void> {
		const { room } = await this.#socket.request('room.command', { command });
		this.#change({ room });
	}
	async muteOther(participantId: string): Promise<void> {
		await this.#socket.request('participant.mute', { participantId });
	}
	async muteAll(): Promise<void> {
		await this.#socket.request('participant.muteAll', {});
	}
	/** They are asked, and unmute themselves or do not. */
	async askToUnmute(participantId: string): Promise<void> {
		await this.#socket.request('participant.unmute', { participantId });
	}
	async kick(participantId: string): Promise<void> {
		await this.#socket.request('participant.kick', { participantId });
	}
	/** Out of the room, until somebody undoes it. */
	async ban(participantId: string): Promise<void> {
		await this.#socket.request('participant.ban', { participantId });
	}
	/** Asks a listener on stage. */
	async invite(participantId: string): Promise<void> {
		await this.#socket.request('participant.invite', { participantId });
	}
	/** A raised hand comes on stage; a speaker becomes a co-host. @param role default: one step; `host` hands the room over */
	async promote(participantId: string, role?: StageParams<'participant.promote'>['role']): Promise<void> {
		await this.#socket.request('participant.promote', { participantId, ...(role === undefined ? {} : { role }) });
	}
	/** @param role default: one step */
	async demote(participantId: string, role?: StageParams<'participant.demote'>['role']): Promise<void> {
		await this.#socket.request('participant.demote', { participantId, ...(role === undefined ? {} : { role }) });
	}
	/** Lowers somebody's hand, or takes an invitation back. */
	async lowerHand(participantId: string): Promise<void> {
		await this.#socket.request('hand.lower', { participantId });
	}
	/** The hands behind that of `after`. */
	async hands(after?: string): Promise<StageResults['hands.list']> {
		return this.#socket.request('hands.list', after === undefined ? {} : { after });
	}
	async setStage(settings: StageParams<'stage.set'>): Promise<void> {
		const { stage } = await this.#socket.request('stage.set', settings);
		this.#change(stage);
	}

	/** Stays muted. */
	declineUnmute(): void {
		this.#change({ unmuteRequestedBy: null });
	}

	/** For good; the place on stage is given up. Never fails: without an answer the server's grace period ends it. */
	async leave(): Promise<void> {
		this.#media.close();
		if (this.#socket.ready) {
			await this.#socket.request('leave', {}, 1_500).catch(() => undefined);
		}
		this.#end('left');
	}

	#wire(): void {
		const socket = this.#socket;
		socket.on('welcome', (welcome) => this.#welcomed(welcome));
		socket.on('room', ({ room }) => this.#change({ room }));
		socket.on('stage', ({ roster, ...settings }) => {
			this.#change(settings);
			this.#rosterChanged(roster);
			this.#media.rosterChanged(roster);
		});
		socket.on('hands', (hands) => this.#change({ hands }));
		socket.on('role', ({ role }) => this.#change(runs(role) ? { role } : { role, hands: null }));
		socket.on('unmuteRequested', ({ by }) => this.#change({ unmuteRequestedBy: by }));
		socket.on('listeners', ({ count }) => this.#change({ listenerCount: count }));
		socket.on('talkers', ({ talkers }) => this.#change({ talking: talkers.map(({ number }) => number) }));
		socket.on('media', (media) => this.#media.mediaChanged(media));
		socket.on('muted', ({ by }) => {
			this.#setMuted(true);
			this.#change({ mutedBy: by });
		});
		socket.on('lost', ({ code }) =>
			this.#change({ state: this.#view.participantId === null ? 'connecting' : 'reconnecting', delayedBecause: code }),
		);
		socket.on('ended', ({ code }) => this.#end(code));
		this.#media.on('state', ({ state }) => this.#change({ media: state }));
		this.#media.on('hears', () => this.#view.hears || this.#change({ hears: true }));
		this.#media.on('blocked', () => this.emit('blocked', {}));
	}

	#welcomed(welcome: StageEvent<'welcome'>): void {
		const { participantId, number, role, room, listenerCount, roster, locked, maxSize, recording } = welcome;
		const first = this.#view.participantId === null;
		this.#change({ state: 'on-stage', delayedBecause: null, participantId, number, role, room, listenerCount, locked, maxSize, recording });
		// A mute that could not be told while the socket was away must win over what the server remembers.
		if (!first && this.#view.muted && roster.some(({ id, muted }) => id === participantId && !muted)) {
			this.#change({ roster });
			this.#socket.request('mute', {}).catch(() => undefined);
		} else {
			this.#rosterChanged(roster);
		}
		this.#media.welcome(welcome);
	}

	/** Muting is the server's to know, so that a reload and the others see the same. */
	#rosterChanged(roster: readonly RosterEntry[]): void {
		this.#change({ roster });
		const self = roster.find(({ id }) => id === this.#view.participantId);
		if (self !== undefined && self.muted !== this.#view.muted) {
			this.#setMuted(self.muted);
		}
	}

	#setMuted(muted: boolean): void {
		this.#media.setMuted(muted);
		this.#change(muted ? { muted } : { muted, mutedBy: null, unmuteRequestedBy: null });
	}

	#end(code: string): void {
		this.#page?.abort();
		// First of all, so that a page which goes back to listening is heard before the stage falls silent.
		if (this.#view.state !== 'left') {
			this.#change({ state: 'left', leftBecause: code, talking: [], unmuteRequestedBy: null, hands: null });
		}
		this.#media.close();
		this.#socket.close();
		this.microphone.close();
	}

	#watchPage(): void {
		this.#page = new AbortController();
		const { signal } = this.#page;
		// Another network: the old socket may take minutes to notice.
		window.addEventListener('online', () => (this.#socket.ready ? this.#socket.drop() : this.#socket.hurry()), { signal });
		window.addEventListener('offline', () => this.#socket.drop(), { signal });
		document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.#socket.hurry(), { signal });
	}

	#change(change: Partial<StageView>): void {
		this.#view = { ...this.#view, ...change };
		this.emit('change', this.#view);
	}
}
