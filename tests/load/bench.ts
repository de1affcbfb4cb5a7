// What a listener costs: Rostrum's listener shard beside a bare mediasoup script that does the same fan-out at 20 ms.
// node tests/load/bench.ts [--json FILE] [--listeners N,N] [--rounds N] [--seconds N] [--generators N]
import { progress, wholeNumber } from './command-line.ts';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { type PhaseResult, runPhase, type Side } from './phase.ts';

const AIMS = { cpuRatio: 0.5, cpuMsPerJoin: 2.5, bytesPerListener: 120_000 } as const;
const SIDES: readonly Side[] = ['rostrum', 'bareMediasoup'];
/** Busier than this, and both sides wait for the processor rather than work. */
const SATURATED = 0.95;

const { values } = parseArgs({
	options: {
		json: { type: 'string' },
		listeners: { type: 'string', default: '250,500' },
		rounds: { type: 'string', default: '2' },
		seconds: { type: 'string', default: '12' },
		generators: { type: 'string', default: '1' },
		'media-port': { type: 'string', default: '26000' },
	},
});

interface SideFigures {
	listeners: number;
	cpuUsPerListenerSecond: number;
	bytesPerListener: number;
	cpuMsPerJoin: number;
}

interface Run {
	rostrum: SideFigures;
	bareMediasoup: SideFigures;
	ratios: { cpu: number; memory: number };
	phases: PhaseResult[];
}

/** Drift of a shared machine hits both sides alike: one after the other, again and again, and the middle of what came out. */
async function run(listeners: number): Promise<Run> {
	const phases: PhaseResult[] = [];
	const warmUp = Math.max(20, Math.floor(listeners / 5));
	for (let round = 0; round < wholeNumber(values.rounds, 'rounds', 1); round++) {
		for (const side of SIDES) {
			progress(`round ${round + 1}, ${side}, ${listeners} listeners`);
			phases.push(
				await runPhase({
					side,
					listeners: listeners - warmUp,
					warmUp,
					generators: wholeNumber(values.generators, 'generators', 1),
					windowMs: wholeNumber(values.seconds, 'seconds', 1) * 1_000,
					mediaPort: wholeNumber(values['media-port'], 'media-port', 1_024),
					progress,
				}),
			);
		}
	}
	const rostrum = figuresOf(phases, 'rostrum');
	const bareMediasoup = figuresOf(phases, 'bareMediasoup');
	return {
		rostrum,
		bareMediasoup,
		ratios: {
			cpu: rostrum.cpuUsPerListenerSecond / bareMediasoup.cpuUsPerListenerSecond,
			memory: rostrum.bytesPerListener / bareMediasoup.bytesPerListener,
		},
		phases,
	};
}

function figuresOf(phases: readonly PhaseResult[], side: Side): SideFigures {
	const own = phases.filter((phase) => phase.side === side);
	return {
		listeners: own[0]?.listeners ?? 0,
		cpuUsPerListenerSecond: median(own.map((phase) => phase.cpuUsPerListenerSecond)),
		bytesPerListener: Math.round(median(own.map((phase) => phase.bytesPerListener))),
		cpuMsPerJoin: median(own.map((phase) => phase.cpuMsPerJoin)),
	};
}

function median(numbers: readonly number[]): number {
	const sorted = numbers.toSorted((a, b) => a - b);
	const middle = sorted.length / 2;
	return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle) - 1] ?? Number.NaN)) / 2;
}

function versionOf(packageName: string): string {
	const file = new URL(`../../node_modules/${packageName}/package.json`, import.meta.url);
	return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function print({ rostrum, bareMediasoup, ratios, phases }: Run): void {
	const row = (name: string, of: (figures: SideFigures) => string, ratio = ''): void =>
		console.log(`${name.padEnd(34)}${of(rostrum).padStart(12)}${of(bareMediasoup).padStart(16)}${ratio.padStart(9)}`);
	const [first] = phases;
	console.log(`\n${`${rostrum.listeners} listeners, one talker`.padEnd(34)}${'Rostrum'.padStart(12)}${'bare mediasoup'.padStart(16)}${'ratio'.padStart(9)}`);
	row('CPU a listener-second, µs', ({ cpuUsPerListenerSecond }) => cpuUsPerListenerSecond.toFixed(0), ratios.cpu.toFixed(2));
	row('memory a listener, KB', ({ bytesPerListener }) => (bytesPerListener / 1_000).toFixed(0), ratios.memory.toFixed(2));
	row('CPU a join, ms', ({ cpuMsPerJoin }) => cpuMsPerJoin.toFixed(2));
	console.log(`Rostrum's packets carry ${first?.packingMs ?? '?'} ms. Worse of the rounds:`);
	for (const side of SIDES) {
		const own = phases.filter((phase) => phase.side === side);
		const worst = (of: (phase: PhaseResult) => number): string => Math.max(...own.map(of)).toFixed(2);
		console.log(
			`  ${side}: lost ${worst(({ heard }) => heard.lost)}, largest gap ${worst(({ heard }) => heard.largestGapMs)} ms, connected p99 ${worst(({ connectMsP99 }) => connectMsP99)} ms, ` +
				`generator ${worst(({ heard }) => heard.cpuRatio)} cores, its lag ${worst(({ heard }) => heard.eventLoopLagMs)} ms, machine busy ${worst(({ machineBusy }) => machineBusy)}`,
		);
	}
	const aim = (name: string, value: number, limit: number, unit: string): void =>
		console.log(`${value <= limit ? 'met   ' : 'MISSED'} ${name}: ${value.toFixed(2)} ${unit} (aim: at most ${limit})`);
	aim('CPU beside bare mediasoup', ratios.cpu, AIMS.cpuRatio, '');
	aim('CPU a join, Node and worker', rostrum.cpuMsPerJoin, AIMS.cpuMsPerJoin, 'ms');
	aim('memory a listener', rostrum.bytesPerListener / 1_000, AIMS.bytesPerListener / 1_000, 'KB');
	if (phases.some(({ machineBusy }) => machineBusy > SATURATED)) {
		console.log('The machine had no processor time left while this was measured: take the figures with care.');
	}
}

const runs: Run[] = [];
for (const text of values.listeners.split(',')) {
	const listeners = wholeNumber(text, 'listeners', 40);
	const result = await run(listeners);
	runs.push(result);
	print(result);
}
if (values.json !== undefined) {
	const machine = {
		cpu: os.cpus()[0]?.model ?? 'unknown',
		cores: os.availableParallelism(),
		memoryBytes: os.totalmem(),
		kernel: os.release(),
		node: process.version,
		mediasoup: versionOf('mediasoup'),
		srtp: 'AES_CM_128_HMAC_SHA1_80 (libdatachannel negotiates it)',
	};
	// The last run stands for the benchmark; give the audience that matters last.
	const { rostrum, bareMediasoup, ratios } = runs.at(-1) as Run;
	writeFileSync(values.json, `${JSON.stringify({ machine, rostrum, bareMediasoup, ratios, aims: AIMS, runs }, undefined, '\t')}\n`);
	progress(`written to ${values.json}`);
}
process.exit(0);
