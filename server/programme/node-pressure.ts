import type { Logger } from 'pino';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ShardPressure } from '../cluster/node-report.ts';
import { type EventCadence, type PressedShard, type PressureChange, PressureLadder, type PressureLadderOptions, type PressureReason } from '../placement/pressure-ladder.ts';
import type { ShardEffort } from '../placement/shard-pressure.ts';

export interface NodePressureOptions extends PressureLadderOptions {
	supervisor: Pick<Supervisor, 'slots' | 'shard'>;
	/** The node's own process over the last second. */
	effort: () => ShardEffort;
	/** What a room packs by itself where its packing may grow; undefined where it is fixed. */
	packingOf: (roomId: string) => PackingMs | undefined;
	/** Milliseconds since the epoch. */
	now: () => number;
	log: Logger;
}

/** How often something gave way (`up`) or was taken back, by what and why. */
export interface PressureCount {
	what: 'packing' | 'events';
	direction: 'up' | 'down';
	reason: PressureReason;
	count: number;
}

interface Seen {
	stats: ShardStats;
	atMs: number;
}

/** This node's pressure ladder with the figures of its shards, and what it did: for the log, the metrics and the operator. */
export class NodePressure {
	readonly #options: NodePressureOptions;
	readonly #ladder: PressureLadder;
	readonly #log: Logger;
	/** Shard → its figures as looked at last. */
	readonly #seen = new Map<number, Seen>();
	readonly #floors = new Map<number, PackingMs>();
	/** Shard → why and since when it packs as it does. */
	readonly #told = new Map<number, { reason: PressureReason; since: string }>();
	readonly #counts = new Map<string, PressureCount>();

	constructor(options: NodePressureOptions) {
		this.#options = options;
		this.#ladder = new PressureLadder(options);
		this.#log = options.log;
	}

	/** Shard → what packets of rooms with packing `auto` carry there at least; shards without a floor are left out. */
	get floors(): ReadonlyMap<number, PackingMs> {
		return this.#floors;
	}
	get eventCadence(): EventCadence {
		return this.#ladder.eventCadence;
	}
	get counts(): readonly PressureCount[] {
		return [...this.#counts.values()];
	}

	/** As the node reports it and operators see it; reason and time are those of the latest change, if there was one. */
	shard(index: number): ShardPressure {
		return { ...this.#ladder.shard(index), ...this.#told.get(index) };
	}

	/** Once a second. @param nowMs monotonic */
	look(nowMs: number): void {
		const { supervisor, effort } = this.#options;
		const shards = supervisor.slots.flatMap(({ index, role }) => (role === 'listener' ? (this.#news(index, nowMs) ?? []) : []));
		for (const change of this.#ladder.look(shards, effort(), nowMs)) {
			this.#note(change);
		}
	}

	/** Whoever takes this shard's place begins without pressure. */
	shardDown(index: number): void {
		this.#ladder.forget(index);
		this.#seen.delete(index);
		this.#floors.delete(index);
		this.#told.delete(index);
	}

	/** Figures that were not looked at yet. */
	#news(index: number, nowMs: number): PressedShard | undefined {
		const stats = this.#options.supervisor.shard(index)?.stats;
		const before = this.#seen.get(index);
		if (!stats || stats === before?.stats) {
			return undefined;
		}
		this.#seen.set(index, { stats, atMs: nowMs });
		const elapsedSeconds = before ? Math.max(1, (nowMs - before.atMs) / 1_000) : 1;
		return {
			index,
			cpuRatio: Math.max(stats.nodeCpuRatio, stats.workerCpuRatio),
			eventLoopLagMs: stats.eventLoopLagMs,
			packetsPerSecond: before ? Math.max(0, stats.packetsSentTotal - before.stats.packetsSentTotal) / elapsedSeconds : 0,
			listeners: stats.listeners,
			rooms: Object.entries(stats.rooms).flatMap(([roomId, listeners]) => {
				const packingMs = this.#options.packingOf(roomId);
				return packingMs === undefined ? [] : [{ listeners, packingMs }];
			}),
		};
	}

	#note({ shard, from, to, reason, effort }: PressureChange): void {
		const what = shard === undefined ? 'events' : 'packing';
		const direction = to > from ? 'up' : 'down';
		const key = `${what}/${direction}/${reason}`;
		const counted = this.#counts.get(key) ?? { what, direction, reason, count: 0 };
		counted.count++;
		this.#counts.set(key, counted);
		const figures = { from, to, reason, effort: Math.round(effort * 1_000) / 1_000 };
		if (shard === undefined) {
			this.#log.info(figures, 'events are told at another pace');
			return;
		}
		if (to > 20) {
			this.#floors.set(shard, to as PackingMs);
		} else {
			this.#floors.delete(shard);
		}
		this.#told.set(shard, { reason, since: new Date(this.#options.now()).toISOString() });
		this.#log.info({ shard, ...figures }, 'the packing floor of a shard changed');
	}
}
