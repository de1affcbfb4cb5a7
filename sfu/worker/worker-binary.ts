import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Written by `ensure.mjs`. */
const POINTER = path.resolve(import.meta.dirname, '../../.cache/worker/current');

/**
 * The worker that `ensure.mjs` found, got or built, or undefined where mediasoup's own choice
 * (MEDIASOUP_WORKER_BIN, else its prebuilt one) stands.
 */
export function workerBinary(): string | undefined {
	if (process.env['MEDIASOUP_WORKER_BIN'] || !existsSync(POINTER)) {
		return undefined;
	}
	const file = readFileSync(POINTER, 'utf8');
	return existsSync(file) ? file : undefined;
}
