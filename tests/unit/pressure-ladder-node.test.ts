import pino from 'pino';
import { beforeEach, expect, it } from 'vitest';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import { Metrics } from '../../server/metrics/metrics.ts';
import { NodePressure } from '../../server/programme/node-pressure.ts';
import { samplesOf } from '../support/scrape.ts';

let stats: ShardStats | undefined;
let second: number;
let packets: number;
let lines: Record<string, unknown>[];
let pressure: NodePressure;

/** A second passes, in which the shard reports such a load. */
function reported(workerCpuRatio: number, packetsPerSecond = 0): void {
	second++;
	packets += packetsPerSecond;
	stats = {
		listeners: 100, spareTransports: 0, rooms: { auto: 60, fixed: 40 }, joinsTotal: 0, joinsFailedTotal: 0, packetsSentTotal: packets, packetsReceivedTotal: 0, eventLoopLagMs: 1, nodeCpuRatio: 0.1,
		nodeRssBytes: 0, workerPid: 1, workerCpuRatio, workerRssBytes: 0, links: [],
	};
	pressure.look(second * 1_000);
}

beforeEach(() => {
	stats = undefined;
	second = 0;
	packets = 5_000_000;
	lines = [];
	const packing: Record<string, PackingMs> = { auto: 20 };
	pressure = new NodePressure({
		packing: true,
		events: true,
		supervisor: {
			slots: [{ index: 0, role: 'stage', mediaPort: 1, alive: true }, { index: 1, role: 'listener', mediaPort: 2, alive: true }],
			// Nothing else of a shard is looked at.
			shard: (index) => (index === 1 ? ({ stats } as Shard) : undefined),
		},
		effort: () => ({ cpuRatio: 0.1 }),
		packingOf: (roomId) => packing[roomId],
		now: () => Date.UTC(2026, 0, 1, 12, 0, second),
		log: pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
	});
});

it('says of a shard which floor it has, why and since when, and logs each change with its figures', () => {
	expect(pressure.shard(1)).toEqual({ level: 0, packingFloorMs: 20 });
	reported(0.8);
	reported(0.82);
	expect(pressure.floors).toEqual(new Map([[1, 40]]));
	expect(pressure.shard(1)).toEqual({ level: 1, packingFloorMs: 40, reason: 'processor', since: '2026-01-01T12:00:02.000Z' });
	expect(lines).toMatchObject([{ msg: 'the packing floor of a shard changed', shard: 1, from: 20, to: 40, reason: 'processor', effort: 0.82 }]);
});

it('counts packets from its second look on, so that a shard of long standing is not taken for a busy one', () => {
	reported(0.1, 1_000);
	reported(0.1, 90_000);
	expect(pressure.floors.size).toBe(0);
	reported(0.1, 90_000);
	expect(pressure.shard(1)).toMatchObject({ packingFloorMs: 40, reason: 'packets' });
});

it('does not take the same report for two seconds of pressure', () => {
	reported(0.8);
	for (let look = 0; look < 10; look++) {
		pressure.look(++second * 1_000);
	}
	expect(pressure.floors.size).toBe(0);
});

it('gives a shard that takes a dead one’s place no floor', () => {
	for (let i = 0; i < 5; i++) {
		reported(0.9);
	}
	expect(pressure.floors.size).toBe(1);
	pressure.shardDown(1);
	expect(pressure.floors.size).toBe(0);
	expect(pressure.shard(1)).toEqual({ level: 0, packingFloorMs: 20 });
});

it('is in the metrics: level, floor, cadence, and changes by reason', async () => {
	for (let i = 0; i < 30; i++) {
		reported(0.9);
	}
	for (let i = 0; i < 11; i++) {
		reported(0.1);
	}
	const metrics = Metrics.create({
		shards: () => [],
		roomsByState: () => ({ scheduled: 0, open: 0, live: 0, ended: 0 }),
		events: () => ({ streams: 0, blocked: 0, writesTotal: 0, snapshotsTotal: 0, droppedTotal: 0, lagMs: 0 }),
		pressure: {
			shards: () => [{ index: 1, role: 'listener', alive: true, draining: false, listeners: 0, joining: 0, maxListeners: 1, cpuRatio: 0, eventLoopLagMs: 0, packetsPerSecond: 0, pressure: pressure.shard(1) }],
			cadence: () => pressure.eventCadence,
			counts: () => pressure.counts,
		},
		processMetrics: false,
	});
	const samples = samplesOf(await metrics.render());
	expect(samples.get('rostrum_shard_pressure_level{shard="1"}')).toBe(2);
	expect(samples.get('rostrum_shard_packing_floor_seconds{shard="1"}')).toBe(0.06);
	expect(samples.get('rostrum_event_cadence_factor')).toBe(2);
	expect(samples.get('rostrum_pressure_changes_total{what="packing",direction="up",reason="processor"}')).toBe(3);
	expect(samples.get('rostrum_pressure_changes_total{what="packing",direction="down",reason="calm"}')).toBe(1);
	expect(samples.get('rostrum_pressure_changes_total{what="events",direction="up",reason="processor"}')).toBe(2);
});
