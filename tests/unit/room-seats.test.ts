import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeatsFleet } from '../support/seats-fleet.ts';
import { seeded } from '../support/seeded.ts';

const fleet = (nodes: number, seats: number, seed = 1) => new SeatsFleet({ nodes, seats, random: seeded(seed), faults: 0 });

/** So many come to these nodes in turn, all at once. @returns how many have a seat */
async function crowd(of: SeatsFleet, count: number, at: readonly number[]): Promise<number> {
	let seated = 0;
	for (let i = 0; i < count; i++) {
		void of.join(at[i % at.length]!).then((has) => (seated += has ? 1 : 0));
	}
	await of.run(4_000);
	return seated;
}

describe('the seats of a room', () => {
	it.each([
		['at its home', [0]],
		['at another node', [1]],
		['at all nodes in turn', [0, 1, 2]],
	])('are filled to the last one and not beyond, all coming at once %s', async (_where, at) => {
		const hall = fleet(3, 100);
		expect(await crowd(hall, 250, at)).toBe(100);
		expect(hall.most).toBe(100);
		expect(hall.refused).toHaveLength(150);
		expect(hall.refused[0]).toMatchObject({ code: 'no_capacity', extra: { reason: 'room_full' }, retryAfterSeconds: expect.any(Number) });
	});

	it('cost messages by blocks and not by listeners', async () => {
		const hall = fleet(3, 100_000);
		let seated = 0;
		await hall.run(10_000, () => {
			for (let i = 0; i < 10; i++) {
				void hall.join(1 + (i % 2)).then((has) => (seated += has ? 1 : 0));
			}
		});
		await hall.run(1_000);
		expect(seated).toBe(20_000);
		expect(hall.messages).toBeLessThan(120);
	});

	it('are not waited for by those who come in a steady stream', async () => {
		const hall = fleet(3, 100_000);
		let late = 0;
		await hall.run(5_000, () => {
			const { seats, room } = hall.nodes[1]!;
			const taken = hall.clock.nowMs() > 1_500 ? seats.take(room) : undefined;
			late += taken instanceof Promise ? 1 : 0;
			void Promise.resolve(taken).then((seat) => seat?.release());
			void hall.join(1);
		});
		expect(late).toBe(0);
	});

	it('that are free are not stranded with a node that has nobody for them', async () => {
		const hall = fleet(3, 30);
		expect(await crowd(hall, 10, [1])).toBe(10);
		expect(await crowd(hall, 30, [2])).toBe(20);
		for (let i = 0; i < 10; i++) {
			hall.leave(1);
		}
		expect(await crowd(hall, 30, [2])).toBe(10);
		expect(hall.most).toBe(30);
	});

	it('cost a full room that is asked for all the time next to nothing', async () => {
		const hall = fleet(3, 30);
		await crowd(hall, 60, [0, 1, 2]);
		hall.messages = 0;
		await hall.run(10_000, () => void hall.join(1));
		expect(hall.refused.length).toBeGreaterThan(1_500);
		expect(hall.messages).toBeLessThan(100);
	});

	it('of a node that died are free when the others hear of it', async () => {
		const hall = fleet(3, 60);
		expect(await crowd(hall, 60, [0, 1, 2])).toBe(60);
		hall.kill(2);
		await hall.run(3_000);
		expect(await crowd(hall, 60, [0, 1])).toBe(20);
		hall.restart(2);
		await hall.run(1_000);
		expect(await crowd(hall, 10, [2])).toBe(0);
	});

	it('go on from blocks while there is no home, and are granted by the next one only when it knows what all hold', async () => {
		const hall = fleet(3, 60);
		expect(await crowd(hall, 40, [0, 1, 2])).toBe(40);
		hall.moveHome(1, 1_500);
		expect(await crowd(hall, 60, [0, 1, 2])).toBe(20);
		expect(hall.most).toBe(60);
	});

	it('follow a limit that is raised at once, and one that is lowered with nobody thrown out and nobody new', async () => {
		const hall = fleet(3, 20);
		expect(await crowd(hall, 40, [0, 1, 2])).toBe(20);
		hall.setLimit(30);
		await hall.run(600);
		expect(await crowd(hall, 40, [1])).toBe(10);
		hall.setLimit(10);
		await hall.run(600);
		expect(hall.seated).toBe(30);
		expect(await crowd(hall, 40, [0, 1, 2])).toBe(0);
		for (let i = 0; i < 25; i++) {
			hall.leave(hall.nodes.findIndex(({ listeners }) => listeners > 0));
		}
		expect(await crowd(hall, 40, [0, 1, 2])).toBe(5);
	});

	it('have no end without a limit, and those who came meanwhile count when there is one again', async () => {
		const hall = fleet(3, 20);
		await crowd(hall, 20, [0, 1, 2]);
		hall.setLimit(undefined);
		await hall.run(600);
		expect(await crowd(hall, 30, [0, 1, 2])).toBe(30);
		hall.setLimit(60);
		await hall.run(600);
		expect(await crowd(hall, 30, [0, 1, 2])).toBe(10);
	});

	it('say that they cannot be told while no home answers', async () => {
		const hall = fleet(2, 20);
		hall.faults = 1;
		hall.nodes[1]!.home = undefined;
		void hall.join(1);
		await hall.run(4_000);
		expect(hall.refused).toMatchObject([{ code: 'no_capacity', extra: { reason: 'seats_unknown' } }]);
	});

	it('are never overshot and never lost, whatever happens', { timeout: 120_000 }, async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.record({ nodes: fc.integer({ min: 1, max: 5 }), seats: fc.integer({ min: 1, max: 80 }), faults: fc.double({ min: 0, max: 0.3, noNaN: true }), rush: fc.double({ min: 0.02, max: 1, noNaN: true }), seed: fc.nat() }),
				async ({ nodes, seats, faults, rush, seed }) => {
					const random = seeded(seed);
					const hall = new SeatsFleet({ nodes, seats, random, faults });
					const any = () => Math.floor(random() * nodes);
					await hall.run(12_000, () => {
						const dice = random();
						if (dice < rush) {
							void hall.join(any());
						}
						if (random() < rush * 0.8) {
							hall.leave(any());
						}
						if (random() < 0.002) {
							hall.moveHome(any(), random() * 1_000);
						}
						if (random() < 0.001) {
							hall.kill(any());
						}
						if (random() < 0.003) {
							hall.restart(any());
						}
						expect(hall.seated).toBeLessThanOrEqual(seats);
					});
					// Calm: what was on its way arrives, and nothing fails any more.
					hall.faults = 0;
					for (let index = 0; index < nodes; index++) {
						hall.restart(index);
					}
					await hall.run(7_000);
					if (hall.homeIndex < 0) {
						hall.moveHome(0, 0);
						await hall.run(1_000);
					}
					await hall.run(12_000);
					const free = seats - hall.seated;
					expect(await crowd(hall, free + 5, [any()])).toBe(free);
					expect(hall.seated).toBe(seats);
					expect(hall.most).toBeLessThanOrEqual(seats);
				},
			),
			{ numRuns: 60 },
		);
	});
});
