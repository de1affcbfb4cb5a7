import { collectDefaultMetrics, Counter, Histogram, Registry } from '@prometheus-io/client';
import type { EventHubMetrics } from '../events/event-hub.ts';
import type { HandOffTarget } from '../placement/hand-off.ts';
import type { RoomState } from '../rooms/room.ts';
import { addCapacityFigures, type CapacitySource } from './capacity-figures.ts';
import { addAdmissionFigures, type AdmissionSource } from './admission-figures.ts';
import { addClusterFigures, addDrainFigures, type ClusterSources, type DrainSource } from './cluster-figures.ts';
import { addFigure, one } from './figure.ts';
import { addLinkFigures, type LinkSources } from './link-figures.ts';
import { ListenerQuality, type ListenerQualityOptions } from './listener-quality.ts';
import { addOverflowFigures, type OverflowSource } from './overflow-figures.ts';
import { addPressureFigures, type PressureSource } from './pressure-figures.ts';
import { addServiceFigures, type ServiceSources } from './service-figures.ts';
import { addShardFigures, type ShardFigures } from './shard-figures.ts';

/** Where figures come from when somebody asks; each is called several times per scrape and must be cheap. */
export interface MetricsSources {
	shards: () => Iterable<ShardFigures>;
	roomsByState: () => Readonly<Record<RoomState, number>>;
	events: () => EventHubMetrics;
	links?: LinkSources;
	drain?: DrainSource;
	admission?: () => AdmissionSource;
	capacity?: CapacitySource;
	pressure?: PressureSource;
	overflow?: OverflowSource;
	/** How listeners hear, as a few of them tell. */
	quality?: ListenerQualityOptions;
	services?: ServiceSources;
	/** Absent for a node that is alone. */
	cluster?: ClusterSources;
	/** Also the process's own figures (CPU, memory, event loop, garbage collection). */
	processMetrics: boolean;
}

export type JoinKind = 'listen' | 'publish';
/**
 * `handed_on`: sent to another node's address. `refused`: asked for what could not be granted. `turned_away`: told to come
 * again later, for want of places or since too many came at once. `failed`: this side's trouble.
 */
export type JoinOutcome = 'joined' | 'handed_on' | 'refused' | 'turned_away' | 'failed';
/** How a listener was handed to another node: by its own address, or through this one. */
export type HandOffKind = '307' | 'forwarded';

/** HTTP methods there are routes for; any other shares one label, so that callers cannot make labels. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'PUT']);

const EVENT_FIGURES: readonly [name: string, help: string, kind: 'counter' | 'gauge', value: (events: EventHubMetrics) => number][] = [
	['rostrum_event_streams', 'Event streams (SSE) that are open', 'gauge', (events) => events.streams],
	['rostrum_event_streams_blocked', 'Event streams whose reader takes nothing at present', 'gauge', (events) => events.blocked],
	['rostrum_event_lag_seconds', 'How long the reader who waits longest for news has waited', 'gauge', (events) => events.lagMs / 1000],
	['rostrum_event_writes_total', 'Writes to event streams', 'counter', (events) => events.writesTotal],
	['rostrum_event_streams_dropped_total', 'Event streams given up because their reader was too slow or gone', 'counter', (events) => events.droppedTotal],
];

/**
 * Everything `/metrics` says. Shards, rooms and streams are read when a scrape comes; requests and joins are
 * counted as they happen. No label is taken from what people send: series are bounded by shards, routes and scripts.
 */
export class Metrics {
	/** Takes what listeners tell; absent where nobody is asked. */
	readonly quality: ListenerQuality | undefined;
	readonly #registry: Registry;
	readonly #requests: Histogram<'method' | 'route' | 'status'>;
	readonly #joins: Histogram<'kind' | 'outcome'>;
	readonly #handOffs: Counter<'kind' | 'why'>;

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
			help: 'From the offer to the answer, by kind (listen is WHEP, publish is WHIP) and outcome (turned_away: told to come again later; failed: for reasons of the server)',
			labelNames: ['kind', 'outcome'],
			buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
			registers,
		});
		this.#handOffs = new Counter({
			name: 'rostrum_handoffs_total',
			help: 'Listeners handed to another node, by kind (307: sent to its own address; forwarded: through this node) and why',
			labelNames: ['kind', 'why'],
			registers,
		});
		addShardFigures(registers, sources.shards);
		addRoomsByState(registers, sources.roomsByState);
		addEventFigures(registers, sources.events);
		if (sources.links) addLinkFigures(registers, sources.links);
		if (sources.admission) addAdmissionFigures(registers, sources.admission);
		if (sources.drain) addDrainFigures(registers, sources.drain);
		if (sources.capacity) addCapacityFigures(registers, sources.capacity);
		if (sources.pressure) addPressureFigures(registers, sources.pressure);
		if (sources.overflow) addOverflowFigures(registers, sources.overflow);
		this.quality = sources.quality && new ListenerQuality(registers, sources.quality);
		if (sources.services) addServiceFigures(registers, sources.services);
		if (sources.cluster) addClusterFigures(registers, sources.cluster);
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

	/** @param why the hand-off's own word for it: one of a few */
	countHandOff(kind: HandOffKind, why: HandOffTarget['why']): void {
		this.#handOffs.inc({ kind, why });
	}
}

function addRoomsByState(registers: Registry[], roomsByState: MetricsSources['roomsByState']): void {
	addFigure(registers, {
		name: 'rostrum_rooms', help: 'Rooms by state', kind: 'gauge', labels: ['state'],
		read: () => Object.entries(roomsByState()).map(([state, count]) => [{ state }, count]),
	});
}

function addEventFigures(registers: Registry[], events: MetricsSources['events']): void {
	for (const [name, help, kind, value] of EVENT_FIGURES) {
		addFigure(registers, { name, help, kind, read: () => one(value(events())) });
	}
}
