import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { ShardRole } from '../contract/media-types.ts';
import type { ShardAssignment, ShardEventName, ShardEvents } from '../contract/shard-protocol.ts';
import { Rehearsals } from './rehearsals.ts';
import { Shard } from './shard.ts';

export interface SupervisorOptions {
	stageShards: number;
	listenerShards: number;
	/** Warm processes, modules loaded and worker running, that wait to take a dead shard's place. */
	spareShards: number;
	mediaPort: number;
	listenAddresses: { ip: string; announcedAddress?: string }[];
	linkPortMin: number;
	linkPortMax: number;
	iceConsentTimeoutSeconds: number;
	connectTimeoutMs: number;
	maxListenersPerShard: number;
	/** Transports that each listener shard makes ahead of a crowd. Default 0. */
	spareTransports?: number;
	/** Joins that listener shards and spares rehearse with nobody after they have started. Default 0. */
	rehearsalJoins?: number;
	/** Where ends of links that leave the host listen, and what other hosts are told instead; without it no link leaves the host. */
	linkAddress?: { ip: string; announcedAddress?: string };
	/** Links that begin at one origin or one relaying edge. Default 32. */
	maxDownstreams?: number;
	/** Shards end their sessions when this process hangs for so long; undefined: never. */
	nodeSilenceMs?: number;
	requestTimeoutMs: number;
	/** A shard that has not reported for so long counts as dead, although the process may still be there. Default 3 s; shards report every second. */
	hungAfterMs?: number;
	workerBin?: string;
	workerLogLevel?: string;
	log: Logger;
}

export interface SupervisorEvents {
	/** A shard took up (or took over) its index: it is empty and may be used. */
	shardUp: [shard: Shard, index: number, role: ShardRole];
	/** A shard died with all that was on it. */
	shardDown: [index: number, role: ShardRole];
	shardEvent: [index: number, name: ShardEventName, data: ShardEvents[ShardEventName]];
}

interface Slot {
	readonly assignment: ShardAssignment;
	shard: Shard | undefined;
	recentDeaths: number[];
	/** Looks at the shard since its last report. */
	silentLooks: number;
}

/** More deaths than this of one slot within the window and its next start waits: something is broken, not unlucky. */
const DEATHS_BEFORE_BACKOFF = 3;
const DEATH_WINDOW_MS = 10_000;
const BACKOFF_MS = 2_000;
/** A process that has not come so far by then never will. */
const START_MS = 30_000;
const HUNG_AFTER_MS = 3_000;
const LOOK_MS = 500;
const MAX_DOWNSTREAMS = 32;

/**
 * Starts a node's shards, watches them, and puts a warm spare in a dead one's place: same index, same port.
 * A worker that dies takes its shard with it, and a shard or worker that hangs is killed, so that there is one
 * failure to handle.
 */
export class Supervisor extends EventEmitter<SupervisorEvents> {
	readonly #options: SupervisorOptions;
	readonly #log: Logger;
	readonly #slots: Slot[] = [];
	readonly #spares = new Set<Shard>();
	/** Every process started here that has not gone, whatever it is used for. */
	readonly #living = new Set<Shard>();
	readonly #rehearsals: Rehearsals;
	readonly #watch: NodeJS.Timeout;
	#closing = false;

	/** Resolves when every shard has its port. Rejects if one cannot start at all. */
	static async start(options: SupervisorOptions): Promise<Supervisor> {
		const supervisor = new Supervisor(options);
		try {
			await Promise.all(supervisor.#slots.map((slot) => supervisor.#fill(slot, supervisor.#spawn())));
		} catch (error) {
			await supervisor.close('start failed', 0);
			throw error;
		}
		supervisor.#refillSpares();
		return supervisor;
	}

	private constructor(options: SupervisorOptions) {
		super();
		this.#options = options;
		this.#log = options.log.child({ part: 'supervisor' });
		this.#rehearsals = new Rehearsals(options.rehearsalJoins ?? 0, this.#log);
		for (let index = 0; index < options.stageShards + options.listenerShards; index++) {
			this.#slots.push({ assignment: this.#assignmentOf(index), shard: undefined, recentDeaths: [], silentLooks: 0 });
		}
		this.#watch = setInterval(() => {
			this.#killSilent();
			this.#ping();
		}, LOOK_MS).unref();
	}

	/** The living, assigned shard at this index. */
	shard(index: number): Shard | undefined {
		return this.#slots[index]?.shard;
	}

	/** All living, assigned shards of a role, in order of index. */
	shards(role?: ShardRole): Shard[] {
		return this.#slots.flatMap(({ shard, assignment }) => (shard && (role === undefined || assignment.role === role) ? [shard] : []));
	}

	/** What should be here, living or not. */
	get slots(): readonly { index: number; role: ShardRole; mediaPort: number; alive: boolean }[] {
		return this.#slots.map(({ assignment, shard }) => ({
			index: assignment.index,
			role: assignment.role,
			mediaPort: assignment.mediaPort,
			alive: shard !== undefined,
		}));
	}

	/** How many warm processes wait. */
	get readySpares(): number {
		return [...this.#spares].filter((spare) => spare.isReady).length;
	}

	/** Resolves when the shards that are here have rehearsed. */
	rehearsed(): Promise<void> {
		return this.#rehearsals.settled();
	}

	/** Resolves when no process is left. Those without listeners or speakers have nobody to say goodbye to. */
	async close(reason: string, deadlineMs: number): Promise<void> {
		this.#closing = true;
		clearInterval(this.#watch);
		this.#rehearsals.close();
		this.#spares.clear();
		const inUse = new Set(this.shards());
		await Promise.all([...this.#living].map((shard) => shard.close(reason, inUse.has(shard) ? deadlineMs : 0)));
	}

	/** Without a word and at once: the last thing before the process itself ends. A hung shard leaves in no other way. */
	killAll(): void {
		this.#closing = true;
		this.#rehearsals.close();
		for (const shard of this.#living) {
			shard.kill();
		}
	}

	#assignmentOf(index: number): ShardAssignment {
		const options = this.#options;
		return {
			index,
			role: index < options.stageShards ? 'stage' : 'listener',
			mediaPort: options.mediaPort + index,
			listenAddresses: options.listenAddresses,
			linkPortMin: options.linkPortMin,
			linkPortMax: options.linkPortMax,
			iceConsentTimeoutSeconds: options.iceConsentTimeoutSeconds,
			connectTimeoutMs: options.connectTimeoutMs,
			maxListeners: options.maxListenersPerShard,
			...(options.spareTransports === undefined ? {} : { spareTransports: options.spareTransports }),
			...(options.linkAddress ? { linkAddress: options.linkAddress } : {}),
			maxDownstreams: options.maxDownstreams ?? MAX_DOWNSTREAMS,
			...(options.nodeSilenceMs === undefined ? {} : { nodeSilenceMs: options.nodeSilenceMs }),
		};
	}

	#spawn(): Shard {
		const { log, requestTimeoutMs, workerBin, workerLogLevel } = this.#options;
		const shard = Shard.spawn({
			log,
			requestTimeoutMs,
			env: {
				...(workerBin === undefined ? {} : { MEDIASOUP_WORKER_BIN: workerBin }),
				...(workerLogLevel === undefined ? {} : { ROSTRUM_WORKER_LOG_LEVEL: workerLogLevel }),
				ROSTRUM_SHARD_LOG_LEVEL: log.level,
			},
		});
		this.#living.add(shard);
		const tooLate = setTimeout(() => {
			this.#log.error({ shardProcess: shard.pid, startMs: START_MS }, 'a shard process does not start; killing it');
			shard.kill();
		}, START_MS).unref();
		shard.once('ready', () => clearTimeout(tooLate));
		shard.once('gone', () => {
			clearTimeout(tooLate);
			this.#living.delete(shard);
		});
		return shard;
	}

	async #fill(slot: Slot, shard: Shard): Promise<void> {
		const { index, role } = slot.assignment;
		const startedAt = performance.now();
		await becomesReady(shard);
		await shard.assign(slot.assignment);
		if (this.#closing || shard.isGone) {
			shard.kill();
			throw new Error(`shard ${index} went away while it started`);
		}
		slot.shard = shard;
		slot.silentLooks = 0;
		shard.on('event', (name, data) => {
			if (name === 'shard.stats') {
				slot.silentLooks = 0;
			}
			this.emit('shardEvent', index, name, data);
		});
		shard.once('gone', ({ code, signal }) => this.#onGone(slot, code, signal));
		this.#log.info({ shard: index, role, port: slot.assignment.mediaPort, shardProcess: shard.pid, workerProcess: shard.workerPid, tookMs: Math.round(performance.now() - startedAt) }, 'shard up');
		this.emit('shardUp', shard, index, role);
		if (role === 'listener') {
			this.#rehearsals.add(shard);
		}
	}

	/**
	 * A shard that hangs (stopped, deadlocked, its worker stuck) dies of nothing by itself. Its reports need both
	 * its processes, so silence tells of either. Looks are counted and not time, so that a node that was itself
	 * held up does not take its shards for dead.
	 */
	#killSilent(): void {
		const { hungAfterMs = HUNG_AFTER_MS } = this.#options;
		for (const slot of this.#slots) {
			if (slot.shard && ++slot.silentLooks > hungAfterMs / LOOK_MS) {
				this.#log.error({ shard: slot.assignment.index, shardProcess: slot.shard.pid, silenceMs: hungAfterMs }, 'a shard hangs; killing it');
				slot.silentLooks = 0;
				slot.shard.kill();
			}
		}
	}

	/** Shards that are to give up a node that hangs must hear that it does not. */
	#ping(): void {
		if (this.#options.nodeSilenceMs !== undefined) {
			for (const shard of this.shards()) {
				shard.request('shard.ping', {}).catch(() => undefined); // Whether it answers, its reports tell.
			}
		}
	}

	#onGone(slot: Slot, code: number | null, signal: NodeJS.Signals | null): void {
		const { index, role } = slot.assignment;
		slot.shard = undefined;
		if (this.#closing) {
			return;
		}
		this.#log.error({ shard: index, role, code, signal }, 'shard died; replacing it');
		this.emit('shardDown', index, role);
		const now = performance.now();
		slot.recentDeaths = [...slot.recentDeaths.filter((at) => now - at < DEATH_WINDOW_MS), now];
		if (slot.recentDeaths.length > DEATHS_BEFORE_BACKOFF) {
			setTimeout(() => this.#replace(slot), BACKOFF_MS).unref();
		} else {
			this.#replace(slot);
		}
	}

	#replace(slot: Slot): void {
		if (this.#closing) {
			return;
		}
		const shard = this.#takeSpare() ?? this.#spawn();
		this.#fill(slot, shard).catch((error: unknown) => {
			shard.kill();
			if (!this.#closing) {
				this.#log.error({ shard: slot.assignment.index, err: error }, 'a replacement shard failed; trying again');
				setTimeout(() => this.#replace(slot), BACKOFF_MS).unref();
			}
		});
		this.#refillSpares();
	}

	/** A ready one, else the one that has been starting for longest: it is ahead of a new one. */
	#takeSpare(): Shard | undefined {
		const spares = [...this.#spares];
		const spare = spares.find((candidate) => candidate.isReady) ?? spares[0];
		if (spare) {
			this.#spares.delete(spare);
		}
		return spare;
	}

	#refillSpares(): void {
		while (!this.#closing && this.#spares.size < this.#options.spareShards) {
			const spare = this.#spawn();
			this.#spares.add(spare);
			spare.once('ready', () => {
				this.#log.info({ shardProcess: spare.pid }, 'spare shard ready');
				this.#rehearsals.add(spare);
			});
			spare.once('gone', () => {
				// A spare that dies unused is replaced too, but not in a hot loop.
				if (this.#spares.delete(spare)) {
					setTimeout(() => this.#refillSpares(), BACKOFF_MS).unref();
				}
			});
		}
	}
}

function becomesReady(shard: Shard): Promise<void> {
	if (shard.isReady) {
		return Promise.resolve();
	}
	return new Promise((resolve, reject) => {
		shard.once('ready', resolve);
		shard.once('gone', ({ code, signal }) =>
			reject(new Error(`a shard process ended before it was ready (code ${code}, signal ${signal}); is the mediasoup worker there?`)),
		);
	});
}
