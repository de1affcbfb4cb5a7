import type { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes, HomesEvents } from '../cluster/homes.ts';
import type { NodeReport } from '../cluster/node-report.ts';
import { prewarmPlan } from '../placement/prewarm-plan.ts';
import { Agenda } from '../rooms/agenda.ts';
import { TOO_LATE_MS } from '../rooms/doors.ts';
import type { RoomDirectory, RoomDirectoryEvents } from '../rooms/room-directory.ts';
import type { Room } from '../rooms/room.ts';

/** What the prewarmer asks of this node's programmes. */
export interface PrewarmMedia {
	/** At the room's home: its origin, doors open or not. */
	prepareOrigin(room: Room): Promise<void>;
	/** The room's edge on a listener shard of this node, with its link on the way. */
	prepareEdge(room: Room, shard: number): Promise<void>;
	/** These edges stay although nobody uses them, and no others. */
	keepEdges(roomId: string, shards: readonly number[]): void;
	/** Shards of this node that have an edge of the room. */
	edgeShards(roomId: string): readonly number[];
	hasOrigin(roomId: string): boolean;
}

export interface PrewarmerOptions {
	rooms: Pick<RoomDirectory, 'get' | 'list'> & EventEmitter<RoomDirectoryEvents>;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf'>;
	homes: Pick<Homes, 'epochOf'> & EventEmitter<HomesEvents>;
	media: PrewarmMedia;
	/** How long before the doors. */
	prewarmMs: number;
	/** Milliseconds since the epoch. */
	now: () => number;
	/** Runs a task later; the function that is given back cancels it. */
	schedule: (ms: number, task: () => void) => () => void;
	log: Logger;
}

interface Warm {
	/** Of the fleet and the expectation the plan was made for; undefined before there is a plan. */
	madeFor: string | undefined;
	/** This node's part. */
	shards: readonly number[];
	/** Edges on their way or waiting for their turn: shard → what stops that. */
	readonly pending: Map<number, () => void>;
}

/** An open room is kept warm for so long: most events begin long before that. */
const OPEN_KEEP_MS = TOO_LATE_MS;
/** Once it is on air people come, or do not: after that the linger of edges decides. */
const LIVE_KEEP_MS = 5 * 60_000;
const TICK_MS = 1_000;
/** The origin comes first: an edge that asks too early has to ask again. */
const ORIGIN_LEAD_MS = 250;
/** Of the whole fleet, for one room: a home that is asked by a hundred edges takes two seconds for them. */
const EDGE_EVERY_MS = 20;
/** All edges are there after this part of the time until the doors, … */
const SPREAD_SHARE = 0.5;
/** … and where they are open already, after this. */
const AT_ONCE_MS = 5_000;

/** From when until when a room is to be warm; undefined for one that nobody expects listeners for. */
export function warmWindow(room: Room, prewarmMs: number): { fromMs: number; untilMs: number } | undefined {
	if (!((room.expectedListeners ?? 0) > 0)) {
		return undefined;
	}
	const { state, doorsOpenAt, scheduledAt, openedAt, startedAt } = room;
	if (state === 'scheduled') {
		// Without a time it is done when its host opens it.
		return doorsOpenAt === undefined ? undefined : { fromMs: Date.parse(doorsOpenAt) - prewarmMs, untilMs: Date.parse(scheduledAt ?? doorsOpenAt) + TOO_LATE_MS };
	}
	const sinceMs = Date.parse((state === 'live' ? startedAt : openedAt) ?? '');
	return state === 'ended' || Number.isNaN(sinceMs) ? undefined : { fromMs: sinceMs, untilMs: sinceMs + (state === 'live' ? LIVE_KEEP_MS : OPEN_KEEP_MS) };
}

/**
 * Makes the edges and links of rooms with an expected audience before it comes: ahead of the doors, or as soon as they are
 * opened by hand. Every node makes its own part of the plan that all of them reckon, one edge after the other over the whole fleet,
 * and keeps it warm until the room is on air. So nothing has to be made when people come, and nothing when it goes live.
 */
export class Prewarmer {
	readonly #options: PrewarmerOptions;
	readonly #log: Logger;
	/** When a room's window begins or ends. */
	readonly #agenda: Agenda;
	readonly #warm = new Map<string, Warm>();
	#cancelTick: (() => void) | undefined;
	#closed = false;

	static create(options: PrewarmerOptions): Prewarmer {
		return new Prewarmer(options);
	}

	private constructor(options: PrewarmerOptions) {
		const { rooms, homes, now, schedule, log } = options;
		this.#options = options;
		this.#log = log;
		this.#agenda = new Agenda({ now, schedule, onDue: (roomId) => this.#look(roomId) });
		for (const room of rooms.list({ limit: Number.MAX_SAFE_INTEGER, states: ['scheduled', 'open', 'live'] })) {
			if (warmWindow(room, options.prewarmMs)) {
				this.#agenda.set(room.id, now()); // In a moment: the rest of the node is not there yet.
			}
		}
		rooms.on('changed', this.#onChanged).on('removed', this.#onRemoved);
		homes.on('gained', this.#onGained);
	}

	/** Rooms that are being kept warm, with this node's part. */
	get warm(): ReadonlyMap<string, readonly number[]> {
		return new Map([...this.#warm].map(([roomId, { shards }]) => [roomId, shards]));
	}

	close(): void {
		this.#closed = true;
		this.#agenda.close();
		this.#cancelTick?.();
		this.#options.rooms.off('changed', this.#onChanged).off('removed', this.#onRemoved);
		this.#options.homes.off('gained', this.#onGained);
		for (const warm of this.#warm.values()) {
			stop(warm);
		}
		this.#warm.clear();
	}

	readonly #onChanged = (room: Room): void => this.#look(room.id);

	readonly #onRemoved = (room: Room): void => this.#look(room.id);

	/** A new home has no origin yet, and everything hangs on that. */
	readonly #onGained = (roomId: string): void => this.#look(roomId);

	/** Where the room stands, and what is to be done for it now. */
	#look(roomId: string): void {
		const { rooms, prewarmMs, now } = this.#options;
		const room = rooms.get(roomId);
		const window = room && warmWindow(room, prewarmMs);
		if (this.#closed) {
			return;
		}
		if (!room || !window || now() >= window.untilMs) {
			this.#agenda.delete(roomId);
			this.#letGo(roomId);
			return;
		}
		const begun = now() >= window.fromMs;
		this.#agenda.set(roomId, begun ? window.untilMs : window.fromMs);
		if (!begun) {
			this.#letGo(roomId);
			return;
		}
		if (!this.#warm.has(roomId)) {
			this.#warm.set(roomId, { madeFor: undefined, shards: [], pending: new Map() });
		}
		this.#tend(room, this.#fleet());
		this.#cancelTick ??= this.#options.schedule(TICK_MS, this.#tick);
	}

	readonly #tick = (): void => {
		this.#cancelTick = undefined;
		const fleet = this.#fleet();
		for (const roomId of this.#warm.keys()) {
			const room = this.#options.rooms.get(roomId);
			if (room) {
				this.#tend(room, fleet);
			}
		}
		if (this.#warm.size > 0) {
			this.#cancelTick = this.#options.schedule(TICK_MS, this.#tick);
		}
	};

	/** What is not there, of what should be. */
	#tend(room: Room, fleet: Fleet): void {
		const { view, homes, media } = this.#options;
		const warm = this.#warm.get(room.id);
		// Without a home there is nothing to link to; one is on its way to being found (`Doors.isNear`).
		if (!warm || view.homeOf(room.id) === undefined) {
			return;
		}
		const isHome = homes.epochOf(room.id) !== undefined;
		if (isHome && !media.hasOrigin(room.id)) {
			media.prepareOrigin(room).catch((error: unknown) => this.#log.debug({ err: error, room: room.id }, 'an origin could not be made ahead yet'));
		}
		const madeFor = `${room.expectedListeners} ${room.maxListeners} ${fleet.shape}`;
		// Not for every change of loads: what is warm stays warm while the fleet is the same.
		const isNew = warm.madeFor !== madeFor;
		const turns = isNew ? this.#plan(room, warm, fleet) : new Map(warm.shards.map((shard) => [shard, 0]));
		warm.madeFor = madeFor;
		const there = new Set(media.edgeShards(room.id));
		for (const [shard, turnMs] of turns) {
			if (!there.has(shard) && !warm.pending.has(shard)) {
				this.#makeEdge(room.id, warm, shard, turnMs + (isNew ? ORIGIN_LEAD_MS : 0));
			}
		}
	}

	/** @returns shards of this node, and how long each is to wait so that the fleet's edges come one after the other */
	#plan(room: Room, warm: Warm, { nodes }: Fleet): Map<number, number> {
		const { view, media, prewarmMs, now } = this.#options;
		const plan = prewarmPlan(nodes, room);
		const untilDoorsMs = room.state === 'scheduled' && room.doorsOpenAt !== undefined ? Math.min(prewarmMs, Date.parse(room.doorsOpenAt) - now()) : 0;
		const everyMs = Math.min(EDGE_EVERY_MS, Math.max(AT_ONCE_MS, untilDoorsMs * SPREAD_SHARE) / Math.max(1, plan.length));
		const turns = new Map<number, number>();
		for (const [place, { nodeId, shard }] of plan.entries()) {
			if (nodeId === view.nodeId) {
				turns.set(shard, place * everyMs);
			}
		}
		for (const [shard, cancel] of warm.pending) {
			if (!turns.has(shard)) {
				cancel();
				warm.pending.delete(shard);
			}
		}
		warm.shards = [...turns.keys()];
		media.keepEdges(room.id, warm.shards);
		this.#log.info({ room: room.id, expectedListeners: room.expectedListeners, edges: plan.length, shards: warm.shards }, 'edges are made ahead');
		return turns;
	}

	#makeEdge(roomId: string, warm: Warm, shard: number, waitMs: number): void {
		const { rooms, media, schedule } = this.#options;
		const cancel = schedule(waitMs, () => {
			const room = rooms.get(roomId);
			if (!room || this.#warm.get(roomId) !== warm) {
				return;
			}
			media
				.prepareEdge(room, shard)
				.catch((error: unknown) => this.#log.debug({ err: error, room: roomId, shard }, 'an edge could not be made ahead yet')) // The next tick tries again.
				.finally(() => warm.pending.delete(shard));
		});
		warm.pending.set(shard, cancel);
	}

	/** What nobody uses goes by itself, after the linger of edges. */
	#letGo(roomId: string): void {
		const warm = this.#warm.get(roomId);
		if (warm) {
			this.#warm.delete(roomId);
			stop(warm);
			this.#options.media.keepEdges(roomId, []);
			this.#log.info({ room: roomId }, 'edges made ahead are not kept any longer');
		}
	}

	#fleet(): Fleet {
		const nodes = this.#options.view.nodes();
		return { nodes, shape: shapeOf(nodes) };
	}
}

interface Fleet {
	readonly nodes: readonly NodeReport[];
	/** Differs when shards that take listeners come or go. */
	readonly shape: string;
}

function shapeOf(nodes: readonly NodeReport[]): string {
	return nodes
		.filter(({ draining }) => !draining)
		.map(({ nodeId, shards }) => `${nodeId}:${shards.filter(({ role, alive, draining }) => role === 'listener' && alive && !draining).map(({ index }) => index).join(',')}`)
		.toSorted()
		.join(' ');
}

function stop({ pending }: Warm): void {
	for (const cancel of pending.values()) {
		cancel();
	}
	pending.clear();
}
