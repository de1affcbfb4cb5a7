import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PreflightReport } from '../../server/preflight/preflight-report.ts';
import type { ClusterNode } from '../support/cluster/cluster-node.ts';
import { ClusterNetwork } from '../support/cluster/network.ts';
import { NODES, RostrumCluster } from '../support/cluster/rostrum-cluster.ts';

const WHY_NOT = ClusterNetwork.whyNot();

// Three nodes, a host each: what each finds of the others, and what a broken network does to that.
describe.skipIf(WHY_NOT !== undefined)(`preflight of a fleet${WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`}`, () => {
	let cluster: RostrumCluster;
	let room: string;
	beforeAll(async () => {
		cluster = await RostrumCluster.start({ clients: 1 });
		room = await cluster.node('node-a').process.room({ expectedListeners: 300 }, 'scheduled');
	});
	afterAll(() => cluster?.close());
	const preflight = (node: ClusterNode, body: object = { calibrate: false }) => node.process.json<PreflightReport>('POST', `/v1/admin/rooms/${room}/preflight`, body);
	/** `node-a→node-b`, of checks that are not well. */
	const broken = ({ checks }: PreflightReport, name: string) =>
		checks.filter(({ check, status }) => check === name && status !== 'ok').map(({ node, target, status }) => `${node}→${target} ${status}`).toSorted();
	const pairs = ({ checks }: PreflightReport, name: string) => checks.filter(({ check }) => check === name).length;

	it('reaches every media port and a link port of every node from every other', async () => {
		const report = await preflight(cluster.node('node-a'));
		expect(pairs(report, 'media_reachable')).toBe(6);
		expect(pairs(report, 'links_reachable')).toBe(6);
		expect(broken(report, 'media_reachable')).toEqual([]);
		expect(broken(report, 'links_reachable')).toEqual([]);
		expect(report.checks.find(({ check }) => check === 'media_reachable')?.detail).toMatch(/^3 media ports of node-. answer, by UDP and TCP\.$/);
		for (const name of ['redis', 'redis_policy', 'clock']) {
			expect(report.checks.filter(({ check }) => check === name).map(({ node }) => node).toSorted()).toEqual([...NODES]);
		}
		expect(report.checks.filter(({ status }) => status === 'failed')).toEqual([]);
		expect(report).toMatchObject({ ready: true, capacity: { enough: true } });
		expect(report.summary).toMatch(/^This fleet of 3 nodes holds/);
	});

	it('measures nodes of one machine once, and all reckon with it', async () => {
		const { capacity } = await preflight(cluster.node('node-b'), {});
		expect(capacity.nodes.map(({ node }) => node)).toEqual(expect.arrayContaining([...NODES]));
		expect(new Set(capacity.nodes.map(({ calibration }) => calibration.measuredAt)).size).toBe(1);
		expect(capacity.nodes.every(({ calibration }) => calibration.source === 'measured')).toBe(true);
	});

	it('finds two nodes that are cut off from each other, whoever is asked', async () => {
		cluster.network.cut('node-a', 'node-b');
		try {
			const report = await preflight(cluster.node('node-c'));
			expect(report.ready).toBe(false);
			expect(broken(report, 'media_reachable')).toEqual(['node-a→node-b failed', 'node-b→node-a failed']);
			expect(broken(report, 'links_reachable')).toEqual(['node-a→node-b failed', 'node-b→node-a failed']);
			// Asked at one of the two, the other does not answer at all; the rest is looked at.
			const atA = await preflight(cluster.node('node-a'));
			expect(atA.checks.filter(({ check }) => check === 'answers')).toMatchObject([{ node: 'node-b', status: 'failed' }]);
			expect(atA.capacity.nodes.map(({ node }) => node).toSorted()).toEqual(['node-a', 'node-c']);
			expect(atA.capacity.capacity).toBeLessThan(report.capacity.capacity);
		} finally {
			cluster.network.restore();
		}
		expect(broken(await preflight(cluster.node('node-a')), 'media_reachable')).toEqual([]);
	});

	it('has a node that hangs as a check that failed', async () => {
		cluster.node('node-b').pause('process');
		try {
			const report = await preflight(cluster.node('node-a'));
			expect(report.ready).toBe(false);
			expect(report.checks.filter(({ node }) => node === 'node-b')).toMatchObject([{ check: 'answers', status: 'failed' }]);
			expect(report.checks.find(({ node }) => node === 'node-b')?.advice).toContain('ROSTRUM_INTERNAL_PORT');
		} finally {
			cluster.node('node-b').resume();
		}
	});
});
