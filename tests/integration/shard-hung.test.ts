import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { figure } from '../support/figure.ts';
import { MediaPlane } from '../support/media-plane.ts';

const STAGE = 0;
const LISTENER = 1;
/** Three seconds of silence, the look after that, and a warm spare. */
const REPLACED_MS = 5_000;

let plane: MediaPlane;
beforeAll(async () => {
	plane = await MediaPlane.start({ mediaPort: 24_100, spareShards: 1 });
});
afterAll(() => plane.close());

async function spareIsReady(): Promise<void> {
	await expect.poll(() => plane.supervisor.readySpares, { timeout: 10_000, interval: 20 }).toBe(1);
}

// SIGSTOP: the process is there, its port is open, and nothing ever comes of it.
describe.each<['pid' | 'workerPid', number]>([['pid', LISTENER], ['workerPid', LISTENER], ['workerPid', STAGE]])('a %s that hangs, shard %i', (victim, index) => {
	it('is noticed by its silence, killed with what belongs to it, and replaced; rooms have their media back', async () => {
		await spareIsReady();
		const room = await plane.room();
		await plane.listen(room);
		const shard = plane.supervisor.shard(index);
		const [pid, workerPid] = [shard?.pid ?? 0, shard?.workerPid ?? 0];
		const hungAtMs = performance.now();
		const up = once(plane.supervisor, 'shardUp');
		process.kill(victim === 'pid' ? pid : workerPid, 'SIGSTOP');
		expect((await up)[1]).toBe(index);
		const tookMs = performance.now() - hungAtMs;
		figure('replaced after it hung', tookMs);
		expect(tookMs).toBeLessThan(REPLACED_MS);
		for (const dead of [pid, workerPid]) {
			await expect.poll(() => existsSync(`/proc/${dead}`), { timeout: 2_000, interval: 10 }).toBe(false);
		}
		await expect.poll(() => plane.programmes.describe(room.id)?.originShard, { timeout: 2_000, interval: 10 }).toBe(STAGE);
		expect(await plane.listen(room)).toMatchObject({ shard: LISTENER });
	});
});

describe('a busy node', () => {
	it('does not take its shards for dead because it did not listen itself', async () => {
		const before = plane.supervisor.shards().map(({ pid }) => pid);
		const until = performance.now() + 4_000;
		while (performance.now() < until) {
			// Held up: neither timers nor channels are served.
		}
		// A report that was sent afterwards: whatever the hold-up did has been done by then.
		await once(plane.supervisor, 'shardEvent');
		await once(plane.supervisor, 'shardEvent');
		expect(plane.supervisor.shards().map(({ pid }) => pid)).toEqual(before);
	});
});
