import type { Config } from '../../config/schema.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { Machine } from '../capacity/machine.ts';
import type { NodeCalibration } from '../capacity/node-calibration.ts';
import type { PeerHandlers } from '../cluster/peer-protocol.ts';
import { type Check, failed, ok, warning } from './check.ts';
import { machineChecks, type NodeNeeds } from './machine-checks.ts';
import type { MediaTarget, ProbeTarget } from './probe-target.ts';
import { reachChecks } from './reach-checks.ts';
import { reachTargets } from './reach.ts';
import { redisChecks, type RedisProbe } from './redis-checks.ts';
import { addressChecks, overflowCheck } from './service-checks.ts';
import { readSystemFacts } from './system-facts.ts';
import { openUdpEcho } from './udp-echo.ts';

export interface PreflightNodeOptions {
	nodeId: string;
	config: Pick<Config, 'http' | 'sfu' | 'overflow' | 'cluster'>;
	dataDir: string;
	supervisor: Pick<Supervisor, 'slots' | 'shard' | 'readySpares'>;
	/** Where shards listen, with what browsers are told instead. */
	mediaAddresses: readonly { ip: string; announcedAddress?: string }[];
	/** Where links listen; undefined for a node that is alone. */
	linkAddress: { ip: string; announcedAddress?: string } | undefined;
	redis: RedisProbe | undefined;
	machine: Pick<Machine, 'cores' | 'freeMemoryBytes' | 'hostId' | 'signature'>;
	calibration: Pick<NodeCalibration, 'current' | 'run' | 'adopt'>;
	/** Milliseconds since the epoch. */
	now: () => number;
}

/** A node's part in a preflight: what it opens for others to look at, and what it finds. */
export class PreflightNode {
	readonly #options: PreflightNodeOptions;

	constructor(options: PreflightNodeOptions) {
		this.#options = options;
	}

	readonly handlers: Pick<PeerHandlers, 'preflightOpen' | 'preflightCheck' | 'calibrate'> = {
		preflightOpen: async ({ openMs }) => {
			const { now, machine, calibration } = this.#options;
			const target = await this.#open(openMs);
			return { nowMs: now(), hostId: machine.hostId, calibrated: calibration.current.source === 'measured', target };
		},
		preflightCheck: async ({ listeners, targets }) => {
			const { config, redis, now, mediaAddresses, dataDir } = this.#options;
			const [facts, overflow, found, reached] = await Promise.all([
				readSystemFacts(dataDir),
				overflowCheck(config.overflow),
				redis === undefined ? undefined : redisChecks(redis, now),
				reachTargets(targets),
			]);
			const checks = [
				this.#shards(),
				...machineChecks(facts, this.#needs(listeners)),
				...addressChecks(config.http.publicUrl, mediaAddresses),
				overflow,
				...(found?.checks ?? []),
				...reachChecks(reached),
			];
			return { checks, ...(found?.clockAheadMs === undefined ? {} : { clockAheadMs: found.clockAheadMs }) };
		},
		calibrate: async ({ known }) => {
			const { machine, calibration } = this.#options;
			const { hostId, signature } = machine;
			if (known && known.hostId === hostId && known.signature === signature) {
				await calibration.adopt(known.calibration);
			} else {
				await calibration.run();
			}
			return { hostId, signature, calibration: calibration.current };
		},
	};

	async #open(openMs: number): Promise<ProbeTarget> {
		const { nodeId, supervisor, linkAddress, config } = this.#options;
		const { linkPortMin: first, linkPortMax: last, announcedAddress } = config.sfu;
		const media = await Promise.all(
			supervisor.slots.map(async ({ index }) => {
				const shard = supervisor.shard(index);
				// One that does not answer shows as one that cannot be reached.
				return shard ? await probeOf(shard, index, openMs).catch(() => silent(index)) : silent(index);
			}),
		);
		const echo = linkAddress && (await openUdpEcho(linkAddress.ip, { first, last }, openMs));
		return {
			nodeId,
			announced: announcedAddress !== undefined,
			media,
			...(linkAddress && echo ? { link: { host: linkAddress.announcedAddress ?? linkAddress.ip, ...echo } } : {}),
		};
	}

	#shards(): Check {
		const { supervisor, config } = this.#options;
		const { slots, readySpares } = supervisor;
		const dead = slots.filter(({ alive }) => !alive);
		if (dead.length > 0) {
			return failed(
				'shards',
				`${dead.length} of ${slots.length} shards do not live (ports ${dead.map(({ mediaPort }) => mediaPort).join(', ')}).`,
				'See the log of this node, and whether another program holds their ports (ss -lntup).',
			);
		}
		return readySpares < config.sfu.spareShards
			? warning('shards', `All ${slots.length} shards live, but only ${readySpares} of ${config.sfu.spareShards} spares are ready to replace one.`, 'Wait a moment and look again; if it stays so, see the log of this node.')
			: ok('shards', `All ${slots.length} shards live; spares ready to replace one: ${readySpares}.`);
	}

	#needs(listeners: number | undefined): NodeNeeds {
		const { config, supervisor, machine, calibration } = this.#options;
		const { sfu, http, cluster } = config;
		const listenerShards = supervisor.slots.filter(({ role }) => role === 'listener').length;
		return {
			listeners,
			bytesPerListener: calibration.current.bytesPerListener,
			maxEventStreams: http.maxEventStreams,
			shards: supervisor.slots.length,
			cores: machine.cores,
			freeMemoryBytes: machine.freeMemoryBytes,
			mediaPorts: { first: sfu.mediaPort, last: sfu.mediaPort + supervisor.slots.length - 1 },
			linkPorts: { first: sfu.linkPortMin, last: sfu.linkPortMax },
			// A room that is home here: its links to others, and both ends of those to shards of this node; once more while they are replaced.
			linksNeeded: 2 * (cluster.maxFanOut + listenerShards),
		};
	}
}

async function probeOf(shard: Shard, index: number, openMs: number): Promise<MediaTarget> {
	const { iceParameters, iceCandidates } = await shard.request('shard.probe', { openMs });
	return {
		shard: index,
		usernameFragment: iceParameters.usernameFragment,
		password: iceParameters.password,
		addresses: iceCandidates.map(({ protocol, address, port }) => ({ protocol, host: address, port })),
	};
}

const silent = (shard: number): MediaTarget => ({ shard, usernameFragment: '', password: '', addresses: [] });
