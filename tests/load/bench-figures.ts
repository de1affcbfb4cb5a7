import { fitLine } from './fit.ts';
import type { PhaseResult, Side } from './phase.ts';

/** One side with one audience: the middle of its rounds. */
export interface Figures {
	listeners: number;
	packingMs: number;
	cpuUsPerListenerSecond: number;
	bytesPerListener: number;
	cpuMsPerJoin: number;
	joinsPerCpuSecond: number;
	firstAudioMsP50: number;
	firstAudioMsP99: number;
}

export interface Run {
	listeners: number;
	talkers: number;
	rostrum: Figures;
	bareMediasoup: Figures;
	janus?: Figures;
	/** Rostrum with the transports of all who come made ahead, as a shard does that expects a crowd: what is left of a join when they come. */
	crowd: { cpuMsPerJoin: number; joinsPerCpuSecond: number };
	/** Of Rostrum's figures to the others'. */
	ratios: { cpu: number; memory: number; cpuVsJanus?: number };
	phases: PhaseResult[];
}

/** Cost as a function of the audience: a straight line, and how far the ends are apart. */
export interface Slope {
	/** What one more listener costs. */
	usPerListenerSecond: number;
	/** What the room costs whoever listens. */
	fixedMsPerSecond: number;
	r2: number;
	/** Cost of one listener-second (of one join) at the largest audience, in parts of that at the smallest. */
	largestVsSmallest: number;
	joinLargestVsSmallest: number;
}

export interface Machine {
	cpu: string;
	cores: number;
	memoryBytes: number;
	kernel: string;
	node: string;
	mediasoup: string;
	janus: string | undefined;
	srtp: string;
	date: string;
}

export interface BenchResult {
	machine: Machine;
	rostrum: Figures;
	bareMediasoup: Figures;
	janus?: Figures;
	/** Of the largest audience; `cpuOfFurther`: of the slopes. */
	ratios: Run['ratios'] & { cpuOfFurther: number };
	slope: Record<'rostrum' | 'bareMediasoup', Slope> & { janus?: Slope };
	aims: Record<string, number>;
	runs: Run[];
}

export function figuresOf(phases: readonly PhaseResult[], side: Side): Figures {
	const own = phases.filter((phase) => phase.side === side);
	const middle = (of: (phase: PhaseResult) => number): number => median(own.map(of));
	const cpuMsPerJoin = middle((phase) => phase.cpuMsPerJoin);
	return {
		listeners: own[0]?.listeners ?? 0,
		packingMs: own[0]?.packingMs ?? 0,
		cpuUsPerListenerSecond: middle((phase) => phase.cpuUsPerListenerSecond),
		bytesPerListener: Math.round(middle((phase) => phase.bytesPerListener)),
		cpuMsPerJoin,
		joinsPerCpuSecond: 1_000 / cpuMsPerJoin,
		firstAudioMsP50: middle((phase) => phase.firstAudioMsP50),
		firstAudioMsP99: middle((phase) => phase.firstAudioMsP99),
	};
}

/** @param runs with the same talkers, from the smallest audience to the largest */
export function slopeOf(runs: readonly Run[]): BenchResult['slope'] {
	const of = (pick: (run: Run) => Figures | undefined): Slope | undefined => {
		const figures = runs.map(pick).filter((one) => one !== undefined);
		const [first] = figures;
		const last = figures.at(-1);
		if (!first || !last) {
			return undefined;
		}
		const { slope, fixed, r2 } = fitLine(figures.map(({ listeners, cpuUsPerListenerSecond }) => [listeners, (listeners * cpuUsPerListenerSecond) / 1_000]));
		return {
			usPerListenerSecond: slope * 1_000,
			fixedMsPerSecond: fixed,
			r2,
			largestVsSmallest: last.cpuUsPerListenerSecond / first.cpuUsPerListenerSecond,
			joinLargestVsSmallest: last.cpuMsPerJoin / first.cpuMsPerJoin,
		};
	};
	const janus = of((run) => run.janus);
	return { rostrum: of((run) => run.rostrum) as Slope, bareMediasoup: of((run) => run.bareMediasoup) as Slope, ...(janus && { janus }) };
}

export function median(numbers: readonly number[]): number {
	const sorted = numbers.toSorted((a, b) => a - b);
	const middle = sorted.length / 2;
	return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle) - 1] ?? Number.NaN)) / 2;
}
