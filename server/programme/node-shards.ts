import type { Logger } from 'pino';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ShardReport } from '../cluster/node-report.ts';
import { DomainError } from '../errors.ts';
import { placeListener } from '../placement/place-listener.ts';

export interface NodeShardsOptions {
	supervisor: Pick<Supervisor, 'slots' | 'shard'>;
	maxListenersPerShard: number;
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

/** A place on a shard for a listener on the way there. */
export interface Reservation {
	/** The shard's own counts with the new one, fresher than its reports. */
	seated(listeners: number, roomListeners: number): void;
	/** The join is through, whatever came of it. */
	done(): void;
}

/** This node's shards as placement and heartbeats see them: who is on them, who is on the way, and which are being emptied. */
export class NodeShards {
	readonly #options: NodeShardsOptions;
	readonly #listenerShards = new Map<number, ListenerShard>();
	readonly #drainingStageShards = new Set<number>();
	/** Listeners for whom there was no shard since this was last logged. */
	#turnedAway = 0;

	constructor(options: NodeShardsOptions) {
		this.#options = options;
		for (const { index, role } of options.supervisor.slots) {
			if (role === 'listener') {
				this.#listenerShards.set(index, { listeners: 0, joining: 0, rooms: new Map(), joiningRooms: new Map(), draining: false, packetsPerSecond: 0, packetsSentTotal: 0 });
			}
		}
	}

	/** A shard's figures, once a second. */
	heard(index: number, { listeners, rooms, packetsSentTotal }: ShardStats): void {
		const state = this.#listenerShards.get(index);
		if (state) {
			state.listeners = listeners;
			state.rooms = new Map(Object.entries(rooms));
			state.packetsPerSecond = Math.max(0, packetsSentTotal - state.packetsSentTotal);
			state.packetsSentTotal = packetsSentTotal;
		}
	}

	died(index: number): void {
		const state = this.#listenerShards.get(index);
		if (state) {
			state.listeners = 0;
			state.rooms.clear();
		}
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

	/** The shard for the next listener of a room. @throws DomainError `no_capacity` */
	place(roomId: string): number {
		const { supervisor, maxListenersPerShard, log } = this.#options;
		const placement = placeListener(
			supervisor.slots
				.filter(({ role }) => role === 'listener')
				.map(({ index, alive }) => {
					const state = this.#listenerShards.get(index);
					const stats = supervisor.shard(index)?.stats;
					return {
						index,
						alive,
						draining: state?.draining ?? false,
						listeners: state?.listeners ?? 0,
						joining: state?.joining ?? 0,
						maxListeners: maxListenersPerShard,
						cpuRatio: Math.max(stats?.nodeCpuRatio ?? 0, stats?.workerCpuRatio ?? 0),
						eventLoopLagMs: stats?.eventLoopLagMs ?? 0,
						packetsPerSecond: state?.packetsPerSecond ?? 0,
						carriesRoom: (state?.rooms.get(roomId) ?? 0) > 0,
					};
				}),
		);
		if (log.isLevelEnabled('trace')) {
			log.trace({ room: roomId, shard: placement.shard, passedOver: placement.passedOver }, 'placed a listener');
		}
		if (placement.shard === undefined) {
			if (this.#turnedAway++ === 0) {
				log.warn({ room: roomId, passedOver: placement.passedOver }, 'no shard can take a listener');
			}
			throw noCapacity();
		}
		return placement.shard;
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
		return supervisor.slots.map(({ index, role, alive }) => {
			const state = this.#listenerShards.get(index);
			const stats = supervisor.shard(index)?.stats;
			return {
				index,
				role,
				alive,
				draining: this.isDraining(index),
				listeners: state?.listeners ?? 0,
				joining: state?.joining ?? 0,
				maxListeners: role === 'listener' ? maxListenersPerShard : 0,
				cpuRatio: Math.max(0, stats?.nodeCpuRatio ?? 0, stats?.workerCpuRatio ?? 0),
				eventLoopLagMs: Math.max(0, stats?.eventLoopLagMs ?? 0),
				packetsPerSecond: state?.packetsPerSecond ?? 0,
			};
		});
	}

	/** Once a second: one line for all who were turned away, however great the surge. */
	logTurnedAway(): void {
		if (this.#turnedAway > 1) {
			this.#options.log.warn({ listeners: this.#turnedAway }, 'listeners were turned away');
		}
		this.#turnedAway = 0;
	}
}

export const noCapacity = () =>
	new DomainError('no_capacity', 'Every listener shard of this server is full or away; try again shortly.', { retryAfterSeconds: 2 });
