// Makes sure that a mediasoup worker which can run on this machine is there:
//   1. MEDIASOUP_WORKER_BIN, if set, is trusted and left alone;
//   2. a worker from an earlier run (mediasoup's own, or built here);
//   3. mediasoup's own prebuilt download (needs GitHub);
//   4. a build from the sources in mediasoup's npm package (worker.mk).
// Plain JavaScript without dependencies, since it must run under Node 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { ensureDebianPackages } from '../../config/setup/debian.mjs';
import { withLock } from '../../config/setup/lock.mjs';

const root = path.resolve(import.meta.dirname, '../..');
const pkg = path.join(root, 'node_modules/mediasoup');
const { version } = JSON.parse(readFileSync(path.join(pkg, 'package.json'), 'utf8'));
const prebuilt = path.join(pkg, 'worker/out/Release/mediasoup-worker'); // mediasoup's default.
// A folder for each version and recipe, which `npm ci` leaves alone.
const outName = path.join('.cache/worker', `${version}-${process.arch}-${recipeHash()}`);
const out = path.join(root, outName);
const built = path.join(out, 'mediasoup-worker');
/** Says which worker is to be run; read by worker-binary.ts. */
const pointer = path.join(root, '.cache/worker/current');
const DOWNLOAD_TIMEOUT_MS = 60_000;
const BUILD_PACKAGES = ['g++', 'make', 'libuv1-dev', 'libssl-dev', 'libsrtp2-dev', 'libflatbuffers-dev', 'flatbuffers-compiler'];

// Upstream's own check: a worker started bare exits with 41 if it can run here.
const works = (file) => existsSync(file) && spawnSync(file, { env: {}, stdio: 'ignore' }).status === 41;

/** Changes with whatever a build is made from besides mediasoup's own sources. */
function recipeHash() {
	const hash = createHash('sha256');
	const files = ['worker.mk', ...readdirSync(path.join(import.meta.dirname, 'compat'), { recursive: true }).map((name) => path.join('compat', String(name)))];
	for (const file of files.toSorted((a, b) => (a < b ? -1 : 1)).map((name) => path.join(import.meta.dirname, name))) {
		if (statSync(file).isFile()) {
			hash.update(readFileSync(file));
		}
	}
	return hash.digest('hex').slice(0, 8);
}

function point(at) {
	if (!existsSync(pointer) || readFileSync(pointer, 'utf8') !== at) {
		mkdirSync(path.dirname(pointer), { recursive: true });
		writeFileSync(`${pointer}.${process.pid}`, at);
		renameSync(`${pointer}.${process.pid}`, pointer);
	}
	return true;
}

function download() {
	// PYTHON=false stops upstream's fallback build, which needs PyPI and GitHub.
	const { status } = spawnSync(process.execPath, ['npm-scripts.mjs', 'postinstall'], {
		cwd: pkg,
		env: { ...process.env, PYTHON: 'false' },
		stdio: 'ignore',
		timeout: DOWNLOAD_TIMEOUT_MS,
		killSignal: 'SIGKILL',
	});
	return status === 0 && works(prebuilt);
}

/** Runs make, one progress line at a time; resolves with make's success. */
function make(args, total) {
	const started = Date.now();
	let done = 0;
	let shown = 0;
	let text = '';
	return new Promise((resolve) => {
		const child = spawn('make', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
		child.stderr.on('data', (chunk) => (text = (text + chunk).slice(-8_000)));
		child.stdout.on('data', (chunk) => {
			done += String(chunk).split('\n').length - 1;
			const percent = Math.min(99, Math.floor((100 * done) / total));
			if (percent >= shown + 10) {
				shown = percent;
				console.log(`  building the mediasoup worker: ${percent} % after ${Math.round((Date.now() - started) / 1000)} s`);
			}
		});
		child.on('error', () => resolve(false));
		child.on('close', (code) => {
			if (code !== 0) {
				console.error(text);
			}
			resolve(code === 0);
		});
	});
}

async function build() {
	if (!ensureDebianPackages(BUILD_PACKAGES, 'building the mediasoup worker')) {
		return false;
	}
	// Relative paths: make cannot take spaces in them.
	const args = [`-j${availableParallelism()}`, '-s', '-f', 'sfu/worker/worker.mk', 'W=node_modules/mediasoup/worker', `O=${outName}`];
	const { stdout } = spawnSync('make', [...args, 'count'], { cwd: root, encoding: 'utf8' });
	if (!(await make(args, Number(stdout) || 180)) || !works(built)) {
		return false;
	}
	for (const part of ['obj', 'FBS', 'pch.hpp', 'pch.hpp.gch']) {
		rmSync(path.join(out, part), { recursive: true, force: true }); // 110 MB
	}
	return true;
}

async function ensure() {
	if (process.env.MEDIASOUP_WORKER_BIN) {
		return true;
	}
	if (works(prebuilt)) {
		return point(prebuilt);
	}
	if (works(built)) {
		return point(built);
	}
	// Two first starts in one folder must not build over each other.
	return withLock(path.join(out, 'lock'), 'getting the mediasoup worker', async () => {
		if (works(built)) {
			return point(built);
		}
		console.log("Getting the mediasoup worker: trying mediasoup's own prebuilt one ...");
		if (download()) {
			// Kept where `npm ci` does not wipe it.
			copyFileSync(prebuilt, `${built}.${process.pid}`);
			renameSync(`${built}.${process.pid}`, built);
			return point(built);
		}
		console.log('  none to be had. Building it from the npm package (about 1.5 minutes on 2 cores) ...');
		return (await build()) && point(built);
	});
}

if (!(await ensure())) {
	console.error('There is no mediasoup worker, so Rostrum cannot carry audio. See README.md, "The mediasoup worker".');
	process.exit(1);
}
