import path from 'node:path';
import { defineConfig } from 'vitest/config';

const root = path.resolve(import.meta.dirname, '..');

/** One project a kind of test; `npm test` runs them all, cheapest first. */
const project = (name: string, timeoutMs: number, parallel: boolean) => ({
	root,
	test: {
		name,
		include: [`tests/${name}/**/*.test.ts`],
		testTimeout: timeoutMs,
		hookTimeout: timeoutMs,
		fileParallelism: parallel,
	},
});

export default defineConfig({
	root,
	test: {
		projects: [
			project('unit', 20_000, true),
			project('contract', 60_000, true),
			// Real workers, browsers and timing: one file at a time on few cores.
			project('integration', 60_000, false),
			// Several nodes, each in a network namespace of its own.
			project('cluster', 180_000, false),
			project('e2e', 120_000, false),
		],
	},
});
