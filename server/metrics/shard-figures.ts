import type { Registry } from '@prometheus-io/client';
import type { ShardRole } from '../../sfu/contract/media-types.ts';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import { addFigure } from './figure.ts';

/** One shard's figures as the supervisor last heard them. */
export interface ShardFigures {
	index: number;
	role: ShardRole;
	stats: ShardStats;
}

/** Figures per shard: [name, help, kind, value]. Counters fall back to zero with a new process, as Prometheus expects. */
const SHARD_FIGURES: readonly [name: string, help: string, kind: 'counter' | 'gauge', value: (stats: ShardStats) => number][] = [
	['rostrum_shard_listeners', 'Listeners on the shard', 'gauge', (stats) => stats.listeners],
	['rostrum_shard_spare_transports', 'Transports made ahead of a crowd that wait for it', 'gauge', (stats) => stats.spareTransports],
	['rostrum_shard_rooms', 'Rooms the shard carries', 'gauge', (stats) => Object.keys(stats.rooms).length],
	['rostrum_shard_joins_total', 'Sessions the shard has seated', 'counter', (stats) => stats.joinsTotal],
	['rostrum_shard_join_failures_total', 'Sessions the shard could not seat', 'counter', (stats) => stats.joinsFailedTotal],
	['rostrum_shard_packets_sent_total', 'RTP packets given to listeners', 'counter', (stats) => stats.packetsSentTotal],
	['rostrum_shard_packets_received_total', 'RTP packets from speakers or links', 'counter', (stats) => stats.packetsReceivedTotal],
	['rostrum_shard_event_loop_lag_seconds', 'Event-loop lag of the shard process, the longest of the last second', 'gauge', (stats) => stats.eventLoopLagMs / 1000],
	['rostrum_shard_node_cpu_ratio', 'CPU of the shard process, of one core', 'gauge', (stats) => stats.nodeCpuRatio],
	['rostrum_shard_node_rss_bytes', 'Resident memory of the shard process', 'gauge', (stats) => stats.nodeRssBytes],
	['rostrum_shard_worker_cpu_ratio', 'CPU of the mediasoup worker, of one core', 'gauge', (stats) => stats.workerCpuRatio],
	['rostrum_shard_worker_rss_bytes', 'Resident memory of the mediasoup worker', 'gauge', (stats) => stats.workerRssBytes],
];

export function addShardFigures(registers: Registry[], shards: () => Iterable<ShardFigures>): void {
	for (const [name, help, kind, value] of SHARD_FIGURES) {
		addFigure(registers, {
			name, help, kind,
			labels: ['shard', 'role'],
			read: () => Array.from(shards(), ({ index, role, stats }) => [{ shard: index, role }, value(stats)]),
		});
	}
}
