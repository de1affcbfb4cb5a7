import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import type { ShardRole } from '../../sfu/contract/media-types.ts';
import type { ShardStats } from '../../sfu/contract/shard-protocol.ts';
import type { EventHubMetrics } from '../events/event-hub.ts';
import type { RoomState } from '../rooms/room.ts';

/** One shard's figures as the supervisor last heard them. */
export interface ShardFigures {
	index: number;
	role: ShardRole;
	stats: ShardStats;
}

/** Where figures come from when somebody asks; each is called several times per scrape and must be cheap. */
export interface MetricsSources {
	shards: () => Iterable<ShardFigures>;
	roomsByState: () => Readonly<Record<RoomState, number>>;
	events: () => EventHubMetrics;
	/** Also the process's own figures (CPU, memory, event loop, garbage collection). */
	processMetrics: boolean;
}

export type JoinKind = 'listen' | 'publish';
export type JoinOutcome = 'joined' | 'refused' | 'failed';

const SHARD_LABELS = ['shard', 'role'] as const;
/** HTTP methods there are routes for; any other shares one label, so that callers cannot make labels. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PUT']);

/** Figures per shard: [name, help, kind, value]. Counters fall back to zero with a new process, as Prometheus expects. */
const SHARD_FIGURES: readonly [name: string, help: string, kind: 'counter' | 'gauge', value: (stats: ShardStats) => number][] = [
	['rostrum_shard_listeners', 'Listeners on the shard', 'gauge', (stats) => stats.listeners],
	['rostrum_shard_rooms', 'Rooms the shard carries', 'gauge', (stats) => Object.keys(stats.rooms).length],
	['rostrum_shard_joins_total', 'Sessions the shard has seated', 'counter', (stats) => stats.joinsTotal],
	['rostrum_shard_join_failures_total', 'Sessions the shard could not seat', 'counter', (stats) => stats.joinsFailedTotal],
	['rostrum_shard_packets_sent_total', 'RTP packets given to listeners', 'counter', (stats) => stats.packetsSentTotal],
	['rostrum_shard_packets_received_total', 'RTP packets from speakers or links', 'counter', (stats) => stats.packetsReceivedTotal],
	['rostrum_shard_event_loop_lag_seconds', 'Event-loop lag of the shard process, 99th percentile of the last second', 'gauge', (stats) => stats.eventLoopLagMs / 1000],
	['rostrum_shard_node_cpu_ratio', 'CPU of the shard process, of one core', 'gauge', (stats) => stats.nodeCpuRatio],
	['rostrum_shard_node_rss_bytes', 'Resident memory of the shard process', 'gauge', (stats) => stats.nodeRssBytes],
	['rostrum_shard_worker_cpu_ratio', 'CPU of the mediasoup worker, of one core', 'gauge', (stats) => stats.workerCpuRatio],
	['rostrum_shard_worker_rss_bytes', 'Resident memory of the mediasoup worker', 'gauge', (stats) => stats.workerRssBytes],
];

const EVENT_FIGURES: readonly [name: string, help: string, kind: 'counter' | 'gauge', value: (events: EventHubMetrics) => number][] = [
	['rostrum_event_streams', 'Event streams (SSE) that are open', 'gauge', (events) => events.streams],
	['rostrum_event_streams_blocked', 'Event streams whose reader takes nothing at present', 'gauge', (events) => events.blocked],
	['rostrum_event_lag_seconds', 'How long the reader who waits longest for news has waited', 'gauge', (events) => events.lagMs / 1000],
	['rostrum_event_writes_total', 'Writes to event streams', 'counter', (events) => events.writesTotal],
	['rostrum_event_streams_dropped_total', 'Event streams given up because their reader was too slow or gone', 'counter', (events) => events.droppedTotal],
];

/**
 * Everything `/metrics` says. Shards, rooms and streams are read when a scrape comes; requests and joins are
 * counted as they happen. No label is taken from what people send: series are bounded by shards and routes.
 */
export class Metrics {
	readonly #registry: Registry;
	readonly #requests: Histogram<'method' | 'route' | 'status'>;
	readonly #joins: Histogram<'kind' | 'outcome'>;

	private constructor(sources: MetricsSources) {
		const registry = new Registry();
		const registers = [registry];
		this.#registry = registry;
		this.#requests = new Histogram({
			name: 'rostrum_http_request_duration_seconds',
			help: 'HTTP requests by route pattern',
			labelNames: ['method', 'route', 'status'],
			buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
			registers,
		});
		this.#joins = new Histogram({
			name: 'rostrum_join_duration_seconds',
			help: 'From the offer to the answer, by kind (listen is WHEP, publish is WHIP) and outcome',
			labelNames: ['kind', 'outcome'],
			buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
			registers,
		});
		addShardFigures(registers, sources.shards);
		addRoomsByState(registers, sources.roomsByState);
		addEventFigures(registers, sources.events);
		if (sources.processMetrics) collectDefaultMetrics({ register: registry });
	}

	static create(sources: MetricsSources): Metrics {
		return new Metrics(sources);
	}

	get contentType(): string {
		return this.#registry.contentType;
	}

	/** Prometheus text exposition format 0.0.4. */
	render(): Promise<string> {
		return this.#registry.metrics();
	}

	/** @param route the pattern the request matched; undefined when none did */
	observeRequest(method: string, route: string | undefined, status: number, seconds: number): void {
		this.#requests.observe({ method: METHODS.has(method) ? method : 'other', route: route ?? 'none', status }, seconds);
	}

	observeJoin(kind: JoinKind, outcome: JoinOutcome, seconds: number): void {
		this.#joins.observe({ kind, outcome }, seconds);
	}
}

function addShardFigures(registers: Registry[], shards: MetricsSources['shards']): void {
	for (const [name, help, kind, value] of SHARD_FIGURES) {
		const options = { name, help, labelNames: SHARD_LABELS, registers };
		if (kind === 'gauge') {
			const gauge: Gauge<'shard' | 'role'> = new Gauge({
				...options,
				collect: () => {
					// A shard that is gone must not leave its last figure behind.
					gauge.reset();
					for (const shard of shards()) gauge.set({ shard: shard.index, role: shard.role }, value(shard.stats));
				},
			});
		} else {
			const counter: Counter<'shard' | 'role'> = new Counter({
				...options,
				collect: () => {
					counter.reset();
					for (const shard of shards()) counter.inc({ shard: shard.index, role: shard.role }, value(shard.stats));
				},
			});
		}
	}
}

function addRoomsByState(registers: Registry[], roomsByState: MetricsSources['roomsByState']): void {
	const gauge: Gauge<'state'> = new Gauge({
		name: 'rostrum_rooms',
		help: 'Rooms by state',
		labelNames: ['state'],
		registers,
		collect: () => {
			for (const [state, count] of Object.entries(roomsByState())) gauge.set({ state }, count);
		},
	});
}

function addEventFigures(registers: Registry[], events: MetricsSources['events']): void {
	for (const [name, help, kind, value] of EVENT_FIGURES) {
		if (kind === 'gauge') {
			const gauge: Gauge = new Gauge({ name, help, registers, collect: () => gauge.set(value(events())) });
		} else {
			const counter: Counter = new Counter({
				name,
				help,
				registers,
				collect: () => {
					counter.reset();
					counter.inc(value(events()));
				},
			});
		}
	}
}
