import type { Logger } from 'pino';
import type { RoomHome } from '../../../server/cluster/cluster-view.ts';
import { ClusterLinks } from '../../../server/cluster/links/cluster-links.ts';
import type { NodeReport } from '../../../server/cluster/node-report.ts';
import { sendingHalves } from '../../../server/placement/fan-out-tree.ts';
import { Programmes } from '../../../server/programme/programmes.ts';
import type { Room } from '../../../server/rooms/room.ts';
import type { ShardRole } from '../../../sfu/contract/media-types.ts';
import type { ShardRequestName } from '../../../sfu/contract/shard-protocol.ts';
import { type Fate, FakeSupervisor } from '../fakes/fake-shards.ts';
import type { LinkNetwork } from './link-network.ts';

export interface LinkNodeOptions {
	nodeId: string;
	roles: readonly ShardRole[];
	maxFanOut: number;
	linkLingerMs: number;
	network: LinkNetwork;
	fate: (name: ShardRequestName) => Fate;
	log: Logger;
}

/** One node's media and links over fake shards, with a view of the cluster that is as old as its last heartbeat. */
export class LinkNode {
	readonly nodeId: string;
	readonly supervisor: FakeSupervisor;
	readonly programmes: Programmes;
	readonly links: ClusterLinks;
	/** What it tells of itself, as of its last beat. */
	report: NodeReport;
	/** Living nodes as this one knows them, without itself. */
	known = new Map<string, NodeReport>();
	/** Rooms that live here, by its own knowledge. */
	readonly epochs = new Map<string, number>();
	alive = true;
	#beat = 0;

	constructor({ nodeId, roles, maxFanOut, linkLingerMs, network, fate, log }: LinkNodeOptions) {
		this.nodeId = nodeId;
		this.supervisor = new FakeSupervisor(roles, fate, sendingHalves(maxFanOut));
		const homes = { epochOf: (roomId: string) => this.epochs.get(roomId) };
		const view = {
			nodeId,
			nodes: () => [this.report, ...this.known.values()],
			node: (id: string) => (id === nodeId ? this.report : this.known.get(id)),
			homeOf: (roomId: string) => this.homeOf(roomId),
			listenersIn: (roomId: string) => [...this.known.values()].reduce((sum, { rooms }) => sum + (rooms[roomId] ?? 0), this.programmes.counts.get(roomId) ?? 0),
		};
		let links: ClusterLinks | undefined;
		const handlers = {};
		const peers = network.peersOf(nodeId, handlers);
		this.programmes = Programmes.create({
			supervisor: this.supervisor.asSupervisor(),
			maxListenersPerShard: 1_000,
			autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 },
			maxFanOut,
			linkLingerMs,
			view,
			homes,
			namesNode: true,
			broker: (rooms) => (links = ClusterLinks.create({ view, homes, peers, rooms, log })),
			log,
		});
		if (!links) {
			throw new Error('programmes make their broker at once');
		}
		this.links = links;
		Object.assign(handlers, links.handlers);
		network.attach(nodeId, handlers);
		this.report = this.beat();
	}

	/** The newest claim among the living, as `NodeRegistry` tells it. */
	homeOf(roomId: string): RoomHome | undefined {
		let home: RoomHome | undefined;
		const own = this.epochs.get(roomId);
		if (own !== undefined) {
			home = { nodeId: this.nodeId, epoch: own };
		}
		for (const { nodeId, homes } of this.known.values()) {
			const epoch = homes[roomId]?.epoch;
			if (epoch !== undefined && epoch > (home?.epoch ?? -1)) {
				home = { nodeId, epoch };
			}
		}
		return home;
	}

	/** A report as its next heartbeat carries it. */
	beat(): NodeReport {
		this.report = {
			nodeId: this.nodeId,
			incarnation: 'a fake one',
			beat: ++this.#beat,
			startedAt: '',
			internalUrl: '',
			draining: false,
			shards: this.programmes.shardReports(),
			rooms: Object.fromEntries(this.programmes.counts),
			homes: Object.fromEntries([...this.epochs].map(([roomId, epoch]) => [roomId, { epoch, roomVersion: 1, stageVersion: 1 }])),
			moving: {},
			redis: true,
		};
		return this.report;
	}

	gain(room: Room, epoch: number): void {
		this.epochs.set(room.id, epoch);
		this.programmes.homeGained(room);
	}
	lose(roomId: string): void {
		if (this.epochs.delete(roomId)) {
			this.programmes.homeLost(roomId);
		}
	}

	/** What its shards tell every second. */
	tellStats(): void {
		for (const [index, fake] of this.supervisor.fakes.entries()) {
			if (fake?.assignment.role === 'listener') {
				const rooms = Object.fromEntries([...fake.edges].map(([roomId, { listeners }]) => [roomId, listeners]));
				this.supervisor.emit('shardEvent', index, 'shard.stats', {
					listeners: fake.listeners, rooms, joinsTotal: 0, joinsFailedTotal: 0, packetsSentTotal: 0, packetsReceivedTotal: 0, links: [],
					nodeCpuRatio: 0, workerCpuRatio: 0, eventLoopLagMs: 0, rssBytes: 0, workerRssBytes: 0, origins: 0, edges: 0,
				} as never);
			}
		}
	}
}
