import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../config/load.ts';
import { Metrics } from '../../server/metrics/metrics.ts';
import { createTestApp } from '../support/fakes/test-app.ts';
import { samplesOf } from '../support/scrape.ts';

const FILE = path.resolve(import.meta.dirname, '../../docker/kubernetes-autoscaler.yaml');
const text = readFileSync(FILE, 'utf8');
interface Manifest {
	apiVersion: string;
	kind: string;
	spec: { scaleTargetRef: object; triggers?: { type: string; metadata: { query: string; threshold: string } }[]; metrics?: { type: string; pods: { metric: { name: string }; target: { averageValue: string } } }[] };
}
const documents = parseAllDocuments(text);
const manifests = documents.map((document) => document.toJS() as Manifest);

const metrics = Metrics.create({
	shards: () => [],
	roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
	events: () => ({ streams: 0, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
	capacity: () => ({ headroom: { ratio: 0.25, listeners: 1_000 }, capacity: { listeners: 4_000, limit: 'processor', cap: 5_000, byPacking: { 20: 1, 40: 2, 60: 4_000, 120: 4_500 } } }),
	processMetrics: false,
});

describe('the examples for autoscalers', () => {
	it('are a KEDA ScaledObject and a HorizontalPodAutoscaler of the same target', () => {
		expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
		expect(manifests.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)).toEqual(['keda.sh/v1alpha1 ScaledObject', 'autoscaling/v2 HorizontalPodAutoscaler']);
		expect(manifests[0]?.spec.scaleTargetRef).toEqual(manifests[1]?.spec.scaleTargetRef);
	});

	it('name only metrics that a node tells', async () => {
		const told = samplesOf(await metrics.render());
		const named = [...new Set(text.match(/rostrum_(headroom|capacity|shard|room|join)\w+/g))].toSorted();
		expect(named).toEqual(['rostrum_capacity_listeners', 'rostrum_headroom_listeners', 'rostrum_headroom_ratio']);
		for (const name of named) {
			expect(told.has(name), name).toBe(true);
		}
		expect(told.get('rostrum_headroom_ratio')).toBe(0.25);
	});

	it('use the name that the adapter’s rule gives', () => {
		const made = /name: \{ as: (\w+) \}/.exec(text)?.[1];
		expect(made).toBe('rostrum_fill_percent');
		expect(manifests[1]?.spec.metrics?.map(({ pods }) => pods.metric.name)).toEqual([made]);
	});

	it('scale at the same filling, of what the fleet holds', () => {
		const [trigger] = manifests[0]?.spec.triggers ?? [];
		expect(trigger?.metadata.query).toContain('sum(rostrum_headroom_listeners');
		expect(trigger?.metadata.threshold).toBe(manifests[1]?.spec.metrics?.[0]?.pods.target.averageValue);
	});

	it('name settings, paths and calls that exist', async () => {
		for (const name of text.match(/ROSTRUM_[A-Z_]+/g) ?? []) {
			const value = name === 'ROSTRUM_NODE_ID' ? 'node-a' : '1000';
			expect(() => loadConfig({ env: { [name]: value }, cores: 2, readFile: () => '' }), name).not.toThrow();
		}
		const test = await createTestApp();
		try {
			for (const [, method = '', url = ''] of text.matchAll(/(GET|POST) (\/v1\/[\w/]+)/g)) {
				expect(test.app.hasRoute({ method, url }), `${method} ${url}`).toBe(true);
			}
			expect(test.app.hasRoute({ method: 'GET', url: '/metrics' })).toBe(true);
		} finally {
			await test.close();
		}
	});
});
