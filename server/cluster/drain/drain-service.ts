import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import type { ClusterView } from '../cluster-view.ts';
import type { Homes } from '../homes.ts';
import type { ShardReport } from '../node-report.ts';
import type { Peers } from '../peer-protocol.ts';
import type { DrainMedia, DrainProgress } from './drain-progress.ts';
import { DrainRun, type DrainScope } from './drain-run.ts';
import { HomesMover } from './homes-mover.ts';
import { placesElsewhere } from './places.ts';

export interface DrainServiceOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf' | 'redisAnswers'>;
	homes: Pick<Homes, 'rooms' | 'epochOf' | 'release' | 'ensure'>;
	peers: Peers;
	media: DrainMedia;
	clock: Clock;
	/** Milliseconds since the epoch, for what people are told. */
	now: () => number;
	log: Logger;
	/** Between start and the ending of sessions that did not move (default 300 s). */
	defaultDeadlineMs?: number;
	/** Listeners asked to move in a second; default: as the fleet can take, at least 200. */
	maxMovesPerSecond?: number;
}

export interface DrainServiceEvents {
	/** `moving` or `draining` is another: the next heartbeat and the event streams tell. */
	changed: [];
	/** It is empty. */
	drained: [scope: DrainScope];
	/** It is over: empty, called off, or everything was done by the deadline that could be. */
	over: [scope: DrainScope];
}

const STEP_MS = 250;
const DEFAULT_DEADLINE_MS = 300_000;
/** Rooms that no node took are offered again after this long. */
const HOMES_AGAIN_MS = 2_000;
/** From this part of the time on homes move although listeners are left. */
const HOMES_BY = 0.8;
const SHED_DEADLINE_MS = 60_000;
const END_REASON = 'this server is being emptied';

/**
 * Empties this node, or one of its shards: admits nobody, asks listeners in paced steps to go elsewhere (their pages make the
 * new session before they end the old one), gives its homes away, and at the deadline ends what would not move.
 */
export class DrainService extends EventEmitter<DrainServiceEvents> {
	readonly #options: DrainServiceOptions;
	readonly #homesMover: HomesMover;
	readonly #runs = new Map<DrainScope, DrainRun>();
	readonly #drained = new Set<DrainScope>();
	readonly #over = new Set<DrainScope>();
	#cancelStep: (() => void) | undefined;
	#movingHomes = false;
	#homesAgainMs = 0;
	#asked = 0;

	static create(options: DrainServiceOptions): DrainService {
		return new DrainService(options);
	}

	private constructor(options: DrainServiceOptions) {
		super();
		this.#options = options;
		this.#homesMover = new HomesMover(options);
	}

	/** Whether the whole node takes nobody, for its report. */
	get draining(): boolean {
		return this.#runs.has('node');
	}

	/** Shard index → part of its listeners that is asked to be gone, for its report. */
	get moving(): Record<string, number> {
		const moving: Record<string, number> = {};
		for (const { shards, part } of this.#runs.values()) {
			for (const shard of part > 0 ? shards : []) {
				moving[shard] = Math.max(moving[shard] ?? 0, part);
			}
		}
		return moving;
	}

	/** Listeners asked to move so far, by drains and sheds together. */
	get askedTotal(): number {
		return Math.round(this.#asked);
	}

	/**
	 * Starts to empty the node or one shard; if that is under way, only its deadline changes.
	 *
	 * @throws DomainError `not_found` for a shard there is not
	 */
	start({ shard, deadlineMs = this.#options.defaultDeadlineMs ?? DEFAULT_DEADLINE_MS }: { shard?: number; deadlineMs?: number } = {}): DrainProgress {
		const { media, clock, maxMovesPerSecond, log } = this.#options;
		const scope = shard ?? 'node';
		const running = this.#runs.get(scope);
		const nowMs = clock.nowMs();
		if (running) {
			running.setDeadline(nowMs - running.startedAtMs + deadlineMs);
			return this.progress(shard);
		}
		const shards = media.shardReports().filter(({ index, role }) => (shard === undefined ? role === 'listener' : index === shard));
		if (shard !== undefined && shards.length === 0) {
			throw new DomainError('not_found', 'This node has no such shard');
		}
		const run = new DrainRun({ scope, shards, startedAtMs: nowMs, deadlineMs, ...(maxMovesPerSecond === undefined ? {} : { maxMovesPerSecond }) });
		this.#runs.set(scope, run);
		media.setDraining(shard, true);
		log.info({ shard, listeners: run.listenersAtStart, deadlineMs }, 'drain started');
		if (shards[0]?.role === 'stage') {
			this.#moveOrigins(shards[0].index);
		}
		this.#schedule();
		this.emit('changed');
		return this.progress(shard);
	}

	/**
	 * Takes people again. Who was asked to move and has not gone stays.
	 *
	 * @throws DomainError `invalid_request` for one shard of a node that drains as a whole
	 */
	undrain({ shard }: { shard?: number } = {}): DrainProgress {
		if (shard !== undefined && this.#runs.has('node')) {
			throw new DomainError('invalid_request', 'The whole node drains; one shard of it cannot be taken out');
		}
		for (const scope of this.#runs.keys()) {
			if (shard === undefined || scope === shard) {
				this.#stop(scope, 'drain called off');
			}
		}
		this.emit('changed');
		return this.progress(shard);
	}

	/**
	 * Asks so many listeners to go elsewhere; the node takes newcomers again when they have gone. No drain: whoever does not move stays.
	 *
	 * @returns how many are asked: 0 when the node drains, or a shed is under way
	 */
	shed(listeners: number): number {
		const { media, clock, log, maxMovesPerSecond } = this.#options;
		const shards = media.shardReports().filter(({ role, alive, draining }) => role === 'listener' && alive && !draining);
		const total = shards.reduce((sum, shard) => sum + shard.listeners + shard.joining, 0);
		const target = Math.min(1, listeners / Math.max(1, total));
		if (target <= 0 || total === 0 || this.#runs.has('node') || this.#runs.has('shed')) {
			return 0;
		}
		const run = new DrainRun({
			scope: 'shed', shards, target, startedAtMs: clock.nowMs(), deadlineMs: SHED_DEADLINE_MS, ...(maxMovesPerSecond === undefined ? {} : { maxMovesPerSecond }),
		});
		this.#runs.set('shed', run);
		// A listener who moves must not be placed where they come from.
		for (const { index } of shards) {
			media.setDraining(index, true);
		}
		const asked = Math.round(target * total);
		log.info({ listeners: asked }, 'a share of the listeners is asked to go elsewhere');
		this.#schedule();
		this.emit('changed');
		return asked;
	}

	/** @param shard undefined: the whole node */
	progress(shard?: number): DrainProgress {
		const { media, homes, clock, now } = this.#options;
		const run = this.#runs.get(shard ?? 'node');
		const shards = media.shardReports();
		const listenersNow = shards.reduce((sum, report) => sum + (shard === undefined || report.index === shard ? report.listeners : 0), 0);
		const of = shard === undefined ? {} : { shard };
		const homesLeft = this.#homesLeft(shard ?? 'node', shards);
		if (!run) {
			return { state: 'active', ...of, listenersAtStart: listenersNow, listenersNow, homesLeft, moving: 0 };
		}
		const at = (atMs: number) => new Date(now() + atMs - clock.nowMs()).toISOString();
		return {
			state: this.#drained.has(run.scope) ? 'drained' : 'draining',
			...of,
			listenersAtStart: run.listenersAtStart,
			listenersNow,
			homesLeft: shard === undefined ? homes.rooms.length : homesLeft,
			moving: run.part,
			startedAt: at(run.startedAtMs),
			deadlineAt: at(run.deadlineAtMs),
			...(run.waiting === undefined ? {} : { waiting: run.waiting }),
		};
	}

	/** The node's, and each shard's that is drained by itself. */
	progresses(): DrainProgress[] {
		return [this.progress(), ...[...this.#runs.keys()].flatMap((scope) => (typeof scope === 'number' ? [this.progress(scope)] : []))];
	}

	/** Resolves when the drain of the whole node is over: empty, called off, or past its deadline. At once if there is none. */
	whenOver(): Promise<void> {
		const run = this.#runs.get('node');
		if (!run || this.#over.has('node')) {
			return Promise.resolve();
		}
		return new Promise((resolve) => {
			const onOver = (scope: DrainScope): void => {
				if (scope === 'node') {
					this.off('over', onOver);
					resolve();
				}
			};
			this.on('over', onOver);
		});
	}

	close(): void {
		this.#cancelStep?.();
		this.#cancelStep = undefined;
		this.#runs.clear();
	}

	#schedule(): void {
		this.#cancelStep ??= this.#options.clock.schedule(() => {
			this.#cancelStep = undefined;
			for (const run of this.#runs.values()) {
				this.#step(run);
			}
			if (this.#runs.size > 0) {
				this.#schedule();
			}
		}, STEP_MS);
	}

	#step(run: DrainRun): void {
		const { clock, media, view } = this.#options;
		const nowMs = clock.nowMs();
		const shards = media.shardReports();
		const listenersNow = run.listenersOn(shards);
		const [own, ...others] = view.nodes();
		const places = placesElsewhere(others, this.#runs.has('node') ? [] : shards, run.shards);
		const roomsLive = Object.entries(own?.rooms ?? {}).every(([roomId, listeners]) => listeners === 0 || view.homeOf(roomId) !== undefined);
		const before = run.part;
		if (run.step(nowMs, { listenersNow, freeElsewhere: places.free, shardsElsewhere: places.shards, roomsLive })) {
			this.#asked += (run.part - before) * run.listenersAtStart;
			this.emit('changed');
		}
		const settled = run.settled(nowMs, listenersNow);
		const late = nowMs >= run.deadlineAtMs;
		if (run.scope === 'shed') {
			if (settled || late) {
				this.#stop('shed', 'share of listeners given away');
				this.emit('changed');
			}
			return;
		}
		if (run.scope === 'node' && (settled || nowMs >= run.startedAtMs + HOMES_BY * (run.deadlineAtMs - run.startedAtMs))) {
			this.#moveHomes(nowMs);
		}
		if (late) {
			this.#endOne(run, shards);
		}
		this.#judge(run, listenersNow, shards, late);
	}

	/** Ends one shard's remaining sessions a step: those who come back do so in batches. */
	#endOne(run: DrainRun, shards: readonly ShardReport[]): void {
		const next = shards.find(({ index, role }) => role === 'listener' && run.shards.has(index) && !run.ended.has(index));
		if (next) {
			run.ended.add(next.index);
			this.#options.log.warn({ shard: next.index, listeners: next.listeners }, 'drain deadline: sessions that did not move are ended');
			this.#options.media.endListeners(next.index, END_REASON).catch((error: unknown) => {
				this.#options.log.error({ shard: next.index, err: error }, 'sessions could not be ended');
			});
		}
	}

	#judge({ scope, shards: own, ended }: DrainRun, listenersNow: number, shards: readonly ShardReport[], late: boolean): void {
		// A room that is on its way to another node may yet come back.
		const empty = listenersNow === 0 && this.#homesLeft(scope, shards) === 0 && !(scope === 'node' && this.#movingHomes);
		const allEnded = shards.every(({ index, role }) => role !== 'listener' || !own.has(index) || ended.has(index));
		if (empty && !this.#drained.has(scope)) {
			this.#drained.add(scope);
			this.#options.log.info(shardOf(scope), 'drained');
			this.emit('drained', scope);
		}
		if (!this.#over.has(scope) && (empty || (late && allEnded && !this.#movingHomes))) {
			this.#over.add(scope);
			this.emit('over', scope);
		}
	}

	/** Homes of the node, or origins on a stage shard. */
	#homesLeft(scope: DrainScope, shards: readonly ShardReport[]): number {
		if (scope === 'node') {
			return this.#options.homes.rooms.length;
		}
		return typeof scope === 'number' && shards.find(({ index }) => index === scope)?.role === 'stage' ? this.#options.media.originsOn(scope) : 0;
	}

	#moveHomes(nowMs: number): void {
		if (this.#movingHomes || nowMs < this.#homesAgainMs || this.#options.homes.rooms.length === 0) {
			return;
		}
		this.#movingHomes = true;
		this.#homesMover
			.moveAll(() => this.#runs.has('node'))
			.catch((error: unknown) => this.#options.log.error({ err: error }, 'homes could not be moved'))
			.finally(() => {
				this.#movingHomes = false;
				this.#homesAgainMs = this.#options.clock.nowMs() + HOMES_AGAIN_MS;
			});
	}

	#moveOrigins(shard: number): void {
		this.#options.media.moveOriginsOff(shard).catch((error: unknown) => this.#options.log.warn({ shard, err: error }, 'origins could not be moved to another stage shard'));
	}

	#stop(scope: DrainScope, message: string): void {
		const { media, log } = this.#options;
		const run = this.#runs.get(scope);
		if (!run) {
			return;
		}
		this.#runs.delete(scope);
		this.#drained.delete(scope);
		const wasOver = this.#over.delete(scope);
		if (scope === 'node') {
			media.setDraining(undefined, false);
		}
		for (const shard of run.shards) {
			media.setDraining(shard, false);
		}
		// Another run may want the same shards empty.
		for (const { scope: other, shards } of this.#runs.values()) {
			for (const shard of other === 'node' ? [undefined] : shards) {
				media.setDraining(shard, true);
			}
		}
		log.info(shardOf(scope), message);
		if (!wasOver) {
			this.emit('over', scope);
		}
	}
}

/** For the log: the whole node is in every line anyway. */
const shardOf = (scope: DrainScope) => (typeof scope === 'number' ? { shard: scope } : {});
