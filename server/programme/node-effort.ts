import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { ShardEffort } from '../placement/shard-pressure.ts';

const RESOLUTION_MS = 10;
const TICK_MS = 20;

/** How hard this node's own process works, between two looks. */
export class NodeEffort {
	readonly #lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
	#processor = process.cpuUsage();
	#atMs = performance.now();
	#tickedAtMs = performance.now();
	readonly #ticker = setInterval(() => (this.#tickedAtMs = performance.now()), TICK_MS).unref();

	constructor() {
		this.#lag.enable();
	}

	/**
	 * How far the event loop is behind at this moment. Whoever refuses by it needs no other figure: by that of the last second
	 * all would be refused for a second after each that was busy, and none after each that was not.
	 */
	get lagMs(): number {
		return Math.max(0, performance.now() - this.#tickedAtMs - TICK_MS);
	}

	/** Since the look before. */
	look(): ShardEffort {
		const nowMs = performance.now();
		const { user, system } = process.cpuUsage(this.#processor);
		const cpuRatio = (user + system) / 1_000 / Math.max(1, nowMs - this.#atMs);
		const eventLoopLagMs = Math.max(0, this.#lag.percentile(99) / 1e6 - RESOLUTION_MS);
		this.#processor = process.cpuUsage();
		this.#atMs = nowMs;
		this.#lag.reset();
		return { cpuRatio, eventLoopLagMs };
	}

	close(): void {
		clearInterval(this.#ticker);
		this.#lag.disable();
	}
}
