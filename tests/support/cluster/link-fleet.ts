import pino, { type Logger } from 'pino';
import type { EdgeRef, PeerRequestName, UpstreamRef } from '../../../server/cluster/peer-protocol.ts';
import type { Room } from '../../../server/rooms/room.ts';
import type { ShardRole } from '../../../sfu/contract/media-types.ts';
import type { ShardRequestName } from '../../../sfu/contract/shard-protocol.ts';
import type { Fate, FakeShard } from '../fakes/fake-shards.ts';
import { LinkNetwork, type Passage } from './link-network.ts';
import { LinkNode } from './link-node.ts';

export interface LinkFleetOptions {
	nodes: number;
	roles?: readonly ShardRole[];
	maxFanOut?: number;
	linkLingerMs?: number;
	passage?: (name: PeerRequestName) => Passage;
	fate?: (name: ShardRequestName) => Fate;
	log?: Logger;
}

const BEAT_MS = 500;
const DEAD_AFTER_MS = 1_750;
const LOOK_MS = 100;
/** The shards' own; see sfu/link/stall-watch.ts. */
const STALL_MS = 1_000;
const TAKEOVER_MS = 2_300;

/** Several nodes in one process. Redis is replaced by what it comes to: one home for each room, heard of with the next heartbeat. */
export class LinkFleet {
	readonly network: LinkNetwork;
	readonly nodes: LinkNode[];
	readonly rooms = new Map<string, Room>();
	/** Who has the lease. */
	readonly #leases = new Map<string, { node: LinkNode | undefined; epoch: number }>();
	readonly #silentSince = new Map<string, number>();
	readonly #timers: NodeJS.Timeout[] = [];
	readonly #options: LinkFleetOptions;

	constructor(options: LinkFleetOptions) {
		this.#options = options;
		this.network = new LinkNetwork(options.passage ?? (() => ({ afterMs: 1, outcome: 'arrives' })));
		this.nodes = Array.from({ length: options.nodes }, (_, index) => this.#makeNode(index));
		this.#timers.push(
			...this.nodes.map((_, index) => {
				// Every node has its own phase.
				return setTimeout(() => this.#timers.push(setInterval(() => this.#beat(index), BEAT_MS)), (index * BEAT_MS) / options.nodes);
			}),
			setInterval(() => this.living.forEach((node) => node.tellStats()), 1_000),
			setInterval(() => this.#watchLinks(), LOOK_MS),
		);
		for (const node of this.nodes) {
			node.known = new Map(this.nodes.filter((other) => other !== node).map((other) => [other.nodeId, other.report]));
		}
	}

	get living(): LinkNode[] {
		return this.nodes.filter(({ alive }) => alive);
	}
	node(index: number): LinkNode {
		return this.nodes[index]!;
	}
	homeOf(roomId: string): LinkNode | undefined {
		return this.#leases.get(roomId)?.node;
	}

	openRoom(room: Room, homeIndex: number): void {
		this.rooms.set(room.id, room);
		for (const node of this.living) {
			void node.programmes.roomChanged(room);
		}
		this.moveHome(room.id, homeIndex);
	}

	endRoom(roomId: string): void {
		const room = this.rooms.get(roomId);
		if (room) {
			this.rooms.delete(roomId);
			for (const node of this.living) {
				void node.programmes.roomChanged({ ...room, state: 'ended' });
				node.lose(roomId);
			}
			const lease = this.#leases.get(roomId);
			if (lease) {
				lease.node = undefined;
			}
		}
	}

	/** The lease changes hands; who had it may notice only a while later. */
	moveHome(roomId: string, to: number, noticedAfterMs = 0): void {
		const room = this.rooms.get(roomId);
		const node = this.nodes[to];
		if (!room || !node?.alive) {
			return;
		}
		const before = this.#leases.get(roomId);
		const epoch = (before?.epoch ?? 0) + 1;
		const former = before?.node;
		this.#leases.set(roomId, { node, epoch });
		if (former && former !== node && noticedAfterMs > 0) {
			const held = former.epochs.get(roomId);
			setTimeout(() => {
				if (former.epochs.get(roomId) === held) {
					former.lose(roomId);
				}
			}, noticedAfterMs);
		} else {
			former?.lose(roomId);
		}
		node.gain(room, epoch);
	}

	kill(index: number): void {
		const node = this.nodes[index];
		if (!node?.alive) {
			return;
		}
		node.alive = false;
		this.network.detach(node.nodeId);
		for (const slot of node.supervisor.fakes.keys()) {
			node.supervisor.fakes[slot]?.die();
			node.supervisor.fakes[slot] = undefined;
		}
		node.programmes.close('its process is gone');
		for (const [roomId, lease] of this.#leases) {
			if (lease.node === node) {
				setTimeout(() => this.#takeOver(roomId, node), TAKEOVER_MS);
			}
		}
	}

	/** As another incarnation. */
	restart(index: number): void {
		const former = this.nodes[index];
		if (!former || former.alive) {
			return;
		}
		const node = this.#makeNode(index);
		this.nodes[index] = node;
		node.known = new Map(this.living.filter((other) => other !== node).map((other) => [other.nodeId, other.report]));
		for (const other of this.living) {
			if (other !== node && other.known.delete(node.nodeId)) {
				other.links.nodeDown(node.nodeId);
			}
		}
		for (const room of this.rooms.values()) {
			void node.programmes.roomChanged(room);
		}
		for (const [roomId, lease] of this.#leases) {
			if (lease.node === former) {
				this.#takeOver(roomId, former);
			}
		}
	}

	/** Somebody leaves an edge. */
	leave(index: number, shard: number, roomId: string): void {
		const edge = this.nodes[index]?.supervisor.fakes[shard]?.edges.get(roomId);
		if (edge) {
			edge.listeners = 0;
		}
	}

	/** The far end of what a shard receives, by the shards' books: undefined where nothing is sent to it. */
	upstreamOf(roomId: string, linkId: string, at: LinkNode, shard: FakeShard): UpstreamRef | undefined {
		const half = shard.edges.get(roomId)?.receiving.get(linkId);
		for (const { node, fake } of this.shards()) {
			const sends = (fake.origins.get(roomId) ?? fake.edges.get(roomId)?.downstreams)?.get(linkId);
			if (half && sends && sends.remotePort === half.port && sends.port === half.remotePort && !this.network.isCut(at.nodeId, node.nodeId)) {
				return { nodeId: node.nodeId, shard: fake.origins.has(roomId) ? 'origin' : fake.assignment.index };
			}
		}
		return undefined;
	}

	*shards(): Iterable<{ node: LinkNode; fake: FakeShard }> {
		for (const node of this.living) {
			for (const fake of node.supervisor.fakes) {
				if (fake) {
					yield { node, fake };
				}
			}
		}
	}

	/** Every edge with what the books of both ends say it hangs on. */
	edges(roomId: string): { ref: EdgeRef; upstream: UpstreamRef | undefined; listeners: number; children: number; halves: number }[] {
		return [...this.shards()].flatMap(({ node, fake }) => {
			const edge = fake.edges.get(roomId);
			return edge
				? [{
					ref: { nodeId: node.nodeId, shard: fake.assignment.index },
					upstream: edge.current === undefined ? undefined : this.upstreamOf(roomId, edge.current, node, fake),
					listeners: edge.listeners,
					children: edge.downstreams.size,
					halves: edge.upstreams.length,
				}]
				: [];
		});
	}

	/** What is wrong with a room that should be whole; empty when it is. */
	troubles(roomId: string): string[] {
		const home = this.homeOf(roomId);
		const edges = this.edges(roomId);
		const found: string[] = [];
		const origins = [...this.shards()].filter(({ fake }) => fake.origins.has(roomId));
		if (origins.length !== 1 || origins[0]?.node !== home) {
			found.push(`origins on ${JSON.stringify(origins.map(({ node }) => node.nodeId))}, home is ${home?.nodeId}`);
		}
		const byName = new Map(edges.map((edge) => [nameOf(edge.ref), edge]));
		for (const edge of edges) {
			const path = new Set<string>();
			let at: UpstreamRef | undefined = edge.ref;
			while (at && at.shard !== 'origin' && !path.has(nameOf(at))) {
				path.add(nameOf(at));
				at = byName.get(nameOf(at))?.upstream;
			}
			if (at?.shard !== 'origin') {
				found.push(`${[...path].join(' -> ')} -> ${at ? `circle to ${nameOf(at)}` : 'nothing'}`);
			}
			if (edge.listeners === 0 && edge.children === 0) {
				found.push(`${nameOf(edge.ref)} is used by nobody`);
			}
			if (edge.halves !== 1) {
				found.push(`${nameOf(edge.ref)} has ${edge.halves} receiving halves`);
			}
			const booked = home?.programmes.programmeOf(roomId)?.tree.upstreamOf(edge.ref);
			if (edge.upstream && (!booked || nameOf(booked) !== nameOf(edge.upstream))) {
				found.push(`${nameOf(edge.ref)} hangs on ${nameOf(edge.upstream)}, the home's book says ${booked && nameOf(booked)}`);
			}
		}
		const booked = home?.programmes.programmeOf(roomId)?.tree.size ?? 0;
		if (booked !== edges.length) {
			found.push(`the home's book has ${booked} edges, there are ${edges.length}`);
		}
		return [...found, ...this.halves(roomId)];
	}

	/** Sending halves to which no edge listens. */
	halves(roomId: string): string[] {
		const received = new Set([...this.shards()].flatMap(({ fake }) => [...(fake.edges.get(roomId)?.receiving.values() ?? [])].map(({ port }) => port)));
		return [...this.shards()].flatMap(({ node, fake }) =>
			[...(fake.origins.get(roomId) ?? fake.edges.get(roomId)?.downstreams ?? [])]
				.filter(([, { remotePort }]) => !received.has(remotePort))
				.map(([linkId]) => `${node.nodeId}.${fake.assignment.index} sends ${linkId} to nobody`),
		);
	}

	close(): void {
		this.#timers.splice(0).forEach((timer) => clearInterval(timer));
		for (const node of this.living) {
			node.programmes.close('over');
		}
	}

	#makeNode(index: number): LinkNode {
		const { roles = ['stage', 'listener', 'listener'], maxFanOut = 2, linkLingerMs = 2_000, fate = () => ({ afterMs: 1, outcome: 'answered' }), log = pino({ level: 'silent' }) } = this.#options;
		return new LinkNode({ nodeId: `n${index}`, roles, maxFanOut, linkLingerMs, network: this.network, fate, log });
	}

	/** Redis carries the reports, so cut cables between nodes do not matter for them. */
	#beat(index: number): void {
		const node = this.nodes[index];
		if (!node?.alive) {
			return;
		}
		node.beat();
		for (const other of this.nodes) {
			if (other === node) {
				continue;
			}
			const key = `${node.nodeId}>${other.nodeId}`;
			if (other.alive) {
				this.#silentSince.delete(key);
				node.known.set(other.nodeId, other.report);
			} else if (node.known.has(other.nodeId)) {
				const since = this.#silentSince.get(key) ?? performance.now();
				this.#silentSince.set(key, since);
				if (performance.now() - since >= DEAD_AFTER_MS) {
					this.#silentSince.delete(key);
					node.known.delete(other.nodeId);
					node.links.nodeDown(other.nodeId);
				}
			}
		}
		node.links.homesChanged();
	}

	#takeOver(roomId: string, from: LinkNode): void {
		if (this.#leases.get(roomId)?.node === from) {
			const index = this.nodes.findIndex(({ alive }) => alive);
			if (index >= 0) {
				this.moveHome(roomId, index);
			} else {
				setTimeout(() => this.#takeOver(roomId, from), BEAT_MS);
			}
		}
	}

	readonly #silentMs = new Map<string, number>();

	/** What shards say of links over which nothing comes. */
	#watchLinks(): void {
		const seen = new Set<string>();
		for (const { node, fake } of this.shards()) {
			for (const [roomId, { current }] of fake.edges) {
				if (current === undefined || this.upstreamOf(roomId, current, node, fake)) {
					continue;
				}
				seen.add(current);
				const silentMs = (this.#silentMs.get(current) ?? 0) + LOOK_MS;
				this.#silentMs.set(current, silentMs);
				if (silentMs % STALL_MS === 0) {
					node.supervisor.emit('shardEvent', fake.assignment.index, 'link.stalled', { roomId, linkId: current });
				}
			}
		}
		for (const linkId of this.#silentMs.keys()) {
			if (!seen.has(linkId)) {
				this.#silentMs.delete(linkId);
			}
		}
	}
}

const nameOf = ({ nodeId, shard }: UpstreamRef) => `${nodeId}.${shard}`;
