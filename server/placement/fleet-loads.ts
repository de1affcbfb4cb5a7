import type { NodeReport, ShardReport } from '../cluster/node-report.ts';
import type { NodeLoad } from './place-in-fleet.ts';
import { shardPressure } from './shard-pressure.ts';

/** Joins that were sent to a node and that its reports do not show yet. */
interface OnTheirWay {
	sentAtMs: number;
	count: number;
}

/** What is known of another node, renewed with each of its reports. */
interface Known {
	report: NodeReport;
	taken: number;
	capacity: number;
	pressure: number;
	/** Shard index → its pressure, which has hysteresis. */
	readonly pressures: Map<number, number>;
	refused: boolean;
	/** When the report was read. */
	seenAtMs: number;
	/** By how many its listeners grow a millisecond without our doing; undefined before two reports were seen. */
	foreignPerMs: number | undefined;
	/** Oldest first. */
	readonly onTheirWay: OnTheirWay[];
	onTheirWayTotal: number;
}

export interface FleetLoadsOptions {
	nodeId: string;
	/** Milliseconds, never going back. */
	nowMs: () => number;
}

/** Joins of one moment are kept as one entry. */
const BUCKET_MS = 100;
/** A ticket that was not redeemed by then most likely never will be. */
const LOST_AFTER_MS = 5_000;
/** About so old is what a report says when it is read. */
const REPORT_AGE_MS = 250;
/** Without word of what arrived: that with the listener's own way there. */
const ARRIVED_AFTER_MS = 1_000;
/** Growth is not carried on further than this beyond a report. */
const MAX_AHEAD_MS = 1_500;
/** Share of the newest round in the averages of arrivals. */
const NEWEST = 0.5;
/** Nobody is sent where more are on their way than are let in within so long, however empty it is: they would be turned away. */
const BUSY_S = 0.75;
/** Below this, the fleet's growth beyond our own arrivals is the noise of reports that are a second old. */
const OTHERS_SEND_TOO = 1.6;

/**
 * The loads of the other nodes between their reports: what they said, what this node has sent them since, and what else
 * they grow by. A report says how many of our joins have arrived (`takenFrom`), so that none is counted twice or
 * forgotten. Where joins reach many nodes, a node that is new gets what all of them send: ours stands for all, in proportion.
 */
export class FleetLoads {
	readonly #nodeId: string;
	readonly #nowMs: () => number;
	readonly #known = new Map<string, Known>();
	/** What placement looks at; the same array and objects as long as the nodes are the same. */
	#loads: MutableLoad[] = [];
	/** Joins that came to this node, and that the whole fleet took, since the last round; and their averages. */
	#arrived = 0;
	#servedHere = 0;
	#arrivedMean = 0;
	#fleetMean = 0;
	#othersFactor = 1;
	/** Joins that came to this node in the round before. */
	#arrivedBefore = 0;

	constructor({ nodeId, nowMs }: FleetLoadsOptions) {
		this.#nodeId = nodeId;
		this.#nowMs = nowMs;
	}

	/** Whether there are other nodes at all. */
	get hasOthers(): boolean {
		return this.#loads.length > 0;
	}

	/** A round of reports came in: those of all living nodes. */
	update(reports: readonly NodeReport[]): void {
		const nowMs = this.#nowMs();
		let grown = this.#servedHere;
		const living = new Set<string>();
		for (const report of reports) {
			if (report.nodeId === this.#nodeId) {
				continue;
			}
			living.add(report.nodeId);
			grown += this.#renew(report, nowMs);
		}
		for (const nodeId of this.#known.keys()) {
			if (!living.has(nodeId)) {
				this.#known.delete(nodeId);
			}
		}
		this.#loads = [...this.#known].map(([nodeId, { report }]) => new MutableLoad(nodeId, report.region));
		this.#arrivedMean += NEWEST * (this.#arrived - this.#arrivedMean);
		this.#fleetMean += NEWEST * (grown - this.#fleetMean);
		this.#arrivedBefore = this.#arrived;
		this.#arrived = 0;
		this.#servedHere = 0;
		const factor = this.#arrivedMean > 0 ? this.#fleetMean / this.#arrivedMean : 1;
		this.#othersFactor = factor < OTHERS_SEND_TOO ? 1 : Math.min(factor, this.#known.size);
	}

	/** The other nodes as of now, for one room. Valid until the next call. */
	loads(roomId: string): readonly NodeLoad[] {
		const nowMs = this.#nowMs();
		for (const load of this.#loads) {
			const known = this.#known.get(load.nodeId);
			if (!known) {
				continue;
			}
			load.draining = known.report.draining;
			const since = this.#since(known, nowMs);
			load.refused = known.refused || since > BUSY_S * (known.report.joinsPerSecond ?? Infinity);
			load.taken = Math.min(known.capacity, known.taken + since);
			load.capacity = known.capacity;
			load.pressure = known.pressure;
			load.carriesRoom = (known.report.rooms[roomId] ?? 0) > 0 || known.report.homes[roomId] !== undefined;
		}
		return this.#loads;
	}

	/** This node's own, of its own fresh figures. */
	static own(report: Pick<NodeReport, 'nodeId' | 'region' | 'draining'>, shards: readonly ShardReport[], carriesRoom: boolean): NodeLoad {
		const { nodeId, region, draining } = report;
		return { nodeId, region, draining, refused: false, carriesRoom, ...sumOf(shards, undefined) };
	}

	/** Share of new listeners who reach other nodes first, over the last few rounds: 0 when all reach this one. */
	get elsewhere(): number {
		return this.#othersFactor > 1 ? 1 - 1 / this.#othersFactor : 0;
	}

	/**
	 * So many may have come to a node like this one since its report, by those who came here in the meantime: so far off may be
	 * what is thought of any of them. 0 when all reach this one, for then nothing is unseen.
	 */
	get unseen(): number {
		return this.elsewhere * (this.#arrived + this.#arrivedBefore);
	}

	/** A listener came to this node first, and is served here (undefined) or sent to another. */
	placed(nodeId: string | undefined): void {
		this.#arrived++;
		if (nodeId === undefined) {
			this.#servedHere++;
			return;
		}
		const known = this.#known.get(nodeId);
		if (!known) {
			return;
		}
		const nowMs = this.#nowMs();
		const latest = known.onTheirWay.at(-1);
		if (latest && nowMs - latest.sentAtMs < BUCKET_MS) {
			latest.count++;
		} else {
			known.onTheirWay.push({ sentAtMs: nowMs, count: 1 });
		}
		known.onTheirWayTotal++;
	}

	/** It had no room for somebody, or did not answer: until its next report nobody else is sent there. */
	refused(nodeId: string): void {
		const known = this.#known.get(nodeId);
		if (known) {
			known.refused = true;
		}
	}

	/** Joins to a node since its report, by us and by others. */
	#since({ onTheirWayTotal, foreignPerMs = 0, seenAtMs }: Known, nowMs: number): number {
		const others = foreignPerMs * Math.min(nowMs - seenAtMs + REPORT_AGE_MS, MAX_AHEAD_MS);
		return Math.max(onTheirWayTotal + others, onTheirWayTotal * this.#othersFactor);
	}

	/** @returns by how many its listeners have grown */
	#renew(report: NodeReport, nowMs: number): number {
		const last = this.#known.get(report.nodeId);
		const before = last?.report.incarnation === report.incarnation ? last : undefined;
		if (before?.report.beat === report.beat) {
			dropOld(before, nowMs - LOST_AFTER_MS);
			return 0;
		}
		const known = before ?? freshlyKnown(report);
		const { taken, capacity, pressure } = sumOf(report.shards, known.pressures);
		let grown = 0;
		if (before) {
			const settled = settle(before, report.takenFrom && (report.takenFrom[this.#nodeId] ?? 0) - (before.report.takenFrom?.[this.#nodeId] ?? 0), nowMs);
			grown = Math.max(0, taken - before.taken);
			const foreign = Math.max(0, taken - before.taken - settled) / Math.max(1, nowMs - before.seenAtMs);
			known.foreignPerMs = before.foreignPerMs === undefined ? foreign : before.foreignPerMs + NEWEST * (foreign - before.foreignPerMs);
		}
		Object.assign(known, { report, taken, capacity, pressure, refused: false, seenAtMs: nowMs });
		this.#known.set(report.nodeId, known);
		return grown;
	}
}

const freshlyKnown = (report: NodeReport): Known => ({
	report, taken: 0, capacity: 0, pressure: 0, pressures: new Map(), refused: false, seenAtMs: 0, foreignPerMs: undefined, onTheirWay: [], onTheirWayTotal: 0,
});

/** Filled anew for each decision, so that none makes garbage. */
class MutableLoad implements NodeLoad {
	readonly nodeId: string;
	readonly region: string | undefined;
	draining = false;
	refused = false;
	taken = 0;
	capacity = 0;
	pressure = 0;
	carriesRoom = false;

	constructor(nodeId: string, region: string | undefined) {
		this.nodeId = nodeId;
		this.region = region;
	}
}

/** Of the shards that may take listeners; those that are dead or drain count neither as room nor as load. */
function sumOf(shards: readonly ShardReport[], pressures: Map<number, number> | undefined): { taken: number; capacity: number; pressure: number } {
	let taken = 0;
	let capacity = 0;
	let pressed = 0;
	for (const shard of shards) {
		if (shard.role !== 'listener' || !shard.alive || shard.draining) {
			continue;
		}
		const pressure = shardPressure(shard, pressures?.get(shard.index));
		pressures?.set(shard.index, pressure);
		// What a shard has beyond its cap (which an operator may have lowered) is no other shard's burden.
		taken += Math.min(shard.listeners + shard.joining, shard.maxListeners);
		capacity += shard.maxListeners;
		pressed += pressure * shard.maxListeners;
	}
	return { taken, capacity, pressure: capacity > 0 ? pressed / capacity : 0 };
}

/**
 * Takes those off that arrived: by the node's own word, else by their age.
 *
 * @returns how many arrived
 */
function settle(known: Known, arrived: number | undefined, nowMs: number): number {
	if (arrived === undefined) {
		const before = known.onTheirWayTotal;
		dropOld(known, nowMs - ARRIVED_AFTER_MS);
		return before - known.onTheirWayTotal;
	}
	for (let left = Math.max(0, arrived); left > 0; ) {
		const oldest = known.onTheirWay[0];
		if (!oldest) {
			break;
		}
		const settled = Math.min(left, oldest.count);
		left -= settled;
		oldest.count -= settled;
		known.onTheirWayTotal -= settled;
		if (oldest.count === 0) {
			known.onTheirWay.shift();
		}
	}
	dropOld(known, nowMs - LOST_AFTER_MS);
	return Math.max(0, arrived);
}

function dropOld(known: Known, beforeMs: number): void {
	for (let oldest = known.onTheirWay[0]; oldest && oldest.sentAtMs < beforeMs; oldest = known.onTheirWay[0]) {
		known.onTheirWayTotal -= oldest.count;
		known.onTheirWay.shift();
	}
}
