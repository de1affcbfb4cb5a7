import fc from 'fast-check';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { rankTakers } from '../../server/cluster/drain/homes-mover.ts';
import { DrainService } from '../../server/cluster/drain/drain-service.ts';
import { type MoveFigures, type MovePlan, PATIENCE_MS, planMoves, queueOf, startMoving } from '../../server/cluster/drain/move-plan.ts';
import type { NodeReport, ShardReport } from '../../server/cluster/node-report.ts';
import type { Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import { SimulatedView } from '../support/cluster/simulated-fleet.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const figures = (more: Partial<MoveFigures> = {}): MoveFigures => ({
	nowMs: 1_000, sinceMs: 1_000, listenersNow: 1_000, freeElsewhere: 10_000, shardsElsewhere: 2, roomsLive: true, askedByMs: 100_000, ...more,
});
const askedOf = (plan: MovePlan) => Math.round(plan.part * plan.listenersAtStart);

describe('how many are asked to move', () => {
	it.each([
		['what is left, spread over the time there is', 1_000, {}, 10],
		['a few people are not spread over minutes', 30, { listenersNow: 30 }, 10],
		['not more than the fleet takes in a second', 10_000, { listenersNow: 10_000, askedByMs: 10_000 }, 200],
		['more for a larger fleet', 10_000, { listenersNow: 10_000, askedByMs: 10_000, shardsElsewhere: 12 }, 600],
		['not more than there are places for', 1_000, { askedByMs: 2_000, freeElsewhere: 100 }, 90],
		['all, once nobody is there any more', 1_000, { listenersNow: 0 }, 1_000],
		['nobody without places', 1_000, { freeElsewhere: 0 }, 0],
		['nobody while a room could not be heard elsewhere', 1_000, { roomsLive: false }, 0],
	])('%s', (_what, listeners, more, expected) => {
		expect(askedOf(planMoves(startMoving(listeners), figures(more)))).toBe(expected);
	});

	it('pauses while those who were asked do not go, and goes on without them when they will not', () => {
		let plan = startMoving(1_000);
		let pausedAtMs = 0;
		for (let nowMs = 0; plan.part < 1 && nowMs < 600_000; nowMs += 250) {
			plan = planMoves(plan, figures({ nowMs, sinceMs: 250, askedByMs: 60_000 }));
			if (plan.waiting !== undefined && pausedAtMs === 0) {
				pausedAtMs = nowMs;
				expect(plan.waiting).toBe('listeners are slow to go');
				expect(askedOf(plan)).toBeLessThan(100);
			}
		}
		expect(pausedAtMs).toBeGreaterThan(0);
		expect(plan.part).toBe(1);
		// It catches up: pauses are made good by a faster pace.
		expect(queueOf(plan, { nowMs: 600_000 + PATIENCE_MS, listenersNow: 1_000 })).toBe(0);
	});

	it('never takes back what it asked, keeps its pace and stops at its target, whatever the figures', () => {
		const step = fc.record({ sinceMs: fc.integer({ min: 0, max: 2_000 }), listenersNow: fc.integer({ min: 0, max: 3_000 }), freeElsewhere: fc.integer({ min: 0, max: 4_000 }), shardsElsewhere: fc.integer({ min: 0, max: 40 }), roomsLive: fc.boolean(), askedByMs: fc.integer({ min: 0, max: 60_000 }) });
		fc.assert(
			fc.property(fc.integer({ min: 0, max: 3_000 }), fc.constantFrom(1, 0.3), fc.array(step, { maxLength: 60 }), (listeners, target, steps) => {
				let plan = startMoving(listeners, target);
				let nowMs = 0;
				for (const { sinceMs, ...rest } of steps) {
					nowMs += sinceMs;
					const next = planMoves(plan, { ...rest, nowMs, sinceMs });
					const asked = (next.part - plan.part) * listeners;
					expect(next.part).toBeGreaterThanOrEqual(plan.part);
					expect(next.part).toBeLessThanOrEqual(target);
					if (rest.listenersNow > 0) expect(asked).toBeLessThanOrEqual((Math.max(200, 50 * rest.shardsElsewhere) * sinceMs) / 1000 + 1e-6);
					expect(asked).toBeLessThanOrEqual(rest.listenersNow === 0 ? listeners : rest.freeElsewhere);
					if (!rest.roomsLive || rest.freeElsewhere === 0) expect(asked).toBe(0);
					plan = next;
				}
			}),
		);
	});
});

describe('who takes a room', () => {
	const shard = (role: 'stage' | 'listener', more: Partial<ShardReport> = {}): ShardReport => ({
		index: role === 'stage' ? 0 : 1, role, alive: true, draining: false, listeners: 0, joining: 0, maxListeners: 100, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0, ...more,
	});
	const node = (nodeId: string, more: Partial<NodeReport> = {}): NodeReport => ({
		nodeId, incarnation: 'first-start', beat: 1, startedAt: '', internalUrl: '', draining: false, shards: [shard('stage'), shard('listener')], rooms: {}, homes: {}, moving: {}, redis: true, ...more,
	});
	const home = { epoch: 1, roomVersion: 1, stageVersion: 1 };
	it('is near, has its listeners, has few homes; never one that drains, lacks Redis or a stage shard', () => {
		expect(
			rankTakers(
				[
					node('self', { region: 'east' }),
					node('far', { region: 'west', rooms: { launch: 900 } }),
					node('busy', { region: 'east', homes: { a: home, b: home } }),
					node('idle', { region: 'east' }),
					node('hears', { region: 'east', rooms: { launch: 9 }, homes: { a: home } }),
					node('draining', { region: 'east', draining: true }),
					node('cut off', { region: 'east', redis: false }),
					node('no stage', { region: 'east', shards: [shard('listener'), shard('stage', { alive: false })] }),
				],
				'launch',
			),
		).toEqual(['hears', 'idle', 'busy', 'far']);
	});
});

/** Listeners whose pages do as they are told, on shards that can be drained; other nodes take whoever comes. */
class FakeFleet {
	readonly clock = new VirtualClock();
	readonly view: SimulatedView;
	readonly listeners: { shard: number; hash: number; stays: boolean; told: boolean }[] = [];
	readonly shards: ShardReport[];
	readonly homesHere: string[] = [];
	readonly refusing = new Set<string>();
	readonly asked: { roomId: string; nodeId: string }[] = [];
	readonly ended: { shard: number | undefined; atMs: number }[] = [];
	origins = 0;
	free = 100_000;
	redisAnswers = true;
	homeless = false;
	readonly drain: DrainService;

	constructor({ shards = 2, perShard = 100, stays = 0, stageShards = 1 } = {}) {
		const shard = (index: number, role: 'stage' | 'listener'): ShardReport => ({
			index, role, alive: true, draining: false, listeners: 0, joining: 0, maxListeners: 10_000, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0,
		});
		this.shards = [...Array.from({ length: stageShards }, (_, index) => shard(index, 'stage')), ...Array.from({ length: shards }, (_, index) => shard(stageShards + index, 'listener'))];
		for (const { index } of this.shards.filter(({ role }) => role === 'listener')) {
			for (let i = 0; i < perShard; i++) this.listeners.push({ shard: index, hash: (i + 0.5) / perShard, stays: i < stays, told: false });
		}
		this.view = new SimulatedView(this.#report('a'), this.#report('b'), this.#report('c'));
		const homesHere = this.homesHere;
		const peers: Peers = {
			request: async (nodeId, name, params) => {
				expect(name).toBe('takeHome');
				this.asked.push({ roomId: (params as { roomId: string }).roomId, nodeId });
				if (this.refusing.has(nodeId)) throw new DomainError('peer_unreachable', 'It does not answer');
				return { epoch: 2 } as never;
			},
		};
		const redisAnswers = () => this.redisAnswers;
		this.drain = DrainService.create({
			view: { nodeId: 'a', nodes: () => this.#reports(), homeOf: () => (this.homeless ? undefined : { nodeId: 'a', epoch: 1 }), get redisAnswers() { return redisAnswers(); } },
			homes: {
				get rooms() { return [...homesHere]; },
				epochOf: (roomId: string) => (homesHere.includes(roomId) ? 1 : undefined),
				release: async (roomId: string) => void homesHere.splice(homesHere.indexOf(roomId), 1),
				ensure: async (roomId: string) => { homesHere.push(roomId); return { nodeId: 'a', epoch: 3 }; },
			},
			peers,
			media: {
				shardReports: () => this.#counted(),
				setDraining: (index, draining) => { for (const each of this.shards) if (index === undefined || each.index === index) each.draining = draining; },
				endListeners: async (index) => {
					this.ended.push({ shard: index, atMs: this.clock.nowMs() });
					for (const listener of this.listeners.filter(({ shard }) => shard === index)) this.#leave(listener);
				},
				moveOriginsOff: async () => { this.origins = 0; },
				originsOn: () => this.origins,
			},
			clock: this.clock,
			now: () => 1_800_000_000_000 + this.clock.nowMs(),
			log: pino({ level: 'silent' }),
			defaultDeadlineMs: 60_000,
		});
		// What event streams do: who is told moves two seconds later.
		this.drain.on('changed', () => {
			for (const listener of this.listeners) {
				if (listener.stays || listener.told || listener.hash >= (this.drain.moving[listener.shard] ?? 0)) continue;
				listener.told = true;
				this.clock.schedule(() => this.#leave(listener), 2_000);
			}
		});
	}

	/** Runs for so long, with the promises in between. */
	async run(durationMs: number, each: () => void = () => undefined): Promise<void> {
		for (let ms = 0; ms < durationMs; ms += 250) {
			this.clock.advance(250);
			for (let i = 0; i < 20; i++) await Promise.resolve();
			each();
		}
	}

	on(shard?: number): number {
		return this.listeners.filter((listener) => shard === undefined || listener.shard === shard).length;
	}

	#leave(listener: (typeof this.listeners)[number]): void {
		const index = this.listeners.indexOf(listener);
		if (index >= 0) this.listeners.splice(index, 1);
	}

	#counted(): ShardReport[] {
		return this.shards.map((shard) => ({ ...shard, listeners: this.on(shard.index) }));
	}

	#report(nodeId: string): NodeReport {
		const one: ShardReport = { index: 1, role: 'listener', alive: true, draining: false, listeners: 0, joining: 0, maxListeners: this.free ?? 0, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0 };
		return {
			nodeId, incarnation: 'first-start', beat: 1, startedAt: '', internalUrl: '', draining: false, shards: [{ ...one, index: 0, role: 'stage', maxListeners: 0 }, one],
			rooms: { launch: 1 }, homes: {}, moving: {}, redis: true,
		};
	}

	#reports(): NodeReport[] {
		return ['a', 'b', 'c'].map((nodeId) => this.#report(nodeId));
	}
}

describe('a drain', () => {
	const open: DrainService[] = [];
	afterEach(() => {
		for (const drain of open.splice(0)) drain.close();
	});
	const start = (setup?: ConstructorParameters<typeof FakeFleet>[0]) => {
		const fleet = new FakeFleet(setup);
		open.push(fleet.drain);
		return fleet;
	};

	it('empties the node at a steady pace, then gives its homes away, and is drained', async () => {
		const fleet = start({ shards: 2, perShard: 300 });
		fleet.homesHere.push('launch', 'other');
		expect(fleet.drain.progress()).toMatchObject({ state: 'active', listenersNow: 600, homesLeft: 2 });
		expect(fleet.drain.start({ deadlineMs: 60_000 })).toMatchObject({
			state: 'draining', listenersAtStart: 600, listenersNow: 600, homesLeft: 2, moving: 0, startedAt: '2027-01-15T08:00:00.000Z', deadlineAt: '2027-01-15T08:01:00.000Z',
		});
		expect(fleet.drain.draining).toBe(true);
		expect(fleet.shards.every(({ draining }) => draining)).toBe(true);
		const left: number[] = [];
		await fleet.run(45_000, () => left.push(fleet.on()));
		const perSecond = left.slice(4).map((now, index) => left[index]! - now);
		// 600 in 36 s.
		expect(Math.max(...perSecond)).toBeLessThanOrEqual(25);
		expect(fleet.on()).toBe(0);
		expect(fleet.ended).toEqual([]);
		expect(fleet.homesHere).toEqual([]);
		expect(fleet.asked.map(({ roomId }) => roomId)).toEqual(['launch', 'other']);
		expect(fleet.drain.progress()).toMatchObject({ state: 'drained', listenersNow: 0, homesLeft: 0, moving: 1 });
		expect(fleet.drain.askedTotal).toBe(600);
		await fleet.drain.whenOver();
	});

	it('never asks a smaller part than before, until it is called off', async () => {
		const fleet = start();
		fleet.drain.start();
		let before = 0;
		await fleet.run(10_000, () => {
			const { moving } = fleet.drain.progress();
			expect(moving).toBeGreaterThanOrEqual(before);
			before = moving;
		});
		expect(before).toBeGreaterThan(0.1);
		let over = false;
		const waiting = fleet.drain.whenOver().then(() => { over = true; });
		expect(fleet.drain.undrain()).toMatchObject({ state: 'active', moving: 0 });
		expect(fleet.drain.moving).toEqual({});
		expect(fleet.shards.some(({ draining }) => draining)).toBe(false);
		await waiting;
		expect(over).toBe(true);
		await fleet.run(3_000);
		const left = fleet.on();
		expect(left).toBeGreaterThan(0);
		expect(fleet.drain.askedTotal).toBe(200 - left);
		await fleet.run(60_000);
		expect(fleet.on()).toBe(left);
		expect(fleet.ended).toEqual([]);
	});

	it('moves homes although some listeners stay, and ends those at the deadline only, a shard at a time', async () => {
		const fleet = start({ shards: 3, perShard: 50, stays: 5 });
		fleet.homesHere.push('launch');
		fleet.drain.start({ deadlineMs: 30_000 });
		await fleet.run(29_500);
		expect(fleet.on()).toBe(15);
		expect(fleet.homesHere).toEqual([]);
		expect(fleet.drain.progress().state).toBe('draining');
		await fleet.run(2_000);
		expect(fleet.on()).toBe(0);
		expect(fleet.ended.map(({ shard }) => shard)).toEqual([1, 2, 3]);
		expect(new Set(fleet.ended.map(({ atMs }) => atMs)).size).toBe(3);
		expect(fleet.ended[0]!.atMs).toBeGreaterThanOrEqual(30_000);
		expect(fleet.drain.progress().state).toBe('drained');
	});

	it('asks nobody while the fleet has no room, or a room could not be heard there, and says so', async () => {
		const fleet = start();
		fleet.free = 0;
		fleet.drain.start();
		await fleet.run(2_000);
		expect(fleet.drain.progress()).toMatchObject({ moving: 0, waiting: 'no room elsewhere' });
		fleet.free = 1_000;
		fleet.homeless = true;
		await fleet.run(2_000);
		expect(fleet.drain.progress()).toMatchObject({ moving: 0, waiting: 'a room has no home' });
		fleet.homeless = false;
		await fleet.run(2_000);
		expect(fleet.drain.progress().moving).toBeGreaterThan(0);
		expect(fleet.drain.progress()).not.toHaveProperty('waiting');
	});

	it('offers a room to the next node when one does not take it, and keeps it when none does', async () => {
		const fleet = start({ perShard: 0 });
		fleet.homesHere.push('launch');
		fleet.refusing.add('b').add('c');
		fleet.drain.start();
		await fleet.run(500);
		expect(fleet.asked.map(({ nodeId }) => nodeId)).toEqual(['b', 'c']);
		expect(fleet.homesHere).toEqual(['launch']);
		expect(fleet.drain.progress()).toMatchObject({ state: 'draining', homesLeft: 1 });
		fleet.refusing.delete('c');
		await fleet.run(5_000);
		expect(fleet.drain.progress().state).toBe('drained');
	});

	it('keeps its homes while Redis is away: nobody could take them', async () => {
		const fleet = start({ perShard: 0 });
		fleet.homesHere.push('launch');
		fleet.redisAnswers = false;
		fleet.drain.start();
		await fleet.run(5_000);
		expect(fleet.homesHere).toEqual(['launch']);
		expect(fleet.asked).toEqual([]);
	});

	it('is over at its deadline even if it could not give everything away', async () => {
		const fleet = start({ perShard: 0 });
		fleet.homesHere.push('launch');
		fleet.refusing.add('b').add('c');
		fleet.drain.start({ deadlineMs: 3_000 });
		let over = false;
		const waiting = fleet.drain.whenOver().then(() => { over = true; });
		await fleet.run(2_500);
		expect(over).toBe(false);
		await fleet.run(3_000);
		await waiting;
		expect(fleet.drain.progress().state).toBe('draining');
	});

	it('started again, only changes its deadline', async () => {
		const fleet = start();
		fleet.drain.start({ deadlineMs: 600_000 });
		await fleet.run(5_000);
		const { startedAt, moving } = fleet.drain.progress();
		expect(fleet.drain.start({ deadlineMs: 10_000 })).toMatchObject({ startedAt, moving, listenersAtStart: 200, deadlineAt: '2027-01-15T08:00:15.000Z' });
		await fleet.run(10_000);
		expect(fleet.on()).toBe(0);
	});

	it('of one shard moves its listeners alone', async () => {
		const fleet = start();
		fleet.homesHere.push('launch');
		fleet.drain.start({ shard: 2 });
		expect(fleet.drain.draining).toBe(false);
		await fleet.run(40_000);
		expect(fleet.on(1)).toBe(100);
		expect(fleet.on(2)).toBe(0);
		expect(fleet.drain.moving).toEqual({ 2: 1 });
		expect(fleet.homesHere).toEqual(['launch']);
		expect(fleet.drain.progress(2)).toMatchObject({ state: 'drained', shard: 2, homesLeft: 0 });
		expect(fleet.drain.progresses()).toHaveLength(2);
		fleet.drain.undrain({ shard: 2 });
		expect(fleet.shards[2]).toMatchObject({ draining: false });
		expect(() => fleet.drain.start({ shard: 9 })).toThrow(expect.objectContaining({ code: 'not_found' }));
	});

	it('of one shard may go on to the node’s other shards', async () => {
		const fleet = start();
		fleet.free = 0;
		fleet.drain.start({ shard: 1 });
		await fleet.run(2_000);
		expect(fleet.drain.progress(1).moving).toBeGreaterThan(0);
	});

	it('of a stage shard moves its origins to another one', async () => {
		const fleet = start({ stageShards: 2 });
		fleet.origins = 3;
		expect(fleet.drain.start({ shard: 0 })).toMatchObject({ homesLeft: 0 });
		await fleet.run(500);
		expect(fleet.drain.progress(0).state).toBe('drained');
		expect(fleet.on()).toBe(200);
	});

	it('cannot be called off for one shard of a node that drains as a whole', () => {
		const fleet = start();
		fleet.drain.start();
		expect(() => fleet.drain.undrain({ shard: 1 })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
	});

	it('leaves a shard draining that is drained by itself when another drain of it ends', () => {
		const fleet = start();
		fleet.drain.start({ shard: 1 });
		fleet.drain.shed(50);
		fleet.drain.undrain({ shard: 2 });
		expect(fleet.shards.map(({ draining }) => draining)).toEqual([false, true, true]);
	});
});

describe('giving a share of listeners away', () => {
	it('asks about so many, takes nobody meanwhile, and then takes people again', async () => {
		const fleet = new FakeFleet({ shards: 2, perShard: 500 });
		expect(fleet.drain.shed(200)).toBe(200);
		expect(fleet.drain.draining).toBe(false);
		expect(fleet.shards.filter(({ draining }) => draining)).toHaveLength(2);
		expect(fleet.drain.shed(200)).toBe(0);
		await fleet.run(60_000);
		expect(fleet.on()).toBeGreaterThanOrEqual(798);
		expect(fleet.on()).toBeLessThanOrEqual(802);
		expect(fleet.drain.moving).toEqual({});
		expect(fleet.shards.some(({ draining }) => draining)).toBe(false);
		expect(fleet.ended).toEqual([]);
		fleet.drain.close();
	});

	it('is not for a node that drains', () => {
		const fleet = new FakeFleet();
		fleet.drain.start();
		expect(fleet.drain.shed(10)).toBe(0);
		fleet.drain.close();
	});
});
