import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { promtool } from '../../../config/setup/promtool.mjs';

const DOCKER = path.resolve(import.meta.dirname, '../../../docker');
export const ALERTS_FILE = path.join(DOCKER, 'prometheus/alerts.yaml');
const DASHBOARD_FILE = path.join(DOCKER, 'grafana/dashboards/rostrum.json');

export interface Alert {
	alert: string;
	expr: string;
	for?: string;
	labels: Record<string, string>;
	annotations: Record<string, string>;
}

export interface Panel {
	id: number;
	type: string;
	title: string;
	gridPos: { x: number; y: number; w: number; h: number };
	datasource?: { uid: string };
	targets?: { refId: string; expr: string; datasource: { uid: string } }[];
}

export interface Dashboard {
	uid: string;
	title: string;
	templating: { list: { name: string; type: string; query: string }[] };
	panels: Panel[];
}

export const alerts = (): Alert[] => (parse(readFileSync(ALERTS_FILE, 'utf8')) as { groups: { rules: Alert[] }[] }).groups.flatMap(({ rules }) => rules);
export const dashboard = (): Dashboard => JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')) as Dashboard;
/** Every query there is: of the alerts and of the dashboard. */
export const queries = (): string[] => [...alerts().map(({ expr }) => expr), ...dashboard().panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))];

/** Names of metrics in a query, and the labels that it asks each for. */
export function metricsIn(query: string): { name: string; labels: string[] }[] {
	return [...query.matchAll(/\b((?:rostrum|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', selector = '']) => ({
		name,
		labels: [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
	}));
}

/**
 * What Prometheus' own program says; undefined where there is none (`config/setup/promtool.mjs` gets it).
 * @param files written beside one another, for arguments to name
 */
export function runPromtool(args: string[], files: Record<string, string> = {}): { status: number | null; said: string } | undefined {
	const program = promtool();
	if (program === undefined) return undefined;
	const dir = mkdtempSync(path.join(tmpdir(), 'rostrum-promtool-'));
	try {
		for (const [name, text] of Object.entries(files)) writeFileSync(path.join(dir, name), text);
		const { status, stdout, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
		return { status, said: stdout + stderr };
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}
