import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';
import { until } from '../support/cluster/until.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const LISTENERS = 30;
/** A node keeps some more than the others while there are few (placement's `keepListeners`). */
const KEPT = 10;

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
		expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor((LISTENERS - KEPT) / 3) - 2);
		expect(listeners.every(({ handedOn }) => handedOn === 0)).toBe(true);
	});

	it('ends sessions of any node at any node', async () => {
		await audience.mark();
		const { listeners } = await audience.report();
		const elsewhere = listeners.find(({ shard }) => !shard.startsWith('node-b.'));
		const response = await cluster.node('node-b').process.call('DELETE', `/v1/sessions/${elsewhere?.sessionId}`, undefined, null);
		expect(response.status).toBe(200);
		const own = async () => (await audience.report()).listeners.find(({ id }) => id === elsewhere?.id);
		// Its page was not told, so it comes back.
		await until('the session was ended and replaced', 10_000, async () => (await own())?.losses[0]?.backAtMs !== undefined);
		expect((await own())?.sessionId).not.toBe(elsewhere?.sessionId);
		expect((await audience.report()).listeners.filter(({ losses }) => losses.length > 0)).toHaveLength(1);
	});
});
