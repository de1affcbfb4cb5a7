import { networkInterfaces } from 'node:os';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import { calibrateShard } from '../../sfu/supervisor/calibrate-shard.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import { CalibrationFile } from '../capacity/calibration-file.ts';
import type { FleetCapacityNow, NodeCapacityNow } from '../capacity/capacity-schemas.ts';
import { fleetCapacityNow, nodeCapacityNow } from '../capacity/live-capacity.ts';
import { Machine } from '../capacity/machine.ts';
import { NodeCalibration } from '../capacity/node-calibration.ts';
import { internalAddress, linkAddress } from '../cluster/internal-address.ts';
import type { Membership } from '../cluster/membership.ts';
import type { NodeReport, ShardReport } from '../cluster/node-report.ts';
import type { Peers } from '../cluster/peer-protocol.ts';
import { mediaAddresses } from '../programme/media-addresses.ts';
import { PreflightNode } from './preflight-node.ts';
import { Preflight } from './preflight.ts';

export interface NodeCapacityOptions {
	config: Config;
	nodeId: string;
	supervisor: Supervisor;
	/** Undefined for a node that is alone. */
	membership: Pick<Membership, 'redis'> | undefined;
	/** Living nodes, this one first. */
	nodes: () => readonly NodeReport[];
	ownShards: () => readonly ShardReport[];
	peers: () => Peers;
	log: Logger;
}

/** What a node knows of its capacity and does in a preflight, put together. */
export class NodeCapacity {
	readonly node: PreflightNode;
	readonly preflight: Preflight;
	readonly #options: NodeCapacityOptions;
	readonly #machine: Machine;
	readonly #calibration: NodeCalibration;

	static async open(options: NodeCapacityOptions): Promise<NodeCapacity> {
		const { config, ownShards } = options;
		const log = options.log.child({ part: 'capacity' });
		const machine = new Machine(() => performance.now());
		const calibration = await NodeCalibration.open({
			file: new CalibrationFile(path.resolve(config.dataDir), machine.signature),
			measure: (how) => calibrateShard({ ...how, log }),
			business: () => businessOf(ownShards(), machine.cores),
			now: () => new Date(),
			log,
		});
		return new NodeCapacity(options, machine, calibration);
	}

	private constructor(options: NodeCapacityOptions, machine: Machine, calibration: NodeCalibration) {
		const { config, nodeId, supervisor, membership, nodes, peers } = options;
		const interfaces = networkInterfaces();
		this.#options = options;
		this.#machine = machine;
		this.#calibration = calibration;
		this.node = new PreflightNode({
			nodeId,
			config,
			dataDir: path.resolve(config.dataDir),
			supervisor,
			mediaAddresses: mediaAddresses(config.sfu, interfaces),
			linkAddress: membership && linkAddress(internalAddress(config, interfaces), interfaces),
			redis: membership?.redis,
			machine,
			calibration,
			now: Date.now,
		});
		this.preflight = new Preflight({
			nodes,
			ask: (to, name, params, timeoutMs) => {
				if (to !== nodeId) {
					return peers().request(to, name, params, { timeoutMs });
				}
				// The table guarantees that params fit the handler; TypeScript cannot follow the lookup.
				const handler = this.node.handlers[name] as (params: unknown, from: string) => Promise<never>;
				return handler(params, nodeId);
			},
			largePackingMs: config.rooms.autoPacking.largeMs,
			packsUnderPressure: config.pressure.packing,
			now: Date.now,
		});
	}

	/** What the heartbeat says of the machine. */
	get machine(): NonNullable<NodeReport['machine']> {
		const calibration = this.#calibration.current;
		const { listeners } = businessOf(this.#options.ownShards(), 0);
		return { cores: this.#machine.cores, memoryBytes: Math.round(this.#machine.freeMemoryBytes + listeners * calibration.bytesPerListener), calibration };
	}

	fleetNow(): FleetCapacityNow {
		return fleetCapacityNow(this.#options.nodes(), this.#packingMs, Date.now());
	}

	/** This node alone. */
	ownNow(): Pick<NodeCapacityNow, 'headroom' | 'capacity'> {
		const [own] = this.#options.nodes();
		if (!own) {
			throw new Error('a node always sees itself');
		}
		return nodeCapacityNow(own, this.#packingMs, Date.now());
	}

	get #packingMs() {
		return this.#options.config.rooms.autoPacking.largeMs;
	}
}

function businessOf(shards: readonly ShardReport[], cores: number) {
	const sum = (of: (shard: ShardReport) => number) => shards.reduce((total, shard) => total + of(shard), 0);
	return { cores, busyCores: sum(({ cpuRatio }) => cpuRatio), listeners: sum(({ listeners }) => listeners), joining: sum(({ joining }) => joining) };
}
