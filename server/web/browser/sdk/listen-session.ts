import { LISTEN_BACKOFF } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { HeardLog } from './heard-log.ts';
import { ListenAttempts } from './listen-attempts.ts';
import type { CloseOptions } from './listen-connection.ts';
import type { ListenEvents, ListenOptions, ListenState } from './listen-events.ts';
import { browserParts, type Connection, type ListenParts } from './listen-parts.ts';
import type { MovePortions } from './move-plan.ts';
import { OverflowCover } from './overflow-cover.ts';
import { isFull, overflowUrlOf } from './place-in-queue.ts';
import { asProblem, type ProblemError } from './problem.ts';
import type { Quality } from './quality.ts';
import { QualitySampling } from './quality-sampling.ts';
import { Servers } from './servers.ts';
import { SessionMover } from './session-mover.ts';
import { SessionWatch } from './session-watch.ts';
import { whenSettled } from './settling.ts';

/**
 * Listens to a room: one POST, then K voices, whatever happens on stage. Rejoins by itself after any loss,
 * with full jitter, keeping the old session until the new one is connected. While there is no place it plays the
 * stream for the overflow, if the server names one.
 */
export class ListenSession extends Emitter<ListenEvents> {
	readonly #options: ListenOptions;
	readonly #parts: ListenParts;
	readonly #players: ReturnType<ListenParts['players']>;
	readonly #attempts: ListenAttempts;
	readonly #mover: SessionMover;
	readonly #watch = new SessionWatch();
	#meter: ReturnType<ListenParts['meter']> | undefined;
	readonly #cover: OverflowCover;
	#state: ListenState = 'idle';
	#problem: ProblemError | null = null;
	#current: Connection | undefined;
	#next: Connection | undefined;
	readonly #log = new HeardLog();
	readonly #sampling: QualitySampling;
	#unwatch: (() => void) | undefined;
	#stopSettling: (() => void) | undefined;

	constructor(options: ListenOptions) {
		super();
		this.#options = options;
		this.#parts = options.parts ?? browserParts;
		const random = options.random ?? Math.random;
		this.#attempts = new ListenAttempts({ ...options, servers: options.servers ?? new Servers(options.baseUrl, random), random }, () => void this.#join());
		const movable = () => this.#sounding && this.#next === undefined && !this.#attempts.pending;
		this.#mover = new SessionMover(random, () => (movable() ? this.#current?.place : undefined), () => void this.#join());
		this.#sampling = new QualitySampling(random, options.token, () => this.#current);
		this.#players = this.#parts.players(() => this.emit('blocked', {}));
		this.#cover = new OverflowCover(this.#parts.overflow(random), this.#players);
		this.#cover.on('state', () => this.#coverChanged());
		this.#cover.on('blocked', () => this.emit('blocked', {}));
		this.#watch.on('stall', ({ all }) => this.#rejoin(all));
		this.#watch.on('flow', ({ nowMs }) => this.#flows(nowMs));
		this.#watch.on('delivers', () => this.#log.sounds('session'));
		this.#watch.on('speakers', (event) => this.emit('speakers', event));
		this.#watch.on('quality', (event) => this.emit('quality', event));
		this.#log.on('firstaudio', (event) => {
			this.#sampling.sounded(event);
			this.emit('firstaudio', event);
		});
		this.#log.on('rejoined', (event) => {
			this.#sampling.missed(event.gapMs);
			this.emit('rejoined', event);
		});
	}

	get state(): ListenState {
		return this.#state;
	}
	get quality(): Quality {
		return this.#watch.quality;
	}
	/** 0 to 1. */
	get volume(): number {
		return this.#players.volume;
	}
	set volume(volume: number) {
		this.#players.volume = volume;
		this.#cover.volume = this.#players.volume;
	}
	get muted(): boolean {
		return this.#players.muted;
	}
	set muted(muted: boolean) {
		this.#players.muted = muted;
		this.#cover.muted = muted;
	}

	/** Roster numbers of those who speak now. */
	speakers(): readonly number[] {
		return this.#watch.speaking;
	}

	/** How loud the programme is now, 0 to 1. */
	level(): number {
		return this.#meter?.read() ?? 0;
	}

	/** Must be called in a user's click, or the browser may refuse to sound. Does nothing while started. */
	start(): void {
		if (this.#unwatch !== undefined) {
			return;
		}
		this.#log.start();
		this.#attempts.reset();
		this.#meter = this.#parts.meter();
		this.#watchPage();
		this.#setState('connecting');
		void this.#join();
		// The same click is enough for whatever stands in later.
		this.#cover.prepare(this.#next?.tracks[0]);
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
		this.#cover.play();
	}

	/**
	 * The server wants a part of each shard's listeners elsewhere (the feed's `move`). If this session is meant, a new
	 * one is made first, and takes over once it sounds.
	 */
	move(portions: MovePortions): void {
		this.#mover.told(portions);
	}

	/**
	 * Asks again now if it was waiting to.
	 * @param spreadMs at a random moment within this, since everybody else is told at the same time
	 */
	wake(spreadMs: number): void {
		this.#attempts.soon(spreadMs);
	}

	async #join(): Promise<void> {
		this.#attempts.cancel();
		this.#dropNext();
		const connection = this.#parts.connect(this.#options.voices ?? 3, this.#options.token);
		this.#next = connection;
		if (this.#current === undefined) {
			this.#players.attach(connection.tracks);
		}
		connection.on('connected', () => this.#arrived(connection));
		connection.on('dead', ({ reason }) => this.#died(connection, reason));
		try {
			await connection.connect(this.#attempts.url, this.#attempts.postTimeoutMs(this.#heard));
			this.#attempts.answered(connection.alternates);
			this.#sampling.asked(connection.reporting);
		} catch (error) {
			if (this.#next === connection) {
				this.#next = undefined;
				connection.close();
				this.#refused(asProblem(error));
			}
		}
	}

	/** A session sounds, or there is the silence of a room in which nobody speaks. */
	get #sounding(): boolean {
		return !this.#log.lost && this.#state === 'playing' && this.#current?.connected === true;
	}

	/** People hear the room, one way or the other. */
	get #heard(): boolean {
		return this.#sounding || this.#cover.heard;
	}

	/** The new session is connected. Whatever is heard goes on until the new one is. */
	#arrived(connection: Connection): void {
		if (this.#next !== connection) {
			return;
		}
		if (!this.#heard) {
			this.#promote(connection);
			return;
		}
		const from = this.#sounding ? 'session' : 'overflow';
		if (from === 'session') {
			this.#players.prepare(connection.tracks);
		} else {
			// Nothing else is in these players; they are faded in later.
			this.#players.attach(connection.tracks);
		}
		this.#stopSettling?.();
		this.#stopSettling = whenSettled(connection, from, (good) => (good ? this.#promote(connection) : this.#died(connection, 'nothing was delivered')));
	}

	/** From now on the new session is the one that plays. */
	#promote(connection: Connection): void {
		if (this.#next !== connection) {
			return;
		}
		this.#stopSettling?.();
		const seamless = this.#sounding;
		const old = this.#current;
		this.#current = connection;
		this.#next = undefined;
		this.#mover.over();
		this.#attempts.seated();
		if (seamless) {
			this.#players.swap(connection.tracks);
		} else {
			this.#players.attach(connection.tracks);
		}
		this.#meter?.attach(connection.tracks);
		old?.close();
		this.#watch.watch(connection);
		if (!seamless) {
			this.#plays();
		}
		this.#mover.consider();
	}

	/** A session plays, not only the stream for the overflow. */
	#plays(): void {
		if (this.#cover.heard) {
			this.#log.missesNothing();
		}
		// Before the stream says that it ends, which is nobody's loss now.
		this.#state = 'playing';
		this.#cover.yield();
		this.#setState('playing');
	}

	#dropNext(options?: CloseOptions): void {
		this.#stopSettling?.();
		this.#next?.close(options);
		this.#next = undefined;
	}

	#died(connection: Connection, reason: string): void {
		if (connection === this.#next) {
			this.#dropNext();
			this.#refused(asProblem(new Error(reason)));
		} else if (connection === this.#current) {
			// Packets that came just before are no sign of life.
			this.#watch.stop();
			this.#rejoin(true);
		}
	}

	/** @param silent nothing of it is heard meanwhile, so people should know */
	#rejoin(silent: boolean): void {
		if (this.#unwatch === undefined) {
			return;
		}
		if (silent) {
			this.#log.loses();
			// It was fading out: nothing has been missed yet.
			this.#cover.resume();
		}
		if (silent && this.#next?.connected === true && !this.#cover.heard) {
			this.#promote(this.#next);
			return;
		}
		if (this.#next === undefined && !this.#attempts.pending) {
			this.#problem = null;
			this.#attempts.lost();
		} else if (silent && this.#problem !== null && isFull(this.#problem)) {
			// It was known before that there is no other place.
			this.#cover.start(this.#options.token);
		}
		if (silent && this.#state === 'playing') {
			this.#tell();
		}
	}

	#refused(problem: ProblemError): void {
		this.#cover.learn(overflowUrlOf(problem, this.#attempts.serverUrl));
		if (problem.code === 'room_ended') {
			this.#finish('ended', problem);
		} else if (this.#attempts.forgives(problem)) {
			void this.#join();
		} else if (this.#mover.underWay && this.#sounding) {
			// What sounds is not given up for what cannot be had.
			this.#mover.over();
			this.#mover.consider(problem.retryAfterMs);
		} else if (this.#attempts.refused(problem) === undefined) {
			this.#finish('failed', problem);
		} else {
			this.#problem = problem;
			if (!this.#sounding) {
				if (isFull(problem)) {
					this.#cover.start(this.#options.token);
				}
				this.#tell();
			}
		}
	}

	/** What is the case while no session sounds. */
	#tell(): void {
		const problem = this.#problem;
		const leftMs = this.#attempts.leftMs;
		if (this.#cover.heard) {
			this.#setState('overflow', problem, leftMs);
		} else if (problem !== null && (isFull(problem) || problem.code === 'room_not_open')) {
			this.#setState('waiting', problem, leftMs);
		} else {
			this.#setState(this.#log.sounded ? 'reconnecting' : 'connecting', problem, leftMs);
		}
	}

	#coverChanged(): void {
		if (this.#unwatch === undefined || this.#state === 'playing') {
			return;
		}
		if (this.#cover.heard || this.#state === 'overflow') {
			this.#log.overflow();
		}
		if (this.#cover.heard) {
			this.#log.sounds('overflow');
		} else if (this.#next?.connected === true) {
			// Its place is taken a little sooner than was meant.
			this.#promote(this.#next);
			return;
		}
		this.#tell();
	}

	#flows(nowMs: number): void {
		if (this.#state !== 'playing') {
			this.#recovered();
		}
		if (this.#log.flows(nowMs)) {
			this.#mover.consider();
		}
		this.#attempts.flows(nowMs);
	}

	/** The old session flows again before a new one was connected: no need to burden the server. */
	#recovered(): void {
		this.#attempts.cancel();
		this.#dropNext();
		this.#players.attach(this.#current?.tracks ?? []);
		this.#plays();
		this.#mover.consider();
	}

	#setState(state: ListenState, problem: ProblemError | null = null, retryInMs: number | null = null): void {
		this.#state = state;
		this.#problem = problem;
		this.emit('state', { state, problem, retryInMs: retryInMs === null ? null : Math.round(retryInMs), queue: this.#attempts.queue, overflow: this.#cover.state });
	}

	#finish(state: ListenState, problem: ProblemError | null): void {
		if (this.#unwatch === undefined) {
			if (state === 'ended' && this.#state !== 'ended') {
				this.#setState(state, problem);
			}
			return;
		}
		this.#unwatch();
		this.#unwatch = undefined;
		// The end of a room ends its sessions: a whole audience that says goodbye would only be a second storm.
		this.#leave({ tellServer: state !== 'ended' });
		this.#players.close();
		this.#meter?.close();
		this.#meter = undefined;
		this.#setState(state, problem);
	}

	#leave(options: CloseOptions = {}): void {
		this.#attempts.cancel();
		this.#mover.cancel();
		this.#dropNext(options);
		this.#current?.close(options);
		this.#current = undefined;
		this.#cover.stop();
		this.#watch.stop();
		this.#sampling.stop();
	}

	#watchPage(): void {
		this.#unwatch = this.#parts.watchPage({
			online: () => {
				this.wake(LISTEN_BACKOFF.firstMs);
				this.#cover.retry();
			},
			shown: () => {
				void this.#watch.look();
				// Doors and a full house keep their own pace: looking at the page opens neither.
				if (this.#attempts.overdue || (this.#state !== 'waiting' && this.#state !== 'overflow')) {
					this.wake(LISTEN_BACKOFF.firstMs);
				}
			},
			left: () => this.#leave({ atOnce: true }),
			returned: () => {
				// Still wanted, but left.
				if (this.#current === undefined && this.#next === undefined) {
					this.#setState('reconnecting');
					void this.#join();
				}
			},
		});
	}
}
