import type { Logger } from 'pino';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ShardReport } from '../cluster/node-report.ts';
import { DomainError } from '../errors.ts';
import { JoinQueue, type JoinQueueOptions } from '../placement/admission/join-queue.ts';
import type { JoinShards, Reservation } from '../placement/admission/join-shards.ts';
import { type ListenerShardLoad, placeListener } from '../placement/place-listener.ts';

export interface NodeShardsOptions {
	supervisor: Pick<Supervisor, 'slots' | 'shard'>;
	maxListenersPerShard: number;
	/** Whether the room has an edge on the shard, and whether that was made ahead. */
	edgeOn?: (roomId: string, index: number) => 'none' | 'there' | 'warm';
	admission: Omit<JoinQueueOptions, 'shards'>;
	log: Logger;
}

/** What this node knows of a listener shard between two of its reports. */
interface ListenerShard {
	listeners: number;
	joining: number;
	/** Room → listeners. */
	rooms: Map<string, number>;
	/** Room → joins under way. */
	readonly joiningRooms: Map<string, number>;
	/** Takes nobody new. */
	draining: boolean;
	packetsPerSecond: number;
	packetsSentTotal: number;
}

/** This node's shards as placement and heartbeats see them: who is on them, who is on the way, and which are being emptied. */
export class NodeShards implements JoinShards {
	readonly #options: NodeShardsOptions;
	readonly #listenerShards = new Map<number, ListenerShard>();
	readonly #drainingStageShards = new Set<number>();
	/** Who is seated next. */
	readonly joins: JoinQueue;
	/** Listeners who had been refused when this was last logged. */
	#turnedAway = 0;

	constructor(options: NodeShardsOptions) {
		this.#options = options;
		for (const { index, role } of options.supervisor.slots) {
			if (role === 'listener') {
				this.#listenerShards.set(index, { listeners: 0, joining: 0, rooms: new Map(), joiningRooms: new Map(), draining: false, packetsPerSecond: 0, packetsSentTotal: 0 });
			}
		}
		this.joins = new JoinQueue({ ...options.admission, shards: this });
	}

	/** A shard's figures, once a second. */
	heard(index: number, stats: ShardStats): void {
		const { listeners, rooms, packetsSentTotal } = stats;
		const state = this.#listenerShards.get(index);
		if (state) {
			state.listeners = listeners;
			state.rooms = new Map(Object.entries(rooms));
			state.packetsPerSecond = Math.max(0, packetsSentTotal - state.packetsSentTotal);
			state.packetsSentTotal = packetsSentTotal;
			this.joins.strain(index, { cpuRatio: Math.max(stats.nodeCpuRatio, stats.workerCpuRatio), eventLoopLagMs: stats.eventLoopLagMs });
		}
	}

	died(index: number): void {
		const state = this.#listenerShards.get(index);
		if (state) {
			state.listeners = 0;
			state.rooms.clear();
			this.joins.shardDied(index);
		}
	}

	/** Another shard took the place of one that died. */
	revived(): void {
		this.joins.changed();
	}

	/** @param shard undefined: all of the node */
	setDraining(shard: number | undefined, draining: boolean): void {
		for (const { index, role } of this.#options.supervisor.slots) {
			const state = this.#listenerShards.get(index);
			if (shard !== undefined && shard !== index) {
				continue;
			}
			if (state) {
				state.draining = draining;
			} else if (role === 'stage' && draining) {
				this.#drainingStageShards.add(index);
			} else {
				this.#drainingStageShards.delete(index);
			}
		}
		this.joins.changed();
	}

	isDraining(index: number): boolean {
		return this.#listenerShards.get(index)?.draining ?? this.#drainingStageShards.has(index);
	}

	/** A listener shard of this node that takes people. */
	isOpen(index: number): boolean {
		return this.#listenerShards.get(index)?.draining === false;
	}

	/** Whether listeners of the room are there or on their way. */
	inUse(index: number, roomId: string): boolean {
		const state = this.#listenerShards.get(index);
		return (state?.rooms.get(roomId) ?? 0) > 0 || (state?.joiningRooms.get(roomId) ?? 0) > 0;
	}

	/** As the shards said last, joins since then included. */
	listenersIn(roomId: string): number {
		let listeners = 0;
		for (const { rooms } of this.#listenerShards.values()) {
			listeners += rooms.get(roomId) ?? 0;
		}
		return listeners;
	}

	/** Room → listeners, over all shards. */
	counts(): Map<string, number> {
		const counts = new Map<string, number>();
		for (const { rooms } of this.#listenerShards.values()) {
			for (const [roomId, listeners] of rooms) {
				counts.set(roomId, (counts.get(roomId) ?? 0) + listeners);
			}
		}
		return counts;
	}

	place(roomId: string, mayTake: (index: number) => boolean): number | undefined {
		const { supervisor, maxListenersPerShard, edgeOn, log } = this.#options;
		const loads: ListenerShardLoad[] = [];
		for (const [index, state] of this.#listenerShards) {
			if (!mayTake(index)) {
				continue;
			}
			const shard = supervisor.shard(index);
			const edge = edgeOn?.(roomId, index);
			loads.push({
				index,
				alive: shard !== undefined,
				draining: state.draining,
				listeners: state.listeners,
				joining: state.joining,
				maxListeners: maxListenersPerShard,
				cpuRatio: Math.max(shard?.stats?.nodeCpuRatio ?? 0, shard?.stats?.workerCpuRatio ?? 0),
				eventLoopLagMs: shard?.stats?.eventLoopLagMs ?? 0,
				packetsPerSecond: state.packetsPerSecond,
				carriesRoom: (state.rooms.get(roomId) ?? 0) > 0 || edge === 'there' || edge === 'warm',
				isWarm: edge === 'warm',
			});
		}
		const placement = placeListener(loads);
		if (log.isLevelEnabled('trace')) {
			log.trace({ room: roomId, shard: placement.shard, passedOver: placement.passedOver }, 'placed a listener');
		}
		return placement.shard;
	}

	forEachOpen(each: (index: number, places: number) => void): void {
		const { supervisor, maxListenersPerShard } = this.#options;
		for (const [index, { draining, listeners, joining }] of this.#listenerShards) {
			if (!draining && supervisor.shard(index)) {
				each(index, Math.max(0, maxListenersPerShard - listeners - joining));
			}
		}
	}

	/** Counts a listener in before the shard is asked, so that two on their way cannot both take the last place. */
	reserve(index: number, roomId: string): Reservation {
		const state = this.#listenerShards.get(index);
		if (!state) {
			throw noCapacity();
		}
		state.joining++;
		state.joiningRooms.set(roomId, (state.joiningRooms.get(roomId) ?? 0) + 1);
		return {
			seated: (listeners, roomListeners) => {
				state.listeners = listeners;
				state.rooms.set(roomId, roomListeners);
			},
			done: () => {
				state.joining--;
				const left = (state.joiningRooms.get(roomId) ?? 1) - 1;
				if (left > 0) {
					state.joiningRooms.set(roomId, left);
				} else {
					state.joiningRooms.delete(roomId);
				}
			},
		};
	}

	/** The living listener shard with the fewest people that takes any. */
	leastLoaded(): number | undefined {
		return [...this.#listenerShards]
			.filter(([index, { draining }]) => !draining && this.#options.supervisor.shard(index))
			.toSorted(([, a], [, b]) => a.listeners + a.joining - b.listeners - b.joining)[0]?.[0];
	}

	/** As this node's heartbeat tells of them. */
	reports(): ShardReport[] {
		const { supervisor, maxListenersPerShard } = this.#options;
		// Who waits will be on some shard in a moment; other nodes are not to take these places for free ones.
		let open = 0;
		this.forEachOpen(() => open++);
		const waiting = open === 0 ? 0 : Math.ceil(this.joins.inLine / open);
		return supervisor.slots.map(({ index, role, alive }) => {
			const state = this.#listenerShards.get(index);
			const stats = supervisor.shard(index)?.stats;
			return {
				index,
				role,
				alive,
				draining: this.isDraining(index),
				listeners: state?.listeners ?? 0,
				joining: (state?.joining ?? 0) + (state && alive && !state.draining ? waiting : 0),
				maxListeners: role === 'listener' ? maxListenersPerShard : 0,
				cpuRatio: Math.max(0, stats?.nodeCpuRatio ?? 0, stats?.workerCpuRatio ?? 0),
				eventLoopLagMs: Math.max(0, stats?.eventLoopLagMs ?? 0),
				packetsPerSecond: state?.packetsPerSecond ?? 0,
			};
		});
	}

	/** Once a second: one line for all who were turned away, however great the surge. */
	logTurnedAway(): void {
		const { full, paced } = this.joins.totals.refused;
		if (full + paced > this.#turnedAway) {
			this.#options.log.warn({ listeners: full + paced - this.#turnedAway, waiting: this.joins.waiting, joinsPerSecond: Math.round(this.joins.joinsPerSecond) }, 'listeners were turned away');
		}
		this.#turnedAway = full + paced;
	}
}

export const noCapacity = () =>
	new DomainError('no_capacity', 'Every listener shard of this server is full or away; try again shortly.', { retryAfterSeconds: 2 });
