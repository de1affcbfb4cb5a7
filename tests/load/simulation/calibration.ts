import { readFileSync } from 'node:fs';
import { DEFAULT_CALIBRATION, type ShardCalibration } from '../../../server/capacity/shard-calibration.ts';

/** What `npm run bench -- --json FILE` writes, as far as it is needed here. */
interface BenchFigures {
	rostrum?: { cpuUsPerListenerSecond?: number; cpuMsPerJoin?: number; bytesPerListener?: number };
	runs?: { rostrum?: BenchFigures['rostrum'] }[];
}

/** The shards' figures: by default those that the capacity rule assumes; those of a benchmark scale them (it measures at 60 ms). @throws Error for a file without such figures */
export function readCalibration(file: string | undefined): ShardCalibration {
	if (file === undefined) {
		return DEFAULT_CALIBRATION;
	}
	// Whatever else is in it, these figures are numbers or it is refused.
	const bench = JSON.parse(readFileSync(file, 'utf8')) as BenchFigures;
	const figures = bench.rostrum ?? bench.runs?.at(-1)?.rostrum;
	const { cpuUsPerListenerSecond, cpuMsPerJoin, bytesPerListener } = figures ?? {};
	if (typeof cpuUsPerListenerSecond !== 'number' || typeof cpuMsPerJoin !== 'number' || typeof bytesPerListener !== 'number') {
		throw new Error(`${file} has no figures of a benchmark of Rostrum`);
	}
	const defaults = DEFAULT_CALIBRATION.cpuUsPerListenerSecond;
	const scaled = (packingMs: 20 | 40 | 60 | 120) => (defaults[packingMs] / defaults[60]) * cpuUsPerListenerSecond;
	return { source: 'measured', cpuUsPerListenerSecond: { 20: scaled(20), 40: scaled(40), 60: scaled(60), 120: scaled(120) }, cpuMsPerJoin, bytesPerListener };
}
