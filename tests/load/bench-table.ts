import { readFileSync } from 'node:fs';
import os from 'node:os';
import type { BenchResult, Figures, Machine, Run } from './bench-figures.ts';
import { Janus } from './janus.ts';

/** What the figures were measured on: they mean little without it. */
export function machine(): Machine {
	return {
		cpu: os.cpus()[0]?.model ?? 'unknown',
		cores: os.availableParallelism(),
		memoryBytes: os.totalmem(),
		kernel: os.release(),
		node: process.version,
		mediasoup: versionOf('mediasoup'),
		janus: Janus.isInstalled ? Janus.version() : undefined,
		srtp: 'AEAD_AES_256_GCM (libdatachannel negotiates it)',
		date: new Date().toISOString().slice(0, 10),
	};
}

/** The result as a page of the docs. */
export function markdownTable({ machine: on, slope, runs }: BenchResult): string {
	const cells = (figures: Figures | undefined, crowd?: Run['crowd']): string =>
		figures
			? [
					figures.packingMs,
					figures.cpuUsPerListenerSecond.toFixed(0),
					(figures.bytesPerListener / 1_000).toFixed(0),
					`${figures.joinsPerCpuSecond.toFixed(0)}${crowd ? ` (${crowd.joinsPerCpuSecond.toFixed(0)})` : ''}`,
					`${figures.firstAudioMsP50.toFixed(0)} / ${figures.firstAudioMsP99.toFixed(0)}`,
				].join(' | ')
			: '– | – | – | – | –';
	const rows = runs.flatMap(({ talkers, rostrum, bareMediasoup, janus, crowd, ratios }) => [
		`| ${rostrum.listeners} | ${talkers} | Rostrum | ${cells(rostrum, crowd)} | ${ratios.cpu.toFixed(2)} |`,
		`| | | bare mediasoup | ${cells(bareMediasoup)} | 1 |`,
		...(janus ? [`| | | Janus | ${cells(janus)} | ${(janus.cpuUsPerListenerSecond / bareMediasoup.cpuUsPerListenerSecond).toFixed(2)} |`] : []),
	]);
	const { rostrum, bareMediasoup } = slope;
	const fitted = `
As a function of the audience (least squares): Rostrum ${rostrum.usPerListenerSecond.toFixed(0)} µs a further listener-second and ${rostrum.fixedMsPerSecond.toFixed(0)} ms a second for the room (r² ${rostrum.r2.toFixed(3)});
bare mediasoup ${bareMediasoup.usPerListenerSecond.toFixed(0)} µs and ${bareMediasoup.fixedMsPerSecond.toFixed(0)} ms (r² ${bareMediasoup.r2.toFixed(3)}). A further listener costs ${(rostrum.usPerListenerSecond / bareMediasoup.usPerListenerSecond).toFixed(2)} of what it costs there.
`;
	return `# What a listener costs

Made by \`npm run bench -- --table FILE\` on ${on.date}: ${on.cores} cores (${on.cpu}), ${(on.memoryBytes / 2 ** 30).toFixed(0)} GB, Linux ${on.kernel}, Node ${on.node},
mediasoup ${on.mediasoup}${on.janus === undefined ? '' : `, Janus ${on.janus} (streaming plugin, an event loop for each core)`}, SRTP ${on.srtp}. Server and clients share the machine,
so compare columns of one run and not runs. Processor time is of the processes that carry listeners; of a join also that of the process that takes it.
Both servers on Node have made 800 joins with nobody before, as a shard does that has just started: figures are those of compiled code, and memory is what comes
on top of a heap that has grown already. Joins in brackets: with the transports of all who come made ahead, as a shard does that expects a crowd.

| listeners | talking | server | ms a packet | CPU µs a listener-second | KB a listener | joins a CPU-second (in a crowd) | first audio p50 / p99, ms | CPU to bare |
|---|---|---|---|---|---|---|---|---|
${rows.join('\n')}
${Number.isNaN(rostrum.usPerListenerSecond) ? '' : fitted}`;
}

function versionOf(packageName: string): string {
	const file = new URL(`../../node_modules/${packageName}/package.json`, import.meta.url);
	return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
