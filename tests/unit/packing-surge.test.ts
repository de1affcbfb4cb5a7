import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Programmes } from '../../server/programme/programmes.ts';
import type { Room } from '../../server/rooms/room.ts';
import { programmesAlone } from '../support/alone.ts';
import { FakeSupervisor } from '../support/fakes/fake-shards.ts';

const HALL: Room = { id: 'hall', title: 'Hall', voices: 3, packingMs: 'auto', visibility: 'public', record: false, state: 'live', createdAt: '2023-05-24T22:00:00Z', version: 1 };
const THRESHOLD = 200;

let programmes: Programmes;
let supervisor: FakeSupervisor;
beforeEach(async () => {
	vi.useFakeTimers();
	supervisor = new FakeSupervisor(['stage', 'listener', 'listener'], () => ({ afterMs: 1, outcome: 'answered' }));
	programmes = programmesAlone({
		supervisor: supervisor.asSupervisor(), maxListenersPerShard: 1_000, autoPacking: { thresholdListeners: THRESHOLD, smallMs: 20, largeMs: 60 },
		admission: { maxJoinsUnderWayPerShard: 32, maxWaitMs: 5_000, lagMs: () => 0 }, log: pino({ level: 'silent' }),
	});
	void programmes.roomChanged(HALL);
	await vi.advanceTimersByTimeAsync(1_001); // A count has just been made.
});
afterEach(() => {
	programmes.close('the test is over');
	vi.useRealTimers();
});

const packing = () => programmes.programmeOf(HALL.id)?.edges.packingMs;
async function join(count: number, room = HALL): Promise<void> {
	const joins = Array.from({ length: count }, () => programmes.listen(room, 'offer'));
	await vi.advanceTimersByTimeAsync(700);
	await Promise.all(joins);
}

describe('packing of a room that fills between two counts', () => {
	it('is that of a crowd as soon as the crowd is there, and not with the next count', async () => {
		await join(THRESHOLD - 1);
		expect(packing()).toBe(20);
		await join(1);
		expect(packing()).toBe(60);
	});

	it('goes back when the crowd turns out to have left', async () => {
		await join(THRESHOLD);
		expect(packing()).toBe(60);
		for (const index of [1, 2]) {
			supervisor.emit('shardEvent', index, 'shard.stats', { listeners: 0, rooms: { [HALL.id]: 0 }, joinsTotal: THRESHOLD, joinsFailedTotal: 0, links: [], nodeCpuRatio: 0, workerCpuRatio: 0, eventLoopLagMs: 0, rssBytes: 0 } as never);
		}
		await vi.advanceTimersByTimeAsync(3_000);
		expect(packing()).toBe(20);
	});

	it('is not touched by people who are turned away', async () => {
		for (const index of [1, 2]) supervisor.kill(index);
		const refused = await Promise.allSettled(Array.from({ length: 2 * THRESHOLD }, () => programmes.listen(HALL, 'offer')));
		expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
		expect(packing()).toBe(20);
	});
});
