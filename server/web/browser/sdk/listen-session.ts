import { LISTEN_BACKOFF, retryDelayMs } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { LevelMeter } from './level-meter.ts';
import { type CloseOptions, ListenConnection, POST_TIMEOUT_MS } from './listen-connection.ts';
import { MovePlan, type MovePortions } from './move-plan.ts';
import { asProblem, type ProblemError } from './problem.ts';
import { NO_TOTALS, type Quality, qualityBetween } from './quality.ts';
import { elsewhereMayHelp, type ServerCursor, Servers } from './servers.ts';
import { SpeakerTracker } from './speaker-tracker.ts';
import { StallDetector } from './stall-detector.ts';
import { VoicePlayers } from './voice-players.ts';

/** `waiting`: the server answers, but the doors are closed or the room is full; it goes on asking by itself. */
export type ListenState = 'idle' | 'connecting' | 'playing' | 'reconnecting' | 'waiting' | 'ended' | 'failed';

export interface ListenEvents {
	/** `problem` is why, where the server or the network said no; `retryInMs` when it tries again. */
	state: { state: ListenState; problem: ProblemError | null; retryInMs: number | null };
	/** The first packet reached a player. */
	firstaudio: { sinceStartMs: number };
	/** Roster numbers of those who speak now; only when that changes. */
	speakers: { numbers: readonly number[] };
	quality: { quality: Quality };
	/** The browser wants another click: call `resume()` in it. */
	blocked: Record<string, never>;
	/** Sound is back; `gapMs` from the last packet before to the first one after. */
	rejoined: { gapMs: number };
}

export interface ListenOptions {
	room: string;
	/** Of the server; default the page's own origin. */
	baseUrl?: string;
	/** Shared with the room's `EventFeed`, so that it knows of the servers that this one is told of; comes before `baseUrl`. */
	servers?: Servers;
	/** Only rooms that are not public need one. */
	token?: string;
	/** Voices to ask for; a server with fewer refuses the rest. */
	voices?: number;
	/** Asks for packets of this length; default what the server chooses. */
	packingMs?: 20 | 40 | 60 | 120;
	random?: () => number;
}

const OBSERVE_MS = 250;
const SPEAKERS_MS = 100;
const QUALITY_MS = 2_000;
/** Playing this long without a loss makes the next loss a first one again. */
const STABLE_MS = 10_000;
const DOORS_RETRY_MS = 10_000;
const DOORS_SPREAD_MS = 5_000;
/** A new session that takes over from one that sounds does so when it has delivered for so long … */
const SETTLE_MS = 120;
/** … or when it is connected for so long and nobody says anything. */
const SETTLE_SILENT_MS = 1_000;
const SETTLE_LOOK_MS = 20;
/** With other servers to go to, one that gives no answer is not waited for long; twice as long with each further try. */
const QUICK_POST_MS = 1_500;
const RETRYABLE = new Set([0, 408, 425, 429, 500, 502, 503, 504]);

/**
 * Listens to a room: one POST, then K voices, whatever happens on stage. Rejoins by itself after any loss,
 * with full jitter, keeping the old session until the new one is connected.
 */
export class ListenSession extends Emitter<ListenEvents> {
	readonly #options: ListenOptions;
	readonly #random: () => number;
	readonly #players: VoicePlayers;
	readonly #servers: Servers;
	readonly #server: ServerCursor;
	readonly #plan: MovePlan;
	readonly #speakers = new SpeakerTracker();
	#meter: LevelMeter | undefined;
	#state: ListenState = 'idle';
	#current: ListenConnection | undefined;
	#next: ListenConnection | undefined;
	#detector = new StallDetector(0);
	#speaking: readonly number[] = [];
	#quality: Quality = 'good';
	#totals = { atMs: 0, totals: NO_TOTALS };
	#packets = 0;
	#attempt = 0;
	#retryTimer: ReturnType<typeof setTimeout> | undefined;
	#timers: ReturnType<typeof setInterval>[] = [];
	#startedAtMs = 0;
	#playingSinceMs = 0;
	#firstAudio = false;
	#lastFlowAtMs: number | null = null;
	#lost = false;
	#page: AbortController | undefined;
	/** `next` is there because the server asked for it. */
	#moving = false;
	#moveTimer: ReturnType<typeof setTimeout> | undefined;
	#settleTimer: ReturnType<typeof setInterval> | undefined;
	#quickTries = 0;
	/** A hand-off to another server failed since there was a session last. */
	#handOffFailed = false;

	constructor(options: ListenOptions) {
		super();
		this.#options = options;
		this.#random = options.random ?? Math.random;
		this.#servers = options.servers ?? new Servers(options.baseUrl, this.#random);
		this.#server = this.#servers.cursor();
		this.#plan = new MovePlan(this.#random);
		this.#players = new VoicePlayers(() => this.emit('blocked', {}));
	}

	get state(): ListenState {
		return this.#state;
	}
	get quality(): Quality {
		return this.#quality;
	}
	/** 0 to 1. */
	get volume(): number {
		return this.#players.volume;
	}
	set volume(volume: number) {
		this.#players.volume = volume;
	}
	get muted(): boolean {
		return this.#players.muted;
	}
	set muted(muted: boolean) {
		this.#players.muted = muted;
	}

	/** Roster numbers of those who speak now. */
	speakers(): readonly number[] {
		return this.#speaking;
	}

	/** How loud the programme is now, 0 to 1. */
	level(): number {
		return this.#meter?.read() ?? 0;
	}

	/** Must be called in a user's click, or the browser may refuse to sound. Does nothing while started. */
	start(): void {
		if (this.#page !== undefined) {
			return;
		}
		this.#startedAtMs = performance.now();
		this.#attempt = 0;
		this.#firstAudio = false;
		this.#lost = false;
		this.#lastFlowAtMs = null;
		this.#meter = new LevelMeter();
		this.#watchPage();
		this.#timers = [
			setInterval(() => void this.#observe(), OBSERVE_MS),
			setInterval(() => this.#observeSpeakers(), SPEAKERS_MS),
		];
		this.#setState('connecting');
		void this.#join();
	}

	/** Leaves. The session can be started again. */
	stop(): void {
		this.#finish('idle', null);
	}

	/** The room has ended, as somebody told from elsewhere (its events): leaves without asking the server. */
	end(): void {
		this.#finish('ended', null);
	}

	/** After `blocked`, in a user's click. */
	resume(): void {
		this.#players.play();
	}

	/**
	 * The server wants a part of each shard's listeners elsewhere (the feed's `move`). If this session is meant, a new
	 * one is made first, and takes over once it sounds.
	 */
	move(portions: MovePortions): void {
		this.#plan.told(portions);
		this.#considerMove();
	}

	/**
	 * Asks again now if it was waiting to.
	 * @param spreadMs at a random moment within this, since everybody else is told at the same time
	 */
	wake(spreadMs: number): void {
		if (this.#retryTimer !== undefined) {
			this.#joinIn(this.#random() * spreadMs);
		}
	}

	async #join(): Promise<void> {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = undefined;
		this.#dropNext();
		const connection = ListenConnection.create(this.#options.voices ?? 3, this.#options.token);
		this.#next = connection;
		if (this.#current === undefined) {
			this.#players.attach(connection.tracks);
		}
		connection.on('connected', () => this.#arrived(connection));
		connection.on('dead', ({ reason }) => this.#died(connection, reason));
		try {
			await connection.connect(this.#listenUrl(), this.#postTimeoutMs());
			this.#server.reached();
			this.#servers.learn(connection.alternates, this.#server.url);
		} catch (error) {
			if (this.#next === connection) {
				this.#next = undefined;
				connection.close();
				this.#refused(asProblem(error));
			}
		}
	}

	#listenUrl(): string {
		const { room, packingMs } = this.#options;
		const url = new URL(`/v1/rooms/${encodeURIComponent(room)}/listen`, this.#server.url);
		if (packingMs !== undefined) {
			url.searchParams.set('packing', String(packingMs));
		}
		return url.href;
	}

	#postTimeoutMs(): number {
		return this.#sounding || this.#server.alone ? POST_TIMEOUT_MS : Math.min(POST_TIMEOUT_MS, QUICK_POST_MS * 2 ** this.#quickTries++);
	}

	/** People hear something, or the silence of a room in which nobody speaks. */
	get #sounding(): boolean {
		return !this.#lost && this.#state === 'playing' && this.#current?.connected === true;
	}

	/** The new session is connected. While the old one sounds it goes on until the new one does. */
	#arrived(connection: ListenConnection): void {
		if (this.#next !== connection) {
			return;
		}
		if (!this.#sounding) {
			this.#promote(connection);
			return;
		}
		this.#players.prepare(connection.tracks);
		const connectedAtMs = performance.now();
		let deliversSinceMs: number | undefined;
		clearInterval(this.#settleTimer);
		this.#settleTimer = setInterval(() => {
			const nowMs = performance.now();
			if (connection.delivering) {
				deliversSinceMs ??= nowMs;
			}
			const settled = deliversSinceMs !== undefined && nowMs - deliversSinceMs >= SETTLE_MS;
			if (settled || nowMs - connectedAtMs >= SETTLE_SILENT_MS) {
				this.#promote(connection);
			}
		}, SETTLE_LOOK_MS);
	}

	/** From now on the new session is the one that plays. */
	#promote(connection: ListenConnection): void {
		if (this.#next !== connection) {
			return;
		}
		clearInterval(this.#settleTimer);
		const seamless = this.#sounding;
		const old = this.#current;
		this.#current = connection;
		this.#next = undefined;
		this.#moving = false;
		this.#handOffFailed = false;
		this.#quickTries = 0;
		if (seamless) {
			this.#players.swap(connection.tracks);
		} else {
			this.#players.attach(connection.tracks);
		}
		this.#meter?.attach(connection.tracks);
		old?.close();
		const nowMs = performance.now();
		this.#detector = new StallDetector(nowMs);
		this.#totals = { atMs: nowMs, totals: NO_TOTALS };
		this.#packets = 0;
		this.#playingSinceMs = nowMs;
		if (!seamless) {
			this.#setState('playing');
		}
		this.#considerMove();
	}

	/** @param retryAfterMs what the server asked for when it could not take the new session */
	#considerMove(retryAfterMs?: number): void {
		clearTimeout(this.#moveTimer);
		const wanted = () => this.#sounding && this.#next === undefined && this.#retryTimer === undefined && this.#plan.wants(this.#current?.place);
		if (!wanted()) {
			return;
		}
		this.#moveTimer = setTimeout(
			() => {
				if (wanted()) {
					this.#plan.begun(performance.now());
					this.#moving = true;
					void this.#join();
				}
			},
			this.#plan.delayMs(performance.now(), retryAfterMs),
		);
	}

	#dropNext(options?: CloseOptions): void {
		clearInterval(this.#settleTimer);
		this.#next?.close(options);
		this.#next = undefined;
	}

	#died(connection: ListenConnection, reason: string): void {
		if (connection === this.#next) {
			this.#dropNext();
			this.#refused(asProblem(new Error(reason)));
		} else if (connection === this.#current) {
			this.#rejoin(true);
		}
	}

	/** @param silent nothing is heard meanwhile, so people should know */
	#rejoin(silent: boolean): void {
		if (this.#page === undefined) {
			return;
		}
		this.#lost ||= silent;
		if (silent && this.#next?.connected === true) {
			this.#promote(this.#next);
		} else if (this.#next === undefined && this.#retryTimer === undefined) {
			const delayMs = retryDelayMs(this.#attempt++, this.#random, LISTEN_BACKOFF);
			this.#joinIn(delayMs);
			if (silent) {
				this.#setState('reconnecting', null, delayMs);
			}
		} else if (silent && this.#state === 'playing') {
			this.#setState('reconnecting');
		}
	}

	#refused(problem: ProblemError): void {
		if (problem.code === 'room_ended') {
			this.#finish('ended', problem);
		} else if (problem.code === 'handoff_invalid' && !this.#handOffFailed) {
			this.#handOffFailed = true;
			void this.#join();
		} else if (this.#moving && this.#sounding) {
			// What sounds is not given up for what cannot be had.
			this.#moving = false;
			this.#considerMove(problem.retryAfterMs);
		} else if (problem.code === 'room_not_open') {
			const delayMs = (problem.retryAfterMs ?? DOORS_RETRY_MS) + this.#random() * DOORS_SPREAD_MS;
			this.#joinIn(delayMs);
			this.#setState('waiting', problem, delayMs);
		} else if (RETRYABLE.has(problem.status) || problem.code === 'handoff_invalid') {
			const everywhere = !elsewhereMayHelp(problem) || this.#server.unreachable();
			const delayMs = retryDelayMs(everywhere ? this.#attempt++ : 0, this.#random, LISTEN_BACKOFF, problem.retryAfterMs);
			this.#joinIn(delayMs);
			if (problem.code === 'no_capacity' && !this.#sounding) {
				this.#setState('waiting', problem, delayMs);
			} else if (this.#lost || this.#current === undefined) {
				this.#setState(this.#firstAudio ? 'reconnecting' : 'connecting', problem, delayMs);
			}
		} else {
			this.#finish('failed', problem);
		}
	}

	#joinIn(delayMs: number): void {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = setTimeout(() => void this.#join(), delayMs);
	}

	async #observe(): Promise<void> {
		const connection = this.#current;
		if (connection === undefined || !connection.connected) {
			return;
		}
		const { totals, packets } = await connection.read();
		if (connection !== this.#current) {
			return;
		}
		const nowMs = performance.now();
		const grew = totals.packetsReceived > this.#packets;
		this.#packets = totals.packetsReceived;
		const stall = this.#detector.observe(nowMs, packets);
		if (stall !== 'none') {
			this.#rejoin(stall === 'all');
			return;
		}
		if (grew) {
			if (this.#state !== 'playing') {
				this.#recovered();
			}
			this.#flowing(nowMs);
		}
		if (nowMs - this.#totals.atMs >= QUALITY_MS) {
			// Totals start at zero with each session, and starting up is not the line's fault.
			const graded = this.#totals.totals === NO_TOTALS ? 'good' : qualityBetween(this.#totals.totals, totals);
			this.#totals = { atMs: nowMs, totals };
			if (graded !== this.#quality) {
				this.#quality = graded;
				this.emit('quality', { quality: graded });
			}
		}
	}

	/** The old session flows again before a new one was connected: no need to burden the server. */
	#recovered(): void {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = undefined;
		this.#dropNext();
		this.#setState('playing');
		this.#considerMove();
	}

	#flowing(nowMs: number): void {
		if (this.#lost && this.#state === 'playing') {
			this.#lost = false;
			this.emit('rejoined', { gapMs: Math.round(nowMs - (this.#lastFlowAtMs ?? this.#startedAtMs)) });
			this.#considerMove();
		}
		this.#lastFlowAtMs = nowMs;
		if (nowMs - this.#playingSinceMs > STABLE_MS && this.#next === undefined && this.#retryTimer === undefined) {
			this.#attempt = 0;
		}
	}

	#observeSpeakers(): void {
		const connection = this.#current;
		if (connection === undefined) {
			return;
		}
		const nowMs = performance.now();
		if (!this.#firstAudio && connection.delivering) {
			this.#firstAudio = true;
			this.emit('firstaudio', { sinceStartMs: Math.round(nowMs - this.#startedAtMs) });
		}
		this.#setSpeaking(this.#speakers.observe(nowMs, connection.contributingSources()));
	}

	#setSpeaking(numbers: readonly number[]): void {
		if (numbers.length !== this.#speaking.length || numbers.some((number, index) => number !== this.#speaking[index])) {
			this.#speaking = numbers;
			this.emit('speakers', { numbers });
		}
	}

	#setState(state: ListenState, problem: ProblemError | null = null, retryInMs: number | null = null): void {
		this.#state = state;
		this.emit('state', { state, problem, retryInMs: retryInMs === null ? null : Math.round(retryInMs) });
	}

	#finish(state: ListenState, problem: ProblemError | null): void {
		if (this.#page === undefined) {
			if (state === 'ended' && this.#state !== 'ended') {
				this.#setState(state, problem);
			}
			return;
		}
		this.#page.abort();
		this.#page = undefined;
		// The end of a room ends its sessions: a whole audience that says goodbye would only be a second storm.
		this.#leave({ tellServer: state !== 'ended' });
		for (const timer of this.#timers) {
			clearInterval(timer);
		}
		this.#timers = [];
		this.#players.close();
		this.#meter?.close();
		this.#meter = undefined;
		this.#setSpeaking([]);
		this.#setState(state, problem);
	}

	#leave(options: CloseOptions = {}): void {
		clearTimeout(this.#retryTimer);
		this.#retryTimer = undefined;
		clearTimeout(this.#moveTimer);
		this.#moving = false;
		this.#dropNext(options);
		this.#current?.close(options);
		this.#current = undefined;
		this.#speakers.clear();
	}

	#watchPage(): void {
		const page = new AbortController();
		this.#page = page;
		const { signal } = page;
		window.addEventListener('online', () => this.wake(LISTEN_BACKOFF.firstMs), { signal });
		document.addEventListener(
			'visibilitychange',
			() => {
				if (document.visibilityState === 'visible') {
					void this.#observe();
					// Doors and a full house keep their own pace: looking at the page opens neither.
					if (this.#state !== 'waiting') {
						this.wake(LISTEN_BACKOFF.firstMs);
					}
				}
			},
			{ signal },
		);
		window.addEventListener('pagehide', () => this.#leave({ atOnce: true }), { signal });
		window.addEventListener(
			'pageshow',
			(event) => {
				// Back from the back-forward cache: still wanted, but left.
				if (event.persisted && this.#current === undefined && this.#next === undefined) {
					this.#setState('reconnecting');
					void this.#join();
				}
			},
			{ signal },
		);
	}
}
