// The Kubernetes manifests, as far as they can be judged without a cluster.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { configLeaves } from '../../config/leaves.ts';
import { loadConfig } from '../../config/load.ts';
import { createTestApp, type TestApp } from '../support/fakes/test-app.ts';

const DOCKER = path.resolve(import.meta.dirname, '../../docker');
const read = (name: string) => readFileSync(path.join(DOCKER, name), 'utf8');

interface Env {
	name: string;
	value?: string;
	valueFrom?: { fieldRef?: { fieldPath: string }; secretKeyRef?: { name: string; key: string } };
}
interface Probe {
	httpGet: { path: string; port: string };
	periodSeconds: number;
	failureThreshold: number;
}
interface Container {
	name: string;
	image: string;
	env: Env[];
	envFrom?: { configMapRef: { name: string } }[];
	ports: { name: string; containerPort: number; hostPort?: number }[];
	startupProbe: Probe;
	readinessProbe: Probe;
	livenessProbe: Probe;
	lifecycle?: object;
	securityContext: object;
	resources: { requests: { cpu: string; memory: string }; limits: { cpu?: string; memory: string } };
	volumeMounts: { name: string; mountPath: string }[];
}
interface Manifest {
	apiVersion: string;
	kind: string;
	metadata: { name: string; namespace?: string };
	data?: Record<string, string>;
	stringData?: Record<string, string>;
	resources?: string[];
	namespace?: string;
	spec: {
		selector: Record<string, string> & { matchLabels?: Record<string, string> };
		ports?: { name: string; port: number; targetPort?: string }[];
		serviceName: string;
		rules: { http: { paths: { path: string; backend: { service: { name: string; port: { name: string } } } }[] } }[];
		template: {
			metadata: { labels: Record<string, string>; annotations: Record<string, string> };
			spec: {
				hostNetwork?: boolean; dnsPolicy?: string; terminationGracePeriodSeconds: number; securityContext: { runAsNonRoot: boolean };
				affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { topologyKey: string; labelSelector: { matchLabels: object } }[] } };
				containers: Container[]; volumes: { name: string }[];
			};
		};
		volumeClaimTemplates: { metadata: { name: string } }[];
		scaleTargetRef?: { kind: string; name: string };
	};
}

function manifests(file: string): Manifest[] {
	const documents = parseAllDocuments(read(file));
	expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
	return documents.map((document) => document.toJS() as Manifest);
}
const [kustomization] = manifests('kubernetes/kustomization.yaml');
const all = (kustomization?.resources ?? []).flatMap((file) => manifests(`kubernetes/${file}`));
const find = (kind: string, name: string): Manifest => {
	const found = all.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
	if (!found) throw new Error(`there is no ${kind} ${name}`);
	return found;
};
const nodes = find('StatefulSet', 'rostrum');
const pod = nodes.spec.template.spec;
const [node] = pod.containers as [Container];
const [secret] = manifests('kubernetes/secret.example.yaml');

/** As the program has it in the first pod. */
function environment(): Record<string, string> {
	const fields: Record<string, string> = { 'metadata.name': 'rostrum-0', 'status.podIP': '10.0.0.1' };
	const filled = Object.fromEntries(Object.entries(secret?.stringData ?? {}).map(([name, value]) => [name, value.replaceAll('CHANGE', '0123456789abcdef'.repeat(4))]));
	const given = (node.envFrom ?? []).flatMap(({ configMapRef }) => Object.entries(find('ConfigMap', configMapRef.name).data ?? {}));
	return {
		ROSTRUM_DATA_DIR: '/data',
		...Object.fromEntries(given),
		...Object.fromEntries(node.env.map(({ name, value, valueFrom }) => [name, value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''] ?? filled[valueFrom?.secretKeyRef?.key ?? ''] ?? ''])),
	};
}
const config = () => loadConfig({ env: environment(), cores: 16, readFile: () => '' });

describe('the manifests', () => {
	it('are files that exist, each thing once, all of one namespace', () => {
		expect(kustomization).toMatchObject({ kind: 'Kustomization', namespace: 'rostrum' });
		expect(kustomization?.resources?.filter((file) => !existsSync(path.join(DOCKER, 'kubernetes', file)))).toEqual([]);
		const names = all.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
		expect(new Set(names).size).toBe(names.length);
		expect(secret?.metadata).toMatchObject({ name: 'rostrum', namespace: kustomization?.namespace });
	});

	it('take secrets that the example has', () => {
		const asked = all.flatMap(({ spec }) => spec?.template?.spec.containers ?? []).flatMap(({ env }) => env).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []);
		expect(asked.length).toBeGreaterThan(4);
		for (const { name, key } of asked) expect([name, Object.keys(secret?.stringData ?? {}).includes(key)]).toEqual(['rostrum', true]);
		expect(() => loadConfig({ env: { ...environment(), ROSTRUM_CLUSTER_SECRET: 'CHANGE' }, cores: 2, readFile: () => '' })).toThrow('ROSTRUM_CLUSTER_SECRET');
	});

	it('lead services and the ingress to pods and ports that exist', () => {
		for (const service of all.filter(({ kind, metadata }) => kind === 'Service' && metadata.name !== 'nobody')) {
			const target = all.find(({ kind, spec }) => kind === 'StatefulSet' && spec.template.metadata.labels['app'] === service.spec.selector['app']);
			const ports = target?.spec.template.spec.containers.flatMap((container) => container.ports.map(({ name }) => name));
			for (const { targetPort } of service.spec.ports ?? []) expect(ports, service.metadata.name).toContain(targetPort);
		}
		const paths = find('Ingress', 'rostrum').spec.rules.flatMap(({ http }) => http.paths);
		for (const { backend } of paths) expect(find('Service', backend.service.name).spec.ports?.map(({ name }) => name)).toContain(backend.service.port.name);
		expect(paths.find(({ path: of }) => of === '/metrics')?.backend.service.name).toBe('nobody');
		for (const { kind, spec } of all) if (kind === 'StatefulSet') expect(find('Service', spec.serviceName)).toBeDefined();
	});

	it('mount volumes that exist, and only such', () => {
		for (const { kind, metadata, spec } of all.filter((manifest) => manifest.kind === 'StatefulSet')) {
			const known = [...(spec.template.spec.volumes ?? []), ...spec.volumeClaimTemplates.map((claim) => claim.metadata)].map(({ name }) => name);
			const mounted = spec.template.spec.containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name));
			expect([kind, metadata.name, mounted.toSorted()]).toEqual([kind, metadata.name, known.toSorted()]);
		}
	});

	it('have Redis as docker/redis.conf has it', () => {
		const lines = (text: string) => text.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
		expect(lines(find('ConfigMap', 'redis').data?.['redis.conf'] ?? '')).toEqual(lines(read('redis.conf')));
	});
});

describe('a node', () => {
	let test: TestApp;
	beforeAll(async () => {
		test = await createTestApp();
	});
	afterAll(() => test.close());

	it('has a configuration that the program takes, and no variable it does not know', () => {
		expect(config()).toMatchObject({
			nodeId: 'rostrum-0', dataDir: '/data', cluster: { internalAddress: '10.0.0.1', drainMs: 60_000 }, redis: { url: expect.stringContaining('@redis:6379') as string },
			http: { publicUrl: 'https://rooms.example.org' }, sfu: { mediaAddress: 'auto' },
		});
		const known = new Set(configLeaves.map(({ env }) => env));
		expect(Object.keys(environment()).filter((name) => !known.has(name))).toEqual([]);
	});

	it('has a host to itself, on the host’s network, and finds services all the same', () => {
		expect(pod).toMatchObject({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
		const [rule] = pod.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution;
		expect(rule).toMatchObject({ topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: nodes.spec.template.metadata.labels } });
		const { http, cluster } = config();
		expect(node.ports).toEqual([{ name: 'http', containerPort: http.port, hostPort: http.port }, { name: 'internal', containerPort: cluster.internalPort, hostPort: cluster.internalPort }]);
	});

	it('is given the time to drain', () => {
		const { cluster, shutdown } = config();
		expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(cluster.drainMs + shutdown.deadlineMs);
		// SIGTERM is what drains; whatever stood before it would only take of that time.
		expect(node.lifecycle).toBeUndefined();
		expect(find('PodDisruptionBudget', 'rostrum').spec).toMatchObject({ maxUnavailable: 1, selector: nodes.spec.selector });
	});

	it('is looked at where it answers; only its own process can get it killed', () => {
		for (const probe of [node.startupProbe, node.readinessProbe, node.livenessProbe]) {
			expect(test.app.hasRoute({ method: 'GET', url: probe.httpGet.path })).toBe(true);
			expect(node.ports.map(({ name }) => name)).toContain(probe.httpGet.port);
		}
		expect([node.startupProbe, node.livenessProbe, node.readinessProbe].map(({ httpGet }) => httpGet.path)).toEqual(['/healthz', '/healthz', '/readyz']);
		expect(nodes.spec.template.metadata.annotations).toMatchObject({ 'prometheus.io/port': String(config().http.port), 'prometheus.io/path': '/metrics' });
	});

	it('asks for as many processors as it has shards, without a limit, and for memory for its listeners', () => {
		const { sfu } = config();
		expect(Number(node.resources.requests.cpu)).toBeGreaterThanOrEqual(sfu.listenerShards + sfu.stageShards);
		expect(node.resources.limits.cpu).toBeUndefined();
		// With a margin on what a listener takes (tests/load/figures.md), as many as shards may take.
		expect(Number.parseInt(node.resources.limits.memory, 10) * 1024 ** 3).toBeGreaterThan(1.5 * 130_000 * sfu.listenerShards * sfu.maxListenersPerShard);
	});

	it('is nobody, and writes to its data and to /tmp alone', () => {
		expect(pod.securityContext.runAsNonRoot).toBe(true);
		expect(node.securityContext).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
		expect(node.volumeMounts.map(({ mountPath }) => mountPath)).toEqual(['/data', '/tmp']);
	});

	it('says in its firewall note the ports it has, and is what the autoscalers scale', () => {
		const { sfu, cluster, http } = config();
		const text = read('kubernetes/rostrum.yaml');
		expect(text).toContain(`UDP and TCP ${sfu.mediaPort}-${sfu.mediaPort + sfu.stageShards + sfu.listenerShards - 1} from everywhere; TCP ${http.port} from`);
		expect(text.replaceAll('\n# ', ' ')).toContain(`TCP ${cluster.internalPort} and UDP ${sfu.linkPortMin}-${sfu.linkPortMax} between`);
		for (const { spec } of manifests('kubernetes-autoscaler.yaml')) expect(spec.scaleTargetRef).toMatchObject({ kind: nodes.kind, name: nodes.metadata.name });
		expect(read('kubernetes-autoscaler.yaml')).toContain(`app="${nodes.spec.template.metadata.labels['app']}"`);
	});
});
