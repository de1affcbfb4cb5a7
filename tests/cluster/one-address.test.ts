import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const LISTENERS = 12;

// As behind one proxy: no node has an address of its own for people, so what one cannot take is forwarded inside.
describe.skipIf(WHY_NOT !== undefined)(`three nodes behind one address${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ ownUrls: false });
		audience = await Audience.begin(cluster);
	});
	afterAll(() => cluster?.close());

	it('fills all nodes although everybody asks the same one, without a redirect', async () => {
		await audience.gather(LISTENERS, 'node-b');
		const { listeners } = await audience.report();
		const counts = NODES.map((name) => listeners.filter(({ shard }) => shard.startsWith(`${name}.`)).length);
		console.log('  listeners by node:', counts.join(' '));
		expect(Math.min(...counts)).toBeGreaterThanOrEqual(LISTENERS / 3 - 1);
		expect(listeners.every(({ handedOn }) => handedOn === 0)).toBe(true);
	});

	it('ends sessions of any node at any node', async () => {
		const { listeners } = await audience.report();
		const elsewhere = listeners.find(({ shard }) => !shard.startsWith('node-b.'));
		const response = await cluster.node('node-b').process.call('DELETE', `/v1/sessions/${elsewhere?.sessionId}`, undefined, null);
		expect(response.status).toBe(200);
		await audience.untilAllHear(10_000);
		const { losses } = (await audience.report()).listeners.find(({ id }) => id === elsewhere?.id) ?? {};
		expect(losses).toHaveLength(1);
	});
});
