import { createWorker } from 'mediasoup';
import type { types } from 'mediasoup';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { edgeKindOf, RELAY_KIND } from '../../sfu/edge/edge-kind.ts';
import { EdgeRouters } from '../../sfu/edge/edge-routers.ts';
import { workerBinary } from '../../sfu/worker/worker-binary.ts';

const MINUTE_MS = 60_000;
/** An edge with 24 kinds of clients has no room for another one. */
const MAX_KINDS = 24;
const kind = (payloadType: number) => edgeKindOf(payloadType, 120, undefined);

let worker: types.Worker;
beforeAll(async () => {
	const workerBin = workerBinary();
	worker = await createWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
});
afterAll(() => worker.close());

const routers = (demand: number[] = []) =>
	new EdgeRouters({ worker, voices: 3, packingMs: 60, onDemand: (index) => demand.push(index), transports: () => Promise.reject(new Error('nobody joins here')), log: pino({ level: 'silent' }) });

it('a relay that nobody hangs on is closed after a minute, and the last router for clients stays', async () => {
	const edge = routers();
	const [relay, clients] = await Promise.all([edge.require(RELAY_KIND), edge.require(kind(111))]);
	edge.tick(performance.now() + MINUTE_MS - 5_000);
	expect([relay.router.closed, clients.router.closed]).toEqual([false, false]);
	edge.tick(performance.now() + MINUTE_MS + 1_000);
	expect([relay.router.closed, clients.router.closed]).toEqual([true, false]);
	const another = await edge.require(RELAY_KIND);
	expect(another.router.closed).toBe(false);
	edge.close('the test is over');
	expect([another.router.closed, clients.router.closed]).toEqual([true, true]);
});

it('a relay with a link stays, and everything is fetched for it until it has none', async () => {
	const demand: number[] = [];
	const edge = routers(demand);
	const relay = await edge.require(RELAY_KIND);
	expect([0, 1, 2, 3].map((index) => edge.wants(index))).toEqual([false, false, false, false]);
	relay.addTaker([0, 1, 2, 3]);
	relay.addTaker([0, 1, 2, 3]);
	expect([0, 1, 2, 3].map((index) => edge.wants(index))).toEqual([true, true, true, true]);
	edge.tick(performance.now() + 2 * MINUTE_MS);
	expect(relay.router.closed).toBe(false);
	relay.removeTaker([0, 1, 2, 3]);
	expect(demand).toEqual([0, 1, 2, 3]);
	relay.removeTaker([0, 1, 2, 3]);
	expect(demand).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
	expect(edge.wants(0)).toBe(false);
	edge.close('the test is over');
});

it('a relay takes no client\'s place, and clients cannot keep it out', async () => {
	const edge = routers();
	const kinds = Array.from({ length: MAX_KINDS }, (_, index) => kind(96 + index));
	const made = await Promise.all(kinds.map((wanted) => edge.require(wanted)));
	made.forEach((router) => router.addTaker([0]));
	expect(() => edge.require(kind(126))).toThrow('too many different kinds');
	expect((await edge.require(RELAY_KIND)).router.closed).toBe(false);
	edge.close('the test is over');
	const other = routers();
	await other.require(RELAY_KIND);
	const all = await Promise.all(kinds.map((wanted) => other.require(wanted)));
	expect(all).toHaveLength(MAX_KINDS);
	other.close('the test is over');
});
