import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Audience, hearsNow } from '../support/cluster/audience.ts';
import { INAUDIBLE_MS, SUITE_SLACK } from '../support/cluster/fault-run.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';
import { figure } from '../support/figure.ts';
import { percentile } from '../support/cluster/percentile.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const LISTENERS = 24;
const AT_FIRST = 9;
const MOVED_WITHIN_MS = 30_000;
/** People may not notice that the home moves; their speaker's page makes new transports meanwhile. */
const HOME_MOVE_MS = 1_000;
/** Where every node leaves in turn, beside the starts of all three on the same processors. */
const HOMES_MOVE_MS = 1_500;

describe.skipIf(WHY_NOT !== undefined)(`nodes that leave and come on purpose${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ later: ['node-c'], env: { ROSTRUM_CLUSTER_DRAIN_MS: '20000' } });
		audience = await Audience.begin(cluster, { at: 'node-a' });
		await audience.gather(AT_FIRST);
	});
	afterAll(() => cluster?.close());
	beforeEach(() => audience.mark());

	const perNode = async (): Promise<Record<string, number>> => {
		const { listeners } = await audience.report();
		return Object.fromEntries(NODES.map((name) => [name, listeners.filter(({ shard }) => shard.startsWith(`${name}.`)).length]));
	};

	/** Nobody was dropped, and nobody heard that anything happened (unless the home moved). */
	async function nobodyNoticed(bar = INAUDIBLE_MS): Promise<void> {
		const { listeners, speaker, lagMs } = await audience.report();
		const gaps = listeners.map(({ gapMs }) => gapMs);
		figure('longest gap, p50', percentile(gaps, 0.5));
		figure('longest gap, p99', percentile(gaps, 0.99));
		expect(listeners).toHaveLength(LISTENERS);
		expect(listeners.flatMap(({ losses }) => losses)).toEqual([]);
		// What the clients themselves were held up for is no gap of ours.
		expect(Math.max(...gaps) - lagMs, JSON.stringify(speaker?.losses)).toBeLessThan(bar * SUITE_SLACK);
	}

	it('a node added during the event takes new listeners at once', async () => {
		expect(await perNode()).toMatchObject({ 'node-c': 0 });
		await cluster.node('node-c').start();
		await cluster.untilAllSeeAll();
		// Its start takes the processors of this machine, which hosts of their own would not share.
		await audience.mark();
		// All come to the same node, which keeps some more than the others while there are few.
		await audience.gather(LISTENERS - AT_FIRST, 'node-a');
		const counts = await perNode();
		console.log('  listeners by node:', JSON.stringify(counts));
		expect(counts['node-c']).toBeGreaterThanOrEqual(3);
		await nobodyNoticed();
	});

	it('draining a node that is not the home moves its listeners without a gap, and undraining lets it take new ones', async () => {
		const home = await cluster.homeOf(audience.room);
		const node = cluster.running.find((other) => other !== home);
		const moving = (await perNode())[node?.name ?? ''] ?? 0;
		expect(moving).toBeGreaterThan(0);
		await home.process.json('POST', `/v1/admin/nodes/${node?.name}/drain`, {});
		const startedAtMs = performance.now();
		await until('the node is empty', MOVED_WITHIN_MS, async () => (await perNode())[node?.name ?? ''] === 0 || JSON.stringify(await perNode()));
		figure(`${moving} listeners moved in`, performance.now() - startedAtMs);
		await nobodyNoticed();
		expect((await audience.report()).listeners.reduce((sum, { moves }) => sum + moves, 0)).toBeGreaterThanOrEqual(moving);
		await home.process.json('POST', `/v1/admin/nodes/${node?.name}/undrain`, {});
		await until('nobody drains', 5_000, async () => (await cluster.seenBy(home)).every(({ draining }) => !draining));
	});

	it('draining the home moves the room, too, and nobody is dropped', async () => {
		const home = await cluster.homeOf(audience.room);
		await home.process.json('POST', `/v1/admin/nodes/${home.name}/drain`, {});
		await until('the home is empty and has no room', MOVED_WITHIN_MS, async () => {
			const moved = (await cluster.homeOf(audience.room)) !== home;
			return (moved && (await perNode())[home.name] === 0) || JSON.stringify([moved, await perNode()]);
		});
		await audience.untilAllHear(10_000);
		await nobodyNoticed(HOME_MOVE_MS);
		expect(await cluster.claimants(audience.room)).toHaveLength(1);
		await home.process.json('POST', `/v1/admin/nodes/${home.name}/undrain`, {});
	});

	it('a rolling restart of three nodes under listeners drops nobody', async () => {
		for (const name of NODES) {
			const node = cluster.node(name);
			const startedAtMs = performance.now();
			expect(await node.stop()).toBe(0);
			figure(`${name} left in`, performance.now() - startedAtMs);
			await node.start();
			await cluster.untilAllSeeAll();
		}
		await audience.untilAllHear(10_000);
		const { listeners, atMs } = await audience.report();
		expect(listeners.every((listener) => hearsNow(listener, atMs))).toBe(true);
		await nobodyNoticed(HOMES_MOVE_MS);
		expect(await cluster.claimants(audience.room)).toHaveLength(1);
	});
});
