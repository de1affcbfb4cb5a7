import { beforeEach, describe, expect, it } from 'vitest';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import { Metrics } from '../../server/metrics/metrics.ts';
import type { ShardFigures } from '../../server/metrics/shard-figures.ts';
import { samplesOf } from '../support/scrape.ts';

const stats = (changes: Partial<ShardStats> = {}): ShardStats => ({
	listeners: 0, spareTransports: 0, rooms: {}, joinsTotal: 0, joinsFailedTotal: 0, packetsSentTotal: 0, packetsReceivedTotal: 0, eventLoopLagMs: 0,
	nodeCpuRatio: 0, nodeRssBytes: 0, workerPid: 1, workerCpuRatio: 0, workerRssBytes: 0, links: [], ...changes,
});

let shards: ShardFigures[];
let metrics: Metrics;
beforeEach(() => {
	shards = [
		{ index: 0, role: 'stage', stats: stats({ packetsReceivedTotal: 50 }) },
		{ index: 1, role: 'listener', stats: stats({ listeners: 12, spareTransports: 30, rooms: { a: 10, b: 2 }, joinsTotal: 20, joinsFailedTotal: 1, packetsSentTotal: 900, eventLoopLagMs: 2.5, workerCpuRatio: 0.25, workerRssBytes: 1e8, nodeRssBytes: 5e7, nodeCpuRatio: 0.5 }) },
	];
	metrics = Metrics.create({
		shards: () => shards,
		roomsByState: () => ({ scheduled: 1, open: 0, live: 2, ended: 3 }),
		events: () => ({ streams: 7, blocked: 1, writesTotal: 99, snapshotsTotal: 8, droppedTotal: 2, lagMs: 1500 }),
		processMetrics: false,
	});
});

const scrape = async (source = metrics) => samplesOf(await source.render());

describe('Metrics', () => {
	it('shows every shard’s figures', async () => {
		const samples = await scrape();
		const listener = '{shard="1",role="listener"}';
		expect(Object.fromEntries([...samples].filter(([name]) => name.endsWith(listener)))).toEqual({
			[`rostrum_shard_listeners${listener}`]: 12,
			[`rostrum_shard_rooms${listener}`]: 2,
			[`rostrum_shard_spare_transports${listener}`]: 30,
			[`rostrum_shard_joins_total${listener}`]: 20,
			[`rostrum_shard_join_failures_total${listener}`]: 1,
			[`rostrum_shard_packets_sent_total${listener}`]: 900,
			[`rostrum_shard_packets_received_total${listener}`]: 0,
			[`rostrum_shard_event_loop_lag_seconds${listener}`]: 0.0025,
			[`rostrum_shard_node_cpu_ratio${listener}`]: 0.5,
			[`rostrum_shard_node_rss_bytes${listener}`]: 5e7,
			[`rostrum_shard_worker_cpu_ratio${listener}`]: 0.25,
			[`rostrum_shard_worker_rss_bytes${listener}`]: 1e8,
		});
		expect(samples.get('rostrum_shard_packets_received_total{shard="0",role="stage"}')).toBe(50);
	});

	it('does not count a scrape twice, and forgets a shard that is gone', async () => {
		await scrape();
		shards.pop();
		const samples = await scrape();
		expect(samples.get('rostrum_shard_packets_received_total{shard="0",role="stage"}')).toBe(50);
		expect([...samples.keys()].some((name) => name.includes('shard="1"'))).toBe(false);
	});

	it('shows rooms by state and event streams', async () => {
		const samples = await scrape();
		expect(samples.get('rostrum_rooms{state="live"}')).toBe(2);
		expect(samples.get('rostrum_event_streams')).toBe(7);
		expect(samples.get('rostrum_event_writes_total')).toBe(99);
		expect(samples.get('rostrum_event_lag_seconds')).toBe(1.5);
		expect((await scrape()).get('rostrum_event_streams_dropped_total')).toBe(2);
	});

	it('times requests and joins', async () => {
		metrics.observeRequest('POST', '/v1/rooms/:room/listen', 201, 0.004);
		metrics.observeJoin('listen', 'joined', 0.004);
		metrics.observeJoin('listen', 'refused', 0.001);
		const samples = await scrape();
		expect(samples.get('rostrum_http_request_duration_seconds_count{method="POST",route="/v1/rooms/:room/listen",status="201"}')).toBe(1);
		expect(samples.get('rostrum_join_duration_seconds_bucket{le="0.005",kind="listen",outcome="joined"}')).toBe(1);
		expect(samples.get('rostrum_join_duration_seconds_bucket{le="0.0025",kind="listen",outcome="joined"}')).toBe(0);
		expect(samples.get('rostrum_join_duration_seconds_count{kind="listen",outcome="refused"}')).toBe(1);
	});

	it('lets nobody make series: rooms, paths and methods of callers are no labels', async () => {
		const before = (await scrape()).size;
		for (let index = 0; index < 50; index++) metrics.observeRequest(`X${index}`, undefined, 404, 0.001);
		const afterOne = (await scrape()).size;
		expect(afterOne - before).toBeLessThan(12);
		shards = [{ index: 1, role: 'listener', stats: stats({ rooms: Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`room-${index}`, 1])) }) }];
		expect((await scrape()).size).toBeLessThanOrEqual(afterOne);
	});

	it('adds the process’s own figures when asked, apart from other registries', async () => {
		const own = Metrics.create({
			shards: () => [],
			roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
			events: () => ({ streams: 0, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
			processMetrics: true,
		});
		expect((await scrape(own)).get('process_resident_memory_bytes')).toBeGreaterThan(1e6);
		expect([...(await scrape()).keys()].some((name) => name.startsWith('process_'))).toBe(false);
		expect(metrics.contentType).toContain('text/plain');
	});
});
