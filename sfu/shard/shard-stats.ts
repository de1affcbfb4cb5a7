import { readFileSync } from 'node:fs';
import type { types } from 'mediasoup';
import type { ShardStats } from '../contract/shard-protocol.ts';
import { LoopLag } from './loop-lag.ts';

const SAMPLE_MS = 1_000;
const PAGE_BYTES = 4_096;
/** Of a core, either process: from here on what can wait does. */
const BUSY_RATIO = 0.6;

type Counts = Pick<ShardStats, 'listeners' | 'spareTransports' | 'rooms' | 'joinsTotal' | 'joinsFailedTotal' | 'packetsSentTotal' | 'packetsReceivedTotal' | 'links'>;

/** Once a second: the shard's counts with the load of its two processes. */
export class ShardStatsSampler {
	readonly #worker: types.Worker;
	readonly #counts: () => Counts;
	readonly #report: (stats: ShardStats) => void;
	readonly #lag: LoopLag;
	readonly #timer: NodeJS.Timeout;
	#lastAtMs = performance.now();
	#lastNodeCpuUs = cpuUs(process.cpuUsage());
	#lastWorkerCpuMs = 0;
	#isBusy = false;

	constructor(worker: types.Worker, tickMs: number, counts: () => Counts, report: (stats: ShardStats) => void) {
		this.#worker = worker;
		this.#lag = new LoopLag(tickMs);
		this.#counts = counts;
		this.#report = report;
		this.#timer = setInterval(() => void this.#sample(), SAMPLE_MS);
	}

	/** By the last second. */
	get isBusy(): boolean {
		return this.#isBusy;
	}

	/** Called at each tick of the shard. */
	tick(nowMs: number): void {
		this.#lag.tick(nowMs);
	}

	close(): void {
		clearInterval(this.#timer);
	}

	async #sample(): Promise<void> {
		// A worker that is dying rejects; its death is reported elsewhere.
		const usage = await this.#worker.getResourceUsage().catch(() => undefined);
		if (!usage) {
			return;
		}
		const nowMs = performance.now();
		const elapsedMs = Math.max(1, nowMs - this.#lastAtMs);
		const nodeCpuUs = cpuUs(process.cpuUsage());
		const workerCpuMs = usage.ru_utime + usage.ru_stime;
		const stats: ShardStats = {
			...this.#counts(),
			eventLoopLagMs: this.#lag.take(),
			nodeCpuRatio: (nodeCpuUs - this.#lastNodeCpuUs) / 1_000 / elapsedMs,
			nodeRssBytes: process.memoryUsage.rss(),
			workerPid: this.#worker.pid,
			workerCpuRatio: (workerCpuMs - this.#lastWorkerCpuMs) / elapsedMs,
			workerRssBytes: rssBytes(this.#worker.pid),
		};
		this.#isBusy = Math.max(stats.nodeCpuRatio, stats.workerCpuRatio) > BUSY_RATIO;
		this.#lastAtMs = nowMs;
		this.#lastNodeCpuUs = nodeCpuUs;
		this.#lastWorkerCpuMs = workerCpuMs;
		this.#report(stats);
	}
}

const cpuUs = ({ user, system }: NodeJS.CpuUsage) => user + system;

/** Resident memory of another process, proc(5); 0 once it is gone. */
function rssBytes(pid: number): number {
	try {
		return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;
	} catch {
		return 0;
	}
}
