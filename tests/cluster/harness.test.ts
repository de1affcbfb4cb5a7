import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Audience } from '../support/cluster/audience.ts';
import { INAUDIBLE_MS, SUITE_SLACK } from '../support/cluster/fault-run.ts';
import { monotonicMs } from '../support/cluster/monotonic.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { RostrumCluster } from '../support/cluster/rostrum-cluster.ts';

const WHY_NOT = ClusterNetwork.whyNot();
const LISTENERS = 6;

// One node alone: what the cluster's own tests measure with must be right before what they measure is.
describe.skipIf(WHY_NOT !== undefined)(`what the cluster tests measure with${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let audience: Audience;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ alone: true, clients: 3 });
		audience = await Audience.begin(cluster);
		await audience.gather(LISTENERS);
	});
	afterAll(() => cluster?.close());

	it('hears a speaker who never pauses without a gap', async () => {
		await audience.mark();
		await sleep(2_000);
		const { listeners, speaker, lagMs } = await audience.report();
		expect(listeners).toHaveLength(LISTENERS);
		expect(speaker).toMatchObject({ onStage: true, sending: true, losses: [] });
		for (const listener of listeners) {
			expect(listener).toMatchObject({ connected: true, losses: [], missingMs: 0 });
			expect(listener.gapMs - lagMs).toBeLessThan(INAUDIBLE_MS * SUITE_SLACK);
			expect(listener.packets).toBeGreaterThan(90);
		}
	});

	it('measures a cut of the network as long as it was, and keeps the sessions if it was short', async () => {
		await audience.mark();
		const cutAtMs = monotonicMs();
		cluster.network.cut('node-a', 'clients');
		await sleep(700);
		const cutMs = monotonicMs() - cutAtMs;
		cluster.network.heal('node-a', 'clients');
		await audience.untilAllHear(5_000);
		for (const listener of (await audience.report()).listeners) {
			expect(listener.losses).toEqual([]);
			for (const measuredMs of [listener.gapMs, listener.missingMs]) {
				expect(measuredMs).toBeGreaterThan(cutMs - INAUDIBLE_MS);
				expect(measuredMs).toBeLessThan(cutMs + INAUDIBLE_MS * SUITE_SLACK);
			}
		}
	});

	it('tells the listeners of a killed shard from the others, and sees them come back', async () => {
		const before = await audience.mark();
		const shards = new Map((await audience.report()).listeners.map(({ id, shard }) => [id, shard]));
		const victim = [...shards.values()][0] ?? '';
		await cluster.node('node-a').killShard(Number(victim.split('.')[1]));
		await sleep(1_500);
		await audience.untilAllHear(10_000);
		const { listeners, lagMs } = await audience.report();
		for (const { id, losses, gapMs } of listeners) {
			if (shards.get(id) === victim) {
				expect(losses).toHaveLength(1);
				expect(losses[0]?.noticedAtMs).toBeGreaterThan(before);
				expect(losses[0]?.backAtMs).toBeGreaterThan(losses[0]?.noticedAtMs ?? Infinity);
				expect(gapMs).toBeGreaterThan(0);
			} else {
				expect(losses).toEqual([]);
				expect(gapMs - lagMs).toBeLessThan(INAUDIBLE_MS * SUITE_SLACK);
			}
		}
	});

	it('sees the speaker come back after the stage was killed', async () => {
		await audience.mark();
		const node = cluster.node('node-a');
		await node.killShard(await node.stageShard());
		await sleep(1_500);
		await audience.untilAllHear(10_000);
		const { listeners, speaker } = await audience.report();
		expect(speaker?.losses).toMatchObject([{ what: 'media' }]);
		expect(listeners.flatMap(({ losses }) => losses)).toEqual([]);
		console.log('  stage killed: gaps', listeners.map(({ gapMs }) => Math.round(gapMs)).join(' '), 'ms');
		expect(Math.max(...listeners.map(({ gapMs }) => gapMs))).toBeLessThan(1_000);
	});

	it('says of those who never heard anybody that they heard nothing', async () => {
		await Promise.all(cluster.clients.map((client) => client.ask('attend', { number: 77 })));
		await audience.mark();
		await sleep(500);
		const { listeners } = await audience.report();
		expect(Math.min(...listeners.map(({ gapMs }) => gapMs))).toBeGreaterThan(450);
		expect(listeners.every(({ packets }) => packets === 0)).toBe(true);
	});
});
