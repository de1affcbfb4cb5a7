// One at a time: two first starts in one folder must not get in each other's way.
// Plain JavaScript for Node 20 without dependencies, as it is needed before anything is installed.
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 250;
const TELL_AGAIN_MS = 15_000;

/**
 * Runs `action` while no other process holds the lock, and resolves with its result. Waits while the holder lives, saying
 * so; what a dead one left behind is taken over.
 *
 * @template T
 * @param {string} file the lock; says who holds it, one process a line
 * @param {string} doing what its holder does, as in "process 12, which is <doing>"
 * @param {(hold: (pid: number) => void) => Promise<T>} action `hold` names a child that may outlive this process when that
 *   is killed: until it is gone too, nobody takes the lock over. It is told of the signals that end this process.
 * @returns {Promise<T>}
 */
export async function withLock(file, doing, action) {
	const draft = `${file}.${process.pid}`;
	/** @type {number[]} */
	const holders = [process.pid];
	const write = () => writeFileSync(draft, holders.map((pid) => `${pid} ${startOf(pid)}`).join('\n'));
	const release = () => {
		if (!holders.slice(1).some((pid) => isAlive(`${pid}`))) {
			rmSync(file, { force: true });
		}
	};
	mkdirSync(path.dirname(file), { recursive: true });
	await take(file, draft, write, doing);
	process.on('exit', release);
	for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
		process.once(signal, () => {
			for (const pid of holders.slice(1).filter((each) => isAlive(`${each}`))) {
				process.kill(pid, signal);
			}
			process.exit(130);
		});
	}
	try {
		return await action((pid) => {
			holders.push(pid);
			write();
			renameSync(draft, file);
		});
	} finally {
		process.off('exit', release);
		release();
	}
}

async function take(file, draft, write, doing) {
	for (let toldMs = -Infinity; ; ) {
		write();
		try {
			linkSync(draft, file); // There with its content, or not at all.
			return;
		} catch (error) {
			if (error.code !== 'EEXIST') {
				throw error;
			}
		} finally {
			rmSync(draft, { force: true });
		}
		const text = read(file);
		if (text === undefined) {
			continue;
		}
		const living = text.split('\n').filter(isAlive);
		if (living.length === 0) {
			clear(file, draft, text);
			continue;
		}
		if (performance.now() - toldMs >= TELL_AGAIN_MS) {
			toldMs = performance.now();
			console.log(`Waiting for process ${living[0].split(' ')[0]}, which is ${doing} ...`);
		}
		await sleep(LOOK_MS);
	}
}

/** Takes a dead one's lock away. Another that waits may have done so already: then it is a living one's that is put back. */
function clear(file, draft, text) {
	const aside = `${draft}.stale`;
	try {
		renameSync(file, aside);
		if (read(aside) !== text) {
			linkSync(aside, file);
		}
	} catch (error) {
		if (error.code !== 'ENOENT' && error.code !== 'EEXIST') {
			throw error;
		}
	} finally {
		rmSync(aside, { force: true });
	}
}

function read(file) {
	try {
		return readFileSync(file, 'utf8');
	} catch (error) {
		if (error.code === 'ENOENT') {
			return undefined;
		}
		throw error;
	}
}

/** When the process began, in the kernel's ticks: tells it from a later one that was given the same number. Empty where it is gone. */
function startOf(pid) {
	const stat = read(`/proc/${pid}/stat`);
	const [state, ...fields] = stat === undefined ? ['Z'] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return state === 'Z' ? '' : (fields[18] ?? '');
}

/** @param {string} holder process number and, if known, when it began */
function isAlive(holder) {
	const [pid, start = ''] = holder.split(' ');
	const now = /^\d+$/.test(pid) ? startOf(pid) : '';
	return now !== '' && (start === '' || start === now);
}
