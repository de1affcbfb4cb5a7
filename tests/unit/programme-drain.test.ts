import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Programmes } from '../../server/programme/programmes.ts';
import type { Room } from '../../server/rooms/room.ts';
import type { ShardRole } from '../../sfu/contract/media-types.ts';
import { programmesAlone } from '../support/alone.ts';
import { FakeSupervisor } from '../support/fakes/fake-shards.ts';

const HALL: Room = { id: 'hall', title: 'Hall', voices: 3, packingMs: 20, visibility: 'public', record: false, state: 'live', createdAt: '2023-05-24T22:00:00Z', version: 1 };

const open: Programmes[] = [];
async function start(roles: readonly ShardRole[]) {
	const supervisor = new FakeSupervisor(roles, () => ({ afterMs: 1, outcome: 'answered' }));
	const programmes = programmesAlone({
		supervisor: supervisor.asSupervisor(), maxListenersPerShard: 100, autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 }, log: pino({ level: 'silent' }),
	});
	open.push(programmes);
	let lost = 0;
	programmes.on('originLost', () => lost++);
	void programmes.roomChanged(HALL);
	await vi.advanceTimersByTimeAsync(10);
	void programmes.listen(HALL, 'offer');
	await vi.advanceTimersByTimeAsync(50);
	return { programmes, originsLost: () => lost, opened: () => supervisor.fakes.flatMap((fake) => fake?.asked ?? []).filter((name) => name === 'origin.open').length };
}
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	for (const programmes of open.splice(0)) programmes.close('the test is over');
	vi.useRealTimers();
});

/** As a drain does it. */
async function drainStageShard(programmes: Programmes, shard: number): Promise<void> {
	programmes.setDraining(shard, true);
	const done = programmes.moveOriginsOff(shard);
	await vi.advanceTimersByTimeAsync(100);
	await done;
}

describe('a stage shard that is drained', () => {
	it('gives its origins to another one, and the edges are linked anew', async () => {
		const { programmes, originsLost } = await start(['stage', 'stage', 'listener']);
		const from = programmes.describe('hall')?.originShard ?? -1;
		await drainStageShard(programmes, from);
		expect(programmes.describe('hall')?.originShard).toBe(1 - from);
		expect([programmes.originsOn(from), originsLost()]).toEqual([0, 1]);
		expect(programmes.relinks).toEqual({ told: 1, stalled: 0, node_down: 0, unknown: 0, failed: 0 });
	});

	it.each<[string, ShardRole[], number[]]>([
		['the only one', ['stage', 'listener'], []],
		['the only one that is not to be emptied itself', ['stage', 'stage', 'listener'], [0, 1]],
	])('keeps them when it is %s: nobody’s sound is broken off for nothing', async (_what, roles, draining) => {
		const { programmes, originsLost, opened } = await start(roles);
		for (const shard of draining) programmes.setDraining(shard, true);
		const before = programmes.describe('hall')?.originShard ?? -1;
		await drainStageShard(programmes, before);
		expect(programmes.describe('hall')?.originShard).toBe(before);
		expect([originsLost(), opened(), programmes.relinks.told]).toEqual([0, 1, 0]);
	});
});
