// `npm test`: type check, lint, then every kind of test, cheapest first. The last line counts what really ran.
// `npm test -- unit` runs one kind; further words after it go to vitest.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');
const OUT = path.join(ROOT, 'tests/.out');
const KINDS = ['unit', 'contract', 'integration', 'cluster', 'e2e'] as const;
type Kind = (typeof KINDS)[number];

interface Tally {
	passed: number;
	failed: number;
	skipped: number;
}

/** What vitest's JSON reporter writes, as far as we read it. */
interface Report {
	numPassedTests: number;
	numFailedTests: number;
	numPendingTests: number;
	numTodoTests: number;
	testResults: { status: string; name: string; assertionResults: { status: string; fullName: string; failureMessages?: string[] }[]; message: string }[];
}

const total: Tally = { passed: 0, failed: 0, skipped: 0 };
/** Said again at the end, where a log that was cut to its last part still has it. */
const failures: string[] = [];
const started = Date.now();
const elapsed = () => `${Math.round((Date.now() - started) / 1000)} s`;

function check(title: string, command: string, args: string[]): void {
	console.log(`\n== ${title} (at ${elapsed()})`);
	const { status } = spawnSync(path.join(ROOT, 'node_modules/.bin', command), args, { cwd: ROOT, stdio: 'inherit' });
	total[status === 0 ? 'passed' : 'failed']++;
	if (status !== 0) {
		failures.push(`${title}: ${command} ended with ${status}`);
	}
}

async function vitest(kind: Kind, more: string[]): Promise<void> {
	console.log(`\n== ${kind} tests (at ${elapsed()})`);
	const file = path.join(OUT, `${kind}.json`);
	rmSync(file, { force: true });
	const args = [
		'node_modules/vitest/vitest.mjs',
		'run',
		'--config=tests/vitest.config.ts',
		`--project=${kind}`,
		`--project=${kind}-alone`,
		'--reporter=default',
		'--reporter=json',
		`--outputFile.json=${file}`,
		...more,
	];
	// The suite starts some hundred nodes with their shards: each takes a third less when the first has left its compiled code.
	const env = { ...process.env, NODE_COMPILE_CACHE: path.join(OUT, 'compile-cache') };
	const status = await ended(spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env }));
	const report = readReport(file);
	if (!report) {
		console.error(`the ${kind} tests wrote no report; vitest ended with ${status}`);
		failures.push(`the ${kind} tests wrote no report`);
		total.failed++;
		return;
	}
	total.passed += report.numPassedTests;
	total.failed += report.numFailedTests;
	total.skipped += report.numPendingTests + report.numTodoTests;
	// A file that could not be loaded has failed without a single test; an error outside of tests fails the run.
	const broken = report.testResults.filter((result) => result.status === 'failed' && result.assertionResults.length === 0);
	total.failed += broken.length;
	for (const { name, message, assertionResults } of report.testResults) {
		const file = path.relative(ROOT, name);
		for (const { fullName, failureMessages = [] } of assertionResults.filter(({ status: result }) => result === 'failed')) {
			failures.push(`${file} > ${fullName}\n${failureMessages.join('\n').split('\n').slice(0, 12).join('\n')}`);
		}
		if (assertionResults.length === 0 && message !== '') {
			failures.push(`${file}\n${message.split('\n').slice(0, 12).join('\n')}`);
		}
	}
	if (status !== 0 && report.numFailedTests === 0 && broken.length === 0) {
		console.error(`the ${kind} tests ended with ${status} although no test failed`);
		total.failed++;
	}
}

function ended(child: ReturnType<typeof spawn>): Promise<number | null> {
	return new Promise((resolve) => child.once('error', () => resolve(null)).once('close', resolve));
}

function readReport(file: string): Report | undefined {
	try {
		return JSON.parse(readFileSync(file, 'utf8')) as Report;
	} catch {
		return undefined;
	}
}

mkdirSync(OUT, { recursive: true });
const [only, ...more] = process.argv.slice(2);
if (only === undefined) {
	check('types', 'tsc', ['-p', '.']);
	check('types in the browser', 'tsc', ['-p', 'server/web/browser']);
	check('types of the browser tests', 'tsc', ['-p', 'tests/e2e']);
	check('lint', 'oxlint', ['--type-aware']);
	for (const kind of KINDS) {
		await vitest(kind, []);
	}
} else if (KINDS.some((kind) => kind === only)) {
	await vitest(only as Kind, more);
} else {
	console.error(`There are no "${only}" tests. Kinds: ${KINDS.join(', ')}. A file: npm test -- cluster tests/cluster/faults.test.ts`);
	total.failed++;
}
if (failures.length > 0) {
	console.log(`\n== what failed\n${failures.map((failure) => `- ${failure}`).join('\n\n')}`);
}
console.log(`\nall done in ${elapsed()}\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exitCode = total.failed > 0 ? 1 : 0;
