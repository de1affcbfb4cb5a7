import fc from 'fast-check';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { planRebalance } from '../../server/cluster/drain/rebalance-plan.ts';
import { rebalance } from '../../server/cluster/drain/rebalance.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import { DomainError } from '../../server/errors.ts';

const node = (nodeId: string, listeners: number, maxListeners = 1_000, more: Partial<NodeReport> = {}): NodeReport => ({
	nodeId, incarnation: 'first-start', beat: 1, startedAt: '', internalUrl: '', draining: false, rooms: {}, homes: {}, moving: {}, redis: true,
	shards: [{ index: 1, role: 'listener', alive: true, draining: false, listeners, joining: 0, maxListeners, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0 }],
	...more,
});

describe('rebalancing', () => {
	it.each([
		['an empty node takes its share', [node('a', 600), node('b', 600), node('c', 0)], { a: 200, b: 200 }],
		['by parts filled', [node('a', 600, 1_000), node('b', 600, 3_000)], { a: 300 }],
		['nothing for a few listeners', [node('a', 9), node('b', 0)], {}],
		['nothing for a small difference', [node('a', 1_020, 2_000), node('b', 980, 2_000)], {}],
		['nodes that drain neither give nor take', [node('a', 600), node('b', 200), node('c', 0, 1_000, { draining: true })], { a: 200 }],
		['nothing alone', [node('a', 900)], {}],
		['nothing without shards', [node('a', 0, 1_000, { shards: [] })], {}],
	])('%s', (_what, nodes, expected) => {
		expect(Object.fromEntries(planRebalance(nodes).moves.map(({ nodeId, listeners }) => [nodeId, listeners]))).toEqual(expected);
	});

	it('never takes more than what is above the mean, and what is given away fits below it', () => {
		fc.assert(
			fc.property(fc.array(fc.record({ listeners: fc.integer({ min: 0, max: 2_000 }), cap: fc.integer({ min: 2_000, max: 5_000 }) }), { minLength: 1, maxLength: 10 }), (loads) => {
				const { meanFill, moves } = planRebalance(loads.map(({ listeners, cap }, index) => node(`n${index}`, listeners, cap)));
				let room = 0;
				for (const { listeners, cap } of loads) room += Math.max(0, meanFill * cap - listeners);
				expect(moves.reduce((sum, { listeners }) => sum + listeners, 0)).toBeLessThanOrEqual(room + 1e-6);
				for (const { nodeId, listeners } of moves) {
					const load = loads[Number(nodeId.slice(1))]!;
					expect(load.listeners - listeners).toBeGreaterThanOrEqual(meanFill * load.cap - 1e-6);
				}
			}),
		);
	});

	it('asks each node above the mean, and says which could not be asked', async () => {
		const asked: [string, number][] = [];
		const result = await rebalance({
			view: { nodeId: 'a', nodes: () => [node('a', 600), node('b', 600), node('c', 0)] },
			shed: async (nodeId, listeners) => {
				asked.push([nodeId, listeners]);
				if (nodeId === 'b') throw new DomainError('peer_unreachable', 'It does not answer');
				return listeners;
			},
			log: pino({ level: 'silent' }),
		});
		expect(asked).toEqual([['a', 200], ['b', 200]]);
		expect(result).toEqual({ meanFill: 0.4, moves: [{ node: 'a', listeners: 200, asked: 200 }, { node: 'b', listeners: 200, asked: 0 }] });
	});
});
