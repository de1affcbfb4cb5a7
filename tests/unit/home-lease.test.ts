import { beforeEach, describe, expect, it } from 'vitest';
import { rendezvousOrder } from '../../server/cluster/lease/rendezvous.ts';
import { LeaseSimulation, type SimulatedNode } from '../support/cluster/lease-simulation.ts';

const TAKEOVER_MS = 3_000;

describe('the order in which nodes are to take a room', () => {
	const nodes = ['n0', 'n1', 'n2', 'n3'];
	it('is the same whatever order they come in, and stays when one of them is gone', () => {
		const order = rendezvousOrder('hall', nodes);
		expect(rendezvousOrder('hall', nodes.toReversed())).toEqual(order);
		expect(rendezvousOrder('hall', nodes.filter((nodeId) => nodeId !== order[1]))).toEqual(order.filter((_, rank) => rank !== 1));
	});
	it('spreads rooms evenly', () => {
		const firsts = Array.from({ length: 4_000 }, (_, room) => rendezvousOrder(`room-${room}`, nodes)[0]);
		for (const nodeId of nodes) expect(firsts.filter((first) => first === nodeId).length / 1_000).toBeCloseTo(1, 0.7);
	});
});

describe('the home of a room', () => {
	let simulation: LeaseSimulation;
	let home: SimulatedNode;
	let others: SimulatedNode[];

	/** A cluster that is in order: everybody knows everybody, and where the room lives. */
	async function begin(nodes = 3, phase = 0): Promise<void> {
		let seed = phase * 7 + 1;
		const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
		simulation = new LeaseSimulation({ nodes, rooms: ['hall'], random });
		simulation.nodes.forEach((node, index) => simulation.schedule(() => node.start(), index * 173 + phase * 31));
		await simulation.run(5_000 + phase * 77);
		const [only, ...more] = simulation.homesOf('hall');
		expect(simulation.agreed && more.length === 0, 'a good start').toBe(true);
		home = only!;
		others = simulation.nodes.filter((node) => node !== home);
	}
	const anotherIsHome = (): boolean => others.some((node) => node.leases.epochOf('hall') !== undefined);
	const events = (node: SimulatedNode): string[] => node.log.map((line) => line.replace(/^\d+ /, ''));

	beforeEach(() => begin());

	it.each(Array.from({ length: 12 }, (_, phase) => phase))('is taken over within 3 s of its death, by one node, with a higher epoch (phase %i)', async (phase) => {
		await begin(4, phase);
		const before = home.leases.epochOf('hall')!;
		home.die();
		expect(await simulation.until(anotherIsHome, TAKEOVER_MS)).toBeLessThan(TAKEOVER_MS);
		await simulation.run(1_000);
		expect(simulation.agreed).toBe(true);
		const [next] = simulation.homesOf('hall');
		expect(next!.leases.epochOf('hall')).toBe(before + 1);
		expect(events(next!)).toContain('gained hall of another');
	});

	it('is taken over within a second and a half when it leaves politely', async () => {
		const left = home.close();
		expect(await simulation.until(anotherIsHome, 1_500)).toBeLessThan(1_500);
		await simulation.run(100);
		await left;
		expect(events(others[0]!)).toContain(`down ${home.nodeId}: it left`);
	});

	it('is taken over at once when it gives the room up and lives on', async () => {
		const released = home.leases.release('hall');
		expect(home.leases.epochOf('hall'), 'at once').toBeUndefined();
		expect(await simulation.until(anotherIsHome, 1_500)).toBeLessThan(1_500);
		await released;
		expect(events(home)).toContain('lost hall: released');
		await simulation.run(1_000);
		expect(simulation.agreed).toBe(true);
	});

	it('is taken at once by a node that is told to, and by no other', async () => {
		const [taker, third] = others as [SimulatedNode, SimulatedNode];
		const refused = third.leases.takeHome('hall', taker.nodeId).catch((error: unknown) => error);
		await simulation.run(100);
		expect(await refused, 'the home has not given it up').toMatchObject({ code: 'not_home' });
		const released = home.leases.release('hall');
		await simulation.run(50);
		await released;
		// Its last heartbeat still says that the room lives there.
		expect(taker.registry.homeOf('hall')?.nodeId).toBe(home.nodeId);
		const taken = taker.leases.takeHome('hall', home.nodeId);
		await simulation.run(50);
		expect(taker.leases.epochOf('hall')).toBe(await taken);
		await simulation.run(1_500);
		expect(simulation.agreed).toBe(true);
	});

	it('stops being home before it can do any harm when it was asleep for too long', async () => {
		home.pause();
		expect(await simulation.until(anotherIsHome, TAKEOVER_MS + 500)).toBeDefined();
		// The first code to run after it wakes up asks, before any timer of its own.
		home.state = 'running';
		expect(home.leases.epochOf('hall')).toBeUndefined();
		home.state = 'paused';
		home.resume();
		await simulation.run(1_000);
		expect(events(home)).toContain('lost hall: fenced');
		expect(simulation.violations).toEqual([]);
		expect(simulation.agreed).toBe(true);
	});

	it('is not sure of anything after a long sleep, even if Redis was away for it before', async () => {
		home.cutOffFromRedis = true;
		await simulation.run(5_000);
		expect(home.leases.epochOf('hall'), 'the others renew it').toBeDefined();
		home.pause();
		expect(await simulation.until(anotherIsHome, TAKEOVER_MS + 2_000)).toBeDefined();
		home.state = 'running';
		expect(home.leases.epochOf('hall')).toBeUndefined();
	});

	it('does not take a connection that broke in its sleep for Redis’ absence', async () => {
		home.pause();
		expect(await simulation.until(anotherIsHome, TAKEOVER_MS + 500)).toBeDefined();
		simulation.redisAway = 'refuses';
		home.isolated = true;
		home.resume();
		for (let look = 0; look < 15; look++) {
			await simulation.run(100);
			expect(home.leases.epochOf('hall')).toBeUndefined();
		}
		simulation.redisAway = undefined;
		await simulation.run(1_000);
		expect(events(home)).toContain('lost hall: fenced');
	});

	it('does not count an answer from before its sleep, whenever that began', { timeout: 60_000 }, async () => {
		for (let offsetMs = 0; offsetMs < 500; offsetMs += 5) {
			await begin(2);
			simulation.onlyOneMayBeCertain = true;
			await simulation.run(offsetMs);
			home.pause();
			expect(await simulation.until(anotherIsHome, TAKEOVER_MS + 500)).toBeDefined();
			home.resume();
			await simulation.run(600);
			expect(simulation.violations, `asleep after ${offsetMs} ms`).toEqual([]);
		}
	});

	it('does not put a lease back after a long sleep and a flush: others may have had it', async () => {
		home.pause();
		await simulation.until(anotherIsHome, TAKEOVER_MS + 500);
		for (const other of others) other.die();
		simulation.store.flush();
		const before = simulation.accepted.at(-1)!;
		home.resume();
		await simulation.run(6_000);
		expect(events(home)).toContain('lost hall: fenced');
		expect(home.leases.epochOf('hall'), 'anew').toBeGreaterThan(before.epoch);
		expect(simulation.violations).toEqual([]);
	});

	it('goes on being home after a short sleep', async () => {
		home.pause();
		await simulation.run(1_200);
		home.resume();
		await simulation.run(2_000);
		expect(home.leases.epochOf('hall')).toBeDefined();
		expect(events(home).filter((event) => event.startsWith('lost'))).toEqual([]);
	});

	it('is not sure of anything after a sleep that only the time of day shows, until it has renewed', async () => {
		expect(home.leases.epochOf('hall')).toBeDefined();
		home.wallOffsetMs += 60_000;
		expect(home.leases.epochOf('hall')).toBeUndefined();
		await simulation.run(700);
		expect(home.leases.epochOf('hall')).toBeDefined();
	});

	it.each(['refuses', 'hangs'] as const)('stays where it is while Redis %s, for ten minutes, and nobody is taken for dead', async (how) => {
		const epoch = home.leases.epochOf('hall');
		simulation.redisAway = how;
		for (let second = 0; second < 600; second += 5) {
			await simulation.run(5_000);
			expect(home.leases.epochOf('hall')).toBe(epoch);
		}
		for (const node of simulation.nodes) {
			expect(node.registry.redisAnswers).toBe(false);
			expect(node.registry.nodes()).toHaveLength(3);
			expect(events(node).filter((event) => event.startsWith('down'))).toEqual([]);
		}
		simulation.store.flush();
		simulation.redisAway = undefined;
		await simulation.run(6_000);
		expect(home.leases.epochOf('hall'), 'the same home in the same epoch').toBe(epoch);
		expect(simulation.store.homes.get('hall')).toMatchObject({ nodeId: home.nodeId, epoch });
		for (const node of simulation.nodes) expect(events(node)).toContain('redis lost');
		expect(simulation.agreed).toBe(true);
	});

	it('is put back with its epoch within a beat of a flush', async () => {
		const epoch = home.leases.epochOf('hall');
		simulation.store.flush();
		expect(await simulation.until(() => simulation.store.homes.get('hall')?.epoch === epoch, 700)).toBeDefined();
		await simulation.run(5_000);
		expect(simulation.agreed).toBe(true);
		expect(events(home).filter((event) => event.startsWith('lost'))).toEqual([]);
	});

	it('keeps its lease in Redis although it alone cannot reach Redis: the others renew it', async () => {
		home.cutOffFromRedis = true;
		await simulation.run(20_000);
		expect(home.leases.epochOf('hall')).toBeDefined();
		expect(simulation.store.homes.get('hall')!.untilMs).toBeGreaterThan(simulation.storeNowMs);
		for (const node of others) expect(node.registry.node(home.nodeId), node.nodeId).toMatchObject({ redis: false });
		home.cutOffFromRedis = false;
		await simulation.run(3_000);
		expect(events(home).filter((event) => event.startsWith('lost'))).toEqual([]);
	});

	it('is told by the others when it was taken over, even if it cannot reach Redis', async () => {
		home.isolated = home.cutOffFromRedis = true;
		expect(await simulation.until(anotherIsHome, TAKEOVER_MS + 500)).toBeDefined();
		home.isolated = false;
		expect(await simulation.until(() => events(home).includes('lost hall: fenced'), 4_000)).toBeDefined();
	});

	it('is not taken over while Redis is away, nor in the first two seconds after', async () => {
		simulation.redisAway = 'refuses';
		await simulation.run(3_000);
		home.die();
		await simulation.run(10_000);
		expect(anotherIsHome()).toBe(false);
		simulation.redisAway = undefined;
		await simulation.run(1_900);
		expect(anotherIsHome()).toBe(false);
		expect(await simulation.until(anotherIsHome, 2_000)).toBeDefined();
	});

	// The bar of a long outage, on the virtual clock: ten minutes of beats are really run. What rooms and stages make of the
	// flush is tested on a real Redis in tests/contract and tests/cluster.
	it.each(['refuses', 'hangs'] as const)('lives through ten minutes in which Redis %s, and a flush before it is back', { timeout: 60_000 }, async (how) => {
		const epoch = home.leases.epochOf('hall');
		simulation.redisAway = how;
		for (let minute = 0; minute < 10; minute++) {
			await simulation.run(60_000);
			expect(home.leases.epochOf('hall'), `after ${minute + 1} minutes`).toBe(epoch);
			expect(anotherIsHome()).toBe(false);
			for (const node of simulation.nodes) expect(node.registry.nodes(), 'all see all, past Redis').toHaveLength(simulation.nodes.length);
		}
		simulation.store.flush();
		simulation.redisAway = undefined;
		expect(await simulation.until(() => simulation.store.homes.get('hall')?.epoch === epoch, 5_000), 'the home puts its lease back').toBeDefined();
		await simulation.run(10_000);
		expect(simulation.agreed).toBe(true);
		expect(home.leases.epochOf('hall')).toBe(epoch);
		for (const node of simulation.nodes) {
			expect(events(node).filter((event) => event.startsWith('lost hall') || event.startsWith('down '))).toEqual([]);
			expect(events(node)).toContain('redis lost');
		}
	});

	it('is found or made by whoever asks, and there is only one', async () => {
		const epoch = home.leases.epochOf('hall');
		expect(await others[0]!.leases.ensure('hall')).toEqual({ nodeId: home.nodeId, epoch });
		const found = Promise.all(simulation.nodes.flatMap((node) => [node.leases.ensure('foyer'), node.leases.ensure('foyer')]));
		await simulation.run(2_000);
		const homes = await found;
		expect(new Set(homes.map(({ nodeId, epoch: of }) => `${nodeId} ${of}`)).size).toBe(1);
	});

	it('cannot be told while Redis is away and none is known', async () => {
		simulation.redisAway = 'refuses';
		await simulation.run(1_500);
		await expect(others[0]!.leases.ensure('foyer')).rejects.toMatchObject({ code: 'home_unavailable' });
		expect(await others[0]!.leases.ensure('hall'), 'one that is known').toMatchObject({ nodeId: home.nodeId });
	});

	it('is not made on a node that is to be emptied', async () => {
		others[0]!.draining = true;
		await simulation.run(1_000);
		const found = others[0]!.leases.ensure('foyer');
		await simulation.run(3_000);
		expect((await found).nodeId).not.toBe(others[0]!.nodeId);
	});

	it('is the same node again after a restart, in a new epoch', async () => {
		const epoch = home.leases.epochOf('hall')!;
		home.die();
		home.start();
		await simulation.run(8_000);
		expect(simulation.agreed).toBe(true);
		expect(simulation.homesOf('hall')[0]!.leases.epochOf('hall')).toBeGreaterThan(epoch);
	});
});
