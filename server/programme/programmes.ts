import type { Logger } from 'pino';
import type { PackingMs } from '../../sfu/contract/media-types.ts';
import type { OwnerMatch, SessionOwner } from '../../sfu/contract/session-owner.ts';
import type { SessionPatchResult, ShardEventName, ShardEvents } from '../../sfu/contract/shard-protocol.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { ShardReport } from '../cluster/node-report.ts';
import type { EdgeRef, EndOfLink } from '../cluster/peer-protocol.ts';
import type { JoinQueue } from '../placement/admission/join-queue.ts';
import type { AutoPacking } from '../placement/packing-policy.ts';
import type { EventCadence, PressureLadderOptions } from '../placement/pressure-ladder.ts';
import type { Room } from '../rooms/room.ts';
import type { LinkBroker } from './link-broker.ts';
import type { RelinkCounts } from './edge-upstream.ts';
import { endsOfLinks } from './link-ends.ts';
import { media } from './media-error.ts';
import { MediaRooms } from './media-rooms.ts';
import { MediaSessions } from './media-sessions.ts';
import { type AdmissionOptions, joinQueueOptions } from './node-admission.ts';
import { NodeEffort } from './node-effort.ts';
import { NodePressure, type PressureCount } from './node-pressure.ts';
import { NodeShards, noCapacity } from './node-shards.ts';
import { PreparedMedia } from './prepared-media.ts';
import type { Arrival, RoomMedia, SessionCreated } from './room-media.ts';
import { RoomPacking } from './room-packing.ts';
import { RoomProgramme } from './room-programme.ts';
import { type InUse, LoneSeats, type Seating } from './seats/seating.ts';
import { SpeakerMedia } from './speaker-media.ts';
import { StageOrigins } from './stage-origins.ts';

export interface ProgrammesOptions {
	supervisor: Supervisor;
	maxListenersPerShard: number;
	autoPacking: AutoPacking;
	/** Links that begin at one origin or relay. */
	maxFanOut: number;
	/** An edge that nobody uses is closed after this long. */
	linkLingerMs: number;
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node' | 'listenersIn'>;
	homes: Pick<Homes, 'epochOf'>;
	/** Whether session ids name this node, so that others can tell whose they are. */
	namesNode: boolean;
	/** Made for these programmes, since links that begin here are theirs. */
	broker: (programmes: Programmes) => LinkBroker;
	/** How listeners are let in; see `JoinQueue`. Default: as the configuration's defaults say. */
	admission?: AdmissionOptions;
	/** Who keeps rooms within their limits. Default: this node, as if it were alone. */
	seats?: (inUse: InUse) => Seating;
	/** What may give way under pressure. Default: nothing. */
	pressure?: PressureLadderOptions;
	log: Logger;
}

const COUNTS_MS = 1_000;

/** The media of all rooms on this node: its parts put together, moved by what rooms and shards do and by the clock. */
export class Programmes extends SpeakerMedia implements RoomMedia {
	readonly #options: ProgrammesOptions;
	readonly #supervisor: Supervisor;
	readonly #log: Logger;
	protected readonly rooms = new MediaRooms((room) => this.#programmeFor(room));
	readonly #shards: NodeShards;
	readonly #sessions: MediaSessions;
	protected readonly origins: StageOrigins;
	readonly #packing: RoomPacking;
	readonly #broker: LinkBroker;
	#counts = new Map<string, number>();
	readonly #relinks: RelinkCounts = { told: 0, stalled: 0, node_down: 0, unknown: 0, failed: 0 };
	readonly #timer: NodeJS.Timeout;
	readonly #effort = new NodeEffort();
	readonly #pressure: NodePressure;
	readonly #seats: Seating;
	/** What is made ahead of the doors. */
	readonly prepared: PreparedMedia;

	static create(options: ProgrammesOptions): Programmes {
		return new Programmes(options);
	}

	private constructor(options: ProgrammesOptions) {
		super();
		this.#options = options;
		this.#supervisor = options.supervisor;
		this.#log = options.log.child({ part: 'programme' });
		this.#broker = options.broker(this);
		const { rooms } = this;
		const supervisor = this.#supervisor;
		const edgeOn = (roomId: string, index: number) => {
			const edges = rooms.get(roomId)?.programme.edges;
			return edges?.has(index) !== true ? 'none' : edges.keeps(index) ? 'warm' : 'there';
		};
		const admission = joinQueueOptions(options.admission, options.view, () => this.#effort.lagMs);
		this.#shards = new NodeShards({ supervisor, maxListenersPerShard: options.maxListenersPerShard, edgeOn, admission, log: this.#log });
		const inUse: InUse = (roomId) => (rooms.get(roomId)?.joining ?? 0) + this.#shards.listenersIn(roomId);
		this.#seats = options.seats?.(inUse) ?? new LoneSeats(inUse);
		this.#pressure = new NodePressure({
			...(options.pressure ?? { packing: false, events: false }),
			supervisor,
			effort: () => this.#effort.look(),
			packingOf: (roomId) => {
				const room = rooms.get(roomId);
				return room?.packing === 'auto' ? room.programme.edges.packingMs : undefined;
			},
			now: Date.now,
			log: this.#log,
		});
		this.#packing = new RoomPacking({ autoPacking: options.autoPacking, listenersIn: (roomId) => this.listenersIn(roomId), floors: () => this.#pressure.floors });
		this.origins = new StageOrigins({ rooms, supervisor, isDraining: (shard) => this.#shards.isDraining(shard), onLost: (roomId) => this.emit('originLost', { roomId }), log: this.#log });
		this.#sessions = new MediaSessions({
			rooms,
			supervisor,
			joins: this.#shards.joins,
			seats: this.#seats,
			nodeId: this.#broker.nodeId,
			namesNode: options.namesNode,
			onJoined: (room) => this.#packing.joined(room),
		});
		this.prepared = new PreparedMedia({ rooms, shards: this.#shards, supervisor });
		this.#supervisor.on('shardUp', (_shard, _index, role) => {
			if (role === 'stage') {
				for (const { programme } of this.rooms.all()) {
					programme.stageShardUp();
				}
			} else {
				this.#shards.revived();
			}
		});
		this.#supervisor.on('shardDown', (index) => this.#onShardDown(index));
		this.#supervisor.on('shardEvent', (index, name, data) => this.#onShardEvent(index, name, data));
		this.#timer = setInterval(() => this.#everySecond(), COUNTS_MS);
	}

	listen(room: Room, offer: string, packingMs?: PackingMs, random?: string, arrival?: Arrival): Promise<SessionCreated> {
		return this.#sessions.listen(room, offer, packingMs, random, arrival);
	}

	publish(room: Room, participantId: string, offer: string, owner?: SessionOwner): Promise<SessionCreated> {
		return this.#sessions.publish(room, participantId, offer, owner);
	}

	patchSession(sessionId: string, fragment: string, ifMatch?: string): Promise<SessionPatchResult> {
		return this.#sessions.patch(sessionId, fragment, ifMatch);
	}

	closeSession(sessionId: string): Promise<void> {
		return this.#sessions.close(sessionId);
	}

	endSessions(match: OwnerMatch): Promise<number> {
		return this.#sessions.endAllOf(match);
	}

	async roomChanged(room: Room): Promise<void> {
		this.#seats.roomChanged(room);
		if (room.state === 'ended') {
			this.rooms.remove(room.id, 'the room ended');
			this.#counts.delete(room.id);
			return;
		}
		if (this.rooms.isClosed || (room.state === 'scheduled' && !this.rooms.get(room.id))) {
			return; // Nothing of it is needed before the doors open.
		}
		const entry = this.rooms.open(room);
		const { programme } = entry;
		entry.packing = room.packingMs;
		programme.setOnAir(room.state === 'live');
		this.#packing.choose(entry);
		if (room.state !== 'scheduled' && this.#options.homes.epochOf(room.id) !== undefined) {
			// Made ahead, so that the first speaker does not wait for it. Without a stage shard it follows by itself.
			await programme.openOrigin().catch((error: unknown) => this.#log.warn({ err: error, room: room.id }, 'origin not opened yet'));
		}
	}

	/** In the whole cluster. */
	listenersIn(roomId: string): number {
		return this.#options.view.listenersIn(roomId);
	}

	/** On this node, as its shards last reported: room → listeners. */
	get counts(): ReadonlyMap<string, number> {
		return this.#counts;
	}

	/** The room lives here from now on: it gets its origin, if it is one that needs it. */
	homeGained(room: Room): void {
		this.roomChanged(room).catch((error: unknown) => this.#log.error({ err: error, room: room.id }, 'a room that moved here has no media yet'));
	}

	/** It does not any more: the origin here must not go on speaking. Listeners stay, and their edges find the new home. */
	homeLost(roomId: string): void {
		const programme = this.rooms.get(roomId)?.programme;
		if (programme?.originShard) {
			this.emit('originLost', { roomId });
		}
		programme?.stepDown();
	}

	/** The media of a room that is known here. */
	programmeOf(roomId: string): RoomProgramme | undefined {
		return this.rooms.get(roomId)?.programme;
	}

	get programmes(): readonly RoomProgramme[] {
		return Array.from(this.rooms.all(), ({ programme }) => programme);
	}

	/** Makes an edge although nobody listens, for others to link to. Rejects with DomainError `no_capacity`, `room_ended`. */
	async openRelay(roomId: string): Promise<EdgeRef> {
		const { programme } = this.rooms.known(roomId);
		const known = programme.edges.shards.find((index) => this.#shards.isOpen(index));
		const index = known ?? this.#shards.leastLoaded();
		const shard = index === undefined ? undefined : this.#supervisor.shard(index);
		if (index === undefined || !shard) {
			throw noCapacity();
		}
		await media(() => programme.edges.open(shard, index));
		return { nodeId: this.#broker.nodeId, shard: index };
	}

	/** An edge of the room here for its programme to be taken from, the one on that shard if it will do. To be asked again while it is used, or it goes by the linger. Rejects with DomainError `no_capacity`, `room_ended`. */
	async openTap(roomId: string, index?: number): Promise<number> {
		const { edges } = this.rooms.known(roomId).programme;
		const shard = index === undefined ? undefined : this.#supervisor.shard(index);
		if (index === undefined || !shard || !this.#shards.isOpen(index)) {
			return (await this.openRelay(roomId)).shard;
		}
		await media(() => edges.open(shard, index));
		return index;
	}

	/** A shard that drains takes no new listeners, a stage shard no new origins. @param shard undefined: all of the node */
	setDraining(shard: number | undefined, draining: boolean): void {
		this.#shards.setDraining(shard, draining);
	}

	/** Rooms whose origin is on that stage shard. */
	originsOn(shard: number): number {
		return this.origins.on(shard);
	}

	/** Moves every origin off a stage shard to another one of this node, where there is one. */
	moveOriginsOff(shard: number): Promise<void> {
		return this.origins.moveOff(shard);
	}

	/** Ends what is left on a shard, so that clients that were not told otherwise come back elsewhere. @param shard undefined: all listener shards */
	async endListeners(shard: number | undefined, reason: string): Promise<void> {
		for (const { programme } of this.rooms.all()) {
			programme.edges.end(shard, reason);
		}
	}

	/** This node's shards as its heartbeat tells of them. */
	shardReports(): ShardReport[] {
		return this.#shards.reports().map((report) => {
			const pressure = this.#pressure.shard(report.index);
			return pressure.level === 0 && pressure.reason === undefined ? report : { ...report, pressure };
		});
	}

	/** How many times less often than usual events that can wait are told, since this node is under pressure. */
	get eventCadence(): EventCadence {
		return this.#pressure.eventCadence;
	}

	/** How often something gave way since the start, and why. */
	get pressureCounts(): readonly PressureCount[] {
		return this.#pressure.counts;
	}

	/** Who is let in, when, and how many wait. */
	get admission(): JoinQueue {
		return this.#shards.joins;
	}

	/** How often edges here looked for another upstream since the start, and why. */
	get relinks(): Readonly<RelinkCounts> {
		return this.#relinks;
	}

	/** Links that end on this node, with the room they carry and where they begin. */
	linkStats(roomId?: string): EndOfLink[] {
		return endsOfLinks(this.rooms, this.#supervisor, roomId);
	}

	/** For the operator: where a room's media is. */
	describe(roomId: string): { originShard: number | undefined; edgeShards: readonly number[]; packingMs: PackingMs } | undefined {
		const programme = this.rooms.get(roomId)?.programme;
		return (
			programme && {
				originShard: programme.originShard?.assignment?.index,
				edgeShards: programme.edges.shards,
				packingMs: programme.edges.packingMs,
			}
		);
	}

	close(reason: string): void {
		this.rooms.close();
		clearInterval(this.#timer);
		this.#effort.close();
		this.#seats.close();
		this.#shards.joins.close(this.rooms.over());
		for (const { programme } of this.rooms.all()) {
			this.rooms.remove(programme.roomId, reason);
		}
		this.#broker.close();
	}

	#programmeFor(room: Room): RoomProgramme {
		const { maxFanOut, view } = this.#options;
		return new RoomProgramme({
			roomId: room.id,
			voices: room.voices,
			onAir: room.state === 'live',
			packingMs: this.#packing.first(room),
			maxFanOut,
			regionOf: (nodeId) => view.node(nodeId)?.region,
			isLeaving: ({ nodeId, shard }) => this.#isLeaving(nodeId, shard),
			broker: this.#broker,
			onRelink: (edges) => this.#broker.tellRelink(room.id, edges),
			onRehome: (asked) => this.#broker.tellRehome(room.id, asked),
			relinks: this.#relinks,
			pickStageShard: () => this.origins.pick(room.id),
			onOrigin: (rtpCapabilities) => this.emit('originReady', { roomId: room.id, rtpCapabilities }),
			log: this.#log,
		});
	}

	#isLeaving(nodeId: string, shard: number): boolean {
		if (nodeId === this.#broker.nodeId) {
			return !this.#shards.isOpen(shard);
		}
		const node = this.#options.view.node(nodeId);
		return node === undefined || node.draining || (node.shards.find(({ index }) => index === shard)?.draining ?? true);
	}

	#onShardDown(index: number): void {
		this.#shards.died(index);
		this.#pressure.shardDown(index);
		for (const { programme } of this.rooms.all()) {
			if (programme.shardDown(index)) {
				this.emit('originLost', { roomId: programme.roomId });
				programme.stageShardUp(); // Another stage shard may live already.
			}
		}
	}

	#onShardEvent<N extends ShardEventName>(index: number, name: N, payload: ShardEvents[ShardEventName]): void {
		switch (name) {
			case 'shard.stats':
				this.#shards.heard(index, payload as ShardEvents['shard.stats']);
				break;
			case 'speaker.media':
				this.emit('speakerMedia', payload as ShardEvents['speaker.media']);
				break;
			case 'stage.talkers':
				this.emit('talkers', payload as ShardEvents['stage.talkers']);
				break;
			case 'link.stalled': {
				const { roomId, linkId } = payload as ShardEvents['link.stalled'];
				// It is said every second for as long as it is so.
				const isNews = this.rooms.get(roomId)?.programme.edges.linkStalled(index, linkId) === true;
				this.#log[isNews ? 'warn' : 'debug']({ room: roomId, shard: index, link: linkId }, 'link stalled');
				break;
			}
			default:
				break;
		}
	}

	#everySecond(): void {
		this.#counts = this.#shards.counts();
		this.#pressure.look(performance.now());
		for (const room of this.rooms.all()) {
			this.#packing.counted(room);
		}
		this.#shards.logTurnedAway();
		this.#seats.tick();
		const nowMs = performance.now();
		for (const { programme } of this.rooms.all()) {
			const { roomId } = programme;
			programme.edges.closeIdle(nowMs, this.#options.linkLingerMs, (index) => this.#shards.inUse(index, roomId));
			programme.expire(nowMs);
		}
		this.emit('counts');
	}
}
