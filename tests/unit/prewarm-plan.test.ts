import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ListenerShardLoad, placeListener } from '../../server/placement/place-listener.ts';
import { PREWARM_FILL, type PrewarmNode, prewarmPlan } from '../../server/placement/prewarm-plan.ts';

const MAX = 1_000;
/** What is counted on an empty shard. */
const SHARE = MAX * PREWARM_FILL;

type NodeShape = { listeners?: readonly number[]; region?: string; draining?: boolean };

/** A stage shard 0 and listener shards from 1 on, with so many people each. */
const node = (nodeId: string, { listeners = [0, 0, 0, 0], region, draining = false }: NodeShape = {}): PrewarmNode => ({
	nodeId,
	draining,
	...(region === undefined ? {} : { region }),
	shards: [
		{ index: 0, role: 'stage', alive: true, draining: false, listeners: 0, joining: 0, maxListeners: 0 },
		...listeners.map((count, place) => ({ index: place + 1, role: 'listener' as const, alive: true, draining: false, listeners: count, joining: 0, maxListeners: MAX })),
	],
});
const without = (fleet: PrewarmNode, index: number, what: 'alive' | 'draining'): PrewarmNode => ({
	...fleet,
	shards: fleet.shards.map((shard) => (shard.index === index ? { ...shard, [what]: what === 'draining' } : shard)),
});
const room = (expectedListeners?: number, maxListeners?: number) => ({ id: 'town-hall', expectedListeners, maxListeners });
const names = (plan: ReturnType<typeof prewarmPlan>) => plan.map(({ nodeId, shard }) => `${nodeId}.${shard}`);
const onNode = (plan: ReturnType<typeof prewarmPlan>, nodeId: string) => plan.filter((edge) => edge.nodeId === nodeId).length;

describe('the plan of what is made ahead', () => {
	const three = [node('a'), node('b'), node('c')];

	it.each([
		['nothing without an expectation', undefined, 0],
		['nothing for nobody', 0, 0],
		['one shard for one listener', 1, 1],
		['one for what one takes', SHARE, 1],
		['a second one for one more', SHARE + 1, 2],
		['each its share', SHARE * 7, 7],
		['all there are, and no more, for everybody', 1_000_000, 12],
	])('has %s', (_what, expected, shards) => {
		expect(prewarmPlan(three, room(expected))).toHaveLength(shards);
	});

	it('counts no more people than the room lets in', () => {
		expect(prewarmPlan(three, room(1_000_000, SHARE * 2))).toHaveLength(2);
	});

	it('names each shard once, and none that cannot take anybody', () => {
		const fleet = [
			without(without(node('a'), 1, 'alive'), 2, 'draining'),
			node('b', { draining: true }),
			node('c', { listeners: [MAX, 0] }),
		];
		expect(names(prewarmPlan(fleet, room(1_000_000))).toSorted()).toEqual(['a.3', 'a.4', 'c.2']);
		expect(prewarmPlan([node('a', { draining: true })], room(5))).toEqual([]);
		expect(prewarmPlan([], room(5))).toEqual([]);
	});

	it('spreads over nodes in proportion to their shards', () => {
		const uneven = [node('large', { listeners: Array.from({ length: 8 }, () => 0) }), node('small', { listeners: [0, 0] })];
		const plan = prewarmPlan(uneven, room(SHARE * 5));
		expect([onNode(plan, 'large'), onNode(plan, 'small')]).toEqual([4, 1]);
		const even = prewarmPlan(three, room(SHARE * 6));
		expect(['a', 'b', 'c'].map((nodeId) => onNode(even, nodeId))).toEqual([2, 2, 2]);
	});

	it('begins with the least loaded, and counts less on those that are half full', () => {
		const fleet = [node('a', { listeners: [600, 10, 600, 10] }), node('b', { listeners: [10, 600, 10, 600] })];
		expect(names(prewarmPlan(fleet, room(SHARE * 4))).toSorted()).toEqual(['a.2', 'a.4', 'b.1', 'b.3']);
		expect(prewarmPlan(fleet, room(SHARE * 5))).toHaveLength(6);
	});

	it('has a shard in every region, however small the audience', () => {
		const fleet = [node('a', { region: 'eu' }), node('b', { region: 'eu' }), node('c', { region: 'us' }), node('d')];
		const plan = prewarmPlan(fleet, room(1));
		expect(plan).toHaveLength(3);
		expect(onNode(plan, 'c')).toBe(1);
		expect(onNode(plan, 'd')).toBe(1);
	});

	it('gives different rooms different shards to begin with', () => {
		const fleet = [node('a', { listeners: Array.from({ length: 16 }, () => 0) })];
		const first = new Set(Array.from({ length: 40 }, (_, index) => names(prewarmPlan(fleet, { id: `room-${index}`, expectedListeners: 1 }))[0]));
		expect(first.size).toBeGreaterThan(8);
	});

	const loads = fc.array(fc.integer({ min: 0, max: MAX + 10 }), { minLength: 1, maxLength: 6 });
	const fleets = fc.array(fc.record({ listeners: loads, region: fc.constantFrom(undefined, 'eu', 'us'), draining: fc.boolean() }), { minLength: 1, maxLength: 6 });
	const made = (shapes: readonly { listeners: number[]; region: string | undefined; draining: boolean }[], shift = 0) =>
		shapes.map(({ listeners, region, draining }, index) => node(`node-${index}`, { listeners: listeners.map((count) => Math.max(0, count + shift)), draining, ...(region === undefined ? {} : { region }) }));

	it('is the same on every node, in whatever order the reports came', () => {
		fc.assert(
			fc.property(fleets, fc.integer({ min: 1, max: 5_000 }), fc.nat(5), (shapes, expected, turn) => {
				const fleet = made(shapes);
				const turned = [...fleet.slice(turn), ...fleet.slice(0, turn)].toReversed();
				expect(prewarmPlan(turned, room(expected))).toEqual(prewarmPlan(fleet, room(expected)));
			}),
		);
	});

	it('begins with what it would have for fewer people', () => {
		fc.assert(
			fc.property(fleets, fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 0, max: 2_000 }), (shapes, expected, more) => {
				const few = names(prewarmPlan(made(shapes), room(expected)));
				expect(names(prewarmPlan(made(shapes), room(expected + more))).slice(0, few.length)).toEqual(few);
			}),
		);
	});

	it('does not mind that reports are of different moments', () => {
		// Loads that differ by less than a quarter, and stay within it.
		const shapes = [[30, 40, 50], [290, 280, 300], [20, 560, 90]].map((listeners) => ({ listeners, region: undefined, draining: false }));
		for (const shift of [-15, -1, 1, 25, 120]) {
			expect(prewarmPlan(made(shapes, shift), room(SHARE * 6))).toEqual(prewarmPlan(made(shapes), room(SHARE * 6)));
		}
	});

	it('changes little when a node goes', () => {
		const fleet = Array.from({ length: 10 }, (_, index) => node(`node-${index}`));
		const before = new Set(names(prewarmPlan(fleet, room(SHARE * 20))));
		const after = names(prewarmPlan(fleet.slice(1), room(SHARE * 20)));
		expect(after).toHaveLength(20);
		expect(after.filter((name) => !before.has(name)).length).toBeLessThanOrEqual(3);
	});
});

describe('placement and what was made ahead', () => {
	const shard = (index: number, more: Partial<ListenerShardLoad> = {}): ListenerShardLoad => ({
		index, alive: true, draining: false, listeners: 0, joining: 0, maxListeners: MAX, cpuRatio: 0, ...more,
	});
	const arrive = (shards: ListenerShardLoad[], listeners: number) => {
		for (let i = 0; i < listeners; i++) {
			const target = shards.find(({ index }) => index === placeListener(shards).shard);
			if (target) {
				target.listeners++;
				target.carriesRoom = true;
			}
		}
		return shards.map(({ listeners: count }) => count);
	};
	const warm = { isWarm: true, carriesRoom: true };

	it('spreads early listeners evenly over the warm shards, and opens no other', () => {
		expect(arrive([shard(1, warm), shard(2), shard(3, warm), shard(4, warm)], 90)).toEqual([30, 0, 30, 30]);
	});

	it('uses the other shards too once more come than were planned for', () => {
		const [warmed = 0, ...others] = arrive([shard(1, warm), shard(2), shard(3)], 400);
		expect(others.every((count) => count > 0)).toBe(true);
		expect(warmed - Math.min(...others)).toBeLessThanOrEqual(SHARE + 1);
	});

	it.each([
		['dead', { alive: false }],
		['draining', { draining: true }],
		['full', { listeners: MAX }],
		['hard at work', { cpuRatio: 0.95 }],
		['much fuller than another', { listeners: 500 }],
	])('passes over a warm shard that is %s', (_what, more) => {
		expect(placeListener([shard(1, { ...warm, ...more }), shard(2)]).shard).toBe(2);
	});
});
