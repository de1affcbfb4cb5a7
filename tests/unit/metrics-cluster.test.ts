import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LinkStats } from '../../sfu/contract/shard-protocol.ts';
import type { DrainProgress } from '../../server/cluster/drain/drain-progress.ts';
import type { HomesEvents } from '../../server/cluster/homes.ts';
import { Metrics } from '../../server/metrics/metrics.ts';
import { type HttpNode, type HttpNodes, startHttpNodes } from '../support/cluster/http-nodes.ts';
import { aReport } from '../support/cluster/reports.ts';
import { OFFER } from '../support/fakes/test-app.ts';
import { samplesOf } from '../support/scrape.ts';

class FakeHomes extends EventEmitter<HomesEvents> {
	rooms: readonly string[] = [];
}

const link = (linkId: string, more: Partial<LinkStats> = {}): LinkStats => ({ roomId: 'hall', linkId, packetsTotal: 0, lostTotal: 0, jitterMs: 0, lagMs: 0, silentMs: 0, ...more });

let nodes: string[];
let homes: FakeHomes;
let redis: { answers: boolean; counts: Map<string, number> };
let unsaved: string[];
let links: LinkStats[];
let relinks: Record<string, number>;
let drain: { state: DrainProgress['state']; moving: Record<string, number>; askedTotal: number };
let metrics: Metrics;
beforeEach(() => {
	nodes = ['a', 'b', 'c'];
	homes = new FakeHomes();
	redis = { answers: true, counts: new Map() };
	unsaved = [];
	links = [];
	relinks = { told: 0, stalled: 0 };
	drain = { state: 'active', moving: {}, askedTotal: 0 };
	metrics = Metrics.create({
		shards: () => [],
		roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
		events: () => ({ streams: 0, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
		links: { links: () => links, relinks: () => relinks },
		drain: {
			progress: () => ({ state: drain.state, listenersAtStart: 0, listenersNow: 0, homesLeft: 0, moving: 0 }),
			get moving() {
				return drain.moving;
			},
			get askedTotal() {
				return drain.askedTotal;
			},
		},
		cluster: {
			view: {
				nodes: () => nodes.map((nodeId) => aReport(nodeId, 1)),
				get redisAnswers() {
					return redis.answers;
				},
			},
			homes,
			redis,
			store: {
				get unsaved() {
					return unsaved;
				},
			},
			forwards: () => ({ answered: 5, unreachable: 2, sockets: 3 }),
		},
		processMetrics: false,
	});
});

const scrape = async () => samplesOf(await metrics.render());
/** Values of one figure by its only label's value. */
async function byLabel(name: string): Promise<Record<string, number>> {
	const found = [...(await scrape())].filter(([sample]) => sample.startsWith(`${name}{`));
	return Object.fromEntries(found.map(([sample, value]) => [/"(.*)"/.exec(sample)?.[1] ?? '', value]));
}

describe('what a member of a cluster tells', () => {
	it('is how many nodes live, which rooms live here, and whether Redis answers', async () => {
		homes.rooms = ['hall', 'board'];
		unsaved = ['hall'];
		const before = await scrape();
		expect([before.get('rostrum_cluster_nodes'), before.get('rostrum_homes'), before.get('rostrum_redis_up'), before.get('rostrum_rooms_unsaved')]).toEqual([3, 2, 1, 1]);
		nodes = ['a'];
		homes.rooms = [];
		redis.answers = false;
		unsaved = ['hall', 'board'];
		const after = await scrape();
		expect([after.get('rostrum_cluster_nodes'), after.get('rostrum_homes'), after.get('rostrum_redis_up'), after.get('rostrum_rooms_unsaved')]).toEqual([1, 0, 0, 2]);
	});

	it('is each change of a home with its reason, from the first scrape on', async () => {
		expect(await byLabel('rostrum_home_changes_total')).toEqual({ gained: 0, taken_over: 0, released: 0, fenced: 0, shutting_down: 0 });
		homes.emit('gained', 'hall', 1, false);
		homes.emit('gained', 'board', 4, true);
		homes.emit('gained', 'attic', 9, true);
		homes.emit('lost', 'hall', 1, 'fenced');
		homes.emit('lost', 'board', 4, 'released');
		homes.emit('lost', 'attic', 9, 'shutting down');
		await scrape();
		expect(await byLabel('rostrum_home_changes_total')).toEqual({ gained: 1, taken_over: 2, released: 1, fenced: 1, shutting_down: 1 });
	});

	it('is what was sent to Redis, by script', async () => {
		redis.counts.set('beat', 17).set('renew', 9);
		expect(await byLabel('rostrum_redis_commands_total')).toEqual({ beat: 17, renew: 9 });
		redis.counts.set('beat', 18);
		expect(await byLabel('rostrum_redis_commands_total')).toEqual({ beat: 18, renew: 9 });
	});

	it('is what it passed on', async () => {
		expect(await byLabel('rostrum_forwarded_requests_total')).toEqual({ answered: 5, unreachable: 2 });
		expect((await scrape()).get('rostrum_relayed_stage_sockets')).toBe(3);
	});
});

describe('links', () => {
	it('are told by the worst and by the sum, however many there are', async () => {
		links = [
			link('one', { packetsTotal: 900, lostTotal: 100, jitterMs: 2, lagMs: 30, silentMs: 500 }),
			link('two', { packetsTotal: 1_000, jitterMs: 6, lagMs: 10, silentMs: 250 }),
		];
		expect((await scrape()).get('rostrum_links')).toBe(2);
		expect(await byLabel('rostrum_link_loss_ratio')).toEqual({ max: 0.1, sum: 0.1 });
		expect(await byLabel('rostrum_link_jitter_seconds')).toEqual({ max: 0.006, sum: 0.008 });
		expect(await byLabel('rostrum_link_lag_seconds')).toEqual({ max: 0.03, sum: 0.04 });
		expect(await byLabel('rostrum_link_silent_seconds')).toEqual({ max: 0.5, sum: 0.75 });
		const few = (await scrape()).size;
		links = Array.from({ length: 300 }, (_, index) => link(`link-${index}`, { roomId: `room-${index}` }));
		expect((await scrape()).size).toBe(few);
		links = [];
		expect(await byLabel('rostrum_link_lag_seconds')).toEqual({ max: 0, sum: 0 });
	});

	it('have counters that never fall, although links come and go', async () => {
		const totals = async () => {
			const samples = await scrape();
			return [samples.get('rostrum_link_packets_received_total'), samples.get('rostrum_link_packets_lost_total')];
		};
		links = [link('one', { packetsTotal: 100, lostTotal: 4 }), link('two', { packetsTotal: 10 })];
		expect(await totals()).toEqual([110, 4]);
		expect(await totals()).toEqual([110, 4]);
		links = [link('two', { packetsTotal: 15, lostTotal: 1 }), link('three', { packetsTotal: 1 })];
		expect(await totals()).toEqual([116, 5]);
		links = [];
		expect(await totals()).toEqual([116, 5]);
	});

	it('that are replaced are counted by reason', async () => {
		relinks['stalled'] = 3;
		expect(await byLabel('rostrum_relinks_total')).toEqual({ told: 0, stalled: 3 });
	});
});

it('a drain is told by its state, the part that is asked to move, and how many were asked', async () => {
	expect(await byLabel('rostrum_drain_state')).toEqual({ active: 1, draining: 0, drained: 0 });
	expect((await scrape()).get('rostrum_drain_moving_ratio')).toBe(0);
	drain = { state: 'draining', moving: { 1: 0.25, 2: 0.75 }, askedTotal: 40 };
	expect(await byLabel('rostrum_drain_state')).toEqual({ active: 0, draining: 1, drained: 0 });
	const samples = await scrape();
	expect([samples.get('rostrum_drain_moving_ratio'), samples.get('rostrum_listeners_asked_to_move_total')]).toEqual([0.75, 40]);
});

describe('hand-offs', () => {
	let cluster: HttpNodes;
	afterEach(() => cluster.close());
	const start = async (ownUrls: boolean): Promise<[HttpNode, HttpNode]> => {
		cluster = await startHttpNodes(['a', 'b'], { ownUrls });
		for (const node of Object.values(cluster.nodes)) {
			await node.rooms.create({ id: 'launch', title: 'The announcement' });
			await node.rooms.transition('launch', 'open');
		}
		return [cluster.nodes['a']!, cluster.nodes['b']!];
	};
	const listen = ({ origin }: HttpNode) =>
		fetch(`${origin}/v1/rooms/launch/listen`, { method: 'POST', body: OFFER, redirect: 'manual', headers: { 'content-type': 'application/sdp' } });
	const handOffs = async ({ origin }: HttpNode) => [...samplesOf(await (await fetch(`${origin}/metrics`)).text())].filter(([name]) => name.startsWith('rostrum_handoffs_total'));

	it('are counted by kind and by why', async () => {
		const [first, second] = await start(true);
		expect(await handOffs(first)).toEqual([]);
		first.seat = { nodeId: 'b', publicUrl: second.origin, why: 'full' };
		expect((await listen(first)).status).toBe(307);
		expect((await listen(first)).status).toBe(307);
		first.seat = { nodeId: 'b', why: 'draining' };
		expect((await listen(first)).status).toBe(201);
		expect(await handOffs(first)).toEqual([['rostrum_handoffs_total{kind="307",why="full"}', 2], ['rostrum_handoffs_total{kind="forwarded",why="draining"}', 1]]);
		expect(first.cluster.forwards).toEqual({ answered: 1, unreachable: 0, sockets: 0 });
	});

	it('that did not come about are none', async () => {
		const [first, second] = await start(false);
		first.seat = { nodeId: 'b', why: 'fuller' };
		await second.server.close();
		expect((await listen(first)).status).toBe(201);
		expect(await handOffs(first)).toEqual([]);
		expect(first.cluster.forwards).toMatchObject({ answered: 0, unreachable: 1 });
	});
});
