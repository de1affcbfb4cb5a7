import type { SurgeProgress } from './surge-run.ts';

const EVERY_MS = 5_000;

/** Shows how a run goes: one line that is written over on a terminal, now and then a line elsewhere. */
export class ProgressLine {
	readonly #terminal: boolean;
	#saidAtMs = Number.NEGATIVE_INFINITY;
	#phase = '';

	constructor(stream: Pick<NodeJS.WriteStream, 'isTTY'> = process.stderr) {
		this.#terminal = stream.isTTY;
	}

	show(progress: SurgeProgress): void {
		const line = lineOf(progress);
		if (this.#terminal) {
			process.stderr.write(`\r\u001b[2K${line.slice(0, (process.stderr.columns ?? 120) - 1)}`);
			return;
		}
		const nowMs = performance.now();
		if (nowMs - this.#saidAtMs >= EVERY_MS || progress.phase !== this.#phase) {
			this.#saidAtMs = nowMs;
			this.#phase = progress.phase;
			process.stderr.write(`${line}\n`);
		}
	}

	/** What comes next begins on a line of its own. */
	end(): void {
		if (this.#terminal) process.stderr.write('\r\u001b[2K');
	}
}

function lineOf({ phase, atMs, counts, largestGapMs, lagMs }: SurgeProgress): string {
	const time = atMs === undefined ? '' : ` ${(atMs / 1_000).toFixed(1)} s`;
	const { wanted, connected, hearingHls, waiting, refusals, failed } = counts;
	return `${phase}${time}: ${wanted} wanted in, ${connected} connected, ${hearingHls} by HLS, ${waiting} waiting, ${refusals} refusals, ${failed} failed; gap ${Math.round(largestGapMs)} ms, own lag ${Math.round(lagMs)} ms`;
}
