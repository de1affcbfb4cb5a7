import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SETUP = path.resolve(import.meta.dirname, '../../config/setup');
const NO_PROCESS = 4_194_305; // Above the kernel's largest process number.

/** Stands in for npm: writes down when it begins and ends, and makes what the real one would. Waits for a file named `go` where there is a file named `wait`. */
const FAKE_NPM = `#!${process.execPath}
import { appendFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
const note = (what) => appendFileSync('npm.log', what + ' ' + process.pid + '\\n');
process.on('SIGTERM', () => { note('killed'); process.exit(1); });
note('begin'); // From here on it may be told to end.
while (existsSync('wait') && !existsSync('go')) await new Promise((resolve) => setTimeout(resolve, 20));
if (existsSync('fail')) { note('end'); process.exit(7); }
rmSync('node_modules', { recursive: true, force: true });
mkdirSync('node_modules/.bin', { recursive: true });
writeFileSync('node_modules/.bin/node', '');
note('end');
process.exit(0);
`;

class Start {
	readonly child: ChildProcess;
	readonly #closed: Promise<unknown>;
	text = '';
	#said: (() => void)[] = [];

	constructor(folder: string) {
		this.child = spawn(process.execPath, ['config/setup/dependencies.mjs'], { cwd: folder, env: { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env['PATH']}` } });
		for (const stream of [this.child.stdout, this.child.stderr]) {
			stream?.on('data', (chunk: Buffer) => {
				this.text += chunk.toString();
				for (const look of this.#said.splice(0)) look();
			});
		}
		this.#closed = once(this.child, 'close');
	}

	async said(what: string): Promise<void> {
		while (!this.text.includes(what)) {
			const { promise, resolve } = Promise.withResolvers<void>();
			this.#said.push(resolve);
			await Promise.race([promise, this.#closed.then(() => { if (!this.text.includes(what)) throw new Error(`it ended without "${what}": ${this.text}`); })]);
		}
	}

	/** Exit code, when it and all that writes where it does are gone. */
	async over(): Promise<number | null> {
		await this.#closed;
		return this.child.exitCode;
	}
}

describe('installing the npm packages', () => {
	let folder: string;
	const starts: Start[] = [];
	const start = (): Start => {
		const one = new Start(folder);
		starts.push(one);
		return one;
	};
	const npmLog = () => (existsSync(path.join(folder, 'npm.log')) ? readFileSync(path.join(folder, 'npm.log'), 'utf8').trim().split('\n').map((line) => line.split(' ')) : []);
	const steps = () => npmLog().map(([step]) => step);
	const put = (name: string, text = '') => writeFileSync(path.join(folder, name), text);
	const lock = () => path.join(folder, '.cache/npm-ci.lock');
	/** The fake npm is at work. */
	const npmBegan = async () => {
		while (steps().at(-1) !== 'begin') await new Promise((resolve) => setTimeout(resolve, 10));
	};
	beforeEach(() => {
		folder = mkdtempSync(path.join(tmpdir(), 'rostrum setup-'));
		cpSync(SETUP, path.join(folder, 'config/setup'), { recursive: true });
		mkdirSync(path.join(folder, 'bin'));
		put('package.json', '{"type":"module"}');
		put('package-lock.json', '{"lockfileVersion":3}');
		writeFileSync(path.join(folder, 'bin/npm'), FAKE_NPM, { mode: 0o755 });
	});
	afterEach(async () => {
		put('go');
		for (const { child } of starts) child.kill('SIGKILL');
		await Promise.all(starts.splice(0).map((each) => each.over()));
		rmSync(folder, { recursive: true, force: true });
	});

	it('happens once, however many start at the same time, and not again', async () => {
		put('wait');
		const first = start();
		await npmBegan();
		const others = [start(), start(), start()];
		for (const other of others) await other.said(`Waiting for process ${first.child.pid}, which is installing the npm packages`);
		put('go');
		expect(await Promise.all([first, ...others].map((each) => each.over()))).toEqual([0, 0, 0, 0]);
		expect(steps()).toEqual(['begin', 'end']);
		expect(others.map(({ text }) => text.includes('Installing'))).toEqual([false, false, false]);
		const again = start();
		expect(await again.over()).toBe(0);
		expect(again.text).toBe('');
		expect(steps()).toEqual(['begin', 'end']);
		expect(existsSync(lock())).toBe(false);
	});

	it.each([
		['a number that no process has', () => `${NO_PROCESS} 1234`],
		['the number of a process that began later', () => `${process.pid} 1`],
		['nothing at all', () => ''],
	])('takes over a lock that names %s', async (_what, text) => {
		mkdirSync(path.dirname(lock()));
		writeFileSync(lock(), text());
		const some = [start(), start(), start()];
		expect(await Promise.all(some.map((each) => each.over()))).toEqual([0, 0, 0]);
		expect(steps()).toEqual(['begin', 'end']);
	});

	it('waits for the npm of a start that was killed, then does it again', async () => {
		put('wait');
		const first = start();
		await npmBegan();
		const npm = npmLog()[0]?.[1];
		first.child.kill('SIGKILL');
		await once(first.child, 'exit');
		const second = start();
		await second.said(`Waiting for process ${npm}`);
		put('go');
		expect(await second.over()).toBe(0);
		expect(steps()).toEqual(['begin', 'end', 'begin', 'end']);
	});

	it('ends npm with it when it is told to end, and leaves no lock behind', async () => {
		put('wait');
		const first = start();
		await npmBegan();
		first.child.kill('SIGTERM');
		expect(await first.over()).toBe(130);
		expect(steps()).toEqual(['begin', 'killed']);
		put('go');
		expect(await start().over()).toBe(0);
		expect(steps()).toEqual(['begin', 'killed', 'begin', 'end']);
	});

	it('says what to do when npm fails, and lets the next one try', async () => {
		put('fail');
		const first = start();
		expect(await first.over()).toBe(1);
		expect(first.text).toContain('npm ci failed');
		expect(existsSync(lock())).toBe(false);
		rmSync(path.join(folder, 'fail'));
		expect(await start().over()).toBe(0);
	});
});
