// What a listener costs: Rostrum's listener shard, a bare mediasoup script that does the same fan-out at 20 ms, and Janus
// (if Debian's package is installed), with the same clients in one run.
// node tests/load/bench.ts [--json FILE] [--table FILE] [--listeners N,N] [--talkers 1,3] [--packing 60] [--rounds N] [--seconds N]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type BenchResult, type Figures, figuresOf, type Run, slopeOf } from './bench-figures.ts';
import { machine, markdownTable } from './bench-table.ts';
import { progress, wholeNumber } from './command-line.ts';
import { Janus } from './janus.ts';
import { type PhaseResult, runPhase, type Side } from './phase.ts';

const AIMS = { cpuRatio: 0.45, cpuVsJanus: 0.2, joinsPerCpuSecond: 500, bytesPerListener: 110_000, largestVsSmallest: 1.15 } as const;
/** Where only the joins count. */
const CROWD_WINDOW_SECONDS = 1;
/** Busier than this, and all sides wait for the processor rather than work. */
const SATURATED = 0.95;

const { values } = parseArgs({
	options: {
		json: { type: 'string' },
		table: { type: 'string' },
		listeners: { type: 'string', default: '100,300,600,900' },
		talkers: { type: 'string', default: '1,3' },
		packing: { type: 'string', default: '60' },
		rounds: { type: 'string', default: '2' },
		seconds: { type: 'string', default: '12' },
		generators: { type: 'string', default: '1' },
		/** Janus needs most of a processor for a few hundred: beyond this many the machine and not Janus would be measured. */
		'janus-listeners': { type: 'string', default: '300' },
		'media-port': { type: 'string', default: '26000' },
	},
});

const list = (text: string, name: string, min: number): number[] => text.split(',').map((part) => wholeNumber(part, name, min));
const audiences = list(values.listeners, 'listeners', 40);
const talkerCounts = list(values.talkers, 'talkers', 1);
const packing = values.packing === 'auto' ? 'auto' : ([20, 40, 60, 120] as const).find((ms) => String(ms) === values.packing);
if (packing === undefined || talkerCounts.some((count) => count > 3)) {
	console.error('--packing is one of auto, 20, 40, 60, 120; --talkers are 1 to 3');
	process.exit(2);
}

/** Drift of a shared machine hits all sides alike: one after the other, again and again, and the middle of what came out. */
async function run(listeners: number, talkers: number): Promise<Run> {
	const sides: readonly Side[] = Janus.isInstalled && listeners <= Number(values['janus-listeners']) ? ['rostrum', 'bareMediasoup', 'janus'] : ['rostrum', 'bareMediasoup'];
	const phases: PhaseResult[] = [];
	const warmUp = Math.max(20, Math.floor(listeners / 5));
	const crowds: PhaseResult[] = [];
	const phase = (side: Side, seconds: number, spareTransports: number): Promise<PhaseResult> =>
		runPhase({
			side,
			listeners: listeners - warmUp,
			warmUp,
			talkers,
			spareTransports,
			packing: packing ?? 'auto',
			generators: wholeNumber(values.generators, 'generators', 1),
			windowMs: seconds * 1_000,
			mediaPort: wholeNumber(values['media-port'], 'media-port', 1_024),
			progress,
		});
	for (let round = 0; round < wholeNumber(values.rounds, 'rounds', 1); round++) {
		for (const side of sides) {
			progress(`round ${round + 1}, ${side}, ${listeners} listeners, ${talkers} talking`);
			phases.push(await phase(side, wholeNumber(values.seconds, 'seconds', 1), 0));
		}
		progress(`round ${round + 1}, rostrum with transports made ahead, ${listeners} listeners`);
		crowds.push(await phase('rostrum', CROWD_WINDOW_SECONDS, listeners));
	}
	const inCrowd = figuresOf(crowds, 'rostrum');
	const rostrum = figuresOf(phases, 'rostrum');
	const bareMediasoup = figuresOf(phases, 'bareMediasoup');
	const janus = sides.includes('janus') ? figuresOf(phases, 'janus') : undefined;
	return {
		listeners,
		talkers,
		rostrum,
		bareMediasoup,
		...(janus && { janus }),
		crowd: { cpuMsPerJoin: inCrowd.cpuMsPerJoin, joinsPerCpuSecond: inCrowd.joinsPerCpuSecond },
		ratios: {
			cpu: rostrum.cpuUsPerListenerSecond / bareMediasoup.cpuUsPerListenerSecond,
			memory: rostrum.bytesPerListener / bareMediasoup.bytesPerListener,
			...(janus && { cpuVsJanus: rostrum.cpuUsPerListenerSecond / janus.cpuUsPerListenerSecond }),
		},
		phases,
	};
}

function print({ listeners, talkers, rostrum, bareMediasoup, janus, crowd, ratios, phases }: Run): void {
	const row = (name: string, of: (figures: Figures) => string, ratio = ''): void =>
		console.log(`${name.padEnd(36)}${of(rostrum).padStart(10)}${of(bareMediasoup).padStart(16)}${(janus ? of(janus) : '-').padStart(10)}${ratio.padStart(9)}`);
	console.log(`\n${`${listeners} listeners, ${talkers} talking`.padEnd(36)}${'Rostrum'.padStart(10)}${'bare mediasoup'.padStart(16)}${'Janus'.padStart(10)}${'to bare'.padStart(9)}`);
	row('packets carry, ms', ({ packingMs }) => String(packingMs));
	row('CPU a listener-second, µs', ({ cpuUsPerListenerSecond }) => cpuUsPerListenerSecond.toFixed(0), ratios.cpu.toFixed(2));
	row('memory a listener, KB', ({ bytesPerListener }) => (bytesPerListener / 1_000).toFixed(0), ratios.memory.toFixed(2));
	row('joins a CPU-second', ({ joinsPerCpuSecond }) => joinsPerCpuSecond.toFixed(0));
	console.log(`${'  in a crowd, transports made ahead'.padEnd(36)}${crowd.joinsPerCpuSecond.toFixed(0).padStart(10)}`);
	row('first audio p50 / p99, ms', ({ firstAudioMsP50, firstAudioMsP99 }) => `${firstAudioMsP50.toFixed(0)}/${firstAudioMsP99.toFixed(0)}`);
	for (const side of new Set(phases.map((phase) => phase.side))) {
		const own = phases.filter((phase) => phase.side === side);
		const worst = (of: (phase: PhaseResult) => number): string => Math.max(...own.map(of)).toFixed(2);
		console.log(
			`  ${side}, worst: lost ${worst(({ heard }) => heard.lost)}, largest gap ${worst(({ heard }) => heard.largestGapMs)} ms, connected p99 ${worst(({ connectMsP99 }) => connectMsP99)} ms, ` +
				`generator ${worst(({ heard }) => heard.cpuRatio)} cores, its lag ${worst(({ heard }) => heard.eventLoopLagMs)} ms, machine busy ${worst(({ machineBusy }) => machineBusy)}`,
		);
	}
	if (phases.some(({ machineBusy }) => machineBusy > SATURATED)) {
		console.log('The machine had no processor time left while this was measured: take the figures with care.');
	}
}

const runs: Run[] = [];
for (const talkers of talkerCounts) {
	// Cost as a function of the audience with the first number of talkers; what further talkers cost is seen at one audience, as large as
	// makes no more packets than the largest did: beyond that the machine would be measured.
	const bearable = audiences.filter((listeners, index) => index === 0 || listeners * talkers <= (audiences.at(-1) ?? 0) * (talkerCounts[0] ?? 1));
	for (const listeners of talkers === talkerCounts[0] ? audiences : bearable.slice(-1)) {
		const result = await run(listeners, talkers);
		runs.push(result);
		print(result);
	}
}
const ofFirst = runs.filter(({ talkers }) => talkers === talkerCounts[0]);
// The largest audience stands for the benchmark, and for Janus the largest it was measured with.
const last = ofFirst.at(-1) as Run;
const withJanus = ofFirst.findLast(({ janus }) => janus !== undefined);
const slopes = slopeOf(ofFirst);
const result: BenchResult = {
	machine: machine(),
	rostrum: last.rostrum,
	bareMediasoup: last.bareMediasoup,
	...(withJanus?.janus && { janus: withJanus.janus }),
	ratios: { ...last.ratios, cpuOfFurther: slopes.rostrum.usPerListenerSecond / slopes.bareMediasoup.usPerListenerSecond, ...(withJanus?.ratios.cpuVsJanus !== undefined && { cpuVsJanus: withJanus.ratios.cpuVsJanus }) },
	slope: slopes,
	aims: AIMS,
	runs,
};

const aim = (name: string, value: number | undefined, isMet: (value: number) => boolean, wanted: string): void =>
	console.log(value === undefined || Number.isNaN(value) ? `unknown ${name}` : `${isMet(value) ? 'met    ' : 'MISSED '} ${name}: ${value.toFixed(2)} (aim: ${wanted})`);
const { slope, ratios } = result;
console.log(`\nA further listener: ${slope.rostrum.usPerListenerSecond.toFixed(0)} µs a second; a shard that carries the room: ${slope.rostrum.fixedMsPerSecond.toFixed(0)} ms a second whoever listens (fit r² ${slope.rostrum.r2.toFixed(3)}).`);
aim('CPU of a further listener beside bare mediasoup', ratios.cpuOfFurther, (value) => value <= AIMS.cpuRatio, `at most ${AIMS.cpuRatio}`);
aim('CPU beside bare mediasoup', ratios.cpu, (value) => value <= AIMS.cpuRatio, `at most ${AIMS.cpuRatio}`);
aim('CPU beside Janus', ratios.cpuVsJanus, (value) => value <= AIMS.cpuVsJanus, `at most ${AIMS.cpuVsJanus}`);
aim('joins a CPU-second', result.rostrum.joinsPerCpuSecond, (value) => value >= AIMS.joinsPerCpuSecond, `at least ${AIMS.joinsPerCpuSecond}`);
aim('joins a CPU-second in a crowd, transports made ahead', last.crowd.joinsPerCpuSecond, (value) => value >= AIMS.joinsPerCpuSecond, `at least ${AIMS.joinsPerCpuSecond}`);
aim('memory a listener, KB', result.rostrum.bytesPerListener / 1_000, (value) => value <= AIMS.bytesPerListener / 1_000, `at most ${AIMS.bytesPerListener / 1_000}`);
aim('a listener-second at the largest audience beside the smallest', slope.rostrum.largestVsSmallest, (value) => value <= AIMS.largestVsSmallest, `at most ${AIMS.largestVsSmallest}`);
aim('a join at the largest audience beside the smallest', slope.rostrum.joinLargestVsSmallest, (value) => value <= AIMS.largestVsSmallest, `at most ${AIMS.largestVsSmallest}`);
if (!Janus.isInstalled) {
	console.log('Janus is not installed, so nothing was measured beside it (as root: apt-get install janus).');
}
if (values.json !== undefined) {
	writeFileSync(values.json, `${JSON.stringify(result, undefined, '\t')}\n`);
	progress(`written to ${values.json}`);
}
if (values.table !== undefined) {
	writeFileSync(values.table, markdownTable(result));
	progress(`written to ${values.table}`);
}
process.exit(0);
