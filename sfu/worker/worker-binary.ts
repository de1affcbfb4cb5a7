import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');

/**
 * Where `ensure.mjs` put the worker it built or kept, or undefined where mediasoup's own choice
 * (MEDIASOUP_WORKER_BIN, else its prebuilt one) stands.
 */
export function workerBinary(): string | undefined {
	if (process.env['MEDIASOUP_WORKER_BIN']) {
		return undefined;
	}
	const { version } = JSON.parse(readFileSync(path.join(ROOT, 'node_modules/mediasoup/package.json'), 'utf8')) as { version: string };
	const built = path.join(ROOT, '.cache/worker', `${version}-${process.arch}`, 'mediasoup-worker');
	return existsSync(built) ? built : undefined;
}
