import { EventEmitter } from 'node:events';
import { DEFAULT_CALIBRATION, type ShardCalibration } from '../../../server/capacity/shard-calibration.ts';
import type { PackingMs, ShardRole } from '../../../sfu/contract/media-types.ts';
import { SfuError } from '../../../sfu/contract/sfu-error.ts';
import type { ParamsOf, ResultOf, ShardRequestName, ShardStats } from '../../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../../sfu/supervisor/shard.ts';
import type { Supervisor, SupervisorEvents } from '../../../sfu/supervisor/supervisor.ts';
import { FakeShard } from '../../support/fakes/fake-shards.ts';
import type { Processors, SimulatedProcess } from './processors.ts';
import type { VirtualTime } from './virtual-time.ts';

/**
 * Where the processor time of a join goes. The sum is the calibration's `cpuMsPerJoin`, of which the node process has its part
 * (`NODE_MS` in simulated-node.ts); FACTS: 1.4 ms in Node and somewhat less in the worker, half of that in the DTLS handshake.
 */
const OF_A_JOIN = { entryBefore: 0.28, worker: 0.2, entryAfter: 0.28, handshake: 0.24 } as const;
/** A room on a shard costs about 30 ms a second whoever listens, 20 of them in Node (README, "What it costs"). */
const EDGE_RATIO = { entry: 0.02, worker: 0.01 } as const;
/** One talker: his packets, and keep-alives of two silent voices. */
const packetsPerListener = (packingMs: PackingMs) => 1_000 / packingMs + 1.7;
const OTHER_REQUESTS_MS = 1;

export interface ShardOptions {
	time: VirtualTime;
	processors: Processors;
	calibration?: ShardCalibration;
	/** Of a join, in ms, without what the node process does. */
	joinMs: number;
	maxDownstreams: number;
	/** Told when everybody on it is gone: its edge was closed. */
	onEmptied: (shard: number) => void;
}

/** A shard without media. It keeps the books of a real one, and what it does takes processor time. */
export class SimulatedShard {
	readonly assignment: { index: number; role: ShardRole };
	readonly books: FakeShard;
	readonly entry: SimulatedProcess;
	readonly worker: SimulatedProcess;
	stats: ShardStats | undefined;
	listeners = 0;
	packingMs: PackingMs = 60;
	isGone = false;
	readonly #options: ShardOptions;
	readonly #calibration: ShardCalibration;
	#joinsTotal = 0;
	#packetsTotal = 0;

	constructor(index: number, role: ShardRole, entry: SimulatedProcess, worker: SimulatedProcess, options: ShardOptions) {
		this.assignment = { index, role };
		this.entry = entry;
		this.worker = worker;
		this.#options = options;
		this.#calibration = options.calibration ?? DEFAULT_CALIBRATION;
		this.books = new FakeShard(index, role, () => ({ afterMs: OTHER_REQUESTS_MS, outcome: 'answered' }), options.maxDownstreams);
	}

	request<N extends ShardRequestName>(name: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
		if (name === 'listener.join') {
			// The compiler cannot follow that name and parameters belong together.
			return this.#join((params as ParamsOf<'listener.join'>).roomId);
		}
		if (name === 'edge.open' || name === 'edge.setPacking') {
			this.packingMs = (params as ParamsOf<'edge.setPacking'>).packingMs;
			this.#load();
		}
		if (name === 'edge.close' && this.listeners > 0) {
			this.listeners = 0;
			this.#options.onEmptied(this.assignment.index);
		}
		return this.books.request(name, params).then((result) => {
			this.#load();
			return result;
		});
	}

	/** ICE and DTLS of a session whose answer is with its client. */
	handshake(done: () => void): void {
		if (!this.isGone) {
			this.worker.add(OF_A_JOIN.handshake * this.#options.joinMs, done);
		}
	}

	/** Somebody is gone. */
	leave(): void {
		this.listeners = Math.max(0, this.listeners - 1);
		this.#load();
	}

	die(): void {
		this.isGone = true;
		this.listeners = 0;
		this.entry.clear();
		this.worker.clear();
		this.entry.steadyRatio = 0;
		this.worker.steadyRatio = 0;
		this.books.die();
	}

	/** What it tells every second. */
	takeStats(durationMs: number): ShardStats {
		const entry = this.entry.takeEffort(durationMs);
		const worker = this.worker.takeEffort(durationMs);
		this.#packetsTotal += Math.round((this.listeners * packetsPerListener(this.packingMs) * durationMs) / 1_000);
		this.stats = {
			listeners: this.listeners,
			spareTransports: 0,
			rooms: Object.fromEntries([...this.books.edges.keys()].map((roomId) => [roomId, this.listeners])),
			joinsTotal: this.#joinsTotal,
			joinsFailedTotal: 0,
			packetsSentTotal: this.#packetsTotal,
			packetsReceivedTotal: 0,
			eventLoopLagMs: entry.lagMs,
			nodeCpuRatio: entry.cpuRatio,
			nodeRssBytes: 0,
			workerPid: 0,
			workerCpuRatio: worker.cpuRatio,
			workerRssBytes: this.listeners * this.#calibration.bytesPerListener,
			links: [],
		};
		return this.stats;
	}

	#join(roomId: string): Promise<ResultOf<'listener.join'>> {
		const { joinMs } = this.#options;
		return new Promise((resolve, reject) => {
			if (this.isGone) {
				reject(new SfuError('shard_gone', 'gone'));
				return;
			}
			this.#pending.add(reject);
			this.entry.add(OF_A_JOIN.entryBefore * joinMs, () =>
				this.worker.add(OF_A_JOIN.worker * joinMs, () =>
					this.entry.add(OF_A_JOIN.entryAfter * joinMs, () => {
						this.#pending.delete(reject);
						if (!this.books.edges.has(roomId)) {
							reject(new SfuError('room_unknown', 'no such room here'));
							return;
						}
						this.listeners++;
						this.#joinsTotal++;
						this.#load();
						resolve({ sdp: '', etag: '', listeners: this.listeners, roomListeners: this.listeners });
					}),
				),
			);
		});
	}

	readonly #pending = new Set<(error: SfuError) => void>();

	/** Its process ended: whoever waits for it is told. */
	fail(): void {
		for (const reject of this.#pending) {
			reject(new SfuError('shard_gone', 'died'));
		}
		this.#pending.clear();
	}

	#load(): void {
		const carries = this.books.edges.size > 0 ? 1 : 0;
		this.entry.steadyRatio = carries * EDGE_RATIO.entry;
		this.worker.steadyRatio = carries * EDGE_RATIO.worker + (this.listeners * this.#calibration.cpuUsPerListenerSecond[this.packingMs]) / 1e6;
	}
}

/** Shards of one node, with the real supervisor's events. */
export class SimulatedSupervisor extends EventEmitter<SupervisorEvents> {
	readonly #roles: readonly ShardRole[];
	readonly #shards: (SimulatedShard | undefined)[];
	readonly #make: (index: number, role: ShardRole) => SimulatedShard;

	constructor(roles: readonly ShardRole[], options: ShardOptions) {
		super();
		this.#roles = roles;
		const processes = roles.map(() => ({ entry: options.processors.add(), worker: options.processors.add() }));
		this.#make = (index, role) => new SimulatedShard(index, role, processes[index]!.entry, processes[index]!.worker, options);
		this.#shards = roles.map((role, index) => this.#make(index, role));
	}

	get slots() {
		return this.#roles.map((role, index) => ({ index, role, mediaPort: index, alive: this.#shards[index] !== undefined }));
	}
	/** Those that live. */
	get living(): SimulatedShard[] {
		return this.#shards.filter((shard) => shard !== undefined);
	}
	simulated(index: number): SimulatedShard | undefined {
		return this.#shards[index];
	}
	shard(index: number): Shard | undefined {
		return asShard(this.#shards[index]);
	}
	shards(role?: ShardRole): Shard[] {
		return this.living.filter(({ assignment }) => role === undefined || assignment.role === role).map((shard) => asShard(shard)!);
	}

	kill(index: number): void {
		const shard = this.#shards[index];
		if (shard) {
			shard.die();
			this.#shards[index] = undefined;
			shard.fail();
			this.emit('shardDown', index, shard.assignment.role);
		}
	}

	/** The spare takes its place. */
	revive(index: number): void {
		const role = this.#roles[index];
		if (role && !this.#shards[index]) {
			const shard = this.#make(index, role);
			this.#shards[index] = shard;
			this.emit('shardUp', asShard(shard)!, index, role);
		}
	}

	tellStats(durationMs: number): void {
		for (const shard of this.living) {
			this.emit('shardEvent', shard.assignment.index, 'shard.stats', shard.takeStats(durationMs));
		}
	}

	/** As `ProgrammesOptions` takes it: private fields make a class its own kind, and programmes use nothing but what stands here. */
	asSupervisor(): Supervisor {
		return this as unknown as Supervisor;
	}
}

const asShard = (shard: SimulatedShard | undefined): Shard | undefined => shard as unknown as Shard | undefined;
