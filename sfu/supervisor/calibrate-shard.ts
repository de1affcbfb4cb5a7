import { randomBytes } from 'node:crypto';
import { constants, setPriority } from 'node:os';
import type { Logger } from 'pino';
import { SYNTHETIC_OFFER, SYNTHETIC_VOICES } from '../calibration/synthetic-offer.ts';
import type { PackingMs } from '../contract/media-types.ts';
import { makeSessionId } from '../contract/session-id.ts';
import type { CalibrationUsage } from '../contract/shard-protocol.ts';
import { Shard } from './shard.ts';

export interface CalibrateShardOptions {
	log: Logger;
	/** Asked between the steps: a word on why the run should stop now, for the sake of those who are served. */
	busy?: () => string | undefined;
	/** People are served meanwhile: whatever else wants a processor goes first. */
	gentle?: boolean;
	/** Default 300 and 200: enough for figures that repeat within a tenth. */
	joins?: number;
	receivers?: number;
	/** Of speech at each packing. Default 1,800. */
	phaseMs?: number;
	env?: Record<string, string>;
}

/** What was measured, nothing added. */
export interface ShardFigures {
	/** Of the shard's two processes: parsing, transport, consumers, answer; no handshake. */
	cpuMsPerJoin: number;
	bytesPerListener: number;
	/** Of the worker, by packing: SRTP, sending, RTCP reports of its own; no ICE consent, nothing received. */
	cpuUsPerListenerSecond: { packingMs: PackingMs; us: number; packetsPerSecond: number }[];
	/** Processor time of the shard's Node process for carrying one talker, in parts of a core. */
	shardCpuRatio: number;
	tookMs: number;
}

/** The node must go on serving people: somebody came meanwhile. */
export class CalibrationYielded extends Error {}

const ROOM = 'calibration';
const PACKINGS: PackingMs[] = [20, 60];
/** Code is compiled and buffers are there. */
const WARM_UP_JOINS = 60;
const AT_ONCE = 8;
const REQUEST_TIMEOUT_MS = 12_000;
const READY_TIMEOUT_MS = 10_000;
const LOOPBACK = '127.0.0.1';

/**
 * Finds out what a listener costs on this machine: in a shard process of its own that carries nobody, on loopback, over
 * the same requests that real joins take. About 7 s. Rejects with `CalibrationYielded` when the node gets busy.
 */
export async function calibrateShard({ log, busy = () => undefined, gentle = false, joins = 300, receivers = 200, phaseMs = 1_800, env = {} }: CalibrateShardOptions): Promise<ShardFigures> {
	const startedAt = performance.now();
	const shard = Shard.spawn({ log, requestTimeoutMs: REQUEST_TIMEOUT_MS, env: { ROSTRUM_SHARD_LOG_LEVEL: log.level, ...env } });
	const goOn = (): void => {
		const reason = busy();
		if (reason !== undefined) {
			throw new CalibrationYielded(reason);
		}
	};
	try {
		await ready(shard);
		if (gentle) {
			stepBack(shard);
		}
		await shard.assign({
			index: 0,
			role: 'listener',
			mediaPort: 0, // Any that is nobody’s.
			listenAddresses: [{ ip: LOOPBACK }],
			linkPortMin: 1,
			linkPortMax: 1,
			iceConsentTimeoutSeconds: 60,
			connectTimeoutMs: 60_000,
			maxListeners: WARM_UP_JOINS + joins,
			maxDownstreams: 1,
		});
		await shard.request('edge.open', { roomId: ROOM, voices: SYNTHETIC_VOICES, packingMs: 60 });
		await join(shard, WARM_UP_JOINS);
		goOn();
		const before = await shard.request('calibration.usage', {});
		await join(shard, joins);
		const after = await shard.request('calibration.usage', {});
		await shard.request('edge.close', { roomId: ROOM, reason: 'calibrated' });
		goOn();
		const { phases } = await shard.request('calibration.packets', { receivers, packings: PACKINGS, phaseMs });
		goOn();
		return {
			cpuMsPerJoin: difference(before, after, ({ nodeCpuUs, workerCpuUs }) => nodeCpuUs + workerCpuUs) / 1_000 / joins,
			bytesPerListener: difference(before, after, ({ nodeRssBytes, workerRssBytes }) => nodeRssBytes + workerRssBytes) / joins,
			cpuUsPerListenerSecond: phases.map(({ packingMs, seconds, packets, workerCpuUs }) => ({
				packingMs,
				us: workerCpuUs / seconds / receivers,
				packetsPerSecond: packets / seconds / receivers,
			})),
			shardCpuRatio: Math.max(...phases.map(({ seconds, nodeCpuUs }) => nodeCpuUs / 1e6 / seconds)),
			tookMs: performance.now() - startedAt,
		};
	} finally {
		await shard.close('calibrated', 0);
	}
}

const difference = (before: CalibrationUsage, after: CalibrationUsage, of: (usage: CalibrationUsage) => number) => of(after) - of(before);

async function join(shard: Shard, count: number): Promise<void> {
	let left = count;
	await Promise.all(
		Array.from({ length: AT_ONCE }, async () => {
			while (left-- > 0) {
				await shard.request('listener.join', { roomId: ROOM, sessionId: makeSessionId(0, randomBytes(16).toString('hex')), offer: SYNTHETIC_OFFER });
			}
		}),
	);
}

function stepBack({ pid, workerPid }: Shard): void {
	for (const each of [pid, workerPid]) {
		if (each !== undefined) {
			setPriority(each, constants.priority.PRIORITY_BELOW_NORMAL);
		}
	}
}

function ready(shard: Shard): Promise<void> {
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	const timer = setTimeout(() => reject(new Error('the shard process for the calibration was not ready in time')), READY_TIMEOUT_MS);
	shard.once('ready', resolve);
	shard.once('gone', () => reject(new Error('the shard process for the calibration ended before it was ready')));
	return promise.finally(() => clearTimeout(timer));
}
