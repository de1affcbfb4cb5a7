import { describe, expect, it } from 'vitest';
import { LoopLag } from '../../sfu/shard/loop-lag.ts';

const TICK_MS = 100;

/** What is told behind these ticks. */
function told(...atMs: number[]): number {
	const lag = new LoopLag(TICK_MS);
	for (const nowMs of atMs) lag.tick(nowMs);
	return lag.take();
}

describe('how far a process was behind', () => {
	it.each<[string, number[], number]>([
		['is nothing before it has ticked', [], 0],
		['is nothing behind the first tick, whenever it comes', [5_000], 0],
		['is nothing when ticks come in time, or early', [0, 100, 195, 295], 0],
		['is what the latest of them was late by', [0, 100, 350, 460, 560], 150],
	])('%s', (_, atMs, lagMs) => {
		expect(told(...atMs)).toBe(lagMs);
	});

	it('is told of the time since it was last asked', () => {
		const lag = new LoopLag(TICK_MS);
		lag.tick(0);
		lag.tick(400);
		expect(lag.take()).toBe(300);
		lag.tick(510);
		expect(lag.take()).toBe(10);
		expect(lag.take()).toBe(0);
	});
});
