import { readFileSync } from 'node:fs';

/** Kills the process if it (still) is a mediasoup worker; process ids are used again, so look first. */
export function killIfWorker(pid: number): void {
	try {
		if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('mediasoup-worker')) {
			process.kill(pid, 'SIGKILL');
		}
	} catch {
		// Gone already.
	}
}
