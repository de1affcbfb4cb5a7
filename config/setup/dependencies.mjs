// Makes sure that node_modules is what package-lock.json says, Node 24 included
// (it comes as an npm package). Plain JavaScript for Node 20, run before anything else.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { withLock } from './lock.mjs';

const root = path.resolve(import.meta.dirname, '../..');
const stamp = path.join(root, 'node_modules/.rostrum-lock');
const lockHash = createHash('sha256')
	.update(readFileSync(path.join(root, 'package-lock.json')))
	.digest('hex');
const isCurrent = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash && existsSync(path.join(root, 'node_modules/.bin/node'));

/** @returns {Promise<string | undefined>} what is wrong */
async function install(hold) {
	if (isCurrent()) {
		return undefined; // Somebody else did it meanwhile.
	}
	console.log('Installing npm packages (once, about half a minute) ...');
	const npm = spawn('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
	if (npm.pid !== undefined) {
		hold(npm.pid);
	}
	const status = await new Promise((resolve) => npm.once('error', () => resolve(null)).once('close', resolve));
	if (status !== 0) {
		return 'npm ci failed; its own message is above. Check that this machine reaches the npm registry, then run the same command again.';
	}
	if (!existsSync(path.join(root, 'node_modules/.bin/node'))) {
		return `No Node 24 for ${process.platform}-${process.arch} came with the npm packages; Rostrum runs on Linux x64 and arm64.`;
	}
	writeFileSync(stamp, lockHash);
	return undefined;
}

if (!isCurrent()) {
	// Beside node_modules, which `npm ci` wipes.
	const trouble = await withLock(path.join(root, '.cache/npm-ci.lock'), 'installing the npm packages', install);
	if (trouble !== undefined) {
		console.error(trouble);
		process.exit(1);
	}
}
