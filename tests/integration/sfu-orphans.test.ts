import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { descendantsOf, isRunning } from '../support/processes.ts';

const CHILD = path.resolve(import.meta.dirname, '../support/media-plane-child.ts');

it('kill -9 of the node process leaves no shard and no worker behind', async () => {
	const node = fork(CHILD, ['25500']);
	try {
		await once(node, 'message', { signal: AbortSignal.timeout(30_000) });
		const before = descendantsOf(node.pid ?? 0);
		// One stage shard, two listener shards, one spare; each with its worker.
		expect(before.filter(({ command }) => command.includes('shard/main.ts'))).toHaveLength(4);
		expect(before.filter(({ command }) => command.includes('mediasoup-worker'))).toHaveLength(4);

		const killedAtMs = performance.now();
		node.kill('SIGKILL');
		await expect.poll(() => before.filter(({ pid }) => isRunning(pid)), { timeout: 2_000, interval: 10 }).toEqual([]);
		figure('the last process was gone after', performance.now() - killedAtMs);
	} finally {
		node.kill('SIGKILL');
	}
});
