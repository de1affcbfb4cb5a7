// Gets promtool, which checks alert rules, out of Debian's prometheus package without installing that: nobody who runs the
// tests wants a Prometheus to be started on their machine. Without it the tests check the rules less closely. Plain
// JavaScript for Node 20.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

const CACHE = path.resolve(import.meta.dirname, '../../.cache');
const PROMTOOL = path.join(CACHE, 'promtool');

/** The program: the machine's own, or the one that was unpacked; undefined when there is none. */
export function promtool() {
	return ['/usr/bin/promtool', '/usr/local/bin/promtool', PROMTOOL].find((file) => existsSync(file));
}

/** Does nothing where it is there, or cannot be had. */
export function ensurePromtool() {
	if (promtool() !== undefined) {
		return;
	}
	mkdirSync(CACHE, { recursive: true });
	const dir = mkdtempSync(path.join(CACHE, 'promtool-'));
	try {
		// As root it would leave its own privileges behind, and cannot then write here.
		const run = (program, args) => spawnSync(program, args, { cwd: dir, stdio: 'ignore', timeout: 120_000 }).status === 0;
		if (!run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', 'prometheus'])) {
			return;
		}
		const [file] = readdirSync(dir).filter((name) => name.endsWith('.deb'));
		if (file !== undefined && run('dpkg-deb', ['--extract', file, 'unpacked']) && existsSync(path.join(dir, 'unpacked/usr/bin/promtool'))) {
			renameSync(path.join(dir, 'unpacked/usr/bin/promtool'), PROMTOOL);
		}
	} finally {
		rmSync(dir, { recursive: true, force: true });
	}
}
