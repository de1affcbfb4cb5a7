import type { PackingMs } from '../../sfu/contract/media-types.ts';
import { planAudience } from '../capacity/audience-plan.ts';
import { fleetCapacity, nodeCapacity } from '../capacity/capacity-rule.ts';
import { capacityNodeOf, nodeCapacityNow } from '../capacity/live-capacity.ts';
import { PACKINGS, type ShardCalibration } from '../capacity/shard-calibration.ts';
import type { NodeReport } from '../cluster/node-report.ts';
import type { MachineCalibration, PeerParams, PeerResult } from '../cluster/peer-protocol.ts';
import { type Check, failed, ok, warning } from './check.ts';
import type { NodeCheck, PreflightCapacity, PreflightReport } from './preflight-report.ts';
import { capacityCheck, summaryOf } from './preflight-words.ts';
import type { ProbeTarget } from './probe-target.ts';

export type PreflightRequestName = 'preflightOpen' | 'preflightCheck' | 'calibrate';

export interface PreflightOptions {
	/** Living nodes, this one first. */
	nodes: () => readonly NodeReport[];
	/** Asks a node, this one too. Rejects when it does not answer. */
	ask: <N extends PreflightRequestName>(nodeId: string, name: N, params: PeerParams<N>, timeoutMs: number) => Promise<PeerResult<N>>;
	/** Of rooms that pack as their audience asks. */
	largePackingMs: PackingMs;
	/** Whether shards under pressure pack more. */
	packsUnderPressure: boolean;
	now: () => number;
}

export interface PreflightRequest {
	packingMs: 'auto' | PackingMs;
	maxListeners: number | undefined;
	expectedListeners: number | undefined;
	withinSeconds: number;
	/** True: measure anew; false: never; undefined: where it was not done yet. */
	calibrate: boolean | undefined;
}

/** What concerns the fleet as a whole. */
export const FLEET = '*';
/** In a large fleet each node looks at so many others, and as many look at it. */
const PROBED_OTHERS = 16;
const OPEN_MS = 20_000;
const TIMEOUT_MS = { preflightOpen: 4_000, preflightCheck: 12_000, calibrate: 25_000 } as const;
const CLOCK_WARNING_MS = 500;
const CLOCK_FAILED_MS = 5_000;

interface Opened {
	nodeId: string;
	hostId: string;
	calibrated: boolean;
	target: ProbeTarget;
	/** Of this node's clock, and how far that may be wrong. */
	aheadMs: number;
	uncertainMs: number;
}

/** Everything that can be known before an event: each node looks at itself and at the others, and the capacity rule at all of them. */
export class Preflight {
	readonly #options: PreflightOptions;

	constructor(options: PreflightOptions) {
		this.#options = options;
	}

	/** Up to about half a minute where nodes that share a machine are calibrated; never rejects for what it finds. */
	async run(request: PreflightRequest): Promise<PreflightReport> {
		const { nodes, largePackingMs, now } = this.#options;
		const first = nodes();
		const { expectedListeners, maxListeners, withinSeconds } = request;
		const packingMs = request.packingMs === 'auto' ? largePackingMs : request.packingMs;
		const checks: NodeCheck[] = [];
		const opened: Opened[] = [];
		await Promise.all(
			first.map(async ({ nodeId }) => {
				const found = await this.#open(nodeId);
				if ('status' in found) {
					checks.push({ node: nodeId, ...found });
				} else {
					opened.push(found);
				}
			}),
		);
		opened.sort((a, b) => a.nodeId.localeCompare(b.nodeId));
		const shares = sharesOf(first, packingMs, expectedListeners);
		const checked = await Promise.all(opened.map((node, index) => this.#check(node, othersOf(opened, index), shares.get(node.nodeId))));
		checks.push(...checked.flat());
		const measured = new Map<string, ShardCalibration>();
		for (const node of await this.#calibrate(opened, request.calibrate)) {
			checks.push({ node: node.nodeId, ...node.check });
			if (node.calibration) {
				measured.set(node.nodeId, node.calibration);
			}
		}
		const living = new Set(opened.map(({ nodeId }) => nodeId));
		// What was measured just now is in no heartbeat yet. A node that does not answer is not counted on.
		const reports = nodes().filter(({ nodeId }) => living.has(nodeId)).map((report) => withCalibration(report, measured.get(report.nodeId)));
		const capacities = reports.map(capacityNodeOf);
		const present = reports.reduce((sum, { shards }) => sum + shards.reduce((all, { listeners }) => all + listeners, 0), 0);
		const { enough, moreNodes, lastWaitSeconds, ...plan } = planAudience(capacities, packingMs, { listeners: expectedListeners ?? 0, withinSeconds }, { present });
		const capacity: PreflightCapacity = {
			...plan,
			// JSON has no infinity.
			lastWaitSeconds: Number.isFinite(lastWaitSeconds) ? rounded(lastWaitSeconds) : null,
			joinsPerSecond: rounded(plan.joinsPerSecond),
			byPacking: Object.fromEntries(PACKINGS.map((each) => [each, fleetCapacity(capacities, each).listeners])) as Record<PackingMs, number>,
			present,
			withinSeconds,
			...(expectedListeners === undefined ? {} : { expectedListeners, enough, ...(moreNodes === undefined ? {} : { moreNodes }) }),
			nodes: reports.map((report) => {
				const { node, capacity, calibration } = nodeCapacityNow(report, packingMs, now());
				return { node, capacity, calibration };
			}),
		};
		const words = { capacity, nodes: reports.length, packsMore: request.packingMs === 'auto' && this.#options.packsUnderPressure };
		checks.push({ node: FLEET, ...capacityCheck(words) });
		if (maxListeners !== undefined && (expectedListeners ?? 0) > maxListeners) {
			checks.push({ node: FLEET, ...warning('room_limit', `The room takes ${maxListeners} listeners at most; ${expectedListeners} are expected.`, 'Raise maxListeners of the room.') });
		}
		// An overflow that will be needed has to be there.
		const judged = checks.map((check) => (check.check === 'overflow' && check.status === 'warning' && capacity.enough === false ? { ...check, status: 'failed' as const } : check));
		judged.sort((a, b) => a.node.localeCompare(b.node));
		return { ready: judged.every(({ status }) => status !== 'failed'), summary: summaryOf(words, judged), checks: judged, capacity };
	}

	async #open(nodeId: string): Promise<Opened | Check> {
		const { ask, now } = this.#options;
		const askedAt = now();
		try {
			const { nowMs, hostId, calibrated, target } = await ask(nodeId, 'preflightOpen', { openMs: OPEN_MS }, TIMEOUT_MS.preflightOpen);
			const answeredAt = now();
			return { nodeId, hostId, calibrated, target, aheadMs: nowMs - (askedAt + answeredAt) / 2, uncertainMs: (answeredAt - askedAt) / 2 };
		} catch (error) {
			return noAnswer(error);
		}
	}

	async #check({ nodeId, aheadMs, uncertainMs }: Opened, targets: ProbeTarget[], listeners: number | undefined): Promise<NodeCheck[]> {
		try {
			const { checks, clockAheadMs } = await this.#options.ask(nodeId, 'preflightCheck', { targets, ...(listeners === undefined ? {} : { listeners }) }, TIMEOUT_MS.preflightCheck);
			return [...checks, clockCheck(Math.max(0, Math.abs(aheadMs) - uncertainMs), clockAheadMs)].map((check) => ({ node: nodeId, ...check }));
		} catch (error) {
			return [{ node: nodeId, ...noAnswer(error) }];
		}
	}

	/** Nodes of one machine one after the other, for they would measure each other; what the first finds holds for the rest. */
	async #calibrate(opened: readonly Opened[], wanted: boolean | undefined): Promise<{ nodeId: string; check: Check; calibration?: ShardCalibration }[]> {
		const hosts = Map.groupBy(wanted === false ? [] : opened.filter(({ calibrated }) => wanted === true || !calibrated), ({ hostId }) => hostId);
		const done = await Promise.all(
			[...hosts.values()].map(async (nodes) => {
				const found: { nodeId: string; check: Check; calibration?: ShardCalibration }[] = [];
				let known: MachineCalibration | undefined;
				for (const { nodeId } of nodes) {
					try {
						known = await this.#options.ask(nodeId, 'calibrate', known ? { known } : {}, TIMEOUT_MS.calibrate);
						const { cpuUsPerListenerSecond, cpuMsPerJoin } = known.calibration;
						const said = `A listener costs ${cpuUsPerListenerSecond[60]} µs a second at 60 ms, a join ${cpuMsPerJoin} ms.`;
						found.push({ nodeId, calibration: known.calibration, check: ok('calibration', said) });
					} catch (error) {
						const said = `This machine was not measured: ${reasonOf(error)}`;
						found.push({ nodeId, check: warning('calibration', said, 'Run the preflight again when the machine is idle; until then figures of an earlier run or of another machine are used.') });
					}
				}
				return found;
			}),
		);
		return done.flat();
	}
}

/** Node → its part of the audience, no more than it holds. */
function sharesOf(reports: readonly NodeReport[], packingMs: PackingMs, expected: number | undefined): Map<string, number> {
	const nodes = expected === undefined ? [] : reports.map(capacityNodeOf);
	const total = fleetCapacity(nodes, packingMs).listeners;
	return new Map(
		nodes.map((node) => {
			const { listeners } = nodeCapacity(node, packingMs);
			return [node.nodeId, total > 0 ? Math.min(listeners, Math.ceil(((expected ?? 0) * listeners) / total)) : 0];
		}),
	);
}

/** Those that follow in a ring: all, where they are few. */
function othersOf(opened: readonly Opened[], index: number): ProbeTarget[] {
	const count = Math.min(PROBED_OTHERS, opened.length - 1);
	return Array.from({ length: count }, (_, step) => opened[(index + 1 + step) % opened.length]).flatMap((node) => node?.target ?? []);
}

const withCalibration = (report: NodeReport, calibration: ShardCalibration | undefined): NodeReport =>
	calibration && report.machine ? { ...report, machine: { ...report.machine, calibration } } : report;

/** Tokens and tickets are good for seconds, leases by the clock of Redis: nodes must agree on the time. */
function clockCheck(offMs: number, offRedisMs: number | undefined): Check {
	const worstMs = Math.max(offMs, Math.abs(offRedisMs ?? 0));
	const said = `Its clock is ${offMs.toFixed(0)} ms off the asking node's${offRedisMs === undefined ? '' : ` and ${Math.abs(offRedisMs).toFixed(0)} ms off that of Redis`}.`;
	const advice = 'Run a time service on every machine (chrony, systemd-timesyncd).';
	return worstMs > CLOCK_FAILED_MS ? failed('clock', said, advice) : worstMs > CLOCK_WARNING_MS ? warning('clock', said, advice) : ok('clock', said);
}

const noAnswer = (error: unknown): Check =>
	failed('answers', `This node does not answer: ${reasonOf(error)}`, 'Check that it runs and that the other nodes reach its internal port (ROSTRUM_INTERNAL_PORT, TCP); the capacity below does not count on it.');

const rounded = (value: number) => Math.round(value * 10) / 10;

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
