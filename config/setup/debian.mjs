// Makes sure that Debian packages are installed: installs them when run as root,
// else prints the one command to type. Plain JavaScript for Node 20.
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { ensurePromtool } from './promtool.mjs';

/** What `npm test` needs besides npm packages: a Redis, browsers, a voice, an independent WebRTC stack, namespaces. */
const TEST_PACKAGES = [
	'redis-server',
	'caddy', // The proxy of the cluster's compose file.
	'chromium',
	'firefox-esr',
	'espeak-ng',
	'sox',
	'ffmpeg',
	'python3-aiortc',
	'python3-aiohttp',
	'iproute2',
	'procps',
	'fonts-noto-core', // Arabic letters in the pictures of the pages.
];

/** Those of `names` that are not installed; all of them where there is no dpkg. */
export function missingDebianPackages(names) {
	const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], { encoding: 'utf8' });
	const installed = new Set((stdout ?? '').split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
	return names.filter((name) => !installed.has(name));
}

/**
 * Installs what is missing of `names` when root.
 * @param {string[]} names Debian packages
 * @param {string} purpose completes "… needs: "
 * @returns {boolean} whether all of them are there now
 */
export function ensureDebianPackages(names, purpose) {
	const missing = missingDebianPackages(names);
	if (missing.length === 0) {
		return true;
	}
	const install = ['install', '-y', '--no-install-recommends', ...missing];
	if (process.getuid?.() !== 0) {
		console.error(`${purpose} needs Debian packages. As root, type:\n  apt-get update && apt-get ${install.join(' ')}`);
		return false;
	}
	console.log(`Installing Debian packages for ${purpose}: ${missing.join(' ')}`);
	const options = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
	return (
		spawnSync('apt-get', ['update', '-qq'], options).status === 0 &&
		spawnSync('apt-get', ['-qq', ...install], options).status === 0 &&
		missingDebianPackages(missing).length === 0
	);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
	if (!ensureDebianPackages(TEST_PACKAGES, 'running the tests')) {
		process.exit(1);
	}
	ensurePromtool();
}
