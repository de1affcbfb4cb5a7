// Makes sure that node_modules is what package-lock.json says, Node 24 included
// (it comes as an npm package). Plain JavaScript for Node 20, run before anything else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const stamp = path.join(root, 'node_modules/.rostrum-lock');
const lockHash = createHash('sha256')
	.update(readFileSync(path.join(root, 'package-lock.json')))
	.digest('hex');
const isCurrent = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash && existsSync(path.join(root, 'node_modules/.bin/node'));

if (!isCurrent()) {
	console.log('Installing npm packages (once, about half a minute) ...');
	const { status } = spawnSync('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
	if (status !== 0) {
		console.error('npm ci failed; its own message is above. Check that this machine reaches the npm registry, then run the same command again.');
		process.exit(1);
	}
	if (!existsSync(path.join(root, 'node_modules/.bin/node'))) {
		console.error(`No Node 24 for ${process.platform}-${process.arch} came with the npm packages; Rostrum runs on Linux x64 and arm64.`);
		process.exit(1);
	}
	writeFileSync(stamp, lockHash);
}
