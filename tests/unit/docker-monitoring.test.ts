// Prometheus and Grafana as they are configured in docker/: that they parse, and that they say what is meant.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../config/load.ts';
import { ALERTS_FILE, alerts, dashboard, metricsIn, queries, runPromtool } from '../support/monitoring/monitoring.ts';

const DOCKER = path.resolve(import.meta.dirname, '../../docker');
const read = (name: string) => readFileSync(path.join(DOCKER, name), 'utf8');
const OPERATIONS = read('OPERATIONS.md');

describe('the alert rules', () => {
	it('each say how bad it is, what it is, and what is to be done', () => {
		const all = alerts();
		expect(all.length).toBeGreaterThan(15);
		expect(new Set(all.map(({ alert }) => alert)).size).toBe(all.length);
		for (const { alert, labels, annotations, expr } of all) {
			expect(alert).toMatch(/^Rostrum[A-Z]\w+$/);
			expect(['warning', 'critical']).toContain(labels['severity']);
			expect(annotations['summary']?.length ?? 0).toBeGreaterThan(10);
			expect(metricsIn(expr).length + Number(expr.startsWith('up{'))).toBeGreaterThan(0);
			expect(OPERATIONS, `OPERATIONS.md says nothing of ${alert}`).toContain(`\`${alert}\``);
		}
		const known = new Set(all.map(({ alert }) => alert));
		expect([...OPERATIONS.matchAll(/`(Rostrum[A-Z]\w+)`/g)].map(([, name = '']) => name).filter((name) => !known.has(name))).toEqual([]);
	});

	it('are balanced, every one, whether promtool is there or not', () => {
		for (const query of queries()) {
			let depth = 0;
			for (const char of query.replaceAll(/"[^"]*"/g, '')) {
				depth += '({['.includes(char) ? 1 : ')}]'.includes(char) ? -1 : 0;
				expect(depth, query).toBeGreaterThanOrEqual(0);
			}
			expect(depth, query).toBe(0);
		}
	});

	it('are rules that Prometheus takes, and so are the dashboard’s queries and the configuration', () => {
		const checked = runPromtool(['check', 'rules', ALERTS_FILE]);
		if (checked === undefined) return; // Not every machine can have it; the setup of the tests gets it where it can be had.
		expect(checked).toMatchObject({ status: 0, said: expect.stringContaining(`SUCCESS: ${alerts().length} rules found`) as string });
		const rules = dashboard().panels.flatMap(({ targets = [] }) => targets).map(({ expr }, index) => ({ record: `rostrum:query:${index}`, expr }));
		expect(runPromtool(['check', 'rules', 'queries.yaml'], { 'queries.yaml': JSON.stringify({ groups: [{ name: 'dashboard', rules }] }) })).toMatchObject({ status: 0 });
		expect(runPromtool(['check', 'rules', 'wrong.yaml'], { 'wrong.yaml': JSON.stringify({ groups: [{ name: 'wrong', rules: [{ record: 'x', expr: 'rate(x[5m]' }] }] }) })?.status).not.toBe(0);
		const config = read('prometheus/prometheus.yaml').replace('/etc/prometheus/alerts.yaml', ALERTS_FILE);
		expect(runPromtool(['check', 'config', 'prometheus.yaml'], { 'prometheus.yaml': config })).toMatchObject({ status: 0 });
	});

	it('fire when they should, and are quiet when all is well', () => {
		const series = (name: string, values: string) => ({ series: name, values });
		const expected = (alert: string, severity: string, labels: Record<string, string> = {}) => {
			const rule = alerts().find((each) => each.alert === alert);
			return { eval_time: '10m', alertname: alert, exp_alerts: [{ exp_labels: { severity, ...labels }, exp_annotations: rule?.annotations ?? {} }] };
		};
		const quiet = (alert: string) => ({ eval_time: '10m', alertname: alert, exp_alerts: [] });
		const of = (node: string, up: number) => [
			series(`rostrum_cluster_nodes{instance="${node}",job="rostrum"}`, `${up}x60`),
			series(`rostrum_redis_up{instance="${node}",job="rostrum"}`, '1x60'),
		];
		const firstAudio = (slow: number) => [
			series('rostrum_quality_first_audio_seconds_bucket{by="session",le="1"}', `0+${10 - slow}x60`),
			series('rostrum_quality_first_audio_seconds_bucket{by="session",le="3"}', `0+${10 - slow}x60`),
			series('rostrum_quality_first_audio_seconds_bucket{by="session",le="5"}', '0+10x60'),
			series('rostrum_quality_first_audio_seconds_bucket{by="session",le="+Inf"}', '0+10x60'),
		];
		const ofRecords = (bad: number) => [
			series('rostrum_recordings_paused{instance="a"}', `${bad}x60`), series('rostrum_recordings_waiting{instance="a",problem="none"}', '3x60'),
			...(bad > 0 ? [series('rostrum_recordings_waiting{instance="a",problem="storage_unavailable"}', '1x60')] : []),
			series('rostrum_recording_disk_free_bytes{instance="a"}', `${bad > 0 ? 500 : 5_000}x60`), series('rostrum_recording_disk_reserve_bytes{instance="a"}', '256x60'),
			series('rostrum_webhook_dead_total{instance="a"}', `7+${bad}x60`), series('rostrum_webhook_lost_total{instance="a"}', '0x60'),
			series('rostrum_webhook_oldest_seconds{instance="a"}', `${bad * 1_000}x60`), series('rostrum_audit_lost_total{instance="a"}', `2+${bad}x60`),
		];
		/** Its words have the node, and whatever else it names. */
		const ofNode = (alert: string, severity: string, labels: Record<string, string> = {}) => {
			const { exp_alerts: [first], ...rest } = expected(alert, severity, { instance: 'a', ...labels });
			const annotations = Object.fromEntries(Object.entries(first?.exp_annotations ?? {}).map(([name, words]) => [name, words.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => ({ instance: 'a', ...labels })[label] ?? '')]));
			return { ...rest, exp_alerts: [{ ...first, exp_annotations: annotations }] };
		};
		const text = JSON.stringify({
			rule_files: [ALERTS_FILE],
			evaluation_interval: '15s',
			tests: [
				{
					interval: '15s',
					input_series: [
						...of('a', 3), ...of('b', 2), ...firstAudio(2), ...ofRecords(1), series('rostrum_admission_refused_total{reason="full"}', '0+60x60'),
						series('rostrum_headroom_listeners{instance="a"}', '100x60'), series('rostrum_capacity_listeners{instance="a"}', '1000x60'),
					],
					alert_rule_test: [
						expected('RostrumNodesDisagree', 'critical'), expected('RostrumFirstAudioSlow', 'warning'), expected('RostrumTurnsAway', 'critical'), expected('RostrumFillingUp', 'warning'),
						ofNode('RostrumRecordingPaused', 'critical'), ofNode('RostrumRecordingDiskLow', 'warning'), ofNode('RostrumWebhooksDead', 'warning'), ofNode('RostrumWebhooksLate', 'warning'), ofNode('RostrumAuditLost', 'critical'),
						// Not at once: a bucket is away for minutes now and then.
						quiet('RostrumRecordingUnfinished'), { ...ofNode('RostrumRecordingUnfinished', 'warning', { problem: 'storage_unavailable' }), eval_time: '15m' },
					],
				},
				{
					interval: '15s',
					input_series: [
						...of('a', 2), ...of('b', 2), ...firstAudio(0), ...ofRecords(0), series('rostrum_admission_refused_total{reason="full"}', '5x60'),
						series('rostrum_headroom_listeners{instance="a"}', '900x60'), series('rostrum_capacity_listeners{instance="a"}', '1000x60'),
					],
					alert_rule_test: ['RostrumNodesDisagree', 'RostrumFirstAudioSlow', 'RostrumTurnsAway', 'RostrumFillingUp', 'RostrumRedisAway', 'RostrumManyGaps', 'RostrumRecordingPaused', 'RostrumRecordingUnfinished', 'RostrumRecordingDiskLow', 'RostrumWebhooksDead', 'RostrumWebhooksLate', 'RostrumAuditLost'].map(quiet),
				},
			],
		});
		const result = runPromtool(['test', 'rules', 'tests.yaml'], { 'tests.yaml': text });
		if (result !== undefined) expect(result).toMatchObject({ status: 0 });
	});
});

describe('the dashboard', () => {
	const { panels, templating } = dashboard();

	it('has panels that do not lie on one another, each with queries of its own', () => {
		expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
		const cells = new Set<string>();
		for (const { title, gridPos: { x, y, w, h } } of panels) {
			expect(x + w).toBeLessThanOrEqual(24);
			for (let column = x; column < x + w; column++) {
				for (let line = y; line < y + h; line++) {
					expect(cells.has(`${column} ${line}`), title).toBe(false);
					cells.add(`${column} ${line}`);
				}
			}
		}
		for (const { title, targets = [] } of panels.filter(({ type }) => type !== 'row')) {
			expect(targets.length, title).toBeGreaterThan(0);
			expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
		}
	});

	it('asks whichever Prometheus is chosen, never one by name', () => {
		expect(templating.list).toEqual([expect.objectContaining({ name: 'datasource', type: 'datasource', query: 'prometheus' })]);
		const asked = panels.flatMap(({ datasource, targets = [] }) => [datasource, ...targets.map((target) => target.datasource)]).filter((each) => each !== undefined);
		expect(asked.filter(({ uid }) => uid !== '${datasource}')).toEqual([]);
	});

	it('shows what an event is judged by', () => {
		const text = JSON.stringify(panels);
		for (const name of ['rostrum_join_duration_seconds', 'rostrum_quality_first_audio_seconds', 'rostrum_quality_loss_ratio', 'rostrum_shard_worker_cpu_ratio', 'eventloop_lag', 'rostrum_home_changes_total', 'rostrum_overflow_listeners', 'rostrum_admission_refused_total', 'rostrum_recordings_paused', 'rostrum_recording_disk_free_bytes', 'rostrum_webhook_oldest_seconds', 'rostrum_audit_lost_total']) {
			expect(text).toContain(name);
		}
	});
});

describe('what is provisioned', () => {
	it('is where compose.yaml puts it, and asks the port a node has', () => {
		const compose = read('compose.yaml');
		const mounted = (to: string) => new RegExp(`- (\\./[\\w./-]+):${to}(:ro)?$`, 'm').exec(compose)?.[1] ?? 'nothing';
		const prometheus = parse(read('prometheus/prometheus.yaml')) as { rule_files: string[]; scrape_configs: { job_name: string; metrics_path: string; static_configs: { targets: string[] }[] }[] };
		expect(mounted('/etc/prometheus/prometheus.yml')).toBe('./prometheus/prometheus.yaml');
		expect(path.resolve(DOCKER, mounted(prometheus.rule_files[0] ?? ''))).toBe(ALERTS_FILE);
		const [scrape] = prometheus.scrape_configs;
		expect(scrape).toMatchObject({ job_name: 'rostrum', metrics_path: '/metrics' });
		expect(scrape?.static_configs[0]?.targets).toEqual([`127.0.0.1:${loadConfig({ env: {}, cores: 2, readFile: () => '' }).http.port}`]);
		const [provider] = (parse(read('grafana/provisioning/dashboards/rostrum.yaml')) as { providers: { type: string; options: { path: string } }[] }).providers;
		expect(mounted(provider?.options.path ?? '')).toBe('./grafana/dashboards');
		expect(mounted('/etc/grafana/provisioning')).toBe('./grafana/provisioning');
		const { datasources } = parse(read('grafana/provisioning/datasources/prometheus.yaml')) as { datasources: { type: string; url: string }[] };
		expect(datasources).toEqual([expect.objectContaining({ type: 'prometheus', url: 'http://127.0.0.1:9090', isDefault: true })]);
		expect(compose).toContain('--web.listen-address=127.0.0.1:9090');
		for (const folder of ['grafana/dashboards/rostrum.json', 'prometheus/prometheus.yaml']) expect(existsSync(path.join(DOCKER, folder))).toBe(true);
	});
});
