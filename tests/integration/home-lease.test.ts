import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeaseProcess } from '../support/cluster/lease-process.ts';
import { figure } from '../support/figure.ts';
import { RedisServer } from '../support/redis/redis-server.ts';

const TAKEOVER_MS = 3_000;
/** Nobody has to wait for silence: 1.3 s as a rule, by heartbeats and tries of half a second each. */
const GIVEN_UP_MS = 2_000;

describe('homes of rooms, in processes of their own over a real redis-server', () => {
	let redis: RedisServer;
	let nodes: LeaseProcess[];
	let home: LeaseProcess;
	let others: LeaseProcess[];
	let epoch: number;

	beforeEach(async () => {
		redis = await RedisServer.start();
		nodes = await Promise.all(['n1', 'n2', 'n3'].map((nodeId) => LeaseProcess.start(nodeId, redis.url, ['hall'])));
		const first = await Promise.any(nodes.map(async (node) => ({ node, gained: await node.event('gained') })));
		home = first.node;
		({ epoch } = first.gained);
		others = nodes.filter((node) => node !== home);
		// It told with its next heartbeat; before that they may try, too.
		for (const other of others) while ((await other.ask('hall')).home !== home.nodeId) await delay(20);
	});
	afterEach(async () => {
		await Promise.all(nodes.map((node) => node.kill()));
		await redis.stop();
	});

	const nextHome = (sinceMs: number) => Promise.any(others.map(async (node) => ({ node, gained: await node.event('gained', sinceMs) })));

	it('are taken over when their process is killed', async () => {
		const killedMs = performance.now();
		await home.kill();
		const { node, gained } = await nextHome(killedMs);
		figure('kill -9 of a home to the next one', gained.atMs - killedMs);
		expect(gained.atMs - killedMs).toBeLessThan(TAKEOVER_MS);
		expect(gained.epoch).toBe(epoch + 1);
		const third = others.find((other) => other !== node)!;
		expect(third.has('gained', killedMs)).toBe(false);
	});

	it('are taken over from a process that is stopped, which finds out before it does anything', async () => {
		const stoppedMs = performance.now();
		home.pause();
		const { gained } = await nextHome(stoppedMs);
		figure('SIGSTOP of a home to the next one', gained.atMs - stoppedMs);
		// Its timers and its answer are due at the same moment: it must not be sure in either order.
		home.tell({ ask: 'hall' });
		const resumedMs = performance.now();
		home.resume();
		expect((await home.event('answer', resumedMs)).epoch).toBeUndefined();
		const lost = await home.event('lost', resumedMs);
		figure('SIGCONT to stepping down', lost.atMs - resumedMs);
		expect(lost).toMatchObject({ room: 'hall', epoch, reason: 'fenced' });
		expect(lost.atMs - resumedMs).toBeLessThan(1_000);
	});

	it('move at once when they are given up, or their node leaves', async () => {
		const releasedMs = performance.now();
		home.tell({ release: 'hall' });
		const { node, gained } = await nextHome(releasedMs);
		figure('release to the next home', gained.atMs - releasedMs);
		expect(gained.atMs - releasedMs).toBeLessThan(GIVEN_UP_MS);

		others = nodes.filter((other) => other !== node);
		const closedMs = performance.now();
		await node.close();
		const after = await nextHome(closedMs);
		figure('goodbye to the next home', after.gained.atMs - closedMs);
		// The first home gave the room up a moment ago and leaves it to others for three seconds.
		expect(after.gained.atMs - closedMs).toBeLessThan(TAKEOVER_MS);
		await Promise.all(others.map((other) => other.event('nodeDown', closedMs)));
	});

	it('stay where they are through a flush, and are rewritten', async () => {
		const flushedMs = performance.now();
		await redis.flush();
		await Promise.all(nodes.map((node) => node.event('redis', flushedMs)));
		// It reports version 3 of the room, of which Redis has nothing now.
		await home.event('behind', flushedMs);
		expect(await redis.cli('HGET', 'rostrum:{r:hall}:home', 'epoch')).toBe(String(epoch));
		expect(await home.ask('hall')).toMatchObject({ epoch });
		for (const other of others) expect(other.has('gained', flushedMs)).toBe(false);
	});

	it('stay where they are while Redis hangs, and when it comes back', async () => {
		const hungMs = performance.now();
		redis.pause();
		await Promise.all(nodes.map((node) => node.event('redis', hungMs)));
		// The lease has run out by now.
		await delay(2_500);
		expect(await home.ask('hall')).toMatchObject({ epoch });
		const backMs = performance.now();
		redis.resume();
		await Promise.all(nodes.map((node) => node.event('redis', backMs)));
		await delay(2_500);
		expect(await home.ask('hall')).toMatchObject({ epoch, home: home.nodeId });
		for (const other of others) expect(other.has('gained')).toBe(false);
	});
});
