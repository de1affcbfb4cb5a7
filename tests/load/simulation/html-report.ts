import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { SimulationReport } from './report.ts';
import type { Series } from './series.ts';
import { summary } from './summary.ts';

interface Line {
	of: Exclude<keyof Series, 'second'>;
	label: string;
}

interface Plot {
	title: string;
	lines: readonly Line[];
}

const PLOTS: readonly Plot[] = [
	{ title: 'Listeners', lines: [{ of: 'hearing', label: 'hear by WebRTC' }, { of: 'byHls', label: 'hear by HLS' }, { of: 'silent', label: 'hear nothing (yet)' }] },
	{ title: 'A second', lines: [{ of: 'arrived', label: 'came' }, { of: 'posts', label: 'POSTs' }, { of: 'seated', label: 'joined' }, { of: 'handedOn', label: 'handed on' }, { of: 'refused', label: 'refused' }, { of: 'failed', label: 'no answer' }] },
	{ title: 'Fullest listener shard over the mean', lines: [{ of: 'maxOverMean', label: 'max / mean' }] },
	{ title: 'Redis: commands a second', lines: [{ of: 'redisExecuted', label: 'carried out, within scripts too' }, { of: 'redisSent', label: 'sent by nodes' }] },
	{ title: 'Requests from other nodes at the home, a second', lines: [{ of: 'homeMessages', label: 'requests' }] },
	{ title: 'Busiest worker, of one core', lines: [{ of: 'workerRatio', label: 'processor' }] },
	{ title: 'Event loop of the slowest shard, ms late (p99)', lines: [{ of: 'lagMs', label: 'ms' }] },
	{ title: 'Listeners on edges that the programme does not reach', lines: [{ of: 'unreached', label: 'listeners' }] },
	{ title: 'Longest packets, ms', lines: [{ of: 'packingMs', label: 'ms' }] },
];

const COLOURS = ['#1f6feb', '#d1570b', '#1a7f37', '#8250df', '#cf222e', '#57606a'];

/** One page with everything in it, to be kept or sent. */
export function htmlReport(report: SimulationReport): string {
	const folder = path.dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
	const read = (name: string) => readFileSync(path.join(folder, 'dist', name), 'utf8');
	const plots = PLOTS.map(({ title, lines }) => ({ title, labels: lines.map(({ label }) => label), data: [report.series.second, ...lines.map(({ of }) => report.series[of])] }));
	const marks = report.waves.map(({ name, atSecond }) => ({ name, atSecond }));
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Rostrum: ${report.listeners.toLocaleString('en')} listeners within ${report.withinSeconds} s</title>
<meta name="viewport" content="width=device-width">
<style>${read('uPlot.min.css')}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
pre { white-space: pre-wrap; background: #f6f8fa; padding: 1rem; border-radius: 6px }
h2 { font-size: 1rem; margin: 2rem 0 .5rem }
</style></head><body>
<h1>${report.listeners.toLocaleString('en')} listeners within ${report.withinSeconds} s</h1>
<pre>${escaped(summary(report))}</pre>
<div id="plots"></div>
<script>${read('uPlot.iife.min.js')}</script>
<script>
const plots = ${embedded(plots)}, marks = ${embedded(marks)}, colours = ${embedded(COLOURS)};
const into = document.getElementById('plots');
const drawMarks = (u) => {
	for (const { name, atSecond } of marks) {
		const x = u.valToPos(atSecond, 'x', true);
		u.ctx.save();
		u.ctx.strokeStyle = u.ctx.fillStyle = '#8c959f';
		u.ctx.beginPath(); u.ctx.moveTo(x, u.bbox.top); u.ctx.lineTo(x, u.bbox.top + u.bbox.height); u.ctx.stroke();
		u.ctx.fillText(name, x + 4, u.bbox.top + 12);
		u.ctx.restore();
	}
};
for (const { title, labels, data } of plots) {
	into.appendChild(Object.assign(document.createElement('h2'), { textContent: title }));
	new uPlot({
		width: Math.min(1000, into.clientWidth), height: 240, scales: { x: { time: false } }, cursor: { sync: { key: 'all' } },
		axes: [{ label: 'seconds since the first came' }, { size: 80 }],
		series: [{ label: 's' }, ...labels.map((label, index) => ({ label, stroke: colours[index % colours.length], width: 1.5 }))],
		hooks: { draw: [drawMarks] },
	}, data, into);
}
</script></body></html>
`;
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
/** Nothing in it may end the script. */
const embedded = (value: unknown) => JSON.stringify(value).replaceAll('<', String.raw`\u003c`);
