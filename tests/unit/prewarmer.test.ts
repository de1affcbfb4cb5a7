import { EventEmitter } from 'node:events';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import type { HomesEvents } from '../../server/cluster/homes.ts';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import { prewarmPlan } from '../../server/placement/prewarm-plan.ts';
import { Prewarmer, type PrewarmMedia } from '../../server/programme/prewarmer.ts';
import { RoomDirectory } from '../../server/rooms/room-directory.ts';
import type { Room } from '../../server/rooms/room.ts';
import { FakeRoomStore } from '../support/fakes/fake-room-store.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const START = Date.parse('2026-05-24T20:00:00.000Z');
const MINUTE = 60_000;
const MAX = 1_000;
const ROOM = 'town-hall';

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** This node's books of what was made, without media. */
class Media implements PrewarmMedia {
	readonly edges = new Map<string, Set<number>>();
	kept: readonly number[] = [];
	origin = false;
	/** What the next edges run into. */
	failures = 0;
	readonly #asked: (what: string) => void;

	constructor(asked: (what: string) => void) {
		this.#asked = asked;
	}

	async prepareOrigin(): Promise<void> {
		this.#asked('origin');
		this.origin = true;
	}
	async prepareEdge(room: Room, shard: number): Promise<void> {
		this.#asked(`edge ${shard}`);
		if (this.failures-- > 0) {
			throw new Error('the shard died');
		}
		this.edges.set(room.id, new Set([...this.edgeShards(room.id), shard]));
	}
	keepEdges(_roomId: string, shards: readonly number[]): void {
		this.kept = shards;
	}
	edgeShards(roomId: string): readonly number[] {
		return [...(this.edges.get(roomId) ?? [])];
	}
	hasOrigin(): boolean {
		return this.origin;
	}
}

class Homes extends EventEmitter<HomesEvents> {
	isHome = false;
	epochOf(): number | undefined {
		return this.isHome ? 1 : undefined;
	}
}

const reportOf = (nodeId: string, shards: number): NodeReport => ({
	nodeId, incarnation: 'first-one', beat: 1, startedAt: '', internalUrl: '', draining: false, rooms: {}, homes: {}, moving: {}, redis: true,
	shards: Array.from({ length: shards + 1 }, (_, index) => ({
		index, role: index === 0 ? 'stage' : 'listener', alive: true, draining: false, listeners: 0, joining: 0, maxListeners: index === 0 ? 0 : MAX, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0,
	})),
});

class Node {
	readonly homes = new Homes();
	readonly media: Media;
	readonly prewarmer: Prewarmer;

	constructor(fleet: Fleet, nodeId: string) {
		this.media = new Media((what) => fleet.asked.push([`${nodeId} ${what}`, fleet.clock.nowMs()]));
		this.prewarmer = Prewarmer.create({
			rooms: fleet.rooms,
			view: { nodeId: nodeId, nodes: () => fleet.reports, homeOf: () => (fleet.home === undefined ? undefined : { nodeId: fleet.home, epoch: 1 }) },
			homes: this.homes,
			media: this.media,
			prewarmMs: MINUTE,
			now: () => START + fleet.clock.nowMs(),
			schedule: (ms, task) => fleet.clock.schedule(task, ms),
			log: pino({ level: 'silent' }),
		});
	}
}

/** Nodes that see the same rooms, reports and time. */
class Fleet {
	readonly clock = new VirtualClock();
	readonly nodes = new Map<string, Node>();
	readonly asked: [what: string, atMs: number][] = [];
	home: string | undefined;
	reports: NodeReport[] = [];
	declare rooms: RoomDirectory;

	static async create(shards: Record<string, number>): Promise<Fleet> {
		const fleet = new Fleet();
		fleet.rooms = await RoomDirectory.create({
			store: new FakeRoomStore(), now: () => new Date(START + fleet.clock.nowMs()), randomId: () => 'made-up', defaults: { voices: 3 },
		});
		fleet.reports = Object.entries(shards).map(([nodeId, count]) => reportOf(nodeId, count));
		for (const nodeId of Object.keys(shards)) {
			fleet.nodes.set(nodeId, new Node(fleet, nodeId));
		}
		fleets.push(fleet);
		return fleet;
	}

	node(nodeId: string): Node {
		const node = this.nodes.get(nodeId);
		if (!node) throw new Error(`no node ${nodeId}`);
		return node;
	}
	becomesHome(nodeId: string): void {
		this.home = nodeId;
		for (const [name, { homes }] of this.nodes) homes.isHome = name === nodeId;
		this.node(nodeId).homes.emit('gained', ROOM, 1, false);
	}
	change(nodeId: string, shard: number, what: Partial<NodeReport['shards'][number]>): void {
		this.reports = this.reports.map((report) => (report.nodeId === nodeId ? { ...report, shards: report.shards.map((one) => (one.index === shard ? { ...one, ...what } : one)) } : report));
	}
	at(ms: number): string {
		return new Date(START + ms).toISOString();
	}
	async pass(ms: number): Promise<void> {
		for (const endMs = this.clock.nowMs() + ms; ; ) {
			this.clock.advance(Math.min(10_000, endMs - this.clock.nowMs()));
			await settled();
			if (this.clock.nowMs() >= endMs) return;
		}
	}
	/** `node.shard` of every edge there is. */
	get edges(): string[] {
		return [...this.nodes].flatMap(([nodeId, { media }]) => media.edgeShards(ROOM).map((shard) => `${nodeId}.${shard}`)).toSorted();
	}
	get kept(): string[] {
		return [...this.nodes].flatMap(([nodeId, { media }]) => media.kept.map((shard) => `${nodeId}.${shard}`)).toSorted();
	}
	planned(expectedListeners: number): string[] {
		return prewarmPlan(this.reports, { id: ROOM, expectedListeners }).map(({ nodeId, shard }) => `${nodeId}.${shard}`).toSorted();
	}
}

const fleets: Fleet[] = [];
afterEach(() => {
	for (const { nodes, clock } of fleets.splice(0)) {
		for (const { prewarmer } of nodes.values()) prewarmer.close();
		expect(clock.pendingTimers).toBe(0);
	}
});

/** A room whose doors open in ten minutes. */
async function scheduled(shards: Record<string, number>, expectedListeners: number): Promise<Fleet> {
	const fleet = await Fleet.create(shards);
	await fleet.rooms.create({ id: ROOM, title: 'Town hall', doorsOpenAt: fleet.at(10 * MINUTE), scheduledAt: fleet.at(15 * MINUTE), expectedListeners });
	return fleet;
}

describe('making edges ahead', () => {
	it('begins so long before the doors, the home with the origin, each node with its part', async () => {
		const fleet = await scheduled({ a: 4, b: 4, c: 4 }, 600);
		fleet.becomesHome('b');
		await fleet.pass(9 * MINUTE - 1);
		expect(fleet.asked).toEqual([]);
		await fleet.pass(MINUTE / 2);
		expect(fleet.edges).toEqual(fleet.planned(600));
		expect(fleet.edges).toHaveLength(6);
		expect(fleet.kept).toEqual(fleet.edges);
		expect(fleet.asked[0]).toEqual(['b origin', 9 * MINUTE]);
		expect(fleet.asked.filter(([what]) => what.endsWith('origin'))).toHaveLength(1);
	});

	it('does not storm the home: one edge after the other over the whole fleet, and all well before the doors', async () => {
		const fleet = await scheduled({ a: 60, b: 40, c: 50 }, 1_000_000);
		fleet.becomesHome('a');
		await fleet.pass(10 * MINUTE);
		const times = fleet.asked.filter(([what]) => what.includes('edge')).map(([, atMs]) => atMs).toSorted((a, b) => a - b);
		expect(times).toHaveLength(150);
		for (const [index, atMs] of times.entries()) {
			const inTheNextSecond = times.filter((other) => other >= atMs && other < atMs + 1_000).length;
			expect(inTheNextSecond, `after edge ${index}`).toBeLessThanOrEqual(50);
		}
		expect(times.at(-1)).toBeLessThan(9.5 * MINUTE);
	});

	it('is done at once, and soon, when a host opens the room or goes live by hand', async () => {
		for (const command of ['open', 'start'] as const) {
			const fleet = await scheduled({ a: 60, b: 40 }, 1_000_000);
			fleet.becomesHome('a');
			await fleet.pass(MINUTE);
			await fleet.rooms.transition(ROOM, command);
			await fleet.pass(6_000);
			expect(fleet.edges).toHaveLength(100);
		}
	});

	it('waits for a home, and begins when there is one', async () => {
		const fleet = await scheduled({ a: 2 }, 10);
		await fleet.pass(9.5 * MINUTE);
		expect(fleet.asked).toEqual([]);
		fleet.becomesHome('a');
		await fleet.pass(2_000);
		expect(fleet.edges).toHaveLength(1);
	});

	it('gives a new home its origin', async () => {
		const fleet = await scheduled({ a: 2, b: 2 }, 10);
		fleet.becomesHome('a');
		await fleet.pass(9.5 * MINUTE);
		fleet.becomesHome('b');
		expect(fleet.asked.at(-1)).toEqual(['b origin', 9.5 * MINUTE]);
	});

	it('makes nothing again when the doors open, when it goes live, and while loads change', async () => {
		const fleet = await scheduled({ a: 4, b: 4 }, 350);
		fleet.becomesHome('a');
		await fleet.pass(9.5 * MINUTE);
		const before = fleet.asked.length;
		await fleet.rooms.transition(ROOM, 'open');
		for (const nodeId of ['a', 'b']) for (const shard of [1, 2, 3, 4]) fleet.change(nodeId, shard, { listeners: 900 - 100 * shard });
		await fleet.pass(MINUTE);
		await fleet.rooms.transition(ROOM, 'start');
		await fleet.pass(MINUTE);
		expect(fleet.asked.length).toBe(before);
		expect(fleet.kept).toEqual(fleet.edges);
	});

	it('heals: a shard that died is replaced in the plan, one that failed is tried again', async () => {
		const fleet = await scheduled({ a: 3 }, 150);
		fleet.becomesHome('a');
		const { media } = fleet.node('a');
		media.failures = 2;
		await fleet.pass(9.5 * MINUTE);
		expect(fleet.edges).toEqual(fleet.planned(150));
		const [lost = 0] = media.edgeShards(ROOM);
		media.edges.get(ROOM)?.delete(lost);
		fleet.change('a', lost, { alive: false });
		await fleet.pass(3_000);
		expect(fleet.edges).toEqual(fleet.planned(150));
		expect(fleet.edges).toHaveLength(2);
		fleet.change('a', lost, { alive: true });
		await fleet.pass(3_000);
		expect(fleet.kept).toEqual(fleet.planned(150));
	});

	it('follows what the host expects', async () => {
		const fleet = await scheduled({ a: 8 }, 100);
		fleet.becomesHome('a');
		await fleet.pass(9.5 * MINUTE);
		expect(fleet.edges).toHaveLength(1);
		await fleet.rooms.update(ROOM, { expectedListeners: 500 });
		await fleet.pass(3_000);
		expect(fleet.edges).toHaveLength(5);
		await fleet.rooms.update(ROOM, { expectedListeners: 200 });
		await fleet.pass(3_000);
		expect(fleet.kept).toEqual(fleet.planned(200)); // The rest goes by the linger.
	});

	it.each<[string, (fleet: Fleet) => Promise<unknown>]>([
		['its time is moved', ({ rooms, at }) => rooms.update(ROOM, { doorsOpenAt: at(60 * MINUTE), scheduledAt: at(60 * MINUTE) })],
		['nobody is expected any more', ({ rooms }) => rooms.update(ROOM, { expectedListeners: null })],
		['it is cancelled', ({ rooms }) => rooms.remove(ROOM)],
		['it ends', async ({ rooms }) => {
			await rooms.transition(ROOM, 'open');
			await rooms.transition(ROOM, 'end');
		}],
	])('lets go when %s', async (_what, happens) => {
		const fleet = await scheduled({ a: 2, b: 2 }, 400);
		fleet.becomesHome('a');
		await fleet.pass(9 * MINUTE + 200); // In the middle of it: some edges wait for their turn.
		await happens(fleet);
		const before = fleet.asked.length;
		await fleet.pass(5 * MINUTE);
		expect(fleet.kept).toEqual([]);
		expect(fleet.asked.length).toBe(before);
		expect(fleet.node('a').prewarmer.warm.size).toBe(0);
	});

	it('leaves edges to their linger a while after the room went live', async () => {
		const fleet = await scheduled({ a: 2 }, 400);
		fleet.becomesHome('a');
		await fleet.rooms.transition(ROOM, 'open');
		await fleet.pass(60 * MINUTE);
		expect(fleet.kept).toHaveLength(2);
		await fleet.rooms.transition(ROOM, 'start');
		await fleet.pass(4 * MINUTE);
		expect(fleet.kept).toHaveLength(2);
		await fleet.pass(2 * MINUTE);
		expect(fleet.kept).toEqual([]);
		expect(fleet.clock.pendingTimers).toBe(0);
	});

	it('does nothing for a room that expects nobody in particular', async () => {
		const fleet = await scheduled({ a: 2 }, 0);
		fleet.becomesHome('a');
		await fleet.pass(20 * MINUTE);
		await fleet.rooms.transition(ROOM, 'open');
		await fleet.pass(20 * MINUTE);
		expect(fleet.asked).toEqual([]);
	});

	it('goes on after a restart, for rooms that are being kept warm', async () => {
		const fleet = await scheduled({ a: 2 }, 400);
		fleet.becomesHome('a');
		await fleet.rooms.transition(ROOM, 'open');
		await fleet.pass(MINUTE);
		fleet.node('a').prewarmer.close();
		const again = new Node(fleet, 'a');
		again.homes.isHome = true;
		fleet.nodes.set('a', again);
		await fleet.pass(2_000);
		expect(again.media.edgeShards(ROOM)).toHaveLength(2);
	});
});
