import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { NodeReport, ShardReport } from '../../server/cluster/node-report.ts';
import { HandOff, type HandOffTarget } from '../../server/placement/hand-off.ts';
import { type FleetState, type NodeLoad, nodesPassedOver, placeInFleet } from '../../server/placement/place-in-fleet.ts';
import { shardPressure } from '../../server/placement/shard-pressure.ts';
import { type FleetSetup, simulateFleet, SimulatedView, unevenness } from '../support/cluster/simulated-fleet.ts';
import { figure } from '../support/figure.ts';
import { seeded } from '../support/seeded.ts';

const node = (nodeId: string, taken: number, more: Partial<NodeLoad> = {}): NodeLoad => ({
	nodeId, region: undefined, draining: false, refused: false, taken, capacity: 1_000, pressure: 0, carriesRoom: false, ...more,
});
const fleet = (self: NodeLoad, others: NodeLoad[], more: Partial<FleetState> = {}): FleetState => ({ self, others, random: () => 0.5, elsewhere: 0, keepListeners: 20, ...more });

describe('the node for a listener', () => {
	it.each([
		['this one, alone', node('a', 999), [], 'here'],
		['this one, as full as others', node('a', 500), [node('b', 500)], 'here'],
		['this one, a little fuller: a hand-off costs a round trip', node('a', 510), [node('b', 500)], 'here'],
		['this one, a few listeners fuller in an empty fleet', node('a', 12), [node('b', 0)], 'here'],
		['the emptiest, when this one is clearly fuller', node('a', 560), [node('b', 540), node('c', 500)], 'c'],
		['by parts filled, not by number', node('a', 560), [node('b', 600, { capacity: 4_000 })], 'b'],
		['another, when this one is full', node('a', 1_000), [node('b', 999)], 'b'],
		['another, when this one drains', node('a', 0, { draining: true }), [node('b', 900)], 'b'],
		['another, when this one has no shards', node('a', 0, { capacity: 0 }), [node('b', 900)], 'b'],
		['none that drains', node('a', 900), [node('b', 0, { draining: true }), node('c', 500)], 'c'],
		['none that has just refused', node('a', 900), [node('b', 0, { refused: true }), node('c', 500)], 'c'],
		['none that is full', node('a', 1_000), [node('b', 1_000), node('c', 999)], 'c'],
		['none without shards', node('a', 900), [node('b', 0, { capacity: 0 })], 'here'],
		['none whose shards are hot', node('a', 560), [node('b', 500, { pressure: 0.2 }), node('c', 520)], 'c'],
		['this one rather than a far one', node('a', 700, { region: 'east' }), [node('b', 300, { region: 'west' })], 'here'],
		['a far one rather than none', node('a', 1_000, { region: 'east' }), [node('b', 300, { region: 'west' })], 'b'],
		['a near one rather than a far one', node('a', 900, { region: 'east' }), [node('b', 300, { region: 'west' }), node('c', 700, { region: 'east' })], 'c'],
		['one that carries the room, of equal ones', node('a', 900), [node('b', 500), node('c', 505, { carriesRoom: true }), node('d', 500)], 'c'],
		['an emptier one rather than one that carries the room', node('a', 900), [node('b', 500), node('c', 600, { carriesRoom: true })], 'b'],
		['nowhere, when nobody has room', node('a', 1_000), [node('b', 1_000), node('c', 0, { draining: true })], 'nowhere'],
	])('%s', (_what, self, others, expected) => {
		const choice = placeInFleet(fleet(self, others));
		expect(typeof choice === 'object' ? choice.nodeId : choice).toBe(expected);
	});

	it('spreads over equally empty nodes by the room they have', () => {
		const random = seeded(1);
		const chosen: Record<string, number> = {};
		for (let i = 0; i < 3_000; i++) {
			const choice = placeInFleet(fleet(node('a', 1_000), [node('b', 500), node('c', 1_000, { capacity: 2_000 }), node('d', 600)], { random }));
			if (typeof choice === 'object') chosen[choice.nodeId] = (chosen[choice.nodeId] ?? 0) + 1;
		}
		expect(chosen['d']).toBeUndefined();
		expect((chosen['c'] ?? 0) / (chosen['b'] ?? 1)).toBeGreaterThan(1.7);
		expect((chosen['c'] ?? 0) / (chosen['b'] ?? 1)).toBeLessThan(2.3);
	});

	it('does not send people round where chance alone makes nodes differ', () => {
		const uneven: [NodeLoad, NodeLoad[]] = [node('a', 45), [node('b', 40), node('c', 40), ...Array.from({ length: 40 }, (_, index) => node(`d${index}`, 42))]];
		expect(placeInFleet(fleet(uneven[0], uneven[1]))).not.toBe('here');
		expect(placeInFleet(fleet(uneven[0], uneven[1], { elsewhere: 0.97 }))).toBe('here');
	});

	it('does not send people round in a rush for what reports cannot tell yet', () => {
		const uneven: [NodeLoad, NodeLoad[]] = [node('a', 500), [node('b', 420), node('c', 480)]];
		expect(placeInFleet(fleet(uneven[0], uneven[1], { elsewhere: 0.7 }))).toEqual({ nodeId: 'b' });
		expect(placeInFleet(fleet(uneven[0], uneven[1], { elsewhere: 0.7, unseen: 80 }))).toBe('here');
		expect(placeInFleet(fleet(uneven[0], uneven[1], { elsewhere: 0.7, unseen: 79 }))).toEqual({ nodeId: 'b' });
	});

	it('says why each other one was passed over', () => {
		const state = fleet(node('a', 1_000), [
			node('b', 0, { draining: true }), node('c', 0, { capacity: 0 }), node('d', 0, { refused: true }), node('e', 700), node('f', 500), node('g', 100, { region: 'far' }),
		]);
		expect(nodesPassedOver(state, placeInFleet(state))).toEqual([
			{ node: 'a', why: 'full' }, { node: 'b', why: 'draining' }, { node: 'c', why: 'no shards' }, { node: 'd', why: 'refused' }, { node: 'e', why: 'fuller' },
			{ node: 'g', why: 'another region' },
		]);
	});

	it('is one that has room, whatever the figures', () => {
		const anyNode = fc.record({ taken: fc.integer({ min: 0, max: 12 }), capacity: fc.integer({ min: 0, max: 10 }), draining: fc.boolean(), refused: fc.boolean(), carriesRoom: fc.boolean(), pressure: fc.constantFrom(0, 0.1, 0.4), region: fc.constantFrom(undefined, 'east', 'west') });
		fc.assert(
			fc.property(anyNode, fc.array(anyNode, { maxLength: 6 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (own, rest, random, elsewhere) => {
				const nodes = [own, ...rest].map((load, index) => ({ ...load, nodeId: `n${index}` }));
				const [self, ...others] = nodes;
				const choice = placeInFleet(fleet(self!, others, { random: () => random, elsewhere }));
				const open = nodes.filter(({ draining, refused, taken, capacity }) => !draining && !refused && taken < capacity).map(({ nodeId }) => nodeId);
				if (choice === 'nowhere') expect(open).toEqual([]);
				else expect(open).toContain(choice === 'here' ? 'n0' : choice.nodeId);
			}),
		);
	});
});

describe('pressure on a shard', () => {
	it.each([
		['none at ease', { cpuRatio: 0.69 }, 0, 0],
		['by processor', { cpuRatio: 0.85 }, 0, 0.2],
		['by packets', { cpuRatio: 0.1, packetsPerSecond: 92_000 }, 0, 0.3],
		['by event-loop lag', { cpuRatio: 0.1, eventLoopLagMs: 250 }, 0, 0.4],
		['stays while effort falls a little', { cpuRatio: 0.73 }, 0.2, 0.2],
		['goes when it has really fallen', { cpuRatio: 0.65 }, 0.2, 0.1],
		['goes altogether', { cpuRatio: 0.5 }, 0.4, 0],
	])('%s', (_what, effort, before, expected) => {
		expect(shardPressure(effort, before)).toBeCloseTo(expected);
	});
});

const LAUNCH = { id: 'launch' };

describe('handing listeners on', () => {
	const open: HandOff[] = [];
	afterEach(() => {
		for (const handOff of open.splice(0)) handOff.close();
	});
	const shard = (listeners: number, more: Partial<ShardReport> = {}): ShardReport => ({
		index: 1, role: 'listener', alive: true, draining: false, listeners, joining: 0, maxListeners: 1_000, cpuRatio: 0.1, eventLoopLagMs: 1, packetsPerSecond: 0, ...more,
	});
	const report = (nodeId: string, listeners: number, more: Partial<NodeReport> = {}): NodeReport => ({
		nodeId, incarnation: 'first-start', beat: 1, startedAt: '', internalUrl: '', draining: false, shards: [shard(listeners)], rooms: {}, homes: {}, moving: {}, redis: true, ...more,
	});
	const start = (own: NodeReport, ...others: NodeReport[]) => {
		const view = new SimulatedView(own, ...others);
		const clock = { nowMs: 0 };
		const handOff = new HandOff({ view, ownShards: () => view.nodes()[0]!.shards, random: () => 0.5, nowMs: () => clock.nowMs });
		open.push(handOff);
		return { view, clock, handOff };
	};
	const nodeOf = (target: 'here' | HandOffTarget) => (target === 'here' ? target : target.nodeId);

	it('does not even look at its own shards while it is alone', () => {
		const view = new SimulatedView(report('a', 1_000));
		const handOff = new HandOff({ view, ownShards: () => expect.unreachable(), random: Math.random, nowMs: () => 0 });
		open.push(handOff);
		expect(handOff.decide(LAUNCH)).toBe('here');
	});

	it('names the node, its address if it has one of its own, and the reason', () => {
		const { handOff } = start(report('a', 500, { publicUrl: 'https://a.example' }), report('b', 100, { publicUrl: 'https://b.example' }), report('c', 400));
		expect(handOff.decide(LAUNCH)).toMatchObject({ nodeId: 'b', publicUrl: 'https://b.example', why: 'fuller', passedOver: [{ node: 'a', why: 'fuller' }, { node: 'c', why: 'fuller' }] });
	});

	it.each([
		['unset', undefined, undefined],
		['the same as ours', 'https://rooms.example', undefined],
		['shared with a third node', 'https://shared.example', 'https://shared.example'],
	])('gives no address that is %s', (_what, url, third) => {
		const withUrl = (publicUrl: string | undefined) => (publicUrl === undefined ? {} : { publicUrl });
		const { handOff } = start(report('a', 1_000, { publicUrl: 'https://rooms.example' }), report('b', 100, withUrl(url)), report('c', 900, withUrl(third)));
		const target = handOff.decide(LAUNCH);
		expect(target).toMatchObject({ nodeId: 'b', why: 'full' });
		expect(target).not.toHaveProperty('publicUrl');
	});

	it('counts whom it has sent until their node says that they came, and forgets those who never do', () => {
		const { handOff, view, clock } = start(report('a', 1_000), report('b', 0, { takenFrom: {} }), report('c', 10));
		for (let i = 0; i < 10; i++) expect(nodeOf(handOff.decide(LAUNCH))).toBe('b');
		// Both have ten now, b's on their way.
		const next = () => [handOff.decide(LAUNCH), handOff.decide(LAUNCH)].map(nodeOf).toSorted();
		expect(next()).toEqual(['b', 'c']);
		clock.nowMs = 500;
		view.set([report('a', 1_000), report('b', 4, { beat: 2, takenFrom: { a: 4, x: 3 } }), report('c', 11, { beat: 2, takenFrom: { a: 1 } })]);
		// Four came, seven are on their way.
		expect(next()).toEqual(['b', 'c']);
		clock.nowMs = 7_000;
		view.set([report('a', 1_000), report('b', 4, { beat: 3, takenFrom: { a: 4, x: 3 } }), report('c', 11, { beat: 3, takenFrom: { a: 1 } })]);
		expect(Array.from({ length: 6 }, () => nodeOf(handOff.decide(LAUNCH)))).toEqual(['b', 'b', 'b', 'b', 'b', 'b']);
	});

	it('carries on what others send to a node beside it', () => {
		const { handOff, view, clock } = start(report('a', 1_000), report('b', 0), report('c', 50));
		clock.nowMs = 500;
		view.set([report('a', 1_000), report('b', 45, { beat: 2, takenFrom: { x: 45 } }), report('c', 50, { beat: 2, takenFrom: {} })]);
		expect(nodeOf(handOff.decide(LAUNCH))).toBe('c');
	});

	it('leaves a node alone that refused, until its next report', () => {
		const { handOff, view } = start(report('a', 1_000), report('b', 0), report('c', 500));
		handOff.refused('b');
		expect(nodeOf(handOff.decide(LAUNCH))).toBe('c');
		view.set([report('a', 1_000), report('b', 0, { beat: 2 }), report('c', 500, { beat: 2 })]);
		expect(nodeOf(handOff.decide(LAUNCH))).toBe('b');
	});

	it('sends nobody where more are on their way than can be let in, however empty that node is', () => {
		const { handOff, view, clock } = start(report('a', 900), report('b', 0, { joinsPerSecond: 40, takenFrom: {} }), report('c', 600, { joinsPerSecond: 40 }));
		const sent = Array.from({ length: 80 }, () => nodeOf(handOff.decide(LAUNCH)));
		// So many as each lets in in three quarters of a second, and one more; who is left is better served here than turned away there.
		expect(sent.filter((nodeId) => nodeId === 'b')).toHaveLength(31);
		expect(sent.filter((nodeId) => nodeId === 'c')).toHaveLength(31);
		expect(sent.slice(62)).toEqual(Array.from({ length: 18 }, () => 'here'));
		clock.nowMs = 500;
		view.set([report('a', 918), report('b', 31, { beat: 2, joinsPerSecond: 40, takenFrom: { a: 31 } }), report('c', 600, { beat: 2, joinsPerSecond: 40 })]);
		expect(nodeOf(handOff.decide(LAUNCH))).toBe('b');
	});

	it('starts afresh with a node that was restarted, and forgets one that is gone', () => {
		const { handOff, view } = start(report('a', 1_000), report('b', 0), report('c', 30));
		for (let i = 0; i < 25; i++) handOff.decide(LAUNCH);
		view.set([report('a', 1_000), report('b', 0, { incarnation: 'second-start' }), report('c', 30, { beat: 2 })]);
		expect(Array.from({ length: 25 }, () => nodeOf(handOff.decide(LAUNCH)))).toEqual(Array.from({ length: 25 }, () => 'b'));
		view.set([report('a', 1_000)]);
		expect(handOff.decide(LAUNCH)).toBe('here');
	});

	it('counts for its own report whom others sent here', () => {
		const { handOff, view } = start(report('a', 0), report('b', 0));
		handOff.took('b');
		handOff.took('b');
		expect(handOff.takenFrom).toEqual({ b: 2 });
		view.set([report('a', 0)]);
		expect(handOff.takenFrom).toEqual({});
	});

	it('does not count shards that are dead or drain, nor what stage shards do', () => {
		const gone = [shard(0, { index: 2, alive: false }), shard(0, { index: 3, draining: true }), shard(0, { index: 0, role: 'stage', maxListeners: 0 })];
		const { handOff } = start(report('a', 600), report('b', 0, { shards: [shard(900), ...gone] }), report('c', 0, { shards: [shard(400), ...gone] }));
		expect(nodeOf(handOff.decide(LAUNCH))).toBe('c');
	});
});

describe('a fleet that fills', () => {
	const CAPS = [500, 1_000, 1_500, 2_000];
	const setup = (nodes: number, shards: number, listeners: number, arrivalsPerSecond: number, wayMs: [number, number], more: Partial<FleetSetup> = {}): FleetSetup => {
		const random = seeded(nodes * 1_000 + shards * 100 + listeners + arrivalsPerSecond);
		const caps = Array.from({ length: nodes }, () => Array.from({ length: shards }, () => CAPS[Math.floor(random() * CAPS.length)]!));
		return { caps, listeners, arrivalsPerSecond, wayMs, random, entry: () => 0, ...more };
	};

	it.each([
		[3, 1, [1_000, 2_000]],
		[3, 4, [1_000, 2_000, 5_000, 10_000]],
		[10, 4, [1_000, 5_000, 20_000]],
		[40, 1, [1_000, 5_000, 20_000]],
		[40, 8, [1_000, 5_000, 20_000, 50_000]],
	])('is even although every POST reaches the same node: %i nodes of %i shards', (nodes, shards, sizes) => {
		for (const listeners of sizes) {
			let worst = 0;
			let worstAtAll = 0;
			for (const arrivalsPerSecond of [200, 1_000, 5_000]) {
				for (const wayMs of [[2, 20], [50, 300]] satisfies [number, number][]) {
					if (listeners / arrivalsPerSecond > 10) continue;
					const outcome = simulateFleet(setup(nodes, shards, listeners, arrivalsPerSecond, wayMs));
					const { ratio, withinGrain } = unevenness(outcome, listeners);
					worst = Math.max(worst, withinGrain);
					worstAtAll = Math.max(worstAtAll, ratio);
					expect(outcome.seats.every((seat) => seat !== undefined)).toBe(true);
					expect(outcome.peak.every((peak, index) => peak <= outcome.caps[index]!)).toBe(true);
				}
			}
			figure(`${nodes} nodes of ${shards} shards, ${listeners} listeners through one node: fullest shard`, 100 * worstAtAll, `% of the mean, ${(100 * worst).toFixed(1)} % less one listener`);
			// A listener is not divisible: with three on each shard, the fourth is a third more.
			expect(worst).toBeLessThanOrEqual(1.1);
			if (listeners >= 60 * nodes * shards) expect(worstAtAll).toBeLessThanOrEqual(1.1);
		}
	});

	it('fills to the last place and never beyond, with figures of processors that are noise', () => {
		const base = setup(5, 3, 0, 2_000, [2, 20], { cpuRatio: (random) => 0.4 + 0.5 * random() });
		const capacity = base.caps.flat().reduce((sum, cap) => sum + cap, 0);
		const outcome = simulateFleet({ ...base, listeners: capacity + 500 });
		expect(outcome.peak).toEqual(outcome.caps);
		expect(outcome.seats.filter((seat) => seat === undefined)).toHaveLength(500);
		figure('a fleet filled to the last place: sent to a node that was full after all', outcome.sentInVain, `of ${outcome.handedOff}`);
	});

	it('stays even when processor figures are noise', () => {
		const outcome = simulateFleet(setup(4, 2, 5_000, 1_000, [2, 20], { cpuRatio: (random) => 0.3 + 0.39 * random() }));
		expect(unevenness(outcome, 5_000).withinGrain).toBeLessThanOrEqual(1.1);
	});

	it('sends few people round where a proxy spreads them already', () => {
		const outcome = simulateFleet(setup(10, 4, 20_000, 1_000, [2, 20], { entry: (random) => Math.floor(random() * 10), caps: Array.from({ length: 10 }, () => [1_000, 1_000, 1_000, 1_000]) }));
		figure('10 equal nodes behind a proxy that spreads, 20,000 listeners: handed on', (100 * outcome.handedOff) / 20_000, '%');
		expect(outcome.handedOff).toBeLessThan(0.2 * 20_000);
		expect(unevenness(outcome, 20_000).withinGrain).toBeLessThanOrEqual(1.1);
	});

	it('serves them where they come in a surge, as soon as it shows that they come everywhere', () => {
		const caps = Array.from({ length: 26 }, () => [5_000, 5_000, 5_000, 5_000]);
		const outcome = simulateFleet(setup(26, 4, 250_000, 80_000, [50, 300], { caps, entry: (random) => Math.floor(random() * 26) }));
		figure('26 nodes behind a proxy that spreads, 80,000 a second: handed on', (100 * outcome.handedOff) / 250_000, '%');
		expect(outcome.handedOff).toBeLessThan(0.3 * 250_000);
		expect(unevenness(outcome, 250_000).ratio).toBeLessThanOrEqual(1.1);
	});

	it('gives a node that is added newcomers at once, without drowning it, until it has its share', () => {
		const outcome = simulateFleet(setup(5, 2, 12_000, 500, [2, 20], { caps: Array.from({ length: 5 }, () => [2_000, 2_000]), late: { node: 4, atMs: 12_000 }, entry: (random) => Math.floor(random() * 4) }));
		expect(unevenness(outcome, 12_000).withinGrain).toBeLessThanOrEqual(1.1);
		const newcomers = outcome.seats.slice(6_500, 7_500).filter((seat) => seat !== undefined && seat >= 8);
		expect(newcomers.length).toBeGreaterThan(800);
	});
});
