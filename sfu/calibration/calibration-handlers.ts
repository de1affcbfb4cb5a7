import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import type { CalibrationPhase, CalibrationUsage } from '../contract/shard-protocol.ts';
import type { ShardHandlers } from '../shard/request-server.ts';
import { SyntheticAudience } from './synthetic-audience.ts';
import { SyntheticTalker } from './synthetic-talker.ts';

const PAGE_BYTES = 4_096;
/** As often as a listener shard looks after its edges. */
const TICK_MS = 100;
/** After a change of packing, until what is measured is its doing. */
const SETTLE_MS = 200;

/** What a shard does for a calibration: told by `calibrateShard`, in a process that carries nobody. */
export function calibrationHandlers(worker: types.Worker): Pick<ShardHandlers, 'calibration.usage' | 'calibration.packets'> {
	return {
		'calibration.usage': () => usageOf(worker),
		'calibration.packets': async ({ receivers, packings, phaseMs }) => {
			const audience = await SyntheticAudience.gather(worker, receivers, packings[0] ?? 60);
			const { router } = audience;
			const talker = new SyntheticTalker((packet, nowMs) => router.onVoicePacket(0, packet, nowMs));
			const ticker = setInterval(() => router.tick(performance.now()), TICK_MS);
			try {
				const phases: CalibrationPhase[] = [];
				for (const packingMs of packings) {
					router.setPackingMs(packingMs);
					await sleep(SETTLE_MS);
					const before = { ...(await usageOf(worker)), packets: router.packetsSent, atMs: performance.now() };
					await sleep(phaseMs);
					const after = await usageOf(worker);
					phases.push({
						packingMs,
						seconds: (performance.now() - before.atMs) / 1_000,
						packets: router.packetsSent - before.packets,
						nodeCpuUs: after.nodeCpuUs - before.nodeCpuUs,
						workerCpuUs: after.workerCpuUs - before.workerCpuUs,
					});
				}
				return { phases };
			} finally {
				clearInterval(ticker);
				talker.stop();
				await audience.close();
			}
		},
	};
}

async function usageOf(worker: types.Worker): Promise<CalibrationUsage> {
	const { ru_utime, ru_stime } = await worker.getResourceUsage();
	const { user, system } = process.cpuUsage();
	return {
		nodeCpuUs: user + system,
		workerCpuUs: (ru_utime + ru_stime) * 1_000,
		nodeRssBytes: process.memoryUsage.rss(),
		workerRssBytes: Number(readFileSync(`/proc/${worker.pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES,
	};
}
