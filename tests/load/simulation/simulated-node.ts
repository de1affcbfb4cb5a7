import type { Logger } from 'pino';
import type { ShardCalibration } from '../../../server/capacity/shard-calibration.ts';
import { HomeLeases } from '../../../server/cluster/lease/home-leases.ts';
import { RedisLeaseStore } from '../../../server/cluster/lease/redis-lease-store.ts';
import { ClusterLinks } from '../../../server/cluster/links/cluster-links.ts';
import type { PeerHandlers } from '../../../server/cluster/peer-protocol.ts';
import { NodeRegistry, type OwnReport } from '../../../server/cluster/registry/node-registry.ts';
import { RedisHeartbeatStore } from '../../../server/cluster/registry/redis-heartbeat-store.ts';
import type { Clock } from '../../../server/events/clock.ts';
import { HandOff, type HandOffTarget } from '../../../server/placement/hand-off.ts';
import type { AdmissionOptions } from '../../../server/programme/node-admission.ts';
import { Programmes } from '../../../server/programme/programmes.ts';
import { JoinRefusedError, type RefusalReason } from '../../../server/placement/admission/join-refusal.ts';
import type { Arrival } from '../../../server/programme/room-media.ts';
import type { Room } from '../../../server/rooms/room.ts';
import type { ShardRole } from '../../../sfu/contract/media-types.ts';
import { Processors, type SimulatedProcess } from './processors.ts';
import type { SimulatedPeers } from './simulated-peers.ts';
import { SimulatedSupervisor } from './simulated-shards.ts';
import type { VirtualRedis } from './virtual-redis.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What a request costs the node process, in ms of its core: measured where a figure exists (README, "What it costs"), else estimated. */
export const NODE_MS = {
	/** HTTP, placement, the way to the shard and back. As the capacity rule counts it. */
	join: 0.25,
	/** HTTP, placement, a signed ticket. */
	handOn: 0.2,
	/** Passed on within the cluster: the request and, later, its answer. */
	forward: 0.25,
	/** Nothing but the decision. */
	refuse: 0.06,
} as const;
/** Of one core, whatever happens: the node process, and a stage shard with a few speakers. */
const IDLE_RATIO = { node: 0.05, stage: 0.05 } as const;
const STATS_MS = 1_000;
/** Ids need not differ here. */
const SESSION = '0'.repeat(32);

export interface NodeWorld {
	time: VirtualTime;
	redis: VirtualRedis;
	peers: SimulatedPeers;
	room: Room;
	cores: number;
	listenerShards: number;
	maxListenersPerShard: number;
	calibration: ShardCalibration;
	admission: Pick<AdmissionOptions, 'maxJoinsUnderWayPerShard' | 'maxWaitMs'>;
	/** Each node has a public address of its own: joins are handed on by 307, not within the cluster. */
	ownAddresses: boolean;
	random: () => number;
	log: Logger;
	onEmptied: (node: SimulatedNode, shard: number) => void;
}

/** One run of one node: the parts that a real node puts together for joins and for the cluster, over simulated shards. */
export class SimulatedNode {
	readonly nodeId: string;
	readonly index: number;
	readonly supervisor: SimulatedSupervisor;
	readonly processors: Processors;
	/** The node process's own thread. */
	readonly main: SimulatedProcess;
	readonly registry: NodeRegistry;
	readonly leases: HomeLeases;
	readonly programmes: Programmes;
	readonly handOff: HandOff;
	readonly handlers: Partial<PeerHandlers>;
	readonly #world: NodeWorld;
	#alive = true;

	constructor(index: number, run: number, world: NodeWorld) {
		const { time, redis, peers, room, random, log } = world;
		this.#world = world;
		this.index = index;
		const nodeId = `node-${index}`;
		this.nodeId = nodeId;
		this.processors = new Processors(time, world.cores);
		this.main = this.processors.add();
		this.main.steadyRatio = IDLE_RATIO.node;
		const roles: ShardRole[] = ['stage', ...Array.from({ length: world.listenerShards }, (): ShardRole => 'listener')];
		this.supervisor = new SimulatedSupervisor(roles, {
			time, processors: this.processors, calibration: world.calibration, joinMs: world.calibration.cpuMsPerJoin - NODE_MS.join, maxDownstreams: 32,
			onEmptied: (shard) => world.onEmptied(this, shard),
		});
		this.supervisor.simulated(0)!.worker.steadyRatio = IDLE_RATIO.stage;
		const clock: Clock = {
			nowMs: () => time.nowMs(),
			schedule: (callback, delayMs) => time.schedule(() => (this.#alive ? callback() : undefined), delayMs),
		};
		const asked = peers.of(this);
		const startedAt = new Date(time.epochMs).toISOString();
		this.registry = NodeRegistry.create({
			nodeId, incarnation: `${nodeId}-run-${run}-of-it`, report: () => this.#report(startedAt), store: new RedisHeartbeatStore(redis, () => `generation-${Math.floor(random() * 2 ** 32)}`),
			peers: asked, clock, wallMs: () => time.nowMs(), log,
		});
		const view = this.registry;
		this.leases = HomeLeases.create({
			registry: view, store: new RedisLeaseStore(redis), peers: asked, clock, rooms: () => [room.id], needsHome: () => true, behind: () => undefined, log,
		});
		let links: ClusterLinks | undefined;
		this.programmes = Programmes.create({
			supervisor: this.supervisor.asSupervisor(), maxListenersPerShard: world.maxListenersPerShard, autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 },
			maxFanOut: 32, linkLingerMs: 15_000, admission: { ...world.admission, lagMs: () => this.main.backlogMs }, pressure: { packing: true, events: false }, view, homes: this.leases, namesNode: true,
			broker: (carried) => (links = ClusterLinks.create({ view, homes: this.leases, peers: asked, rooms: carried, log })), log,
		});
		const linked = links!;
		this.handlers = {
			...linked.handlers,
			ping: async () => ({ nodeId, incarnation: view.incarnation, homes: this.leases.epochs }),
			heartbeat: ({ report }, from) => view.onPeerHeartbeat(report, from),
			takeHome: async ({ roomId }, from) => ({ epoch: await this.leases.takeHome(roomId, from) }),
		};
		// As server/assembly/follow-cluster.ts.
		view.on('beat', () => linked.homesChanged());
		view.on('nodeDown', (down) => linked.nodeDown(down));
		this.leases.on('gained', () => this.programmes.homeGained(room));
		this.leases.on('lost', (roomId) => this.programmes.homeLost(roomId));
		this.handOff = new HandOff({ view, ownShards: () => this.programmes.shardReports(), random, nowMs: () => time.nowMs() });
		peers.attach(this);
		const tell = (): void => {
			this.processors.catchUp();
			this.main.takeEffort(STATS_MS);
			this.supervisor.tellStats(STATS_MS);
			clock.schedule(tell, STATS_MS);
		};
		clock.schedule(tell, random() * STATS_MS);
	}

	get alive(): boolean {
		return this.#alive;
	}
	get isHome(): boolean {
		return this.#alive && this.leases.epochOf(this.#world.room.id) !== undefined;
	}

	async start(): Promise<void> {
		await this.programmes.roomChanged(this.#world.room);
		await this.registry.start();
	}

	/** Where somebody who comes here first is served. As server/http/routes/listen.ts. */
	decide(): 'here' | HandOffTarget {
		return this.handOff.decide(this.#world.room);
	}

	/** Whom it refuses by the head of the request alone, after `decide` where nobody has sent them here. */
	foresee(firstArrivalMs: number | undefined): RefusalReason | undefined {
		return this.programmes.admission.foresee(firstArrivalMs);
	}

	refuse(reason: RefusalReason, firstArrivalMs: number | undefined): JoinRefusedError {
		return new JoinRefusedError(this.programmes.admission.refuse(reason, firstArrivalMs));
	}

	/** Seats a listener; rejects as `Programmes.listen` does. */
	listen(from: string | undefined, arrival: Arrival): Promise<{ sessionId: string }> {
		if (from !== undefined) {
			this.handOff.took(from);
		}
		return this.programmes.listen(this.#world.room, '', undefined, SESSION, arrival);
	}

	/** As by `kill -9` of everything, or a pulled plug. */
	die(): void {
		this.#alive = false;
		this.processors.stop();
		for (const shard of this.supervisor.living) {
			shard.die();
		}
		this.handOff.close();
		this.programmes.close('its host is gone');
	}

	#report(startedAt: string): OwnReport {
		const { room, ownAddresses } = this.#world;
		return {
			startedAt, internalUrl: `http://${this.nodeId}.test:3100`, publicUrl: ownAddresses ? `https://${this.nodeId}.test` : 'https://rooms.test', draining: false,
			shards: this.programmes?.shardReports() ?? [], rooms: Object.fromEntries(this.programmes?.counts ?? []),
			homes: Object.fromEntries(Object.entries(this.leases?.epochs ?? {}).map(([roomId, epoch]) => [roomId, { epoch, roomVersion: room.version, stageVersion: 0 }])),
			...(this.programmes === undefined ? {} : { joinsPerSecond: this.programmes.admission.joinsPerSecond, waiting: this.programmes.admission.waiting }),
			moving: {}, takenFrom: this.handOff?.takenFrom ?? {},
		};
	}
}
