import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SimulationReport } from '../load/simulation/report.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'rostrum-simulation-'));
let runs = 0;
const program = path.resolve(import.meta.dirname, '../load/simulate.ts');

/** The program as it is typed; it has virtual time in place of its timers, so it needs a process of its own. */
async function simulated(...args: string[]): Promise<{ report: SimulationReport; html: string; printed: string }> {
	const json = path.join(folder, `${runs++}.json`);
	const html = `${json}.html`;
	const { stdout } = await promisify(execFile)(process.execPath, [program, '--json', json, '--html', html, ...args], { maxBuffer: 16 << 20 });
	return { report: JSON.parse(readFileSync(json, 'utf8')) as SimulationReport, html: readFileSync(html, 'utf8'), printed: stdout };
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('20,000 listeners within 20 s, and what dies afterwards', () => {
	let result: Awaited<ReturnType<typeof simulated>>;
	beforeAll(async () => {
		result = await simulated('--listeners', '20000', '--within', '20', '--sized-for', '20000', '--cores', '4');
	});

	it('loses nobody, neither in the surge nor after any death', () => {
		const { report } = result;
		expect(report.lost).toBe(0);
		expect(report.series.arrived.reduce((sum, count) => sum + count, 0)).toBe(20_000);
		expect(report.waves.map(({ name }) => name)).toEqual(['shard', 'node', 'home', 'redis']);
		for (const wave of report.waves) {
			expect(wave.affected).toBeGreaterThan(0);
			expect(wave.lost, wave.name).toBe(0);
		}
		expect(report.series.hearing.at(-1)).toBe(20_000);
		expect(report.series.unreached.at(-1)).toBe(0);
	});

	it('fills all shards alike', () => {
		expect(result.report.maxOverMean).toBeLessThanOrEqual(1.05);
	});

	it('asks Redis for nodes and rooms, not for listeners', () => {
		const { report } = result;
		// Two beats a second of each node and one renewal of the home; scripts are of a fixed length.
		expect(report.redis.sentMaxPerSecond).toBeLessThanOrEqual(4 * report.fleet.nodes);
		expect(report.redisCommandsPerSecond).toBeGreaterThan(report.fleet.nodes);
		expect(report.redisCommandsPerSecond).toBeLessThanOrEqual(30 * report.fleet.nodes);
	});

	it('brings the programme back to everybody when the home dies', () => {
		const home = result.report.waves.find(({ name }) => name === 'home');
		expect(home?.silentListeners).toBeGreaterThan(10_000);
		expect(home?.silentEdgesSeconds).toBeLessThanOrEqual(5);
	});

	it('tells how it went', () => {
		expect(result.printed).toContain('20,000 listeners within 20 s');
		expect(result.html).toContain('uPlot');
		expect(result.html).not.toMatch(/(?:src|href)="http/);
	});
});

describe('a fleet that is too small', () => {
	it('lets as many in as it has places for, and the others hear HLS', async () => {
		const { report } = await simulated('--listeners', '4000', '--within', '10', '--nodes', '2', '--cores', '3', '--cap', '600', '--no-faults');
		expect(report.lost).toBe(0);
		expect(report.series.hearing.at(-1)).toBe(2 * 2 * 600);
		expect(report.atCap).toBe(true);
		expect(report.overflowShareAtEnd).toBeCloseTo(0.4);
		// Whoever is refused hears something within 5 s.
		expect(report.longestWaitSeconds).toBeLessThan(8);
	});
});

it('comes out the same for the same seed', async () => {
	const args = ['--listeners', '3000', '--within', '5', '--sized-for', '3000', '--cores', '4', '--seed', '7', '--no-faults'];
	const [one, two] = [await simulated(...args), await simulated(...args)];
	expect(two.report.series).toEqual(one.report.series);
});
