import { readFileSync } from 'node:fs';
import { changeText, compare, figureText, remarks } from './comparison.ts';
import type { SurgeReport } from './report.ts';
import type { SurgeSeries } from './series.ts';
import { summaryText } from './summary-text.ts';

/** One plot: lines over the time since the storm's start. */
interface Chart {
	title: string;
	unit: string;
	x: number[];
	lines: { label: string; colour: string; values: (number | null)[]; dashed?: boolean }[];
}

const BLUE = '#2563eb';
const GREEN = '#15803d';
const RED = '#dc2626';
const AMBER = '#d97706';
const VIOLET = '#7c3aed';
const GREY = '#6b7280';
const SHARD_COLOURS = [BLUE, GREEN, VIOLET, AMBER, RED, GREY];

/** A run as one page that needs nothing else: no network, no other file. */
export function runPage(report: SurgeReport): string {
	const { series, settings, target } = report;
	const title = `${report.listeners} listeners within ${settings.withinMs / 1_000} s`;
	const verdict = report.generatorSaturated
		? `<p class="bad"><strong>The generator was the limit, not the server.</strong> ${report.generator.why.map(escape).join('; ')}.</p>`
		: `<p class="good">The generator kept up: these are the server’s figures. ${report.generator.why.map(escape).join('; ')}</p>`;
	const tiles = [
		tile('joined', `${report.joined} of ${report.listeners}`),
		tile('failed', String(report.failed), report.failed > 0),
		tile('heard HLS', String(report.overflowed)),
		tile('still waiting', String(report.waiting)),
		tile('join p99', inMs(report.joinMs.p99)),
		tile('first audio p99', inMs(report.firstAudioMs.p99)),
		tile('packets lost', figureText(report.lossRatio * 100, '%'), report.lossRatio > 0),
		tile('gaps over 200 ms', String(report.gapsOver200Ms), report.gapsOver200Ms > 0),
		...(report.incumbents.listeners === 0 ? [] : [tile('incumbents’ longest gap', inMs(report.incumbents.maxGapMs))]),
		...(report.speaker === null ? [] : [tile('speaker in mid-storm', inMs(report.speaker.onStageMs))]),
	].join('');
	const body =
		`<p>Room ${escape(target.room)} at ${escape(target.url)}, ${escape(report.startedAt)}; ${escape(report.machine.cpu)}, ${report.machine.cores} cores.</p>` +
		`${verdict}${report.metricsUnreadable === null ? '' : `<p>The server’s own figures could not be read: ${escape(report.metricsUnreadable)}.</p>`}<div class="tiles">${tiles}</div><div id="charts"></div><h2>In words</h2><pre>${escape(summaryText(report))}</pre>`;
	return page(title, body, chartsOf(series));
}

/** Two runs side by side: figures, then each plot with the lines of both. */
export function comparisonPage(before: SurgeReport, after: SurgeReport): string {
	const rows = compare(before, after)
		.map((figure) => `<tr><th>${escape(figure.name)}</th><td>${figureText(figure.before, figure.unit)}</td><td>${figureText(figure.after, figure.unit)}</td><td>${changeText(figure)}</td></tr>`)
		.join('');
	const warnings = remarks(before, after).map((text) => `<p class="bad">${escape(text)}</p>`).join('');
	const body =
		`<p>Before: ${escape(before.startedAt)}. After: ${escape(after.startedAt)}.</p>${warnings}` +
		`<table><thead><tr><th></th><th>before</th><th>after</th><th>change</th></tr></thead><tbody>${rows}</tbody></table><div id="charts"></div>`;
	const [first, second] = [chartsOf(before.series), chartsOf(after.series)];
	const both = second.map((chart): Chart => {
		const other = first.find(({ title }) => title === chart.title);
		const steps = Math.max(chart.x.length, other?.x.length ?? 0);
		const x = chart.x.length === steps ? chart.x : (other?.x ?? []);
		const filled = (values: readonly (number | null)[]): (number | null)[] => Array.from({ length: steps }, (_, step) => values[step] ?? null);
		return {
			...chart,
			x,
			lines: [
				...(other?.lines ?? []).map((line) => ({ ...line, label: `${line.label}, before`, values: filled(line.values), dashed: true })),
				...chart.lines.map((line) => ({ ...line, label: `${line.label}, after`, values: filled(line.values) })),
			],
		};
	});
	return page('Two runs compared', body, both);
}

function chartsOf(series: SurgeSeries): Chart[] {
	const x = series.atS;
	const perSecond = (counts: readonly number[]): number[] => counts.map((count) => (count * 1_000) / series.stepMs);
	const line = (label: string, colour: string, values: (number | null)[]): Chart['lines'][number] => ({ label, colour, values });
	const charts: Chart[] = [
		{ title: 'Joins and refusals', unit: 'a second', x, lines: [line('wanted in', GREY, perSecond(series.wanted)), line('joined', BLUE, perSecond(series.joined)), line('refused', RED, perSecond(series.refused))] },
		{ title: 'Listeners', unit: 'people', x, lines: [line('WebRTC', BLUE, series.connected), line('HLS', VIOLET, series.hearingHls), line('waiting', AMBER, series.waiting)] },
		{ title: 'Join time, by when they wanted in', unit: 'ms', x, lines: [line('p50', GREEN, series.joinP50Ms), line('p99', AMBER, series.joinP99Ms), line('longest', RED, series.joinMaxMs)] },
		{ title: 'Longest gap in each half second', unit: 'ms', x, lines: [line('those who came', BLUE, series.stormGapMs), line('those who were there', RED, series.incumbentGapMs)] },
	];
	const shard = (of: (shard: SurgeSeries['shards'][number]) => (number | null)[]): Chart['lines'] =>
		series.shards.map((one, index) => line(one.name, SHARD_COLOURS[index % SHARD_COLOURS.length] ?? GREY, of(one)));
	if (series.shards.length > 0) {
		charts.push({ title: 'Processor of the server’s shards', unit: 'cores', x, lines: shard(({ cpu }) => cpu) });
		charts.push({ title: 'Listeners on the server’s shards', unit: 'people', x, lines: shard(({ listeners }) => listeners) });
	}
	charts.push({ title: 'The generator itself: processor', unit: 'cores', x, lines: [line('all processes', GREY, series.generatorCpu)] });
	charts.push({ title: 'The generator itself: event-loop lag', unit: 'ms', x, lines: [line('worst process, p99', GREY, series.generatorLagMs)] });
	return charts.filter(({ lines }) => lines.some(({ values }) => values.some((value) => value !== null)));
}

const inMs = (value: number | null): string => figureText(value === null ? null : Math.round(value), 'ms');

const tile = (name: string, value: string, bad = false): string => `<div class="tile${bad ? ' bad' : ''}"><b>${escape(value)}</b><span>${escape(name)}</span></div>`;

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** Data within a script element: nothing in it may end the element. */
const inScript = (data: unknown): string => JSON.stringify(data).replaceAll('<', '\\u003c');

const plotter = (file: string): string => readFileSync(new URL(`../../../node_modules/uplot/dist/${file}`, import.meta.url), 'utf8');

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #111827; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { background: #f3f4f6; padding: 1rem; overflow-x: auto; border-radius: 6px; font-size: 13px; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.tile { border: 1px solid #d1d5db; border-radius: 6px; padding: .5rem .9rem; min-width: 7rem; }
.tile b { display: block; font-size: 1.25rem; } .tile span { color: #4b5563; font-size: .85rem; }
.bad { color: #b91c1c; } .tile.bad { border-color: #fca5a5; } .good { color: #15803d; }
#charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(540px, 1fr)); gap: 1.5rem; margin-top: 1.5rem; }
.u-title { font-size: 15px !important; font-weight: 600; } .u-legend { font-size: 12px; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid #e5e7eb; text-align: right; } tbody th { text-align: left; font-weight: 400; }
`;

/** Runs in the browser. */
const DRAW = `
for (const chart of CHARTS) {
	const place = document.createElement('div');
	document.getElementById('charts').append(place);
	new uPlot({
		title: chart.title, width: 550, height: 260,
		scales: { x: { time: false }, y: { range: (u, min, max) => [0, Math.max(1, max ?? 1) * 1.08] } },
		axes: [{ label: 'seconds', labelSize: 20 }, { label: chart.unit, labelSize: 20, size: 60 }],
		series: [{ label: 's' }, ...chart.lines.map(({ label, colour, dashed }) => ({ label, stroke: colour, width: 2, spanGaps: true, points: { show: false }, dash: dashed ? [6, 4] : undefined }))],
	}, [chart.x, ...chart.lines.map(({ values }) => values)], place);
}
`;

function page(title: string, body: string, charts: readonly Chart[]): string {
	return (
		`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title>` +
		`<style>${plotter('uPlot.min.css')}${STYLE}</style></head><body><h1>${escape(title)}</h1>${body}` +
		`<script>${plotter('uPlot.iife.min.js')}</script><script>const CHARTS = ${inScript(charts)};${DRAW}</script></body></html>\n`
	);
}
