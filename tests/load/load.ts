// The load generator: real listeners come to a room as they would on the day. See --help.
import { readFileSync, writeFileSync } from 'node:fs';
import { comparisonText } from './surge/comparison.ts';
import { type LoadCommand, readArguments, USAGE } from './surge/options.ts';
import { comparisonPage, runPage } from './surge/page.ts';
import { ProgressLine } from './surge/progress-line.ts';
import { allFailed, type SurgeReport } from './surge/report.ts';
import { summaryText } from './surge/summary-text.ts';
import { SurgeRun } from './surge/surge-run.ts';

async function run({ options, json, html, maxFailed }: Extract<LoadCommand, { kind: 'run' }>): Promise<number> {
	const line = new ProgressLine();
	const stop = new AbortController();
	process.on('SIGINT', () => {
		if (stop.signal.aborted) process.exit(130);
		line.end();
		console.error('ending politely; once more ends at once');
		stop.abort();
	});
	const report = await SurgeRun.run(options, { signal: stop.signal, onProgress: (progress) => line.show(progress) }).finally(() => line.end());
	console.log(summaryText(report));
	if (json !== undefined) write(json, `${JSON.stringify(report, undefined, '\t')}\n`);
	if (html !== undefined) write(html, runPage(report));
	return allFailed(report) <= maxFailed ? 0 : 1;
}

function compareFiles({ files, html }: Extract<LoadCommand, { kind: 'compare' }>): number {
	const [before, after] = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as SurgeReport) as [SurgeReport, SurgeReport];
	console.log(comparisonText(before, after));
	if (html !== undefined) write(html, comparisonPage(before, after));
	return 0;
}

function write(file: string, text: string): void {
	writeFileSync(file, text);
	console.error(`written to ${file}`);
}

let command: LoadCommand;
try {
	command = readArguments(process.argv.slice(2));
} catch (error) {
	console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
	process.exit(2);
}
try {
	if (command.kind === 'help') console.log(USAGE);
	else process.exitCode = command.kind === 'compare' ? compareFiles(command) : await run(command);
} catch (error) {
	console.error(error instanceof Error ? error.message : String(error));
	process.exitCode = 2;
}
process.exit();
