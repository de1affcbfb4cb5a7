import { readFileSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

/** Read again after this long: reports are made several times a second, and memory does not change that fast. */
const MEMORY_AGE_MS = 1_000;

/** What this process may use of the machine it runs on; in a container, of what the container may. */
export class Machine {
	readonly cores = os.availableParallelism();
	readonly #nowMs: () => number;
	#memoryBytes = 0;
	#memoryAtMs = -Infinity;

	/** @param nowMs monotonic */
	constructor(nowMs: () => number) {
		this.#nowMs = nowMs;
	}

	/** Free, caches that would be given up included. */
	get freeMemoryBytes(): number {
		const nowMs = this.#nowMs();
		if (nowMs - this.#memoryAtMs >= MEMORY_AGE_MS) {
			this.#memoryAtMs = nowMs;
			this.#memoryBytes = process.availableMemory();
		}
		return this.#memoryBytes;
	}

	/** Another one, and a calibration says nothing any more. */
	get signature(): string {
		return [os.cpus()[0]?.model.trim() ?? 'unknown processor', `${this.cores} cores`, process.arch, process.version, `mediasoup ${mediasoupVersion()}`].join(', ');
	}

	/** The same for all programs on this machine while it runs, containers too: whose calibrations would disturb each other. */
	get hostId(): string {
		try {
			return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
		} catch {
			return os.hostname();
		}
	}
}

/** As the program's own package file pins it. */
function mediasoupVersion(): string {
	const file = fileURLToPath(new URL('../../package.json', import.meta.url));
	const { dependencies } = JSON.parse(readFileSync(file, 'utf8')) as { dependencies: Record<string, string> };
	return dependencies['mediasoup'] ?? 'unknown';
}
