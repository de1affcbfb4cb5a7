import pino from 'pino';
import type { ShardCalibration } from '../../../server/capacity/shard-calibration.ts';
import type { Room } from '../../../server/rooms/room.ts';
import { programmeReach } from './programme-reach.ts';
import { type NodeWorld, SimulatedNode } from './simulated-node.ts';
import { SimulatedPeers } from './simulated-peers.ts';
import { VirtualRedis } from './virtual-redis.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface FleetOptions {
	time: VirtualTime;
	nodes: number;
	cores: number;
	listenerShards: number;
	maxListenersPerShard: number;
	calibration: ShardCalibration;
	admission: NodeWorld['admission'];
	ownAddresses: boolean;
	random: () => number;
	/** Everybody on that shard is gone; undefined: on that node. */
	onLost: (node: SimulatedNode, shard: number | undefined) => void;
	log?: pino.Logger;
}

/** The supervisor's spare is there after so long (README, "When something dies"). */
const SPARE_MS = 20;
const STALLED_EVERY_MS = 1_000;

export const LAUNCH: Room = {
	id: 'launch', title: 'The announcement', voices: 3, packingMs: 'auto', visibility: 'public', record: false, state: 'live', createdAt: '2027-05-24T20:00:00.000Z', version: 1,
};

/** Nodes in one process, each made of the real parts, with one room that is live. */
export class SimulatedFleet {
	readonly nodes: SimulatedNode[] = [];
	readonly redis: VirtualRedis;
	readonly #options: FleetOptions;
	readonly #world: NodeWorld;
	#runs = 0;

	/** All nodes run, and the room has its home. */
	static async start(options: FleetOptions): Promise<SimulatedFleet> {
		const redis = await VirtualRedis.start(options.time);
		const fleet = new SimulatedFleet(options, redis);
		for (let index = 0; index < options.nodes; index++) {
			// Each at a moment of its own, so that heartbeats do not come all at once.
			options.time.at(options.random() * 500, () => void fleet.boot(index));
		}
		await options.time.runTo(500);
		return fleet;
	}

	private constructor(options: FleetOptions, redis: VirtualRedis) {
		const { time, cores, listenerShards, maxListenersPerShard, calibration, admission, ownAddresses, random, onLost, log = pino({ level: 'silent' }) } = options;
		this.#options = options;
		this.redis = redis;
		this.#world = {
			time, redis, peers: new SimulatedPeers(time), room: LAUNCH, cores, listenerShards, maxListenersPerShard, calibration, admission, ownAddresses, random, log,
			onEmptied: (node, shard) => (node.alive ? onLost(node, shard) : undefined),
		};
		for (let index = 0; index < options.nodes; index++) {
			this.nodes.push(this.#make(index));
		}
		const watch = (): void => {
			this.#watchLinks();
			time.schedule(watch, STALLED_EVERY_MS);
		};
		time.schedule(watch, STALLED_EVERY_MS);
	}

	async boot(index: number): Promise<void> {
		await this.nodes[index]?.start();
	}

	get living(): SimulatedNode[] {
		return this.nodes.filter(({ alive }) => alive);
	}
	get home(): SimulatedNode | undefined {
		return this.living.find(({ isHome }) => isHome);
	}
	/** Requests that reached each node from others so far. */
	get received(): ReadonlyMap<string, number> {
		return this.#world.peers.received;
	}
	get reach(): ReturnType<typeof programmeReach> {
		return programmeReach(this.nodes, LAUNCH.id);
	}

	killShard(node: SimulatedNode, shard: number): void {
		node.supervisor.kill(shard);
		this.#options.onLost(node, shard);
		this.#options.time.schedule(() => (node.alive ? node.supervisor.revive(shard) : undefined), SPARE_MS);
	}

	/** The host is gone with everything on it. */
	killNode(node: SimulatedNode): void {
		node.die();
		this.#options.onLost(node, undefined);
	}

	/** As another incarnation, empty. */
	async restart(index: number): Promise<void> {
		this.nodes[index] = this.#make(index);
		await this.boot(index);
	}

	/** Listeners on each living listener shard. */
	loads(): { node: SimulatedNode; shard: number; listeners: number }[] {
		return this.living.flatMap((node) =>
			node.supervisor.living.filter(({ assignment }) => assignment.role === 'listener').map(({ assignment, listeners }) => ({ node, shard: assignment.index, listeners })),
		);
	}

	async close(): Promise<void> {
		await this.redis.close();
	}

	#make(index: number): SimulatedNode {
		return new SimulatedNode(index, ++this.#runs, this.#world);
	}

	/** What shards say of links over which nothing comes: sfu/link/stall-watch.ts. */
	#watchLinks(): void {
		const senders = new Set<number>();
		for (const node of this.living) {
			for (const { books } of node.supervisor.living) {
				for (const links of [books.origins.get(LAUNCH.id), books.edges.get(LAUNCH.id)?.downstreams]) {
					for (const { port } of links?.values() ?? []) senders.add(port);
				}
			}
		}
		for (const node of this.living) {
			for (const { books, assignment } of node.supervisor.living) {
				const edge = books.edges.get(LAUNCH.id);
				const port = edge?.current === undefined ? undefined : edge.receiving.get(edge.current)?.remotePort;
				if (edge?.current !== undefined && (port === undefined || !senders.has(port))) {
					node.supervisor.emit('shardEvent', assignment.index, 'link.stalled', { roomId: LAUNCH.id, linkId: edge.current });
				}
			}
		}
	}
}
