import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import { type JoinRefusal, JoinRefusedError, type RefusalReason } from './join-refusal.ts';
import { SecondCount } from './second-count.ts';
import { type JoinOutcome, ShardPace, type ShardStrain } from './shard-pace.ts';
import { TurnedAway } from './turned-away.ts';
import { type Waiting, WaitingLine } from './waiting-line.ts';

/** A place on a shard for a listener on the way there. */
export interface Reservation {
	/** The shard's own counts with the new one, fresher than its reports. */
	seated(listeners: number, roomListeners: number): void;
	/** The join is through, whatever came of it. */
	done(): void;
}

/** A node's listener shards, as the queue needs them. */
export interface JoinShards {
	/** The best shard for the room's next listener, of those that may take one and that `mayTake` lets through. */
	place(roomId: string, mayTake: (shard: number) => boolean): number | undefined;
	/** Counts a listener in before the shard is asked. */
	reserve(shard: number, roomId: string): Reservation;
	/** Each shard that takes people, with the places it has left (joins under way taken off). */
	forEachOpen(each: (shard: number, places: number) => void): void;
}

/** What other nodes report. */
export interface FleetPace {
	joinsPerSecond: number;
	waiting: number;
}

export interface JoinQueueOptions {
	shards: JoinShards;
	/** Joins under way on one shard, at most. */
	maxUnderWayPerShard: number;
	/** How long somebody may wait, as far as it can be foreseen. 0: nobody waits. */
	maxWaitMs: number;
	clock: Clock;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** 0 to 1. */
	random: () => number;
	/** The other nodes of the cluster, all together. Default: there are none. */
	others?: () => FleetPace;
	/** How late this node's own event loop is at this moment. Default: never. */
	lagMs?: () => number;
}

export interface JoinRequest {
	readonly roomId: string;
	/** When this listener asked for the first time, in milliseconds since the epoch; undefined: now. */
	readonly firstArrivalMs?: number | undefined;
	/** When it was refused the last time; undefined with a first arrival: not known. */
	readonly refusedAtMs?: number | undefined;
	/** Tells, should the listener have to wait, when it is gone meanwhile. */
	readonly onGone?: ((gone: () => void) => void) | undefined;
}

/** Somebody whose turn it is: a shard, and a place on it that is counted already. */
export interface AdmittedJoin {
	readonly shard: number;
	/** The shard is being asked. */
	asked(): void;
	seated(listeners: number, roomListeners: number): void;
	/** To be called whatever came of it. Idempotent. */
	done(outcome: JoinOutcome): void;
}

interface WaitingJoin extends Waiting {
	readonly roomId: string;
	readonly sinceMs: number;
	admit(join: AdmittedJoin): void;
	refuse(error: DomainError): void;
}

/** For metrics; counts since the start. */
export interface AdmissionTotals {
	readonly admitted: number;
	readonly refused: Readonly<Record<RefusalReason, number>>;
	/** Clients that left while they waited. */
	readonly left: number;
	/** Of those who were admitted. */
	readonly waitedMs: number;
}

/** What was foreseen may turn out to be wrong by so much; then the waiting ends. */
const WAIT_GRACE_MS = 500;
/** So many times more than may wait: they were let in at a pace that no longer holds. */
const TRIM_FACTOR = 2;
/** Nobody is asked to come back sooner, and those for whom there is no time yet spread over this at least. */
const LEAST_RETRY_MS = 250;
const LEAST_SPREAD_MS: Record<RefusalReason, number> = { full: 10_000, paced: 1_000 };
/** Nobody is asked to wait longer without a word, however many there are. */
const MAX_SPREAD_MS = 60_000;
/** From here on the stage on this node suffers, if it is listeners that keep the node busy. */
const LAGGING_MS = 250;
const MANY_ARRIVALS_PER_SECOND = 50;

/**
 * Who is seated next on this node. A join begins at once where placement's choice has room in its pace; otherwise it waits, those who
 * came first being served first, for as long as the pace lets it expect to be served within `maxWaitMs`. Who does not fit is
 * told when to come back, and keeps the time of the first arrival. Every place is counted before a shard is asked for it.
 */
export class JoinQueue {
	readonly #options: JoinQueueOptions;
	readonly #clock: Clock;
	readonly #paces = new Map<number, ShardPace>();
	readonly #line = new WaitingLine<WaitingJoin>();
	/** The same people in the order in which they began to wait: whose time is up stands in front. */
	#since: WaitingJoin[] = [];
	#sinceFront = 0;
	readonly #turnedAway = new TurnedAway();
	readonly #refusals = new SecondCount();
	readonly #arrivals = new SecondCount();
	readonly #totals = { admitted: 0, refused: { full: 0, paced: 0 }, left: 0, waitedMs: 0 };
	#others: FleetPace = { joinsPerSecond: 0, waiting: 0 };
	#othersAtMs = -Infinity;
	#cancelWake: (() => void) | undefined;
	#wakeAtMs = Infinity;
	#closed: DomainError | undefined;
	readonly #mayTake = (shard: number): boolean => this.pace(shard).hasRoom;

	constructor(options: JoinQueueOptions) {
		this.#options = options;
		this.#clock = options.clock;
	}

	/** Joins a second that this node holds as things stand, over all shards with places left. */
	get joinsPerSecond(): number {
		return this.#capacity().perSecond;
	}
	/** Those in the line, and those who were told to come back and are still expected. */
	get waiting(): number {
		return this.#line.size + this.#turnedAway.total(this.#options.now());
	}
	/** Those in the line: they have a socket open, and will have a place on a shard. */
	get inLine(): number {
		return this.#line.size;
	}
	get refusedPerSecond(): number {
		return this.#refusals.perSecond(this.#clock.nowMs());
	}
	get totals(): AdmissionTotals {
		return this.#totals;
	}
	/** By shard; of those that have been used. */
	get paces(): ReadonlyMap<number, ShardPace> {
		return this.#paces;
	}

	pace(shard: number): ShardPace {
		let pace = this.#paces.get(shard);
		if (!pace) {
			pace = new ShardPace({ maxUnderWay: this.#options.maxUnderWayPerShard, nowMs: () => this.#clock.nowMs() });
			this.#paces.set(shard, pace);
		}
		return pace;
	}

	/**
	 * A place for a listener: at once, or a promise of it. The place is counted in the same turn in which it is given.
	 *
	 * Throws (or rejects with) JoinRefusedError, or what `close` was given.
	 */
	admit(request: JoinRequest): AdmittedJoin | Promise<AdmittedJoin> {
		if (this.#closed) {
			throw this.#closed;
		}
		const nowMs = this.#options.now();
		const { firstArrivalMs, refusedAtMs } = request;
		if (firstArrivalMs !== undefined) {
			this.#turnedAway.cameBack(firstArrivalMs, refusedAtMs, nowMs);
		}
		const join = this.#line.size === 0 ? this.#begin(request.roomId) : undefined;
		if (join) {
			this.#totals.admitted++;
			return join;
		}
		const first = Math.min(firstArrivalMs ?? nowMs, nowMs);
		const { reason, mayWait, places } = this.#outlook(first);
		if (reason !== undefined) {
			throw new JoinRefusedError(this.#turnAway(reason, first, nowMs));
		}
		const waiting = this.#wait(request, first);
		this.#trim(mayWait, mayWait === places ? 'full' : 'paced');
		this.#serve();
		return waiting;
	}

	/**
	 * Whether somebody who comes now would be refused, told before anything is read of what they send. For requests
	 * from outside: it counts them as arrivals.
	 */
	foresee(firstArrivalMs?: number): RefusalReason | undefined {
		const { now, lagMs } = this.#options;
		const arrivedMs = this.#clock.nowMs();
		this.#arrivals.add(arrivedMs);
		// Alone, a late event loop is no reason: it must be those who want in who make it late.
		if (lagMs !== undefined && lagMs() > LAGGING_MS && this.#arrivals.perSecond(arrivedMs) > MANY_ARRIVALS_PER_SECOND) {
			return 'paced';
		}
		if (this.#line.size === 0 && this.#hasRoomNow()) {
			return undefined;
		}
		const nowMs = now();
		return this.#outlook(Math.min(firstArrivalMs ?? nowMs, nowMs)).reason;
	}

	/** Counts somebody as refused who came no further than here, and says what they are to be told. */
	refuse(reason: RefusalReason, firstArrivalMs?: number, refusedAtMs?: number): JoinRefusal {
		const nowMs = this.#options.now();
		if (firstArrivalMs !== undefined) {
			this.#turnedAway.cameBack(firstArrivalMs, refusedAtMs, nowMs);
		}
		return this.#turnAway(reason, Math.min(firstArrivalMs ?? nowMs, nowMs), nowMs);
	}

	#turnAway(reason: RefusalReason, first: number, nowMs: number): JoinRefusal {
		this.#refusals.add(this.#clock.nowMs());
		this.#totals.refused[reason]++;
		const others = this.#fleet();
		const known = this.#turnedAway.total(nowMs) + this.#line.size;
		const before = this.#turnedAway.before(first, nowMs) + this.#line.until(first);
		// Others tell how many wait with them and not since when: they are taken to have come like ours.
		const ahead = before + Math.round(others.waiting * (known === 0 ? 1 : before / known));
		const perSecond = Math.max(1, this.joinsPerSecond + others.joinsPerSecond);
		const spreadMs = Math.min(MAX_SPREAD_MS, Math.max(LEAST_SPREAD_MS[reason], (ahead / perSecond) * 1000));
		this.#turnedAway.remember(first, nowMs);
		return { reason, retryAfterMs: Math.round(LEAST_RETRY_MS + this.#options.random() * spreadMs), ahead, firstArrivalMs: first, refusedAtMs: nowMs };
	}

	/** Once a second, for each shard. */
	strain(shard: number, strain: ShardStrain): void {
		this.pace(shard).strain(strain);
		this.changed();
	}

	/** A shard died: what was on its way there has failed, and those who wait go elsewhere. */
	shardDied(shard: number): void {
		this.#paces.get(shard)?.died();
		this.changed();
	}

	/** Shards came, went, drain or have other places than before. */
	changed(): void {
		if (this.#line.size > 0) {
			this.#serve();
			const { places, perSecond } = this.#capacity();
			this.#trim(Math.min(places, TRIM_FACTOR * this.#mayWait(perSecond)), places < this.#line.size ? 'full' : 'paced');
		}
	}

	/** Everybody who waits is told this, and everybody who comes. Idempotent. */
	close(error: DomainError): void {
		this.#closed ??= error;
		this.#cancelWake?.();
		for (let waiting = this.#line.oldest; waiting; waiting = this.#line.oldest) {
			this.#line.leave(waiting);
			waiting.refuse(this.#closed);
		}
	}

	#begin(roomId: string): AdmittedJoin | undefined {
		const { shards } = this.#options;
		const shard = shards.place(roomId, this.#mayTake);
		if (shard === undefined) {
			return undefined;
		}
		const reservation = shards.reserve(shard, roomId);
		const underWay = this.pace(shard).begin();
		let isOver = false;
		return {
			shard,
			asked: () => underWay.asked(),
			seated: (listeners, roomListeners) => reservation.seated(listeners, roomListeners),
			done: (outcome) => {
				if (!isOver) {
					isOver = true;
					underWay.done(outcome);
					reservation.done();
					this.#serve();
				}
			},
		};
	}

	/** Whether somebody of that arrival has to be refused, and how many may wait. Those who wait have their places already. */
	#outlook(firstArrivalMs: number): { reason: RefusalReason | undefined; mayWait: number; places: number } {
		const { places, perSecond } = this.#capacity();
		const mayWait = Math.min(places, this.#mayWait(perSecond));
		// One who came before somebody in the line takes that one's place.
		const isFull = this.#line.size >= mayWait && (mayWait === 0 || firstArrivalMs >= (this.#line.youngest?.firstArrivalMs ?? Infinity));
		return { reason: isFull ? (this.#line.size >= places ? 'full' : 'paced') : undefined, mayWait, places };
	}

	/** How many may wait, at that pace, without being told to come back later. */
	#mayWait(perSecond: number): number {
		const { maxWaitMs } = this.#options;
		return maxWaitMs === 0 ? 0 : Math.max(1, Math.floor((perSecond * maxWaitMs) / 1000));
	}

	#hasRoomNow(): boolean {
		let has = false;
		this.#options.shards.forEachOpen((shard, places) => {
			has ||= places > 0 && this.pace(shard).hasRoom;
		});
		return has;
	}

	#capacity(): { places: number; perSecond: number } {
		let places = 0;
		let perSecond = 0;
		this.#options.shards.forEachOpen((shard, left) => {
			if (left > 0) {
				places += left;
				perSecond += this.pace(shard).perSecond;
			}
		});
		return { places, perSecond };
	}

	#wait({ roomId, onGone }: JoinRequest, firstArrivalMs: number): Promise<AdmittedJoin> {
		const { promise, resolve, reject } = Promise.withResolvers<AdmittedJoin>();
		const waiting: WaitingJoin = { roomId, firstArrivalMs, sinceMs: this.#clock.nowMs(), isOver: false, admit: resolve, refuse: reject };
		this.#line.add(waiting);
		this.#since.push(waiting);
		onGone?.(() => {
			if (!waiting.isOver) {
				this.#line.leave(waiting);
				this.#totals.left++;
				// Nobody reads it; but whoever called must come to an end.
				reject(new DomainError('no_capacity', 'The listener left while waiting.', { retryAfterSeconds: 1 }));
			}
		});
		return promise;
	}

	/** Refuses the youngest while more wait than may. */
	#trim(mayWait: number, reason: RefusalReason): void {
		while (this.#line.size > mayWait) {
			const youngest = this.#line.youngest;
			if (!youngest) {
				return;
			}
			this.#turnDown(youngest, reason);
		}
	}

	#turnDown(waiting: WaitingJoin, reason: RefusalReason): void {
		this.#line.leave(waiting);
		waiting.refuse(new JoinRefusedError(this.#turnAway(reason, waiting.firstArrivalMs, this.#options.now())));
	}

	/** Seats those who wait, in their order, as far as there is room now. */
	#serve(): void {
		const nowMs = this.#clock.nowMs();
		for (let oldest = this.#line.oldest; oldest; oldest = this.#line.oldest) {
			const join = this.#begin(oldest.roomId);
			if (!join) {
				break;
			}
			this.#line.leave(oldest);
			this.#totals.admitted++;
			this.#totals.waitedMs += nowMs - oldest.sinceMs;
			oldest.admit(join);
		}
		// Nobody waits longer than was foreseen, whatever became of the pace.
		const untilMs = nowMs - this.#options.maxWaitMs - WAIT_GRACE_MS;
		for (let longest = this.#longest; longest && longest.sinceMs <= untilMs; longest = this.#longest) {
			this.#turnDown(longest, 'paced');
		}
		this.#wakeWhenDue(nowMs);
	}

	/** Who has waited longest. */
	get #longest(): WaitingJoin | undefined {
		while (this.#since[this.#sinceFront]?.isOver === true) {
			this.#sinceFront++;
		}
		if (this.#sinceFront > 1_000 && this.#sinceFront * 2 > this.#since.length) {
			this.#since = this.#since.slice(this.#sinceFront);
			this.#sinceFront = 0;
		}
		return this.#since[this.#sinceFront];
	}

	#wakeWhenDue(nowMs: number): void {
		let atMs = Infinity;
		if (this.#line.size > 0) {
			atMs = (this.#longest?.sinceMs ?? nowMs) + this.#options.maxWaitMs + WAIT_GRACE_MS;
			this.#options.shards.forEachOpen((shard, places) => {
				if (places > 0) {
					atMs = Math.min(atMs, this.pace(shard).nextAtMs ?? Infinity);
				}
			});
		}
		// A wake that comes too early does no harm, and most are never needed: it is not put off.
		if (atMs >= this.#wakeAtMs) {
			return;
		}
		this.#cancelWake?.();
		this.#wakeAtMs = atMs;
		this.#cancelWake = this.#clock.schedule(() => {
			this.#wakeAtMs = Infinity;
			this.#cancelWake = undefined;
			this.#serve();
		}, Math.max(1, atMs - nowMs));
	}

	#fleet(): FleetPace {
		const nowMs = this.#clock.nowMs();
		if (this.#options.others && nowMs - this.#othersAtMs >= 250) {
			this.#othersAtMs = nowMs;
			this.#others = this.#options.others();
		}
		return this.#others;
	}
}
