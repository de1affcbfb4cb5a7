import fc from 'fast-check';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Programmes } from '../../server/programme/programmes.ts';
import type { Room } from '../../server/rooms/room.ts';
import { programmesAlone } from '../support/alone.ts';
import { type Fate, FakeSupervisor } from '../support/fakes/fake-shards.ts';

const HALL: Room = { id: 'hall', title: 'Hall', voices: 3, packingMs: 20, visibility: 'public', record: false, state: 'live', createdAt: '2023-05-24T22:00:00Z', version: 1 };
const ROLES = ['stage', 'listener', 'listener'] as const;
const LISTENER_SHARDS = [1, 2];

const open: Programmes[] = [];
async function start(cap: number, fate: () => Fate) {
	const supervisor = new FakeSupervisor(ROLES, (name) => (name === 'listener.join' ? fate() : { afterMs: 1, outcome: 'answered' }));
	const programmes = programmesAlone({
		supervisor: supervisor.asSupervisor(), maxListenersPerShard: cap, autoPacking: { thresholdListeners: 200, smallMs: 20, largeMs: 60 },
		admission: { maxJoinsUnderWayPerShard: 8, maxWaitMs: 1_000, lagMs: () => 0 }, log: pino({ level: 'silent' }),
	});
	open.push(programmes);
	void programmes.roomChanged(HALL);
	await vi.advanceTimersByTimeAsync(10);
	const mostOn = () => Math.max(...LISTENER_SHARDS.map((index) => supervisor.fakes[index]?.listeners ?? 0));
	return { supervisor, programmes, mostOn };
}
beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
	for (const programmes of open.splice(0)) programmes.close('the test is over');
	vi.useRealTimers();
});

describe('a node’s admission', () => {
	it('shows other nodes those who wait as well as those on their way, and tells pace and waiting', async () => {
		const { programmes } = await start(1_000, () => ({ afterMs: 50, outcome: 'answered' }));
		for (let i = 0; i < 40; i++) void programmes.listen(HALL, 'offer');
		expect(programmes.shardReports().filter(({ role }) => role === 'listener').map(({ joining }) => joining)).toEqual([20, 20]);
		expect(programmes.admission).toMatchObject({ joinsPerSecond: 300, waiting: 24, inLine: 24, refusedPerSecond: 0 });
		await vi.advanceTimersByTimeAsync(500);
		expect(programmes.admission).toMatchObject({ waiting: 0, inLine: 0 });
	});

	it('is not what a speaker waits for', async () => {
		const { programmes } = await start(1_000, () => ({ afterMs: 800, outcome: 'answered' }));
		const listeners = Array.from({ length: 500 }, () => programmes.listen(HALL, 'offer').catch((error: unknown) => error));
		const before = performance.now();
		const speaker = programmes.addSpeaker(HALL, 'ann', 1).then(() => performance.now() - before);
		await vi.advanceTimersByTimeAsync(5_000);
		expect(await speaker).toBeLessThan(20);
		expect((await Promise.all(listeners)).some((outcome) => outcome instanceof Error)).toBe(true);
	});

	it('tells who waits for a room that ends that it has ended', async () => {
		const { programmes } = await start(1_000, () => ({ afterMs: 100, outcome: 'answered' }));
		const outcomes = Array.from({ length: 60 }, () => programmes.listen(HALL, 'offer').catch((error: unknown) => error));
		await programmes.roomChanged({ ...HALL, state: 'ended' });
		await vi.advanceTimersByTimeAsync(2_000);
		for (const outcome of outcomes) expect(await outcome).toMatchObject({ code: 'room_ended' });
		expect(programmes.admission.inLine).toBe(0);
	});

	it('never passes a cap and answers everybody in time, whatever fails and dies', async () => {
		const step = fc.oneof(
			{ weight: 5, arbitrary: fc.record({ do: fc.constant('join' as const), count: fc.integer({ min: 1, max: 40 }) }) },
			{ weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), count: fc.integer({ min: 1, max: 600 }) }) },
			{ weight: 2, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'revive' as const), count: fc.constantFrom(...LISTENER_SHARDS) }) },
		);
		const fate: fc.Arbitrary<Fate> = fc.record({
			afterMs: fc.integer({ min: 0, max: 120 }),
			outcome: fc.oneof({ weight: 8, arbitrary: fc.constant('answered' as const) }, { weight: 1, arbitrary: fc.constant('failed' as const) }),
		});
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 25 }), fc.array(fate, { minLength: 1, maxLength: 20 }), async (cap, steps, fates) => {
				vi.clearAllTimers(); // Of a run that failed, while a smaller one like it is looked for.
				let asked = 0;
				const { supervisor, programmes, mostOn } = await start(cap, () => fates[asked++ % fates.length]!);
				const answers: { tookMs: number; code: string }[] = [];
				let joins = 0;
				for (const now of steps) {
					if (now.do === 'join') {
						for (let i = 0; i < now.count; i++) {
							joins++;
							const since = performance.now();
							programmes.listen(HALL, 'offer').then(
								() => answers.push({ tookMs: performance.now() - since, code: 'seated' }),
								(error: unknown) => answers.push({ tookMs: performance.now() - since, code: String((error as { code?: unknown }).code) }),
							);
						}
					} else if (now.do === 'wait') await vi.advanceTimersByTimeAsync(now.count);
					else if (now.do === 'kill') supervisor.kill(now.count);
					else supervisor.revive(now.count);
					expect(mostOn()).toBeLessThanOrEqual(cap);
				}
				await vi.advanceTimersByTimeAsync(3_000);
				expect(mostOn()).toBeLessThanOrEqual(cap);
				expect(answers).toHaveLength(joins);
				for (const { tookMs, code } of answers) {
					expect(['seated', 'no_capacity', 'media_unavailable']).toContain(code);
					expect(tookMs).toBeLessThanOrEqual(1_000 + 500 + 150);
				}
				expect(programmes.admission.inLine).toBe(0);
				programmes.close('over');
			}),
			{ numRuns: 40 },
		);
	});
});
