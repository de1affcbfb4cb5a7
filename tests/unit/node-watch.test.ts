import { describe, expect, it } from 'vitest';
import { NodeWatch } from '../../sfu/shard/node-watch.ts';

/** @returns at which ticks it said that the node hangs */
function ticks(watch: NodeWatch, count: number, heardEvery = Infinity): number[] {
	const said: number[] = [];
	for (let tick = 1; tick <= count; tick++) {
		if (tick % heardEvery === 0) watch.heard();
		if (watch.tick()) said.push(tick);
	}
	return said;
}

describe('a shard that watches its node', () => {
	it('gives it up after its silence, and says so once', () => {
		expect(ticks(new NodeWatch(4_000, 100), 200)).toEqual([40]);
		expect(ticks(new NodeWatch(4_000, 20), 1_000)).toEqual([200]);
	});

	it('does not while the node is heard, however rarely within the time', () => {
		expect(ticks(new NodeWatch(4_000, 100), 1_000, 39)).toEqual([]);
	});

	it('counts from the last sign of life', () => {
		const watch = new NodeWatch(1_000, 100);
		expect(ticks(watch, 9)).toEqual([]);
		watch.heard();
		expect(ticks(watch, 9)).toEqual([]);
		expect(watch.tick()).toBe(true);
	});

	it('never gives up a node that is alone', () => {
		expect(ticks(new NodeWatch(undefined, 100), 100_000)).toEqual([]);
	});
});
