import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { choosePackingMs } from '../../server/placement/packing-policy.ts';
import { type ListenerShardLoad, placeListener } from '../../server/placement/place-listener.ts';

const shard = (index: number, more: Partial<ListenerShardLoad> = {}): ListenerShardLoad => ({
	index,
	alive: true,
	draining: false,
	listeners: 0,
	joining: 0,
	maxListeners: 100,
	cpuRatio: 0,
	...more,
});

describe('placement of a listener', () => {
	it.each([
		['the emptier shard', [shard(1, { listeners: 10 }), shard(2, { listeners: 9 })], 2],
		['joins under way count as listeners', [shard(1, { listeners: 5, joining: 6 }), shard(2, { listeners: 10 })], 2],
		['fill counts, not number', [shard(1, { listeners: 60, maxListeners: 100 }), shard(2, { listeners: 70, maxListeners: 1_000 })], 2],
		['no dead shard', [shard(1, { alive: false }), shard(2, { listeners: 99 })], 2],
		['no draining shard', [shard(1, { draining: true }), shard(2, { listeners: 99 })], 2],
		['no full shard', [shard(1, { listeners: 100 }), shard(2, { listeners: 100, joining: 0, maxListeners: 101 })], 2],
		['a hot processor outweighs a few listeners', [shard(1, { listeners: 5, cpuRatio: 0.95 }), shard(2, { listeners: 20, cpuRatio: 0.3 })], 2],
		['small differences of load are noise', [shard(1, { listeners: 5, cpuRatio: 0.4 }), shard(2, { listeners: 20, cpuRatio: 0.1 })], 1],
		['nobody when all are full', [shard(1, { listeners: 100 }), shard(2, { alive: false })], undefined],
		['nobody when there is none', [], undefined],
	])('%s', (_what, shards, expected) => {
		expect(placeListener(shards).shard).toBe(expected);
	});

	it('says why each other shard was passed over', () => {
		const { passedOver } = placeListener([
			shard(1, { alive: false }),
			shard(2, { draining: true }),
			shard(3, { listeners: 100 }),
			shard(4, { listeners: 50 }),
			shard(5, { listeners: 1 }),
		]);
		expect(passedOver).toEqual([
			{ shard: 1, why: 'dead' },
			{ shard: 2, why: 'draining' },
			{ shard: 3, why: 'full' },
			{ shard: 4, why: 'busier' },
		]);
	});

	it('never overshoots a cap and fills evenly, whatever comes', () => {
		fc.assert(
			fc.property(fc.array(fc.record({ maxListeners: fc.integer({ min: 1, max: 50 }) }), { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 400 }), (caps, arrivals) => {
				const shards = caps.map(({ maxListeners }, index) => shard(index, { maxListeners }));
				let refused = 0;
				for (let i = 0; i < arrivals; i++) {
					const { shard: chosen } = placeListener(shards);
					const target = shards.find(({ index }) => index === chosen);
					if (target) {
						target.listeners++;
					} else {
						refused++;
					}
				}
				const capacity = caps.reduce((sum, { maxListeners }) => sum + maxListeners, 0);
				expect(refused).toBe(Math.max(0, arrivals - capacity));
				expect(shards.every(({ listeners, maxListeners }) => listeners <= maxListeners)).toBe(true);
				// Evenly: no shard has more than one listener beyond the fill of any other.
				for (const a of shards) {
					for (const b of shards) {
						expect((a.listeners - 1) / a.maxListeners).toBeLessThanOrEqual(b.listeners / b.maxListeners);
					}
				}
			}),
		);
	});
});

describe('packing of a room', () => {
	const auto = { thresholdListeners: 200, smallMs: 20, largeMs: 60 } as const;
	it.each([
		['what the host asked for stays', 40, 5_000, 20, 40],
		['a small audience gets 20 ms', 'auto', 199, 20, 20],
		['a large one gets 60 ms', 'auto', 200, 20, 60],
		['it does not flap when a few leave', 'auto', 190, 60, 60],
		['it goes back when the audience has really shrunk', 'auto', 159, 60, 20],
		['a new room starts small', 'auto', 0, undefined, 20],
	] as const)('%s', (_what, packing, listeners, current, expected) => {
		expect(choosePackingMs(packing, listeners, current, auto)).toBe(expected);
	});
});
