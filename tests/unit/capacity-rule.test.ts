import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planAudience } from '../../server/capacity/audience-plan.ts';
import { type CapacityNode, fleetCapacity, nodeCapacity, nodeJoinsPerSecond } from '../../server/capacity/capacity-rule.ts';
import { DEFAULT_CALIBRATION, PACKINGS } from '../../server/capacity/shard-calibration.ts';

const GB = 1e9;
const node = (over: Partial<CapacityNode> = {}): CapacityNode => ({
	nodeId: 'node-a', shards: 7, maxListeners: 35_000, cores: 8, memoryBytes: 16 * GB, calibration: DEFAULT_CALIBRATION, ...over,
});
const cost = (factor: number) => ({
	...DEFAULT_CALIBRATION,
	cpuUsPerListenerSecond: { 20: 430 * factor, 40: 300 * factor, 60: 250 * factor, 120: 170 * factor },
});

const anyNode = fc.record({
	nodeId: fc.constant('node-a'),
	shards: fc.integer({ min: 0, max: 64 }),
	maxListeners: fc.integer({ min: 0, max: 100_000 }),
	cores: fc.double({ min: 0.1, max: 64, noNaN: true }),
	memoryBytes: fc.integer({ min: 0, max: 512 * GB }),
	calibration: fc.double({ min: 0.1, max: 10, noNaN: true }).map(cost),
});
const packing = fc.constantFrom(...PACKINGS);

describe('the capacity rule', () => {
	it('holds what 70 % of the cores carry: 8 cores at 250 µs are 21,040 listeners at 60 ms', () => {
		expect(nodeCapacity(node({ shards: 8, maxListeners: 40_000 }), 60)).toEqual({ listeners: 21_040, limit: 'processor' });
	});

	it('carries a shard on one core, however many the node has', () => {
		expect(nodeCapacity(node({ shards: 1, maxListeners: 5_000 }), 60)).toEqual({ listeners: 2_680, limit: 'shards' });
	});

	it.each([
		['its cap', { maxListeners: 5_000 }, 5_000, 'cap'],
		['its memory', { memoryBytes: 120_000_000 }, 900, 'memory'],
		['no shard that takes people', { shards: 0 }, 0, 'cap'],
	] as const)('is limited by %s', (_what, over, listeners, limit) => {
		expect(nodeCapacity(node(over), 60)).toEqual({ listeners, limit });
	});

	it('admits the fewer joins the more listen', () => {
		expect(nodeJoinsPerSecond(node({ cores: 4, shards: 3 }), 60, 0)).toBeCloseTo((3 * 0.87 * 1_000) / 2.5);
		expect(nodeJoinsPerSecond(node(), 60, 10_000)).toBeCloseTo(((7 * 0.87 - 2.5) * 1_000) / 2.5);
		expect(nodeJoinsPerSecond(node(), 60, 1_000_000)).toBe(0);
	});

	it('admits no more than its one node process can pass on', () => {
		expect(nodeJoinsPerSecond(node({ cores: 64, shards: 63 }), 60, 0)).toBe(2_250);
	});

	it('never holds fewer with more of anything, nor more when a listener costs more', () => {
		fc.assert(
			fc.property(anyNode, packing, fc.double({ min: 1, max: 8, noNaN: true }), (one, packingMs, factor) => {
				const before = nodeCapacity(one, packingMs).listeners;
				const joins = nodeJoinsPerSecond(one, packingMs, 100);
				const more: CapacityNode[] = [
					{ ...one, shards: one.shards + 1 },
					{ ...one, maxListeners: Math.ceil(one.maxListeners * factor) },
					{ ...one, cores: one.cores * factor },
					{ ...one, memoryBytes: one.memoryBytes * factor },
				];
				for (const each of more) {
					expect(nodeCapacity(each, packingMs).listeners).toBeGreaterThanOrEqual(before);
					expect(nodeJoinsPerSecond(each, packingMs, 100)).toBeGreaterThanOrEqual(joins);
				}
				const { calibration } = one;
				const dearer = {
					...calibration,
					cpuUsPerListenerSecond: { ...calibration.cpuUsPerListenerSecond, [packingMs]: calibration.cpuUsPerListenerSecond[packingMs] * factor },
					cpuMsPerJoin: calibration.cpuMsPerJoin * factor,
					bytesPerListener: calibration.bytesPerListener * factor,
				};
				expect(nodeCapacity({ ...one, calibration: dearer }, packingMs).listeners).toBeLessThanOrEqual(before);
				expect(nodeJoinsPerSecond({ ...one, calibration: dearer }, packingMs, 100)).toBeLessThanOrEqual(joins);
				expect(nodeJoinsPerSecond(one, packingMs, 200)).toBeLessThanOrEqual(joins);
			}),
		);
	});

	it('holds more the more is packed', () => {
		fc.assert(
			fc.property(anyNode, (one) => {
				const listeners = PACKINGS.map((packingMs) => nodeCapacity(one, packingMs).listeners);
				expect(listeners).toEqual(listeners.toSorted((a, b) => a - b));
			}),
		);
	});

	it('gives N nodes N times what one has', () => {
		fc.assert(
			fc.property(anyNode, packing, fc.integer({ min: 1, max: 50 }), (one, packingMs, count) => {
				const single = fleetCapacity([one], packingMs);
				const fleet = fleetCapacity(Array.from({ length: count }, () => one), packingMs);
				expect(fleet.listeners).toBe(count * single.listeners);
				expect(fleet.joinsPerSecond(count * 10)).toBeCloseTo(count * single.joinsPerSecond(10), 3);
			}),
		);
	});
});

describe('what a fleet has for an audience', () => {
	const fleet = (count: number) => Array.from({ length: count }, (_, index) => node({ nodeId: `node-${index}`, shards: 8, maxListeners: 40_000 }));

	it('is enough where everybody has a place in time', () => {
		const plan = planAudience(fleet(10), 60, { listeners: 100_000, withinSeconds: 60 });
		expect(plan).toMatchObject({ capacity: 210_400, enough: true, moreNodes: 0, overflowShare: 0 });
		expect(plan.lastWaitSeconds).toBe(0);
	});

	it('says how many more nodes are needed, and that with them it is enough', () => {
		const plan = planAudience(fleet(10), 60, { listeners: 420_000, withinSeconds: 60 });
		expect(plan.enough).toBe(false);
		expect(plan.overflowShare).toBeCloseTo(1 - 210_400 / 420_000);
		expect(plan.moreNodes).toBeGreaterThanOrEqual(10);
		expect(planAudience(fleet(10 + (plan.moreNodes ?? 0)), 60, { listeners: 420_000, withinSeconds: 60 }).enough).toBe(true);
		expect(planAudience(fleet(9 + (plan.moreNodes ?? 0)), 60, { listeners: 420_000, withinSeconds: 60 }).enough).toBe(false);
	});

	it('finds a wait that is too long although there are places', () => {
		const slow = fleet(1).map((one) => ({ ...one, calibration: { ...DEFAULT_CALIBRATION, cpuMsPerJoin: 50 } }));
		const plan = planAudience(slow, 60, { listeners: 20_000, withinSeconds: 1 });
		expect(plan).toMatchObject({ enough: false, overflowShare: 0 });
		expect(plan.lastWaitSeconds).toBeGreaterThan(30);
		expect(plan.moreNodes).toBeGreaterThan(0);
	});

	it('counts those who are there already', () => {
		const audience = { listeners: 15_000, withinSeconds: 600 };
		expect(planAudience(fleet(1), 60, audience).overflowShare).toBe(0);
		expect(planAudience(fleet(1), 60, audience, { present: 10_000 }).overflowShare).toBeCloseTo((15_000 - 11_040) / 15_000);
	});

	it('cannot say a number of nodes where there is none to go by', () => {
		expect(planAudience([], 60, { listeners: 100, withinSeconds: 60 })).toMatchObject({ enough: false, moreNodes: undefined, overflowShare: 1 });
		expect(planAudience([node({ shards: 0 })], 60, { listeners: 100, withinSeconds: 60 }).moreNodes).toBeUndefined();
		expect(planAudience([], 60, { listeners: 0, withinSeconds: 60 }).enough).toBe(true);
	});

	it('is never worse for fewer people, more time or more nodes', () => {
		fc.assert(
			fc.property(
				fc.array(anyNode, { minLength: 1, maxLength: 5 }), packing,
				fc.integer({ min: 1, max: 200_000 }), fc.double({ min: 1, max: 600, noNaN: true }), fc.double({ min: 1, max: 5, noNaN: true }),
				(nodes, packingMs, listeners, withinSeconds, factor) => {
					const plan = planAudience(nodes, packingMs, { listeners, withinSeconds });
					const better = [
						planAudience(nodes, packingMs, { listeners: Math.ceil(listeners / factor), withinSeconds }),
						planAudience(nodes, packingMs, { listeners, withinSeconds: withinSeconds * factor }),
						planAudience([...nodes, ...nodes], packingMs, { listeners, withinSeconds }),
					];
					for (const each of better) {
						expect(each.overflowShare).toBeLessThanOrEqual(plan.overflowShare);
						if (plan.enough) {
							expect(each.enough).toBe(true);
						}
					}
				},
			),
			{ numRuns: 60 },
		);
	});
});
