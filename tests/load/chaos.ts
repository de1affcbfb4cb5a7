// One room over three hosts, a speaker who never pauses, real listeners; then one thing after another dies.
// node tests/load/chaos.ts [--json FILE] [--listeners N] [--clients N] [--only NAME,NAME] [--short]
import { progress, wholeNumber } from './command-line.ts';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Audience } from '../support/cluster/audience.ts';
import { type FaultFigures, runFault } from '../support/cluster/fault-run.ts';
import { faultTable } from '../support/cluster/fault-table.ts';
import { faults, FULL_TIMES, SHORT_TIMES } from '../support/cluster/faults.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { percentile } from '../support/cluster/percentile.ts';
import { RostrumCluster } from '../support/cluster/rostrum-cluster.ts';

const { values } = parseArgs({
	options: {
		json: { type: 'string' },
		listeners: { type: 'string', default: '300' },
		clients: { type: 'string', default: '5' },
		only: { type: 'string' },
		short: { type: 'boolean', default: false },
	},
});

const whyNot = ClusterNetwork.whyNot();
if (whyNot !== undefined) {
	console.error(`chaos ${whyNot}`);
	process.exit(2);
}
const listeners = wholeNumber(values.listeners, 'listeners', 6);
const clients = wholeNumber(values.clients, 'clients', 1);
const only = values.only?.split(',');
const all = faults(values.short ? SHORT_TIMES : FULL_TIMES);
const unknown = only?.filter((name) => !all.some((fault) => fault.name === name)) ?? [];
if (unknown.length > 0) {
	console.error(`no fault "${unknown[0]}"; there are ${all.map(({ name }) => name).join(', ')}`);
	process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
	process.once(signal, () => process.exit(130));
}

const results: FaultFigures[] = [];
const write = (): void => {
	if (values.json !== undefined) {
		writeFileSync(values.json, `${JSON.stringify(results, undefined, '\t')}\n`);
	}
};

progress('starting three nodes and Redis, each on a host of its own');
// Six edges at most two to a parent: some must relay.
const cluster = await RostrumCluster.start({ clients, env: { ROSTRUM_CLUSTER_MAX_FAN_OUT: '2' } });
try {
	const audience = await Audience.begin(cluster);
	for (const fault of all.filter(({ name }) => only?.includes(name) ?? true)) {
		await cluster.restore();
		await audience.leave();
		const connectMs = await audience.gather(listeners);
		progress(`${fault.name}: ${fault.what}; ${listeners} listeners, connected in p50 ${Math.round(percentile(connectMs, 0.5))} ms, p99 ${Math.round(percentile(connectMs, 0.99))} ms`);
		const figures = await runFault(fault, cluster, audience);
		results.push(figures);
		for (const note of figures.notes) {
			progress(`  ${note}`);
		}
		progress(`  lost ${figures.sessionsLost}, gap p50 ${figures.gapP50Ms} ms, p99 ${figures.gapP99Ms} ms, healed in ${figures.healMs} ms: ${figures.missed.length === 0 ? 'met' : `MISSED ${figures.missed.join('; ')}`}`);
		write();
	}
} finally {
	await cluster.close();
	write();
}
console.log(`\n${faultTable(results)}\n(times in ms)`);
const missed = results.filter((result) => result.missed.length > 0);
for (const { fault, missed: bars } of missed) {
	console.log(`MISSED ${fault}: ${bars.join('; ')}`);
}
console.log(`${results.length - missed.length} of ${results.length} faults within their bars`);
process.exit(missed.length === 0 ? 0 : 1);
