import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EdgeRef, UpstreamRef } from '../../server/cluster/peer-protocol.ts';
import { type AvoidRef, type FanOutBranch, FanOutTree } from '../../server/placement/fan-out-tree.ts';

const ORIGIN: UpstreamRef = { nodeId: 'home', shard: 'origin' };
const edge = (nodeId: string, shard = 0): EdgeRef => ({ nodeId, shard });
const name = ({ nodeId, shard }: UpstreamRef) => `${nodeId}.${shard}`;

/** Edges on nodes of one shard each, attached in turn. */
function treeOf(count: number, maxFanOut: number, nodeOf = (index: number) => `n${index}`): FanOutTree {
	const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut });
	for (let index = 0; index < count; index++) tree.attach(edge(nodeOf(index), index));
	return tree;
}

/** Least depth that holds so many edges. */
function optimum(edges: number, maxFanOut: number): number {
	let depth = 0;
	for (let places = 0, level = 1; places < edges; depth++) {
		level *= maxFanOut;
		places += level;
	}
	return depth;
}

describe('the fan-out tree', () => {
	it('fills the origin, then those nearest to it', () => {
		const tree = treeOf(2, 2);
		expect(tree.children(ORIGIN)).toEqual([edge('n0', 0), edge('n1', 1)]);
		expect(tree.attach(edge('n2', 2))).toMatchObject({ nodeId: 'n0' });
		expect(tree.attach(edge('n3', 3))).toMatchObject({ nodeId: 'n1' });
		expect(tree.depthOf(edge('n3', 3))).toBe(2);
	});

	it('holds a thousand shards two links away', () => {
		const tree = treeOf(1_000, 32);
		expect(tree.describe()).toMatchObject({ depth: 2, edges: 1_000, floating: [] });
	});

	it('links to a relay on the same node, else of the same region, else to the one with fewest children', () => {
		const regions: Record<string, string> = { a: 'east', b: 'west', c: 'west', d: 'north' };
		const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 3, regionOf: (node) => regions[node] });
		for (const node of ['a', 'b', 'home']) tree.attach(edge(node));
		expect(tree.attach(edge('b', 1))).toEqual(edge('b'));
		expect(tree.attach(edge('c', 1))).toEqual(edge('b'));
		expect(tree.attach(edge('c', 2))).toEqual(edge('b'));
		// The west is full: fewest children counts.
		expect(tree.attach(edge('d'))).toEqual(edge('a'));
		expect(tree.attach(edge('c', 3))).toEqual(edge('home'));
	});

	it('lets an edge that is about to go relay only when nothing else can', () => {
		const leaving = new Set(['a.0']);
		const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 2, isLeaving: (ref) => leaving.has(name(ref)) });
		tree.attach(edge('a'));
		tree.attach(edge('b'));
		expect([tree.attach(edge('c')), tree.attach(edge('d'))].map((ref) => ref?.nodeId)).toEqual(['b', 'b']);
		leaving.add('b.0').add('c.0').add('d.0');
		expect(tree.attach(edge('e'))).toEqual(edge('a'));
	});

	it('honours what is avoided: one end, or a whole node', () => {
		const tree = treeOf(3, 2);
		expect(tree.attach(edge('x'), [ORIGIN])).toMatchObject({ nodeId: 'n1' });
		expect(tree.attach(edge('x'), [ORIGIN, { nodeId: 'n1' }])).toMatchObject({ nodeId: 'n0' });
		expect(tree.attach(edge('x'), [ORIGIN, { nodeId: 'n1', shard: 1 }, { nodeId: 'n0', shard: 'origin' }])).toMatchObject({ nodeId: 'n0' });
		expect(tree.attach(edge('x'), [{ nodeId: 'home' }, { nodeId: 'n0' }, { nodeId: 'n1' }, { nodeId: 'n2' }])).toBeUndefined();
		expect(tree.depthOf(edge('x'))).toBeUndefined();
		expect(tree.describe().floating).toEqual([{ ...edge('x'), children: [] }]);
		expect(tree.attach(edge('x'))).toBeDefined();
	});

	it('gives an edge that asks twice the same upstream, and a nearer one when there is one', () => {
		const tree = treeOf(7, 2);
		const last = edge('n6', 6);
		expect(tree.attach(last)).toEqual(tree.attach(last));
		expect(tree.depthOf(last)).toBe(3);
		tree.detach(edge('n3', 3));
		tree.attach(last);
		expect(tree.depthOf(last)).toBe(2);
	});

	it('names those who lost their upstream, who then bring their own along, never below themselves', () => {
		const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 1 });
		for (const node of ['a', 'b', 'c', 'd']) tree.attach(edge(node));
		expect(tree.detach(edge('a'))).toEqual([edge('b')]);
		expect(tree.depthOf(edge('d'))).toBeUndefined();
		expect(tree.attach(edge('b'), [ORIGIN])).toBeUndefined();
		expect(tree.attach(edge('b'))).toEqual(ORIGIN);
		expect(tree.depthOf(edge('d'))).toBe(3);
	});

	it('drops a node with all its edges, and names only those elsewhere', () => {
		const tree = treeOf(12, 2, (index) => (index < 2 ? 'gone' : `n${index % 2}`));
		const orphans = tree.detachNode('gone');
		expect(orphans).toHaveLength(4);
		expect(orphans.every(({ nodeId }) => nodeId !== 'gone')).toBe(true);
		expect(tree.size).toBe(10);
		expect(tree.detachNode('gone')).toEqual([]);
	});

	it('gives away the room of a node that the home’s own cannot hear, which says itself when it is well', () => {
		const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 2 });
		const [far, further, own, behind] = [edge('far', 0), edge('far', 1), edge('home', 0), edge('n1', 0)] as const;
		[far, further, own, behind].forEach((one) => tree.attach(one));
		tree.cutOff('home');
		expect(tree.depthOf(far)).toBe(1);
		tree.cutOff('far');
		expect([far, further].map((one) => tree.upstreamOf(one))).toEqual([undefined, undefined]);
		expect(tree.attach(own, [{ nodeId: 'far' }])).toEqual(ORIGIN);
		expect(tree.attachAs(far, ORIGIN)).toBe(true);
		expect(tree.attachAs(further, ORIGIN)).toBe(false);
		expect(tree.attach(further)).toEqual(far);
	});

	it('drops edges that were not heard of for long, counted from the first round', () => {
		const tree = treeOf(4, 1);
		expect(tree.expire(1_000, 100)).toEqual([]);
		for (const index of [0, 2, 3]) tree.touch(edge(`n${index}`, index), 1_090);
		expect(tree.expire(1_100, 100)).toEqual([]);
		expect(tree.expire(1_101, 100)).toEqual([edge('n2', 2)]);
		expect(tree.size).toBe(3);
		expect(tree.attach(edge('n2', 2))).toEqual(edge('n0'));
		// Silent since 1,090: n0 above it and n3 below it; n2 itself has just asked.
		expect(tree.expire(1_300, 100)).toEqual([edge('n2', 2)]);
		expect(tree.size).toBe(1);
	});

	describe('a link that an edge reports', () => {
		it('is taken over as it is, even before its upstream has reported itself', () => {
			const tree = new FanOutTree({ homeNodeId: 'home' });
			expect(tree.attachAs(edge('child'), edge('relay'))).toBe(true);
			expect(tree.depthOf(edge('child'))).toBeUndefined();
			expect(tree.attachAs(edge('relay'), ORIGIN)).toBe(true);
			expect(tree.depthOf(edge('child'))).toBe(2);
		});

		it('is refused in a circle, below itself, beyond the bound and at another home’s origin', () => {
			const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 1 });
			tree.attachAs(edge('b'), edge('a'));
			tree.attachAs(edge('c'), edge('b'));
			expect(tree.attachAs(edge('a'), edge('c'))).toBe(false);
			expect(tree.attachAs(edge('a'), edge('a'))).toBe(false);
			expect(tree.attachAs(edge('d'), edge('b'))).toBe(false);
			expect(tree.attachAs(edge('a'), { nodeId: 'elsewhere', shard: 'origin' })).toBe(false);
			expect(tree.attachAs(edge('c'), edge('b'))).toBe(true);
			expect(tree.size).toBe(3);
		});
	});

	it('brings an edge that sits deeper than it needs to up with all that hangs on it, when it asks', () => {
		const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut: 2 });
		for (const [child, parent] of [['b', 'a'], ['c', 'b'], ['d', 'c']] as const) tree.attachAs(edge(child), edge(parent));
		tree.attachAs(edge('a'), ORIGIN);
		expect(tree.describe().depth).toBe(4);
		tree.attach(edge('c'));
		expect([tree.depthOf(edge('c')), tree.depthOf(edge('d'))]).toEqual([1, 2]);
		expect(tree.describe().depth).toBe(2);
	});

	it('describes itself as a tree', () => {
		const tree = treeOf(3, 2);
		expect(tree.describe()).toEqual({
			depth: 2,
			edges: 3,
			children: [
				{ ...edge('n0', 0), children: [{ ...edge('n2', 2), children: [] }] },
				{ ...edge('n1', 1), children: [] },
			],
			floating: [],
		});
	});
});

type Command =
	| { do: 'attach'; edge: EdgeRef; avoid: AvoidRef[] }
	| { do: 'attachAs'; edge: EdgeRef; upstream: UpstreamRef }
	| { do: 'detach'; edge: EdgeRef }
	| { do: 'detachNode' | 'cutOff'; nodeId: string }
	| { do: 'touch'; edge: EdgeRef }
	| { do: 'expire' };

const anyNode = fc.constantFrom('home', 'n1', 'n2', 'n3', 'n4', 'n5');
const anyEdge = fc.record({ nodeId: anyNode, shard: fc.integer({ min: 0, max: 4 }) });
const anyUpstream: fc.Arbitrary<UpstreamRef> = fc.oneof(anyEdge, fc.constant(ORIGIN), fc.constant({ nodeId: 'n1', shard: 'origin' as const }));
const anyAvoid: fc.Arbitrary<AvoidRef> = fc.oneof(anyUpstream, fc.record({ nodeId: anyNode }));
const anyCommand: fc.Arbitrary<Command> = fc.oneof(
	{ weight: 6, arbitrary: fc.record({ do: fc.constant('attach' as const), edge: anyEdge, avoid: fc.oneof({ weight: 3, arbitrary: fc.constant<AvoidRef[]>([]) }, fc.array(anyAvoid, { maxLength: 4 })) }) },
	{ weight: 4, arbitrary: fc.record({ do: fc.constant('attachAs' as const), edge: anyEdge, upstream: anyUpstream }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant('detach' as const), edge: anyEdge }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constantFrom('detachNode' as const, 'cutOff' as const), nodeId: anyNode }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant('touch' as const), edge: anyEdge }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant('expire' as const) }) },
);
/** Doubled and re-ordered, as messages between nodes may be. */
const anyCommands = fc.array(anyCommand, { maxLength: 120 }).chain((commands) =>
	fc.tuple(fc.constant(commands), fc.shuffledSubarray(commands)).map(([first, again]) => [...first, ...again]),
);

/** Walks what the tree says of itself; fails on a circle, a bound that is passed, or a depth that is not the walked one. */
function check(tree: FanOutTree, maxFanOut: number): void {
	const { children, floating, depth, edges } = tree.describe();
	const met = new Set<string>();
	let deepest = 0;
	const walk = (branches: FanOutBranch[], depthHere: number | undefined, bounded: boolean): void => {
		if (bounded) expect(branches.length).toBeLessThanOrEqual(maxFanOut);
		for (const branch of branches) {
			expect(met).not.toContain(name(branch));
			met.add(name(branch));
			expect(tree.depthOf(branch)).toBe(depthHere);
			if (depthHere !== undefined) deepest = Math.max(deepest, depthHere);
			walk(branch.children, depthHere === undefined ? undefined : depthHere + 1, true);
		}
	};
	walk(children, 1, true);
	walk(floating, undefined, false);
	// Whoever is in a circle would be found from neither end.
	expect(met.size).toBe(edges);
	expect(tree.size).toBe(edges);
	expect(depth).toBe(deepest);
}

/** All that are attached. */
function edgesOf(tree: FanOutTree): EdgeRef[] {
	const below = (branches: FanOutBranch[]): EdgeRef[] => branches.flatMap(({ nodeId, shard, children }) => [{ nodeId, shard }, ...below(children)]);
	return below(tree.describe().children);
}

describe('the fan-out tree, whatever happens', () => {
	it('has no circle, keeps its bounds, gives nobody what they avoid, and finds everybody a place who asks', () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 4 }), anyCommands, (maxFanOut, commands) => {
				const tree = new FanOutTree({ homeNodeId: 'home', maxFanOut });
				let nowMs = 0;
				for (const command of commands) {
					nowMs += 10;
					switch (command.do) {
						case 'attach': {
							const upstream = tree.attach(command.edge, command.avoid);
							expect(upstream).toEqual(tree.upstreamOf(command.edge));
							if (upstream) {
								expect(tree.depthOf(command.edge)).toBeGreaterThan(0);
								expect(command.avoid.some(({ nodeId, shard }) => nodeId === upstream.nodeId && (shard === undefined || shard === upstream.shard))).toBe(false);
							} else {
								expect(command.avoid).not.toEqual([]);
							}
							break;
						}
						case 'attachAs': {
							const before = tree.describe();
							if (tree.attachAs(command.edge, command.upstream)) expect(tree.upstreamOf(command.edge)).toEqual(command.upstream);
							else expect(tree.describe()).toEqual(before);
							break;
						}
						case 'detach':
							for (const orphan of tree.detach(command.edge)) expect(tree.upstreamOf(orphan)).toBeUndefined();
							expect(tree.depthOf(command.edge)).toBeUndefined();
							break;
						case 'detachNode':
							for (const orphan of tree.detachNode(command.nodeId)) expect(orphan.nodeId).not.toBe(command.nodeId);
							break;
						case 'cutOff':
							tree.cutOff(command.nodeId);
							break;
						case 'touch':
							tree.touch(command.edge, nowMs);
							break;
						default:
							tree.expire(nowMs, 200);
					}
					check(tree, maxFanOut);
				}

				// Those without upstream ask; then all the others, the deepest first, until nobody comes nearer to the origin by it.
				for (const { nodeId, shard } of tree.describe().floating) expect(tree.attach({ nodeId, shard })).toBeDefined();
				check(tree, maxFanOut);
				expect(tree.describe().floating).toEqual([]);
				for (let moved = true, rounds = 0; moved; rounds++) {
					expect(rounds).toBeLessThan(100);
					moved = false;
					for (const asking of edgesOf(tree).toSorted((a, b) => (tree.depthOf(b) ?? 0) - (tree.depthOf(a) ?? 0))) {
						const before = tree.depthOf(asking) ?? 0;
						tree.attach(asking);
						expect(tree.depthOf(asking)).toBeLessThanOrEqual(before);
						moved ||= (tree.depthOf(asking) ?? 0) < before;
						check(tree, maxFanOut);
					}
				}
				expect(tree.describe().depth).toBeLessThanOrEqual(optimum(tree.size, maxFanOut) + 1);
			}),
			{ numRuns: 300 },
		);
	});

	it('is as flat as can be while edges only come, and again when those without upstream have asked', () => {
		fc.assert(
			fc.property(fc.integer({ min: 2, max: 32 }), fc.integer({ min: 0, max: 300 }), fc.array(fc.nat(), { maxLength: 20 }), (maxFanOut, count, deaths) => {
				const tree = treeOf(count, maxFanOut);
				expect(tree.describe().depth).toBe(optimum(count, maxFanOut));
				for (const death of deaths) {
					for (const orphan of tree.detach(edge(`n${death % (count + 1)}`, death % (count + 1)))) tree.attach(orphan);
					check(tree, maxFanOut);
					expect(tree.describe().floating).toEqual([]);
				}
			}),
			{ numRuns: 60 },
		);
	});
});
