import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../server/errors.ts';
import { type JoinRefusal, JoinRefusedError } from '../../server/placement/admission/join-refusal.ts';
import { AdmissionRig, EPOCH_MS, type RigOptions } from '../support/admission-rig.ts';

const rigOf = (places: number, workMs: number, options: RigOptions['options'] = {}, shards = 1) =>
	new AdmissionRig({ shards: Array.from({ length: shards }, () => ({ places, workMs })), options });

const refusalOf = (error: unknown) => {
	if (!(error instanceof JoinRefusedError)) throw new Error('not a refusal', { cause: error });
	return error.refusal;
};

describe('the queue of joins', () => {
	it('seats at once whom the pace lets in, and lets the rest wait', async () => {
		const rig = rigOf(1_000, 5);
		for (let i = 0; i < 100; i++) rig.come();
		expect([rig.queue.pace(0).underWay, rig.queue.inLine]).toEqual([8, 92]);
		await rig.run(1_000);
		expect(rig.slots[0]!.listeners).toBe(100);
		expect(rig.queue.totals).toMatchObject({ admitted: 100, refused: { full: 0, paced: 0 }, left: 0 });
		expect(rig.queue.totals.waitedMs).toBeGreaterThan(10_000);
		expect(rig.clock.pendingTimers).toBeLessThanOrEqual(1);
	});

	it('keeps as many waiting as it can seat in time, and refuses the rest with an honest word', async () => {
		const rig = rigOf(10_000, 5);
		const fates = Array.from({ length: 1_000 }, () => rig.come());
		// Nothing was measured yet: 150 a second for 1.5 s.
		expect(rig.queue.inLine).toBe(225);
		const refused = fates.filter(({ error }) => error !== undefined).map(({ error }) => refusalOf(error));
		expect(refused).toHaveLength(1_000 - 8 - 225);
		// Each knows of those before: in line, and refused in the same moment.
		expect(refused[0]).toMatchObject({ reason: 'paced', firstArrivalMs: EPOCH_MS });
		expect(refused.at(-1)!.ahead - refused[0]!.ahead).toBe(refused.length - 1);
		expect(rig.queue.waiting).toBe(1_000 - 8);
		await rig.run(3_000);
		expect(fates.filter(({ error }) => error === undefined)).toHaveLength(233);
		expect(Math.max(...fates.map(({ settledMs = Infinity, arrivedMs }) => settledMs - arrivedMs))).toBeLessThanOrEqual(1_500 + 500 + 50);
	});

	it('tells when to come back: spread over the time that those before need, never beyond a minute', () => {
		const random = { value: 0 };
		const rig = rigOf(1_000_000, 5, { random: () => random.value });
		for (let i = 0; i < 233; i++) rig.come();
		const again = (value: number) => {
			random.value = value;
			return refusalOf(rig.come().error);
		};
		expect(again(0).retryAfterMs).toBe(250);
		// 226 wait: 1.5 s at 150 a second.
		expect(again(0.999).retryAfterMs).toBeGreaterThan(1_700);
		expect(again(0.999).retryAfterMs).toBeLessThan(1_800);
		for (let i = 0; i < 3_000; i++) rig.come();
		const late = again(0.5);
		expect(late.retryAfterMs).toBeGreaterThan(0.5 * (3_000 / 150) * 1_000);
		for (let i = 0; i < 50_000; i++) rig.come();
		expect(again(0.999).retryAfterMs).toBeLessThanOrEqual(60_250);
		expect(new JoinRefusedError(late)).toMatchObject({ status: 503, code: 'no_capacity', retryable: true, retryAfterSeconds: late.retryAfterMs / 1000 });
	});

	it('counts the other nodes in: their pace, and those who wait there', () => {
		const others = { joinsPerSecond: 2_850, waiting: 30_000 };
		const rig = rigOf(1_000_000, 5, { random: () => 1, others: () => others });
		for (let i = 0; i < 233; i++) rig.come();
		const { ahead, retryAfterMs } = refusalOf(rig.come().error);
		expect(ahead).toBe(30_225);
		expect(retryAfterMs).toBe(Math.round(250 + (30_225 / 3_000) * 1_000));
	});

	it('counts them in as well for whom it refuses by the head of the request alone, since its event loop is late', () => {
		const others = { joinsPerSecond: 850, waiting: 20_000 };
		const rig = rigOf(1_000_000, 5, { random: () => 1, lagMs: () => 500, others: () => others });
		for (let i = 0; i < 100; i++) rig.queue.foresee();
		expect(rig.queue.foresee()).toBe('paced');
		const { ahead, retryAfterMs } = rig.queue.refuse('paced');
		expect(ahead).toBe(20_000);
		expect(retryAfterMs).toBe(250 + (20_000 / (850 + 150)) * 1_000);
	});

	it('serves those first who came first, however often they had to come', async () => {
		const rig = rigOf(10_000, 20);
		const order: string[] = [];
		const come = (name: string, firstArrivalMs?: number) => {
			const fate = rig.come({ firstArrivalMs });
			return { name, fate };
		};
		for (let i = 0; i < 8; i++) come('seated');
		const all = [come('new 1'), come('old 2', EPOCH_MS - 50_000), come('new 2'), come('old 1', EPOCH_MS - 90_000)];
		await rig.run(1_000, () => {
			for (const { name, fate } of all) if (fate.shard !== undefined && !order.includes(name)) order.push(name);
		});
		expect(order).toEqual(['old 1', 'old 2', 'new 1', 'new 2']);
	});

	it('gives the youngest’s place in the line to one who came before', async () => {
		const rig = rigOf(10_000, 5);
		const fates = Array.from({ length: 233 }, () => rig.come());
		expect(rig.queue.foresee()).toBe('paced');
		expect(rig.queue.foresee(EPOCH_MS - 1_000)).toBeUndefined();
		const returned = rig.come({ firstArrivalMs: EPOCH_MS - 1_000 });
		await rig.run(0);
		await Promise.resolve();
		expect(refusalOf(fates.at(-1)!.error)).toMatchObject({ reason: 'paced', firstArrivalMs: EPOCH_MS });
		expect(rig.queue.inLine).toBe(225);
		await rig.run(2_000);
		expect(returned).toMatchObject({ shard: 0, error: undefined });
	});

	it('says how many are ahead: fewer each time, for those before are let in or give up', async () => {
		const rig = rigOf(100_000, 5);
		const early = Array.from({ length: 300 }, () => rig.come());
		const { firstArrivalMs, refusedAtMs, ahead } = refusalOf(early.at(-1)!.error);
		let seenAtMs = refusedAtMs;
		await rig.run(1_000);
		for (let i = 0; i < 400; i++) rig.come();
		// Who came later does not count; those in line and the 66 others who were refused with it do.
		const again = () => {
			const refusal = rig.queue.refuse('paced', firstArrivalMs, seenAtMs);
			seenAtMs = refusal.refusedAtMs;
			return refusal.ahead;
		};
		const second = again();
		expect(ahead).toBe(291);
		expect(second).toBe(66 + 233 - rig.slots[0]!.listeners - rig.queue.pace(0).underWay);
		await rig.run(3_000);
		const third = again();
		expect(third).toBe(66);
		await rig.run(200_000);
		expect(again()).toBe(0);
	});

	it('is full when every place is taken, those on their way and in line counted', async () => {
		const rig = rigOf(20, 5);
		const fates = Array.from({ length: 30 }, () => rig.come());
		expect(rig.queue.inLine).toBe(12);
		expect(fates.slice(20).map(({ error }) => refusalOf(error).reason)).toEqual(Array(10).fill('full'));
		await rig.run(500);
		expect(rig.slots[0]!.listeners).toBe(20);
		expect(rig.queue.foresee()).toBe('full');
		// Places come free one by one: nobody knows when, so all look again within ten seconds.
		const { retryAfterMs } = refusalOf(rig.come().error);
		expect(retryAfterMs).toBeGreaterThanOrEqual(250);
		expect(retryAfterMs).toBeLessThanOrEqual(60_250);
	});

	it('drops who left while waiting, and wastes no place on them', async () => {
		const rig = rigOf(9, 50);
		for (let i = 0; i < 8; i++) rig.come();
		let leave = () => {};
		const left = rig.come({ onGone: (gone) => void (leave = gone) });
		expect(rig.queue.foresee()).toBe('full');
		leave();
		leave();
		await rig.run(0);
		await Promise.resolve();
		expect(left.error).toBeInstanceOf(DomainError);
		expect([rig.queue.inLine, rig.queue.totals.left, rig.queue.waiting]).toEqual([0, 1, 0]);
		const next = rig.come();
		await rig.run(1_000);
		expect(next.error).toBeUndefined();
		expect(rig.slots[0]!.listeners).toBe(9);
	});

	it('moves those who wait to another shard when theirs dies, and refuses them when none is left', async () => {
		const rig = rigOf(1_000, 20, {}, 2);
		const fates = Array.from({ length: 100 }, () => rig.come());
		rig.kill(0);
		await rig.run(2_500);
		// Eight were on their way to the one that died.
		expect(fates.filter(({ error }) => error !== undefined)).toHaveLength(8);
		expect(rig.slots[1]!.listeners).toBe(92);
		const late = Array.from({ length: 50 }, () => rig.come());
		rig.kill(1);
		await rig.run(5);
		expect(late.every(({ error }) => error !== undefined)).toBe(true);
		expect(late.slice(32).map(({ error }) => refusalOf(error).reason)).toEqual(Array(18).fill('full'));
		expect(rig.queue.foresee()).toBe('full');
		rig.revive(0);
		expect(rig.come().error).toBeUndefined();
	});

	it('does not wait for a shard that hangs while another one has time', async () => {
		const rig = rigOf(1_000, 4, {}, 2);
		rig.slots[0]!.shard.hangs = true;
		const fates = Array.from({ length: 150 }, () => rig.come());
		await rig.run(1_500);
		expect(fates.filter(({ shard, settledMs }) => shard === 1 && settledMs !== undefined)).toHaveLength(142);
	});

	it('lets nobody wait longer than it may when everything hangs', async () => {
		const rig = rigOf(1_000, 4, {}, 2);
		for (const { shard } of rig.slots) shard.hangs = true;
		const fates = Array.from({ length: 400 }, () => rig.come());
		await rig.run(2_100);
		const waited = fates.filter(({ shard }) => shard === undefined);
		expect(waited.length).toBeGreaterThan(300);
		for (const { error } of waited) expect(refusalOf(error).reason).toBe('paced');
		expect(rig.queue.inLine).toBe(0);
	});

	it('lets nobody wait at all when told so', () => {
		const rig = rigOf(1_000, 5, { maxWaitMs: 0 });
		const fates = Array.from({ length: 9 }, () => rig.come());
		expect(fates.map(({ error }) => error !== undefined)).toEqual([...Array(8).fill(false), true]);
	});

	it('refuses everybody early while the node itself is late, if it is they who make it late', () => {
		let lagMs = 500;
		const rig = rigOf(1_000, 1, { lagMs: () => lagMs });
		expect(rig.queue.foresee()).toBeUndefined();
		for (let i = 0; i < 100; i++) rig.queue.foresee();
		expect(rig.queue.foresee()).toBe('paced');
		lagMs = 100;
		expect(rig.queue.foresee()).toBeUndefined();
	});

	it('tells everybody when it closes', async () => {
		const rig = rigOf(1_000, 5);
		const fates = Array.from({ length: 20 }, () => rig.come());
		rig.queue.close(new DomainError('shutting_down', 'closing'));
		await rig.run(0);
		await Promise.resolve();
		for (const { error } of fates.slice(8)) expect(error).toMatchObject({ code: 'shutting_down' });
		expect(() => rig.queue.admit({ roomId: 'hall' })).toThrow('closing');
	});

	it('seats everybody in the end who comes back when told, the last not long after the time it needs', async () => {
		const rig = rigOf(100_000, 5, {}, 2);
		const people = 3_000;
		let seated = 0;
		const come = (place: Partial<JoinRefusal> = {}): void => void pending.push(rig.come(place));
		const pending: (typeof rig.fates)[number][] = [];
		const back: { atMs: number; refusal: JoinRefusal }[] = [];
		for (let i = 0; i < people; i++) come();
		let lastSeatedMs = 0;
		await rig.run(25_000, () => {
			for (let i = pending.length - 1; i >= 0; i--) {
				const { settledMs, error } = pending[i]!;
				if (settledMs === undefined) continue;
				pending.splice(i, 1);
				if (error === undefined) {
					seated++;
					lastSeatedMs = settledMs;
				} else {
					const refusal = refusalOf(error);
					back.push({ atMs: settledMs + refusal.retryAfterMs, refusal });
				}
			}
			const nowMs = rig.clock.nowMs();
			for (let i = back.length - 1; i >= 0; i--) {
				const one = back[i]!;
				if (one.atMs <= nowMs) {
					back.splice(i, 1);
					come(one.refusal);
				}
			}
		});
		expect(seated).toBe(people);
		// Two shards at 200 a second each need 7.5 s.
		expect(lastSeatedMs).toBeLessThan(15_000);
		expect(rig.queue.waiting).toBe(0);
		const [a, b] = rig.slots.map(({ listeners }) => listeners);
		expect(Math.max(a!, b!)).toBeLessThanOrEqual(1.05 * (people / 2));
	});

	it('never seats more than there are places, loses nobody and lets nobody hang, whatever happens', async () => {
		const step = fc.oneof(
			{ weight: 6, arbitrary: fc.record({ do: fc.constant('come' as const), people: fc.integer({ min: 1, max: 60 }), sinceMs: fc.constantFrom(0, 0, 1_000, 60_000) }) },
			{ weight: 4, arbitrary: fc.record({ do: fc.constant('run' as const), ms: fc.integer({ min: 1, max: 900 }) }) },
			{ weight: 2, arbitrary: fc.record({ do: fc.constantFrom('kill' as const, 'revive' as const, 'drain' as const, 'undrain' as const, 'leave' as const), shard: fc.integer({ min: 0, max: 2 }) }) },
		);
		const shards = fc.array(fc.record({ places: fc.integer({ min: 0, max: 120 }), workMs: fc.constantFrom(0.5, 3, 12, 60) }), { minLength: 1, maxLength: 3 });
		await fc.assert(
			fc.asyncProperty(shards, fc.array(step, { maxLength: 30 }), async (shardOptions, steps) => {
				const rig = new AdmissionRig({ shards: shardOptions });
				const gone: (() => void)[] = [];
				for (const now of steps) {
					const slot = 'shard' in now ? rig.slots[now.shard] : undefined;
					if (now.do === 'come') {
						for (let i = 0; i < now.people; i++) rig.come({ ...(now.sinceMs > 0 && { firstArrivalMs: rig.now - now.sinceMs }), onGone: (leave) => void gone.push(leave) });
					} else if (now.do === 'run') {
						await rig.run(now.ms);
					} else if (now.do === 'leave') {
						gone.splice(0, 5).forEach((leave) => leave());
					} else if (slot && 'shard' in now) {
						if (now.do === 'kill' && slot.alive) rig.kill(now.shard);
						else if (now.do === 'revive' && !slot.alive) rig.revive(now.shard);
						else if (now.do === 'drain' || now.do === 'undrain') {
							slot.draining = now.do === 'drain';
							rig.queue.changed();
						}
					}
					expect(rig.overshot).toBe(false);
				}
				await rig.run(12_000);
				expect(rig.overshot).toBe(false);
				expect(rig.queue.inLine).toBe(0);
				expect(rig.slots.map(({ joining }) => joining)).toEqual(rig.slots.map(() => 0));
				for (const { settledMs, arrivedMs, shard } of rig.fates) {
					expect(settledMs).toBeDefined();
					if (shard === undefined) expect(settledMs! - arrivedMs).toBeLessThanOrEqual(1_500 + 500 + 10);
				}
			}),
			{ numRuns: 60 },
		);
	});
});
