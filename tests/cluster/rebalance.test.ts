import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { INAUDIBLE_MS, SUITE_SLACK } from '../support/cluster/fault-run.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { percentile } from '../support/cluster/percentile.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';
import { figure } from '../support/figure.ts';

const WHY_NOT = ClusterNetwork.whyNot();
/** So many that a third of them is worth moving (see `rebalance-plan.ts`). */
const LISTENERS = 72;
const MOVED_WITHIN_MS = 40_000;

describe.skipIf(WHY_NOT !== undefined)(`a node that comes to a full house${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ later: ['node-c'] });
		audience = await Audience.begin(cluster, { at: 'node-a' });
		await audience.gather(LISTENERS);
	});
	afterAll(() => cluster?.close());

	it('takes over its share of those who are there, when it is asked for, and nobody hears it', async () => {
		const counts = async (): Promise<number[]> => {
			const { listeners } = await audience.report();
			return NODES.map((name) => listeners.filter(({ shard }) => shard.startsWith(`${name}.`)).length);
		};
		await cluster.node('node-c').start();
		await cluster.untilAllSeeAll();
		expect((await counts())[2]).toBe(0);
		await audience.mark();
		const { moves } = await cluster.node('node-c').process.json<{ moves: { node: string; listeners: number }[] }>('POST', '/v1/admin/rebalance');
		expect(moves.reduce((sum, { listeners }) => sum + listeners, 0)).toBeGreaterThanOrEqual(LISTENERS / 6);
		const startedAtMs = performance.now();
		await until('the new node has a share', MOVED_WITHIN_MS, async () => {
			const now = await counts();
			return (now[2] ?? 0) >= LISTENERS / 6 || now.join();
		});
		figure(`${(await counts()).join(' / ')} listeners, moved in`, performance.now() - startedAtMs);
		const { listeners, lagMs } = await audience.report();
		const gaps = listeners.map(({ gapMs }) => gapMs);
		figure('longest gap, p99', percentile(gaps, 0.99));
		expect(listeners).toHaveLength(LISTENERS);
		expect(listeners.flatMap(({ losses }) => losses)).toEqual([]);
		expect(Math.max(...gaps) - lagMs).toBeLessThan(INAUDIBLE_MS * SUITE_SLACK);
	});
});
