import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import type { RoomHome } from '../cluster-view.ts';
import type { Homes, HomesEvents } from '../homes.ts';
import type { HomeReport, NodeReport } from '../node-report.ts';
import type { Peers } from '../peer-protocol.ts';
import type { BeatCompanion, NodeRegistry } from '../registry/node-registry.ts';
import { HeldLease } from './held-lease.ts';
import type { ClaimResult, LeaseStore, RenewResult, StoredVersions } from './lease-store.ts';
import { OrphanRooms, SETTLED_AFTER_MS } from './orphan-rooms.ts';
import { rendezvousOrder } from './rendezvous.ts';

export interface HomeLeasesOptions {
	/** Not started yet: the leases go with its beats. */
	registry: NodeRegistry;
	store: LeaseStore;
	peers: Pick<Peers, 'request'>;
	/** The registry's. */
	clock: Clock;
	/** Rooms known to this node. */
	rooms: () => Iterable<string>;
	/** Whether a room must not wait for a home until somebody asks: it is open or live, or has people on stage. */
	needsHome: (roomId: string) => boolean;
	/** The store has older versions of a room that lives here than this node reports: write them again. Told with each beat until it has. */
	behind: (roomId: string, stored: StoredVersions) => void;
	log: Logger;
}

/** A renewal that takes longer is none. Below a lease's length less one beat. */
const ANSWER_WITHIN_MS = 900;
/** Two rounds of heartbeats: a newer home of a room would have shown itself. */
const OBSERVED_AFTER_MS = 1_000;
/** A claim is meant for so long: half a lease, so that a home that is renewed again has the better right. */
const CLAIM_WITHIN_MS = 1_000;
const PING_TIMEOUT_MS = 300;
const TAKE_HOME_TIMEOUT_MS = 1_500;
const ENSURE_WITHIN_MS = 4_000;
const POLL_MS = 100;
const RETRY_MS = 500;

/**
 * The rooms that live on this node, each by a lease in Redis that is renewed with every heartbeat. The epoch in it fences
 * writes; what is here sees to it that a node which cannot be sure does not act as home, takes rooms over from the
 * dead, and keeps them while Redis is away.
 */
export class HomeLeases extends EventEmitter<HomesEvents> implements Homes, BeatCompanion {
	readonly #options: HomeLeasesOptions;
	readonly #log: Logger;
	readonly #held = new Map<string, HeldLease>();
	readonly #orphans: OrphanRooms;
	readonly #ensuring = new Map<string, Promise<RoomHome>>();
	readonly #taking = new Map<string, Promise<RoomHome | number>>();
	readonly #releasing = new Map<string, Promise<void>>();
	readonly #pings = new Map<string, Promise<Record<string, number>>>();
	#closed = false;

	static create(options: HomeLeasesOptions): HomeLeases {
		return new HomeLeases(options);
	}

	private constructor(options: HomeLeasesOptions) {
		super();
		this.#options = options;
		const { registry, clock, rooms, needsHome } = options;
		this.#log = options.log.child({ part: 'leases' });
		this.#orphans = new OrphanRooms({
			registry,
			clock,
			needy: () => Array.from(rooms()).filter(needsHome),
			isHeld: (roomId) => this.#held.has(roomId),
			take: async (roomId) => {
				const outcome = await this.#take(roomId);
				// Whoever has it says so with its next heartbeat.
				return typeof outcome === 'number' ? outcome : RETRY_MS;
			},
		});
		registry.watch.onStall((_, asleep) => {
			for (const lease of this.#held.values()) lease.stalled(clock.nowMs(), asleep);
		});
		registry.on('nodeDown', () => {
			this.#orphans.survey();
			this.#orphans.tick();
		});
		registry.attach(this);
	}

	epochOf(roomId: string): number | undefined {
		const { registry, clock } = this.#options;
		registry.watch.look();
		const lease = this.#held.get(roomId);
		return lease?.announced && lease.isSure(clock.nowMs()) ? lease.epoch : undefined;
	}

	/** With those that are not certain for the moment, because this process stood still: they are renewed or lost within a beat. */
	get rooms(): readonly string[] {
		return [...this.#held.values()].filter(({ announced }) => announced).map(({ roomId }) => roomId);
	}

	/** Room → epoch: for the answer to `ping`. */
	get epochs(): Record<string, number> {
		return Object.fromEntries(this.rooms.map((roomId) => [roomId, this.#held.get(roomId)!.epoch]));
	}

	ensure(roomId: string): Promise<RoomHome> {
		return once(this.#ensuring, roomId, () => this.#ensure(roomId));
	}

	release(roomId: string): Promise<void> {
		const lease = this.#held.get(roomId);
		return lease === undefined ? (this.#releasing.get(roomId) ?? Promise.resolve()) : this.#release(lease, 'released');
	}

	/**
	 * Answers the peers' request `takeHome`: `from` has given the room up or knows of no home, whatever its last heartbeat said.
	 * Resolves with this node's epoch; rejects with DomainError `not_home` when another node has the room.
	 */
	async takeHome(roomId: string, from: string): Promise<number> {
		const outcome = await this.#take(roomId, from);
		const epoch = this.epochOf(roomId);
		if (epoch !== undefined) return epoch;
		if (typeof outcome === 'number') throw unavailable();
		throw new DomainError('not_home', 'Another node has the room.', { retryAfterSeconds: 1 });
	}

	/** Gives every room up, so that others need not wait. Idempotent; never rejects, and does not wait for a Redis that is away. */
	async close(): Promise<void> {
		this.#closed = true;
		const released = Promise.all([...this.#held.values()].map((lease) => this.#release(lease, 'shutting down')));
		await Promise.race([released, this.#pause(ANSWER_WITHIN_MS)]);
	}

	beat(report: NodeReport): void {
		if (this.#closed) return;
		for (const lease of this.#held.values()) {
			this.#background(this.#renew(lease, Object.hasOwn(report.homes, lease.roomId) ? report.homes[lease.roomId] : undefined));
		}
		this.#orphans.survey();
	}

	tick(): void {
		if (this.#closed) return;
		const nowMs = this.#options.clock.nowMs();
		for (const lease of this.#held.values()) {
			const { askedMs } = lease;
			if (askedMs !== undefined && nowMs - askedMs >= ANSWER_WITHIN_MS) this.#unanswered(lease, askedMs);
		}
		this.#orphans.tick();
	}

	heard(report: NodeReport): void {
		for (const lease of this.#held.values()) {
			const claimed = Object.hasOwn(report.homes, lease.roomId) ? report.homes[lease.roomId] : undefined;
			if (claimed !== undefined && claimed.epoch > lease.epoch) this.#drop(lease, 'fenced');
		}
	}

	async renewFor({ nodeId, incarnation, homes }: NodeReport): Promise<void> {
		const { registry, store } = this.#options;
		const renewals = Object.entries(homes).filter(([roomId, { epoch }]) => (registry.homes.last(roomId)?.epoch ?? 0) <= epoch);
		await Promise.all(renewals.map(([roomId, { epoch }]) => store.renew({ nodeId, incarnation }, { roomId, epoch, reclaimUntilMs: 0 })));
	}

	async #renew(lease: HeldLease, known: HomeReport | undefined): Promise<void> {
		const { registry, store, clock, behind } = this.#options;
		const askedMs = clock.nowMs();
		if (!lease.ask(askedMs)) return;
		const observed = registry.answeredForMs >= OBSERVED_AFTER_MS;
		let result: RenewResult;
		try {
			result = await store.renew(registry, lease.renewal(observed));
		} catch (error) {
			this.#log.debug({ room: lease.roomId, epoch: lease.epoch, err: error }, 'a lease could not be renewed');
			registry.watch.look();
			this.#unanswered(lease, askedMs);
			return;
		}
		registry.watch.look();
		lease.settle(askedMs);
		if (this.#held.get(lease.roomId) !== lease) return;
		if (result.state === 'lost') {
			registry.homes.note(lease.roomId, '', result.epoch);
			this.#drop(lease, 'fenced');
		} else if (result.state === 'missing') {
			if (!lease.missing(result.nowMs)) this.#drop(lease, 'fenced');
		} else {
			lease.granted(askedMs, result.untilMs, clock.nowMs());
			this.#announce(lease);
			const { roomVersion = 0, stageVersion = 0 } = result.stored;
			if (known && (roomVersion < known.roomVersion || stageVersion < known.stageVersion)) behind(lease.roomId, result.stored);
		}
	}

	/** Nothing came back. That tells of Redis only if this process ran all along, and long enough for a connection to come back. */
	#unanswered(lease: HeldLease, askedMs: number): void {
		const { registry, clock, store } = this.#options;
		if (!lease.settle(askedMs)) return;
		if (clock.nowMs() - registry.watch.endedMs >= store.ttlMs) lease.unanswered();
		else if (askedMs < registry.watch.endedMs) this.#background(this.#renew(lease, undefined));
	}

	/** A lease that was granted long ago, because the answer was long on its way, is renewed before anybody hears of it. */
	#announce(lease: HeldLease): void {
		if (lease.announced || !lease.isSure(this.#options.clock.nowMs())) return;
		lease.announced = true;
		const { roomId, epoch, takenOver } = lease;
		this.#log.info({ room: roomId, epoch, takenOver }, 'this node is the home of a room');
		this.emit('gained', roomId, epoch, takenOver);
	}

	#drop(lease: HeldLease, reason: HomesEvents['lost'][2]): void {
		if (this.#held.get(lease.roomId) !== lease) return;
		this.#held.delete(lease.roomId);
		if (!lease.announced) return;
		const { roomId, epoch } = lease;
		this.#log[reason === 'fenced' ? 'warn' : 'info']({ room: roomId, epoch, reason }, 'this node is not the home of a room any more');
		this.emit('lost', roomId, epoch, reason);
	}

	#release(lease: HeldLease, reason: 'released' | 'shutting down'): Promise<void> {
		const { registry, store } = this.#options;
		const { roomId, epoch } = lease;
		this.#orphans.spare(roomId);
		this.#drop(lease, reason);
		return once(this.#releasing, roomId, async () => {
			try {
				await store.release(registry, roomId, epoch);
			} catch (error) {
				this.#log.debug({ room: roomId, epoch, err: error }, 'a lease could not be given up and will run out');
			}
		});
	}

	async #ensure(roomId: string): Promise<RoomHome> {
		const { registry, clock } = this.#options;
		const giveUpMs = clock.nowMs() + ENSURE_WITHIN_MS;
		for (;;) {
			const epoch = this.epochOf(roomId);
			if (epoch !== undefined) return { nodeId: registry.nodeId, epoch };
			const home = registry.homeOf(roomId);
			if (home !== undefined) return home;
			if (this.#closed) throw new DomainError('shutting_down', 'This node is shutting down.');
			if (!registry.redisAnswers || clock.nowMs() >= giveUpMs) throw unavailable();
			let retryMs = POLL_MS;
			// What is held without certainty is renewed already; and right after Redis came back others may hold what it does not show.
			if (!this.#held.has(roomId) && registry.answeredForMs >= SETTLED_AFTER_MS) {
				const outcome = await this.#delegated(roomId) ?? (await this.#take(roomId));
				if (typeof outcome !== 'number') return outcome;
				retryMs = Math.min(outcome, POLL_MS);
			}
			await this.#pause(retryMs);
		}
	}

	/** A node that is to be emptied takes no new rooms if there is another. */
	async #delegated(roomId: string): Promise<RoomHome | undefined> {
		const { registry, peers } = this.#options;
		if (!registry.node(registry.nodeId)?.draining) return undefined;
		const others = registry.nodes().filter(({ nodeId, draining }) => nodeId !== registry.nodeId && !draining);
		const [nodeId] = rendezvousOrder(roomId, others.map((other) => other.nodeId));
		if (nodeId === undefined) return undefined;
		try {
			const { epoch } = await peers.request(nodeId, 'takeHome', { roomId }, { timeoutMs: TAKE_HOME_TIMEOUT_MS });
			return { nodeId, epoch };
		} catch (error) {
			this.#log.debug({ room: roomId, peer: nodeId, err: error }, 'another node did not take a room');
			return undefined;
		}
	}

	/** Becomes the room's home if nobody is; resolves with the home, or with how many ms to wait before the next attempt. */
	#take(roomId: string, givenUpBy?: string): Promise<RoomHome | number> {
		return once(this.#taking, roomId, () => this.#claim(roomId, givenUpBy));
	}

	async #claim(roomId: string, givenUpBy: string | undefined): Promise<RoomHome | number> {
		const { registry, store, clock } = this.#options;
		await this.#releasing.get(roomId);
		if (await this.#livesUnheard(roomId)) return RETRY_MS;
		const home = registry.homeOf(roomId);
		if (home !== undefined && home.nodeId !== givenUpBy) return home;
		// Who is told that a room is free need not wait for those who might still come back for it.
		const settled = givenUpBy === undefined ? registry.answeredForMs >= SETTLED_AFTER_MS : registry.redisAnswers;
		if (this.#closed || this.#held.has(roomId) || !settled) return RETRY_MS;
		const askedMs = clock.nowMs();
		let result: ClaimResult;
		try {
			const knownEpoch = registry.homes.last(roomId)?.epoch ?? 0;
			result = await store.claim(registry, { roomId, knownEpoch, notAfterMs: registry.storeNowMs + CLAIM_WITHIN_MS });
		} catch (error) {
			this.#log.warn({ room: roomId, err: error }, 'a room could not be claimed');
			return RETRY_MS;
		}
		registry.watch.look();
		if (result === 'late') return RETRY_MS;
		const { epoch } = result;
		if (!result.taken) return this.#refused(roomId, result, clock.nowMs() - askedMs);
		const lease = new HeldLease(roomId, epoch, result.previous !== undefined, store.ttlMs);
		this.#held.set(roomId, lease);
		if (this.#closed) {
			await this.#release(lease, 'shutting down');
			return RETRY_MS;
		}
		registry.homes.note(roomId, registry.nodeId, epoch);
		lease.granted(askedMs, result.untilMs, clock.nowMs());
		this.#announce(lease);
		if (lease.announced) return { nodeId: registry.nodeId, epoch };
		this.#background(this.#renew(lease, undefined));
		return POLL_MS;
	}

	#refused(roomId: string, { nodeId, epoch, remainingMs }: Exclude<ClaimResult, 'late'> & { taken: false }, agoMs: number): RoomHome | number {
		const { registry } = this.#options;
		if (agoMs < RETRY_MS) registry.homes.correct(roomId, nodeId, epoch);
		// It took the room just now and has not told yet; a dead node's lease runs out.
		return registry.node(nodeId) === undefined ? Math.min(remainingMs, RETRY_MS) : { nodeId, epoch };
	}

	/** Asks the last home that was heard of, if it is gone without a word: it may be cut off from Redis and yet be there. */
	async #livesUnheard(roomId: string): Promise<boolean> {
		const { registry, peers } = this.#options;
		const nodeId = registry.homes.last(roomId)?.nodeId;
		if (!nodeId || registry.node(nodeId) || registry.hasLeft(nodeId) || !registry.lastReportOf(nodeId)) return false;
		const homes = await once(this.#pings, nodeId, async () => {
			try {
				return (await peers.request(nodeId, 'ping', {}, { timeoutMs: PING_TIMEOUT_MS })).homes;
			} catch {
				return {};
			}
		});
		return Object.hasOwn(homes, roomId);
	}

	#pause(durationMs: number): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#options.clock.schedule(resolve, durationMs);
		return promise;
	}

	/** Nothing waits for it, and nobody's listener may end the process through it. */
	#background(work: Promise<unknown>): void {
		work.catch((error: unknown) => this.#log.error({ err: error }, 'keeping a lease failed'));
	}
}

/** One at a time for each key: who comes later gets the same. */
function once<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
	const under = running.get(key);
	if (under) return under;
	const promise = work().finally(() => running.delete(key));
	running.set(key, promise);
	return promise;
}

function unavailable(): DomainError {
	return new DomainError('home_unavailable', 'The node that holds this room cannot be told at the moment.', { retryAfterSeconds: 1 });
}
