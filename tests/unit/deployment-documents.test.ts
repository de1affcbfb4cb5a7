import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { configLeaves } from '../../config/leaves.ts';
import { parseRedisAddress } from '../../config/redis-address.ts';
import { faults, SHORT_TIMES } from '../support/cluster/faults.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const DOCUMENTS = ['README.md', 'docker/README.md', 'server/cluster/README.md', 'docker/cluster.env.example', 'docker/compose.cluster.yaml', 'docker/rostrum.service'];
const CLUSTER = read('server/cluster/README.md');

/** Rows of a Markdown table, cell by cell, found by its heading row. */
function table(text: string, firstHeading: string, lastHeading: string): string[][] {
	const lines = text.split('\n');
	const start = lines.findIndex((line) => line.startsWith(`| ${firstHeading} |`) && line.endsWith(`| ${lastHeading} |`));
	const rows = lines.slice(start + 2);
	const end = rows.findIndex((line) => !line.startsWith('|'));
	return start < 0 ? [] : rows.slice(0, end).map((line) => line.slice(2, -2).split(' | '));
}

describe('what the documents promise', () => {
	it('lists every fault that is tested, and only those', () => {
		const listed = table(CLUSTER, 'what', 'test').map((row) => row.at(-1)?.replaceAll('`', '') ?? '');
		expect(listed.toSorted()).toEqual(faults(SHORT_TIMES).map(({ name }) => name).toSorted());
	});

	it('says no better of a fault than its test asks for', () => {
		const rows = new Map(table(CLUSTER, 'what', 'test').map((row) => [row.at(-1)?.replaceAll('`', ''), row[1] ?? '']));
		for (const { name, bars } of faults(SHORT_TIMES)) {
			const said = rows.get(name) ?? '';
			const expectedMs = Math.max(bars.behindGapMs ?? 0, bars.othersGapMs >= 1_000 ? bars.othersGapMs : 0);
			const saidMs = Math.max(0, ...[...said.matchAll(/silence ≤ (\d+) s/g)].map(([, seconds]) => Number(seconds) * 1_000));
			expect({ name, silenceMs: said === 'the same' ? expectedMs : saidMs }).toEqual({ name, silenceMs: expectedMs });
		}
	});

	it('names folders of the cluster that exist, and all of them', () => {
		const named = table(CLUSTER, 'part', 'what it does').map(([, folder = '']) => folder.replaceAll('`', ''));
		expect(named.filter((folder) => !existsSync(path.join(ROOT, 'server/cluster', folder)))).toEqual([]);
		const folders = globSync('*/', { cwd: path.join(ROOT, 'server/cluster') }).map((folder) => `${folder.replace(/\/$/, '')}/`);
		expect(folders.filter((folder) => !named.some((name) => name.startsWith(folder)))).toEqual([]);
	});

	it.each(DOCUMENTS)('names tests, scripts, files and settings that exist: %s', (document) => {
		const text = read(document);
		const tests = [...text.matchAll(/[\w*./-]+\.test\.ts/g)].map(([name]) => name);
		expect(tests.filter((name) => globSync(`**/${name.replace(/^tests\//, '')}`, { cwd: path.join(ROOT, 'tests') }).length === 0)).toEqual([]);
		const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
		const named = [...text.matchAll(/npm run (\w+)/g)].map(([, name = '']) => name);
		expect(named.filter((name) => !(name in scripts))).toEqual([]);
		const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target);
		expect(links.filter((target) => !existsSync(path.resolve(ROOT, path.dirname(document), target)))).toEqual([]);
		const known = configLeaves.map(({ env }) => env);
		const settings = [...text.matchAll(/\bROSTRUM_[A-Z_]*[A-Z]\b/g)].map(([name]) => name);
		expect(settings.filter((name) => !known.includes(name))).toEqual([]);
	});

	it('writes Redis addresses that the program can read, in all their forms', () => {
		const addresses = ['README.md', 'docker/cluster.env.example'].flatMap((document) => [...read(document).matchAll(/\brediss?(?:\+\w+)?:\/\/[^\s`'"{}]+/g)].map(([address]) => address));
		const forms = addresses.map((address) => parseRedisAddress(address).form);
		expect([...new Set(forms)].toSorted()).toEqual(['cluster', 'sentinel', 'single']);
	});

	it('stays short enough to be read', () => {
		expect(read('docker/README.md').split('\n').length - 1).toBeLessThanOrEqual(40);
		expect(CLUSTER.split('\n').length - 1).toBeLessThanOrEqual(120);
	});
});
