// What the admin API answers with; the members that the console uses. Members marked optional may be missing from older nodes.
import type { RoomResource } from './rooms-api.ts';

export interface AdminRoom extends RoomResource {
	description?: string;
	maxListeners?: number;
	packingMs?: 'auto' | 20 | 40 | 60 | 120;
	record?: boolean;
	recording?: boolean;
	endsAt?: string;
	maxDurationMinutes?: number;
	stage: readonly (RoomResource['stage'][number] & { id?: string; kind?: 'browser' | 'encoder' })[];
}

/** Settings of a room; `null` in a patch removes one. */
export interface RoomSettings {
	id?: string;
	title: string;
	visibility: 'public' | 'private';
	description?: string | null;
	scheduledAt?: string | null;
	doorsOpenAt?: string | null;
	endsAt?: string | null;
	/** IANA name of the zone in which the times were meant. */
	timeZone?: string | null;
	expectedListeners?: number | null;
	maxListeners?: number | null;
	packingMs?: 'auto' | 20 | 40 | 60 | 120;
	record?: boolean;
}

export interface Drain {
	state: 'active' | 'draining' | 'drained';
	/** Absent: the whole node. */
	shard?: number;
	listenersAtStart: number;
	listenersNow: number;
	homesLeft: number;
	/** 0 to 1: the part of the listeners that has been asked to move. */
	moving: number;
	deadlineAt?: string;
	waiting?: 'no room elsewhere' | 'a room has no home' | 'listeners are slow to go';
}

export interface Shard {
	index: number;
	role: 'stage' | 'listener';
	alive: boolean;
	draining: boolean;
	listeners: number;
	joining: number;
	maxListeners: number;
	load: number;
	cpuRatio: number;
	eventLoopLagMs: number;
	packetsPerSecond: number;
	pressure?: { level: number; packingFloorMs: number };
}

export interface ClusterNode {
	id: string;
	self: boolean;
	startedAt: string;
	publicUrl?: string;
	region?: string;
	draining: boolean;
	redis: boolean;
	listeners: number;
	maxListeners: number;
	shards: readonly Shard[];
	rooms: Readonly<Record<string, number>>;
	homes: Readonly<Record<string, { epoch: number }>>;
	/** Of the node that answers only. */
	drains?: readonly Drain[];
}

export interface Headroom {
	/** 0 to 1. */
	ratio: number;
	listeners: number;
}

interface CapacityFigures {
	listeners: number;
	headroom: Headroom;
	joinsPerSecond: number;
	waiting: number;
	refusedPerSecond: number;
}

export interface NodeCapacity extends CapacityFigures {
	node: string;
	draining: boolean;
	capacity: { listeners: number; limit: 'cap' | 'shards' | 'processor' | 'memory' };
	pressure: { level: number; packingFloorMs: number };
	calibration: { source: 'measured' | 'defaults'; ageSeconds?: number };
}

export interface FleetCapacity extends CapacityFigures {
	packingMs: number;
	capacity: { listeners: number; cap: number };
	nodes: readonly NodeCapacity[];
}

export interface LinkEnd {
	node: string;
	shard: number | 'origin';
}

export interface Edge {
	node: string;
	shard: number;
	/** Null: it has lost its upstream. */
	upstream: LinkEnd | null;
	depth: number | null;
	children: number;
}

export interface LinkFigures {
	link: string;
	node: string;
	shard: number;
	upstream: LinkEnd | null;
	lossRatio: number;
	jitterMs: number;
	lagMs: number;
	silentMs: number;
}

export interface Placement {
	home: { node: string; epoch: number } | null;
	originShard: number | null;
	listeners: Readonly<Record<string, number>>;
	depth: number;
	edges: readonly Edge[];
	links: readonly LinkFigures[];
}

export interface PreflightCheck {
	node: string;
	check: string;
	status: 'ok' | 'warning' | 'failed';
	detail: string;
	advice: string;
}

export interface Preflight {
	ready: boolean;
	summary: string;
	checks: readonly PreflightCheck[];
}
