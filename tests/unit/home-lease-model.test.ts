import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseSimulation } from '../support/cluster/lease-simulation.ts';
import { seeded } from '../support/seeded.ts';

const ROOMS = ['hall', 'annex'];
const NODES = 4;
const FAULTS_MS = 14_000;
const HEAL_MS = 12_000;
/** Redis losing everything twice within the length of a lease is more than a lease can stand. */
const APART_MS = 2_500;
const RUNS = Number(process.env.LEASE_MODEL_RUNS ?? 60);

type Fault = 'die' | 'pause' | 'leave' | 'cut from redis' | 'isolate' | 'redis refuses' | 'redis hangs' | 'flush' | 'release';

const faultsOf = (kinds: readonly Fault[]) =>
	fc.array(
		fc.record({
			kind: fc.constantFrom(...kinds),
			atMs: fc.integer({ min: 0, max: FAULTS_MS }),
			forMs: fc.oneof(fc.integer({ min: 50, max: 1_500 }), fc.integer({ min: 1_500, max: 8_000 })),
			node: fc.integer({ min: 0, max: NODES - 1 }),
		}),
		{ maxLength: 8 },
	);

interface Scenario {
	kinds: readonly Fault[];
	slowShare: number;
	doubledShare: number;
	doubledWriteShare: number;
	onlyOneMayBeCertain?: boolean;
}

async function play(scenario: Scenario, seed: number, faults: readonly { kind: Fault; atMs: number; forMs: number; node: number }[]): Promise<LeaseSimulation> {
	const random = seeded(seed);
	const { slowShare, doubledShare, doubledWriteShare } = scenario;
	const options = { nodes: NODES, rooms: ROOMS, random, slowShare: 0, doubledShare, doubledWriteShare };
	const simulation = new LeaseSimulation(options);
	simulation.onlyOneMayBeCertain = scenario.onlyOneMayBeCertain ?? false;
	for (const node of simulation.nodes) simulation.schedule(() => node.start(), random() * 1_000);
	await simulation.run(4_000);
	options.slowShare = slowShare;
	let flushedMs = Number.NEGATIVE_INFINITY;
	const flush = (): void => {
		if (simulation.nowMs - flushedMs < APART_MS) return;
		flushedMs = simulation.nowMs;
		simulation.store.flush();
	};
	for (const { kind, atMs, forMs, node: index } of faults) {
		const node = simulation.nodes[index]!;
		const [begin, end] = {
			die: [() => node.die(), () => node.start()],
			pause: [() => node.pause(), () => node.resume()],
			leave: [() => void (node.state === 'running' && node.close()), () => node.start()],
			release: [() => void (node.state === 'running' && node.leases.release(ROOMS[0]!)), () => undefined],
			'cut from redis': [() => void (node.cutOffFromRedis = true), () => void (node.cutOffFromRedis = false)],
			isolate: [() => void (node.isolated = node.cutOffFromRedis = true), () => void (node.isolated = node.cutOffFromRedis = false)],
			'redis refuses': [() => void (simulation.redisAway = 'refuses'), () => void (simulation.redisAway = undefined)],
			'redis hangs': [() => void (simulation.redisAway = 'hangs'), () => void (simulation.redisAway = undefined)],
			flush: [flush, () => undefined],
		}[kind] as [() => void, () => void];
		simulation.schedule(begin, atMs);
		simulation.schedule(end, atMs + forMs);
	}
	await simulation.run(FAULTS_MS + 8_000);
	options.slowShare = 0;
	options.doubledShare = 0;
	simulation.redisAway = undefined;
	for (const node of simulation.nodes) {
		node.resume();
		node.start();
		node.cutOffFromRedis = node.isolated = false;
	}
	await simulation.run(HEAL_MS);
	return simulation;
}

/** For a message of its own when one fails. */
function story(simulation: LeaseSimulation): string {
	return simulation.nodes.map((node) => `${node.nodeId}: ${node.log.join('; ')}`).join('\n');
}

const scenarios: [string, Scenario][] = [
	['deaths, restarts, pauses and goodbyes', { kinds: ['die', 'pause', 'leave', 'release'], slowShare: 0, doubledShare: 0.05, doubledWriteShare: 0.05, onlyOneMayBeCertain: true }],
	['the same with messages that come late', { kinds: ['die', 'pause', 'leave', 'release'], slowShare: 0.05, doubledShare: 0.05, doubledWriteShare: 0.05 }],
	[
		'Redis that is away, hangs or loses everything',
		// A write that comes twice, on both sides of a flush, is let through: Redis has then forgotten what it would be held against.
		{ kinds: ['die', 'pause', 'release', 'cut from redis', 'redis refuses', 'redis hangs', 'flush'], slowShare: 0, doubledShare: 0.02, doubledWriteShare: 0 },
	],
	['nodes that are cut off from everything', { kinds: ['die', 'pause', 'isolate', 'cut from redis', 'redis hangs'], slowShare: 0.03, doubledShare: 0.03, doubledWriteShare: 0.03 }],
];

describe('homes of rooms, whatever happens', () => {
	it.each(scenarios)('never two of one epoch, never an older one after a newer one, and all agree in the end: %s', { timeout: 120_000 }, async (_, scenario) => {
		await fc.assert(
			fc.asyncProperty(fc.integer(), faultsOf(scenario.kinds), async (seed, faults) => {
				const simulation = await play(scenario, seed, faults);
				expect(simulation.violations, story(simulation)).toEqual([]);
				expect(simulation.agreed, `nobody agrees\n${story(simulation)}`).toBe(true);
			}),
			{ numRuns: RUNS, endOnFailure: process.env.LEASE_MODEL_RUNS !== undefined },
		);
	});
});
