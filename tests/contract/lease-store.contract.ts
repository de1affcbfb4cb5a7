import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseStore } from '../../server/cluster/lease/lease-store.ts';
import type { HeartbeatStore } from '../../server/cluster/registry/heartbeat-store.ts';
import { aReport } from '../support/cluster/reports.ts';

export interface LeaseStoreUnderTest {
	leases: LeaseStore;
	heartbeats: HeartbeatStore;
	/** Returns when a lease that was taken before has run out. */
	untilExpired(): Promise<void>;
	/** The store loses everything. */
	flush(): Promise<void>;
	/** What the store is to have of a room. */
	setVersions(roomId: string, roomVersion: number, stageVersion: number): Promise<void>;
	dispose?(): Promise<void>;
}

const A = { nodeId: 'a', incarnation: 'a-first-run' };
const A2 = { nodeId: 'a', incarnation: 'a-second-run' };
const B = { nodeId: 'b', incarnation: 'b-first-run' };
const NEVER = 0;
const ALWAYS = Number.MAX_SAFE_INTEGER;

/** What every store of leases and heartbeats does, whatever it keeps them in. */
export function describeLeaseStore(name: string, make: () => Promise<LeaseStoreUnderTest>): void {
	describe(`leases in ${name}`, () => {
		let store: LeaseStoreUnderTest;
		let leases: LeaseStore;
		beforeEach(async () => {
			store = await make();
			leases = store.leases;
		});
		afterEach(() => store.dispose?.());

		const claim = (holder: typeof A, roomId: string, knownEpoch: number) => leases.claim(holder, { roomId, knownEpoch, notAfterMs: ALWAYS });
		const epochTakenBy = async (holder: typeof A, knownEpoch = 0): Promise<number> => {
			const result = await claim(holder, 'hall', knownEpoch);
			if (result === 'late') throw new Error('late');
			if (!result.taken) throw new Error(`refused: ${result.nodeId} has it`);
			return result.epoch;
		};

		it('gives a room that nobody has to the first who claims it', async () => {
			const first = await claim(A, 'hall', 0);
			if (first === 'late' || !first.taken) throw new Error('nobody has it');
			expect(first.previous).toBeUndefined();
			const second = await claim(B, 'hall', 0);
			expect(second).toMatchObject({ taken: false, nodeId: 'a', epoch: first.epoch });
			if (second === 'late' || second.taken) throw new Error('both have it');
			expect(second.remainingMs).toBeGreaterThan(0);
			expect(second.remainingMs).toBeLessThanOrEqual(leases.ttlMs);
			expect(await claim(B, 'annex', 0), 'rooms know nothing of each other').toMatchObject({ taken: true });
		});

		it('lets only one of many who claim at once have it', async () => {
			const holders = Array.from({ length: 20 }, (_, index) => ({ nodeId: `n${index}`, incarnation: 'only-run' }));
			const results = await Promise.all(holders.map((holder) => claim(holder, 'hall', 0)));
			expect(results.filter((result) => result !== 'late' && result.taken)).toHaveLength(1);
		});

		it('answers the same claim twice with the same epoch', async () => {
			const epoch = await epochTakenBy(A);
			expect(await claim(A, 'hall', 0)).toMatchObject({ taken: true, epoch, previous: undefined });
			expect(await claim(A, 'hall', epoch), 'knowing of it').toMatchObject({ taken: true, epoch });
		});

		it('gives the room on with the next epoch when the lease has run out', async () => {
			const epoch = await epochTakenBy(A);
			await store.untilExpired();
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: true, epoch: epoch + 1, previous: 'a' });
			expect(await leases.renew(A, { roomId: 'hall', epoch, reclaimUntilMs: ALWAYS })).toEqual({ state: 'lost', epoch: epoch + 1 });
		});

		it('takes a new epoch for its own lease too, once that had run out', async () => {
			const epoch = await epochTakenBy(A);
			await store.untilExpired();
			expect(await epochTakenBy(A)).toBe(epoch + 1);
		});

		it('lets a node that was restarted have its rooms at once, with a new epoch', async () => {
			const epoch = await epochTakenBy(A);
			expect(await claim(A2, 'hall', 0)).toMatchObject({ taken: true, epoch: epoch + 1, previous: 'a' });
			expect(await leases.renew(A, { roomId: 'hall', epoch, reclaimUntilMs: ALWAYS })).toMatchObject({ state: 'lost' });
		});

		it('keeps a lease that is renewed, also one that had run out with nobody taking it', async () => {
			const epoch = await epochTakenBy(A);
			await store.untilExpired();
			const renewed = await leases.renew(A, { roomId: 'hall', epoch, reclaimUntilMs: NEVER });
			expect(renewed).toMatchObject({ state: 'held' });
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: false, nodeId: 'a', epoch });
		});

		it('says which versions it has with each renewal', async () => {
			const epoch = await epochTakenBy(A);
			const renewal = { roomId: 'hall', epoch, reclaimUntilMs: NEVER };
			expect(await leases.renew(A, renewal)).toMatchObject({ stored: { roomVersion: undefined, stageVersion: undefined } });
			await store.setVersions('hall', 7, 3);
			expect(await leases.renew(A, renewal)).toMatchObject({ stored: { roomVersion: 7, stageVersion: 3 } });
		});

		it('grants no claim that comes after its time', async () => {
			const taken = await claim(A, 'hall', 0);
			if (taken === 'late' || !taken.taken) throw new Error('refused');
			await store.untilExpired();
			expect(await leases.claim(B, { roomId: 'hall', knownEpoch: 0, notAfterMs: taken.untilMs - 1 })).toBe('late');
			expect(await leases.renew(A, { roomId: 'hall', epoch: taken.epoch, reclaimUntilMs: NEVER })).toMatchObject({ state: 'held' });
		});

		it('gives a room that was released to the next at once', async () => {
			const epoch = await epochTakenBy(A);
			expect(await leases.release(A, 'hall', epoch)).toBe(true);
			expect(await leases.release(A, 'hall', epoch), 'twice').toBe(false);
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: true, epoch: epoch + 1, previous: 'a' });
		});

		it('does not revive a released lease by a renewal that was long on its way', async () => {
			const epoch = await epochTakenBy(A);
			await leases.release(A, 'hall', epoch);
			expect(await leases.renew(A, { roomId: 'hall', epoch, reclaimUntilMs: ALWAYS })).toMatchObject({ state: 'lost' });
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: true });
		});

		it.each([
			['another node', B, 0],
			['another run', A2, 0],
			['another epoch', A, 1],
		])('does not let %s release a lease', async (_, holder, further) => {
			const epoch = await epochTakenBy(A);
			expect(await leases.release(holder, 'hall', epoch + further)).toBe(false);
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: false });
		});

		it('goes above every epoch the claimant has heard of', async () => {
			const heardOf = (await epochTakenBy(A)) + 1_000;
			await store.untilExpired();
			expect(await epochTakenBy(B, heardOf)).toBe(heardOf + 1);
		});

		it('goes above every epoch it ever gave, even when it has lost them and the claimant never heard of them', async () => {
			const epoch = await epochTakenBy(A);
			await store.untilExpired();
			const next = await epochTakenBy(B);
			await store.flush();
			await store.untilExpired();
			expect(await epochTakenBy(A2)).toBeGreaterThan(next);
			expect(next).toBe(epoch + 1);
		});

		it('puts a lost lease back with its epoch while nobody else can have had it, and later not', async () => {
			const taken = await claim(A, 'hall', 0);
			if (taken === 'late' || !taken.taken) throw new Error('refused');
			await store.flush();
			expect(await leases.renew(A, { roomId: 'hall', epoch: taken.epoch, reclaimUntilMs: taken.untilMs })).toMatchObject({ state: 'held' });
			expect(await claim(B, 'hall', 0)).toMatchObject({ taken: false, epoch: taken.epoch });
			await store.untilExpired();
			await store.flush();
			const late = await leases.renew(A, { roomId: 'hall', epoch: taken.epoch, reclaimUntilMs: taken.untilMs });
			if (late.state !== 'missing') throw new Error(`it is ${late.state}`);
			expect(await leases.renew(A, { roomId: 'hall', epoch: taken.epoch, reclaimUntilMs: late.nowMs + 60_000 })).toMatchObject({ state: 'held' });
		});

		it('lets the higher epoch win when an older state has come back', async () => {
			const epoch = await epochTakenBy(A);
			expect(await leases.renew(B, { roomId: 'hall', epoch: epoch + 1, reclaimUntilMs: NEVER }), 'its claim was lost').toMatchObject({ state: 'held' });
			expect(await leases.renew(A, { roomId: 'hall', epoch, reclaimUntilMs: ALWAYS })).toEqual({ state: 'lost', epoch: epoch + 1 });
		});
	});

	describe(`heartbeats in ${name}`, () => {
		let store: LeaseStoreUnderTest;
		beforeEach(async () => {
			store = await make();
		});
		afterEach(() => store.dispose?.());

		it('gives everybody what the others wrote last', async () => {
			await store.heartbeats.beat(aReport('a', 1));
			await store.heartbeats.beat(aReport('b', 1));
			await store.heartbeats.beat(aReport('a', 2, { rooms: { hall: 5 } }));
			expect((await store.heartbeats.beat(aReport('b', 2))).reports).toEqual([aReport('a', 2, { rooms: { hall: 5 } })]);
		});

		it('keeps the newer one when an older one of the same run comes later', async () => {
			await store.heartbeats.beat(aReport('a', 7));
			await store.heartbeats.beat(aReport('a', 6, { rooms: { hall: 5 } }));
			await store.heartbeats.beat(aReport('a', 7, { rooms: { hall: 6 } }));
			expect((await store.heartbeats.beat(aReport('b', 1))).reports).toEqual([aReport('a', 7)]);
		});

		it('tells of a goodbye, after which nothing comes from that run any more', async () => {
			await store.heartbeats.beat(aReport('a', 7));
			await store.heartbeats.leave('a', aReport('a', 1).incarnation);
			await store.heartbeats.beat(aReport('a', 8));
			expect(await store.heartbeats.beat(aReport('b', 1))).toMatchObject({ reports: [], left: [{ nodeId: 'a', incarnation: 'a-first-run' }] });
			await store.heartbeats.beat(aReport('a', 1, { incarnation: 'a-second-run' }));
			await store.heartbeats.leave('a', 'a-first-run');
			expect(await store.heartbeats.beat(aReport('b', 2)), 'the next run').toMatchObject({ reports: [{ incarnation: 'a-second-run' }], left: [] });
		});

		it('tells who else beats under the same name', async () => {
			expect(await store.heartbeats.beat(aReport('a', 1))).toMatchObject({ rival: undefined });
			expect(await store.heartbeats.beat(aReport('a', 1, { incarnation: 'a-second-run' }))).toMatchObject({ rival: 'a-first-run' });
			expect(await store.heartbeats.beat(aReport('a', 2, { incarnation: 'a-second-run' }))).toMatchObject({ rival: undefined });
		});

		it('begins a generation with the first beat and another one when it has lost everything', async () => {
			const first = await store.heartbeats.beat(aReport('a', 1));
			expect(first.fresh).toBe(true);
			expect(await store.heartbeats.beat(aReport('b', 1))).toMatchObject({ fresh: false, generation: first.generation });
			await store.flush();
			const second = await store.heartbeats.beat(aReport('b', 2));
			expect(second).toMatchObject({ fresh: true, reports: [] });
			expect(second.generation).not.toBe(first.generation);
			expect(await store.heartbeats.beat(aReport('a', 2))).toMatchObject({ fresh: false, generation: second.generation });
		});
	});
}
