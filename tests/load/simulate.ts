// A million listeners within a minute, on a fleet that exists in one process: real placement, admission, leases, links and
// counting against a real Redis, with simulated shards, under a clock of its own.
// node tests/load/simulate.ts [--listeners N] [--within SECONDS] [--nodes N] [--cores N] [--sized-for N] [--cap N] [--one-address]
//   [--no-overflow] [--no-faults] [--seed N] [--calibration FILE] [--json FILE] [--html FILE]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '../../config/load.ts';
import { wholeNumber } from './command-line.ts';
import { readCalibration } from './simulation/calibration.ts';
import { fleetFor, HOST } from './simulation/fleet-size.ts';
import { htmlReport } from './simulation/html-report.ts';
import { realSeconds } from './simulation/series.ts';
import { simulate } from './simulation/simulation.ts';
import { summary } from './simulation/summary.ts';

/** What the fleet is made for, unless more come. */
const AUDIENCE = 1_000_000;

const { values } = parseArgs({
	options: {
		listeners: { type: 'string', default: String(AUDIENCE) },
		within: { type: 'string', default: '60' },
		nodes: { type: 'string' },
		cores: { type: 'string', default: String(HOST.cores) },
		'sized-for': { type: 'string' },
		cap: { type: 'string' },
		'one-address': { type: 'boolean', default: false },
		'no-overflow': { type: 'boolean', default: false },
		'no-faults': { type: 'boolean', default: false },
		seed: { type: 'string', default: '2023' },
		calibration: { type: 'string' },
		json: { type: 'string' },
		html: { type: 'string' },
	},
});

const startedS = realSeconds();
const progress = (text: string): void => console.error(`[${(realSeconds() - startedS).toFixed(0).padStart(4)} s] ${text}`);
const listeners = wholeNumber(values.listeners, 'listeners', 1);
const withinSeconds = wholeNumber(values.within, 'within', 1);
/** As a node has it that is not told otherwise. */
const config = loadConfig({ env: {}, cores: 1, readFile: () => '' });
const maxListenersPerShard = values.cap === undefined ? config.sfu.maxListenersPerShard : wholeNumber(values.cap, 'cap', 1);
const calibration = readCalibration(values.calibration);
const fleet = fleetFor(values['sized-for'] === undefined ? Math.max(AUDIENCE, listeners) : wholeNumber(values['sized-for'], 'sized-for', 1), withinSeconds, {
	cores: wholeNumber(values.cores, 'cores', 2),
	maxListenersPerShard,
	calibration,
	...(values.nodes === undefined ? {} : { nodes: wholeNumber(values.nodes, 'nodes', 2) }),
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
	process.once(signal, () => process.exit(130));
}

const report = await simulate({
	listeners,
	withinSeconds,
	fleet,
	maxListenersPerShard,
	calibration,
	admission: config.admission,
	seed: wholeNumber(values.seed, 'seed', 0),
	oneAddress: values['one-address'],
	overflow: !values['no-overflow'],
	...(values['no-faults'] ? { faults: [] } : {}),
	progress,
});
if (values.json !== undefined) {
	writeFileSync(values.json, `${JSON.stringify(report, undefined, '\t')}\n`);
}
if (values.html !== undefined) {
	writeFileSync(values.html, htmlReport(report));
}
console.log(summary(report));
