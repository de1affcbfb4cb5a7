import type { SurgeReport } from './report.ts';

export interface ComparedFigure {
	name: string;
	before: number | null;
	after: number | null;
	unit: string;
}

const FIGURES: readonly [name: string, unit: string, of: (report: SurgeReport) => number | null][] = [
	['listeners who wanted in', '', ({ listeners }) => listeners],
	['joined', '', ({ joined }) => joined],
	['failed', '', ({ failed }) => failed],
	['heard HLS', '', ({ overflowed }) => overflowed],
	['still waiting', '', ({ waiting }) => waiting],
	['refusals', '', ({ refusals }) => refusals.count],
	['join p50', 'ms', ({ joinMs }) => joinMs.p50],
	['join p95', 'ms', ({ joinMs }) => joinMs.p95],
	['join p99', 'ms', ({ joinMs }) => joinMs.p99],
	['join longest', 'ms', ({ joinMs }) => joinMs.max],
	['first packet p50', 'ms', ({ firstPacketMs }) => firstPacketMs.p50],
	['first packet p99', 'ms', ({ firstPacketMs }) => firstPacketMs.p99],
	['first audio p50', 'ms', ({ firstAudioMs }) => firstAudioMs.p50],
	['first audio p99', 'ms', ({ firstAudioMs }) => firstAudioMs.p99],
	['rejoin p99', 'ms', ({ rejoinMs }) => rejoinMs.p99],
	['packets lost', '%', ({ lossRatio }) => lossRatio * 100],
	['gaps over 200 ms', '', ({ gapsOver200Ms }) => gapsOver200Ms],
	['longest gap', 'ms', ({ maxGapMs }) => maxGapMs],
	['incumbents: packets lost', '%', ({ incumbents }) => (incumbents.listeners === 0 ? null : incumbents.lossRatio * 100)],
	['incumbents: longest gap', 'ms', ({ incumbents }) => (incumbents.listeners === 0 ? null : incumbents.maxGapMs)],
	['late speaker on stage', 'ms', ({ speaker }) => speaker?.onStageMs ?? null],
	['late speaker heard', 'ms', ({ speaker }) => speaker?.heardMs ?? null],
	['HLS first media p99', 'ms', ({ hls }) => hls.firstMediaMs.p99],
	['HLS stalls', '', ({ hls }) => (hls.listeners === 0 ? null : hls.stalls)],
	['generator lag', 'ms', ({ generator }) => generator.lagMs],
];

/** Figures of two runs side by side; those that neither has are left out. */
export function compare(before: SurgeReport, after: SurgeReport): ComparedFigure[] {
	return FIGURES.map(([name, unit, of]) => ({ name, unit, before: of(before), after: of(after) })).filter((figure) => figure.before !== null || figure.after !== null);
}

export function comparisonText(before: SurgeReport, after: SurgeReport): string {
	const lines = [`${''.padEnd(28)}${'before'.padStart(12)}${'after'.padStart(12)}${'change'.padStart(10)}`];
	for (const figure of compare(before, after)) {
		lines.push(`${figure.name.padEnd(28)}${figureText(figure.before, figure.unit).padStart(12)}${figureText(figure.after, figure.unit).padStart(12)}${changeText(figure).padStart(10)}`);
	}
	lines.push(...remarks(before, after));
	return lines.join('\n');
}

/** What makes two runs hard to compare. */
export function remarks(before: SurgeReport, after: SurgeReport): string[] {
	const found: string[] = [];
	for (const [name, report] of [['before', before], ['after', after]] as const) {
		if (report.generatorSaturated) found.push(`In "${name}" the generator was the limit, not the server.`);
		if (report.interrupted) found.push(`"${name}" was interrupted.`);
	}
	if (before.machine.cpu !== after.machine.cpu || before.machine.cores !== after.machine.cores) found.push('The runs were made on different machines.');
	const differ = (Object.keys(before.settings) as (keyof SurgeReport['settings'])[]).filter((key) => JSON.stringify(before.settings[key]) !== JSON.stringify(after.settings[key]));
	if (differ.length > 0) found.push(`The runs were asked for different things: ${differ.join(', ')}.`);
	return found;
}

export const figureText = (value: number | null, unit: string): string =>
	value === null ? '–' : `${Number.isInteger(value) ? value : value.toFixed(unit === '%' ? 3 : 1)}${unit === '' ? '' : ` ${unit}`}`;

export function changeText({ before, after }: ComparedFigure): string {
	if (before === null || after === null || before === after) return before === after ? '=' : '';
	if (before === 0) return '+';
	const percent = Math.round(((after - before) / before) * 100);
	return `${percent > 0 ? '+' : ''}${percent} %`;
}
