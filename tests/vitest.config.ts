import path from 'node:path';
import { defineConfig } from 'vitest/config';

const root = path.resolve(import.meta.dirname, '..');

/**
 * Files that measure what a busy machine changes (gaps, pace, cost, and so where listeners are placed): each has the machine to itself. All others mostly wait,
 * for a timer, a process or a player, and share it.
 */
const ALONE = {
	integration: ['home-lease', 'overflow', 'pressure', 'programme-failures', 'sfu-relay', 'sfu-relay-idle', 'shard-hung', 'simulation', 'surge'],
	cluster: ['faults', 'harness', 'moving', 'one-address', 'one-room', 'overflow', 'preflight', 'rebalance', 'seats'],
};

interface Kind {
	name: string;
	timeoutMs: number;
	/** Files at a time. */
	workers: number;
	alone?: readonly string[];
}

/** The projects of one kind of test; `npm test` runs them all, cheapest first. A kind's second project, if it has one, is those alone. */
function projects({ name, timeoutMs, workers, alone = [] }: Kind) {
	const files = alone.map((file) => `tests/${name}/${file}.test.ts`);
	const common = { testTimeout: timeoutMs, hookTimeout: timeoutMs };
	const shared = { root, test: { ...common, name, include: [`tests/${name}/**/*.test.ts`], exclude: files, maxWorkers: workers } };
	const measured = { root, test: { ...common, name: `${name}-alone`, include: files, fileParallelism: false, sequence: { groupOrder: 1 } } };
	return alone.length > 0 ? [shared, measured] : [shared];
}

export default defineConfig({
	root,
	test: {
		projects: [
			{ name: 'unit', timeoutMs: 20_000, workers: 3 },
			{ name: 'contract', timeoutMs: 60_000, workers: 3 },
			// Real workers, real timing.
			{ name: 'integration', timeoutMs: 60_000, workers: 3, alone: ALONE.integration },
			// Several nodes, each in a network namespace of its own.
			{ name: 'cluster', timeoutMs: 180_000, workers: 2, alone: ALONE.cluster },
			// A browser takes all of a small machine.
			{ name: 'e2e', timeoutMs: 120_000, workers: 1 },
		].flatMap(projects),
	},
});
