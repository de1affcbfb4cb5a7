import { describe, expect, it } from 'vitest';
import { LoneNode } from '../../server/cluster/lone-node.ts';
import { anOwnReport } from '../support/cluster/reports.ts';

describe('a node without Redis', () => {
	const counts = new Map([['hall', 3]]);
	const lone = new LoneNode({
		nodeId: 'solo',
		report: () => anOwnReport('solo', { rooms: Object.fromEntries(counts) }),
		rooms: () => ['hall', 'foyer'],
		listenersIn: (roomId) => counts.get(roomId) ?? 0,
	});

	it('is home of every room, known or not', async () => {
		expect(lone.homes.epochOf('hall')).toBe(1);
		expect(lone.homes.rooms).toEqual(['hall', 'foyer']);
		expect(await lone.homes.ensure('anything')).toEqual({ nodeId: 'solo', epoch: 1 });
		expect(lone.view.homeOf('anything')).toEqual({ nodeId: 'solo', epoch: 1 });
		await lone.homes.release('hall');
		expect(lone.homes.epochOf('hall')).toBe(1);
	});

	it('is the whole cluster, with counts of this moment', () => {
		expect(lone.view.nodes()).toMatchObject([{ nodeId: 'solo', rooms: { hall: 3 }, redis: true }]);
		expect(lone.view.node('solo')?.nodeId).toBe('solo');
		expect(lone.view.node('other')).toBeUndefined();
		counts.set('hall', 4);
		expect(lone.view.listenersIn('hall')).toBe(4);
		expect(lone.view.redisAnswers).toBe(true);
	});

	it('has nobody to ask', async () => {
		await expect(lone.peers.request('other', 'ping', {})).rejects.toMatchObject({ code: 'peer_unreachable' });
	});
});
