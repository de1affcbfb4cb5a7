import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { type FaultFigures, runFault, SUITE_SLACK } from '../support/cluster/fault-run.ts';
import { faultTable } from '../support/cluster/fault-table.ts';
import { faults, SHORT_TIMES } from '../support/cluster/faults.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { RostrumCluster } from '../support/cluster/rostrum-cluster.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const LISTENERS = 24;
/** The others are in `npm run chaos` alone. */
const SHORT = new Set(['listener-shard', 'stage-shard', 'relay', 'redis-killed', 'network-home-redis', 'network-home-node', 'node-process', 'paused-home', 'home-host']);

describe.skipIf(WHY_NOT !== undefined)(`three nodes, a speaker who never pauses, and something dies${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	const table: FaultFigures[] = [];
	beforeAll(async () => {
		// Six edges at most two to a parent: some must relay.
		cluster = await RostrumCluster.start({ env: { ROSTRUM_CLUSTER_MAX_FAN_OUT: '2' } });
		audience = await Audience.begin(cluster);
	});
	afterAll(async () => {
		if (table.length > 0) {
			console.log(faultTable(table));
		}
		await cluster?.close();
	});
	beforeEach(async () => {
		await cluster.restore();
		await audience.leave();
		await audience.gather(LISTENERS);
	});

	for (const fault of faults(SHORT_TIMES).filter(({ name }) => SHORT.has(name))) {
		it(`${fault.name}: ${fault.what}`, async () => {
			const figures = await runFault(fault, cluster, audience, SUITE_SLACK);
			table.push(figures);
			expect(figures.missed, [...figures.missed, ...figures.notes].join('\n')).toEqual([]);
			expect(figures.listeners).toBe(LISTENERS);
		});
	}
});
