import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import { type JoinRefusal, JoinRefusedError, type RefusalReason } from './join-refusal.ts';
import type { JoinShards } from './join-shards.ts';
import { NodePace } from './node-pace.ts';
import { type FleetPace, Refusals } from './refusals.ts';
import { SecondCount } from './second-count.ts';
import type { JoinOutcome, ShardPace, ShardStrain } from './shard-pace.ts';
import { type Waiting, WaitingLine } from './waiting-line.ts';

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
	readonly #pace: NodePace;
	readonly #line = new WaitingLine<WaitingJoin>();
	readonly #refusals: Refusals;
	readonly #arrivals = new SecondCount();
	readonly #totals: { admitted: number; refused: Refusals['totals']; left: number; waitedMs: number };
	#cancelWake: (() => void) | undefined;
	#wakeAtMs = Infinity;
	#closed: DomainError | undefined;
	readonly #mayTake = (shard: number): boolean => this.#pace.of(shard).hasRoom;

	constructor(options: JoinQueueOptions) {
		this.#options = options;
		this.#clock = options.clock;
		const { clock, random, others } = options;
		this.#pace = new NodePace(options);
		this.#refusals = new Refusals({ line: this.#line, joinsPerSecond: () => this.joinsPerSecond, clock, random, others });
		this.#totals = { admitted: 0, refused: this.#refusals.totals, left: 0, waitedMs: 0 };
	}

	/** Joins a second that this node holds as things stand, over all shards with places left. */
	get joinsPerSecond(): number {
		return this.#pace.capacity.perSecond;
	}
	/** Those in the line, and those who were told to come back and are still expected. */
	get waiting(): number {
		return this.#line.size + this.#refusals.expected(this.#options.now());
	}
	/** Those in the line: they have a socket open, and will have a place on a shard. */
	get inLine(): number {
		return this.#line.size;
	}
	get refusedPerSecond(): number {
		return this.#refusals.perSecond;
	}
	get totals(): AdmissionTotals {
		return this.#totals;
	}
	/** By shard; of those that have been used. */
	get paces(): ReadonlyMap<number, ShardPace> {
		return this.#pace.all;
	}

	pace(shard: number): ShardPace {
		return this.#pace.of(shard);
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
			this.#refusals.cameBack(firstArrivalMs, refusedAtMs, nowMs);
		}
		const join = this.#line.size === 0 ? this.#begin(request.roomId) : undefined;
		if (join) {
			this.#totals.admitted++;
			return join;
		}
		const first = Math.min(firstArrivalMs ?? nowMs, nowMs);
		const { reason, mayWait, places } = this.#outlook(first);
		if (reason !== undefined) {
			throw new JoinRefusedError(this.#refusals.turnAway(reason, first, nowMs));
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
		if (this.#line.size === 0 && this.#pace.hasRoom) {
			return undefined;
		}
		const nowMs = now();
		return this.#outlook(Math.min(firstArrivalMs ?? nowMs, nowMs)).reason;
	}

	/** Counts somebody as refused who came no further than here, and says what they are to be told. */
	refuse(reason: RefusalReason, firstArrivalMs?: number, refusedAtMs?: number): JoinRefusal {
		const nowMs = this.#options.now();
		if (firstArrivalMs !== undefined) {
			this.#refusals.cameBack(firstArrivalMs, refusedAtMs, nowMs);
		}
		return this.#refusals.turnAway(reason, Math.min(firstArrivalMs ?? nowMs, nowMs), nowMs);
	}

	/** Once a second, for each shard. */
	strain(shard: number, strain: ShardStrain): void {
		this.#pace.of(shard).strain(strain);
		this.changed();
	}

	/** A shard died: what was on its way there has failed, and those who wait go elsewhere. */
	shardDied(shard: number): void {
		this.#pace.all.get(shard)?.died();
		this.changed();
	}

	/** Shards came, went, drain or have other places than before. */
	changed(): void {
		if (this.#line.size > 0) {
			this.#serve();
			const { places, perSecond } = this.#pace.capacity;
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
		const underWay = this.#pace.of(shard).begin();
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
		const { places, perSecond } = this.#pace.capacity;
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

	#wait({ roomId, onGone }: JoinRequest, firstArrivalMs: number): Promise<AdmittedJoin> {
		const { promise, resolve, reject } = Promise.withResolvers<AdmittedJoin>();
		const waiting: WaitingJoin = { roomId, firstArrivalMs, sinceMs: this.#clock.nowMs(), isOver: false, admit: resolve, refuse: reject };
		this.#line.add(waiting);
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
		waiting.refuse(new JoinRefusedError(this.#refusals.turnAway(reason, waiting.firstArrivalMs, this.#options.now())));
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
		for (let longest = this.#line.longest; longest && longest.sinceMs <= untilMs; longest = this.#line.longest) {
			this.#turnDown(longest, 'paced');
		}
		this.#wakeWhenDue(nowMs);
	}

	#wakeWhenDue(nowMs: number): void {
		let atMs = Infinity;
		if (this.#line.size > 0) {
			const longestUntilMs = (this.#line.longest?.sinceMs ?? nowMs) + this.#options.maxWaitMs + WAIT_GRACE_MS;
			atMs = Math.min(longestUntilMs, this.#pace.nextAtMs);
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
}
