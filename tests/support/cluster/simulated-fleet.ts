import { EventEmitter } from 'node:events';
import type { ClusterView, ClusterViewEvents } from '../../../server/cluster/cluster-view.ts';
import type { NodeReport, ShardReport } from '../../../server/cluster/node-report.ts';
import { HandOff } from '../../../server/placement/hand-off.ts';
import { placeListener } from '../../../server/placement/place-listener.ts';

export interface FleetSetup {
	/** For each node the cap of each of its shards. */
	caps: number[][];
	listeners: number;
	arrivalsPerSecond: number;
	/** Which node a POST reaches first. */
	entry: (random: () => number) => number;
	/** How long a listener is on the way to another node, in ms: least and most. */
	wayMs: [number, number];
	random: () => number;
	/** Which node starts only after so many ms. */
	late?: { node: number; atMs: number };
	/** Shard → processor figure, drawn anew for each report. */
	cpuRatio?: (random: () => number) => number;
	/** Join after which a listener has left, as a share of all who came. */
	room?: (random: () => number) => string;
}

export interface FleetOutcome {
	/** In the order of coming: on which shard (a number over all nodes) each listener ended up; undefined: turned away. */
	seats: (number | undefined)[];
	caps: number[];
	handedOff: number;
	/** Handed on to a node that had no room after all. */
	sentInVain: number;
	/** Largest number on each shard at any moment. */
	peak: number[];
}

const STEP_MS = 1;
const BEAT_MS = 500;

/** One node of the simulation: real decisions on figures that are as old as heartbeats make them. */
class SimulatedNode {
	readonly nodeId: string;
	readonly firstShard: number;
	readonly shards: ShardReport[];
	readonly rooms: Record<string, number>[];
	readonly view: SimulatedView;
	readonly handOff: HandOff;
	beat = 0;

	constructor(nodeId: string, firstShard: number, caps: readonly number[], random: () => number, nowMs: () => number) {
		this.nodeId = nodeId;
		this.firstShard = firstShard;
		this.shards = caps.map((maxListeners, index) => ({
			index, role: 'listener', alive: true, draining: false, listeners: 0, joining: 0, maxListeners, cpuRatio: 0.2, eventLoopLagMs: 1, packetsPerSecond: 0,
		}));
		this.rooms = caps.map(() => ({}));
		this.view = new SimulatedView(this.report());
		this.handOff = new HandOff({ view: this.view, ownShards: () => this.shards, random, nowMs });
	}

	report(): NodeReport {
		const rooms: Record<string, number> = {};
		for (const ofShard of this.rooms ?? []) for (const [room, count] of Object.entries(ofShard)) rooms[room] = (rooms[room] ?? 0) + count;
		return {
			nodeId: this.nodeId, incarnation: `${this.nodeId}-first-start`, beat: ++this.beat, startedAt: '', internalUrl: '', draining: false,
			shards: this.shards.map((shard) => ({ ...shard })), rooms, homes: {}, moving: {}, redis: true,
			...(this.handOff ? { takenFrom: this.handOff.takenFrom } : {}),
		};
	}

	/** @returns the shard's number over all nodes */
	seat(roomId: string): number | undefined {
		const { shard } = placeListener(this.shards.map((load, index) => ({ ...load, carriesRoom: this.rooms[index]?.[roomId] !== undefined })));
		if (shard === undefined) return undefined;
		this.shards[shard]!.listeners++;
		this.rooms[shard]![roomId] = (this.rooms[shard]![roomId] ?? 0) + 1;
		return this.firstShard + shard;
	}
}

export class SimulatedView extends EventEmitter<ClusterViewEvents> implements ClusterView {
	readonly nodeId: string;
	readonly redisAnswers = true;
	#nodes: NodeReport[];

	constructor(own: NodeReport, ...others: NodeReport[]) {
		super();
		this.nodeId = own.nodeId;
		this.#nodes = [own, ...others];
	}

	set(nodes: NodeReport[]): void {
		this.#nodes = nodes;
		this.emit('beat');
	}
	nodes(): readonly NodeReport[] {
		return this.#nodes;
	}
	node(nodeId: string): NodeReport | undefined {
		return this.#nodes.find((report) => report.nodeId === nodeId);
	}
	homeOf(roomId: string): { nodeId: string; epoch: number } | undefined {
		const home = this.#nodes.find(({ homes }) => homes[roomId] !== undefined);
		return home && { nodeId: home.nodeId, epoch: home.homes[roomId]?.epoch ?? 0 };
	}
	listenersIn(roomId: string): number {
		return this.#nodes.reduce((sum, { rooms }) => sum + (rooms[roomId] ?? 0), 0);
	}
}

/** Lets listeners come to a fleet and says where each ended up. Time is counted, not waited for. */
export function simulateFleet(setup: FleetSetup): FleetOutcome {
	const { caps, listeners, arrivalsPerSecond, entry, wayMs, random, late, cpuRatio, room = () => 'launch' } = setup;
	let nowMs = 0;
	let firstShard = 0;
	const nodes = caps.map((ofNode, index) => {
		const node = new SimulatedNode(`n${index}`, firstShard, ofNode, random, () => nowMs);
		firstShard += ofNode.length;
		return node;
	});
	const allCaps = caps.flat();
	const outcome: FleetOutcome = { seats: [], caps: allCaps, handedOff: 0, sentInVain: 0, peak: allCaps.map(() => 0) };
	// The store that heartbeats go to: each node writes its own and reads those that are there, at a time of its own.
	const written = new Map<string, NodeReport>();
	const phases = nodes.map(() => Math.floor(random() * BEAT_MS));
	const lives = (node: number) => late?.node !== node || nowMs >= late.atMs;
	for (const [index, node] of nodes.entries()) if (lives(index)) written.set(node.nodeId, node.report());
	for (const node of nodes) node.view.set(withOwnFirst(written, node));
	const arrivals = new Map<number, (() => void)[]>();
	const later = (delayMs: number, then: () => void) => {
		const atMs = nowMs + Math.max(STEP_MS, Math.round(delayMs));
		arrivals.set(atMs, [...(arrivals.get(atMs) ?? []), then]);
	};
	const sat = (listener: number, seat: number | undefined) => {
		outcome.seats[listener] = seat;
		if (seat !== undefined) outcome.peak[seat]!++;
	};
	let came = 0;
	for (let due = 0; came < listeners || arrivals.size > 0; nowMs += STEP_MS) {
		for (const [index, node] of nodes.entries()) {
			if (nowMs % BEAT_MS !== phases[index] || !lives(index)) continue;
			if (cpuRatio) for (const shard of node.shards) shard.cpuRatio = cpuRatio(random);
			// One call: what it writes, others read up to a beat later; what it reads is up to a beat old.
			written.set(node.nodeId, node.report());
			node.view.set(withOwnFirst(written, node));
		}
		for (const arrive of arrivals.get(nowMs) ?? []) arrive();
		arrivals.delete(nowMs);
		for (due += (arrivalsPerSecond * STEP_MS) / 1000; due >= 1 && came < listeners; due--) {
			const listener = came++;
			const node = nodes[entry(random)]!;
			const roomId = room(random);
			const target = node.handOff.decide({ id: roomId });
			if (target === 'here') {
				sat(listener, node.seat(roomId));
				continue;
			}
			outcome.handedOff++;
			const other = nodes.find(({ nodeId }) => nodeId === target.nodeId)!;
			later(wayMs[0] + random() * (wayMs[1] - wayMs[0]), () => {
				other.handOff.took(node.nodeId);
				const seat = other.seat(roomId);
				if (seat === undefined) {
					outcome.sentInVain++;
					node.handOff.refused(other.nodeId);
				}
				sat(listener, seat ?? node.seat(roomId));
			});
		}
	}
	return outcome;
}

const withOwnFirst = (written: ReadonlyMap<string, NodeReport>, { nodeId }: SimulatedNode): NodeReport[] => {
	const own = written.get(nodeId);
	return [...(own ? [own] : []), ...[...written.values()].filter((report) => report.nodeId !== nodeId)];
};

/** How unevenly the first `count` listeners sit: the fullest shard (as a part of its cap) over the mean, one listener of grain allowed. */
export function unevenness({ seats, caps }: FleetOutcome, count: number): { ratio: number; withinGrain: number } {
	const counts = caps.map(() => 0);
	let seated = 0;
	for (const seat of seats.slice(0, count)) {
		if (seat !== undefined) {
			counts[seat]!++;
			seated++;
		}
	}
	const mean = seated / caps.reduce((sum, cap) => sum + cap, 0);
	const worst = (grain: number) => Math.max(...counts.map((listeners, shard) => (listeners - grain) / caps[shard]! / mean));
	return { ratio: worst(0), withinGrain: worst(1) };
}
