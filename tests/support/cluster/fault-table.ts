import type { FaultFigures } from './fault-run.ts';

const COLUMNS: readonly [title: string, of: (figures: FaultFigures) => string | number][] = [
	['fault', ({ fault }) => fault],
	['listeners', ({ listeners }) => listeners],
	['on it', ({ affected }) => affected],
	['lost', ({ sessionsLost }) => sessionsLost],
	['gap p50', ({ gapP50Ms }) => gapP50Ms],
	['gap p99', ({ gapP99Ms }) => gapP99Ms],
	['heal', ({ healMs }) => healMs],
	['back p95', ({ affected, backP95Ms }) => (affected > 0 ? backP95Ms : '-')],
	['others: lost', ({ othersSessionsLost }) => othersSessionsLost],
	['gap p99', ({ othersGapP99Ms }) => othersGapP99Ms],
	['missing', ({ othersMissingMs }) => othersMissingMs],
	['behind: gap p99', ({ behind, behindGapP99Ms }) => (behind > 0 ? behindGapP99Ms : '-')],
	['calm gap', ({ calmGapP99Ms }) => calmGapP99Ms],
	['lag', ({ clientLagMs }) => clientLagMs],
];

/** All times in ms. */
export function faultTable(rows: readonly FaultFigures[]): string {
	const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, of]) => String(of(row))))];
	const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
	return cells.map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')).join('\n');
}
