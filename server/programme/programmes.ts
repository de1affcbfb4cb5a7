import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { DtlsParameters, IceParameters, PackingMs, RtpCapabilities, RtpParameters, TransportParameters } from '../../sfu/contract/media-types.ts';
import { makeSessionId, parseSessionId } from '../../sfu/contract/session-id.ts';
import type { OwnerMatch, SessionOwner } from '../../sfu/contract/session-owner.ts';
import { SfuError } from '../../sfu/contract/sfu-error.ts';
import type { SessionPatchResult, ShardEventName, ShardEvents } from '../../sfu/contract/shard-protocol.ts';
import type { Shard } from '../../sfu/supervisor/shard.ts';
import type { Supervisor } from '../../sfu/supervisor/supervisor.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { monotonicClock } from '../events/clock.ts';
import type { Homes } from '../cluster/homes.ts';
import type { ShardReport } from '../cluster/node-report.ts';
import type { EdgeRef, EndOfLink, UpstreamRef } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { AdmittedJoin, FleetPace, JoinQueue, JoinQueueOptions } from '../placement/admission/join-queue.ts';
import type { JoinOutcome } from '../placement/admission/shard-pace.ts';
import { type AutoPacking, choosePackingMs } from '../placement/packing-policy.ts';
import type { EventCadence, PressureLadderOptions } from '../placement/pressure-ladder.ts';
import type { Room } from '../rooms/room.ts';
import type { LinkBroker } from './link-broker.ts';
import { media, mediaError } from './media-error.ts';
import { NodeEffort } from './node-effort.ts';
import { NodePressure, type PressureCount } from './node-pressure.ts';
import { NodeShards, noCapacity } from './node-shards.ts';
import type { PrewarmMedia } from './prewarmer.ts';
import type { Arrival, RoomMedia, RoomMediaEvents, SessionCreated } from './room-media.ts';
import type { RelinkCounts } from './room-edges.ts';
import { RoomProgramme } from './room-programme.ts';
import { type InUse, LoneSeats, type Seating } from './seats/seating.ts';

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

export interface AdmissionOptions extends Partial<Pick<JoinQueueOptions, 'clock' | 'now' | 'random'>> {
	maxJoinsUnderWayPerShard: number;
	maxWaitMs: number;
	/** How late this node's own event loop is. Default: measured. */
	lagMs?: () => number;
}

interface RoomEntry {
	readonly programme: RoomProgramme;
	packing: Room['packingMs'];
	/** Joins under way. */
	joining: number;
	/** Joins since the last count, and in the second before it: the count is that old. */
	joined: number;
	joinedBefore: number;
}

const COUNTS_MS = 1_000;
/** A shard that did not answer in time may seat the listener all the same; by then it has said so. */
const LATE_SEAT_MS = 10_000;
const ADMISSION: AdmissionOptions = { maxJoinsUnderWayPerShard: 32, maxWaitMs: 1_500 };
/** What a shard refuses for what it was sent, or since the room is over, is no sign of its pace. */
const saysNothingOfTheShard = ({ status }: DomainError): boolean => status < 500;

/** The media of all rooms on this node: places listeners on shards, keeps origins, edges and links alive. */
export class Programmes extends EventEmitter<RoomMediaEvents> implements RoomMedia, PrewarmMedia {
	readonly #options: ProgrammesOptions;
	readonly #supervisor: Supervisor;
	readonly #log: Logger;
	readonly #rooms = new Map<string, RoomEntry>();
	readonly #shards: NodeShards;
	readonly #broker: LinkBroker;
	#counts = new Map<string, number>();
	readonly #relinks: RelinkCounts = { told: 0, stalled: 0, node_down: 0, unknown: 0, failed: 0 };
	readonly #timer: NodeJS.Timeout;
	readonly #effort = new NodeEffort();
	readonly #pressure: NodePressure;
	readonly #seats: Seating;
	#closed = false;

	static create(options: ProgrammesOptions): Programmes {
		return new Programmes(options);
	}

	private constructor(options: ProgrammesOptions) {
		super();
		this.#options = options;
		this.#supervisor = options.supervisor;
		this.#log = options.log.child({ part: 'programme' });
		this.#broker = options.broker(this);
		const edgeOn = (roomId: string, index: number) => {
			const edges = this.#rooms.get(roomId)?.programme.edges;
			return edges?.has(index) !== true ? 'none' : edges.keeps(index) ? 'warm' : 'there';
		};
		this.#shards = new NodeShards({ supervisor: this.#supervisor, maxListenersPerShard: options.maxListenersPerShard, edgeOn, admission: this.#admissionOptions(), log: this.#log });
		const inUse: InUse = (roomId) => (this.#rooms.get(roomId)?.joining ?? 0) + this.#shards.listenersIn(roomId);
		this.#seats = options.seats?.(inUse) ?? new LoneSeats(inUse);
		this.#pressure = new NodePressure({
			...(options.pressure ?? { packing: false, events: false }),
			supervisor: this.#supervisor,
			effort: () => this.#effort.look(),
			packingOf: (roomId) => {
				const entry = this.#rooms.get(roomId);
				return entry?.packing === 'auto' ? entry.programme.edges.packingMs : undefined;
			},
			now: Date.now,
			log: this.#log,
		});
		this.#supervisor.on('shardUp', (_shard, _index, role) => {
			if (role === 'stage') {
				for (const { programme } of this.#rooms.values()) {
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

	async listen(room: Room, offer: string, packingMs?: PackingMs, random = randomBytes(16).toString('hex'), arrival: Arrival = {}): Promise<SessionCreated> {
		this.#known(room.id); // A room that is over says so, whatever its seats.
		const seat = this.#seats.take(room);
		(seat instanceof Promise ? await seat : seat).release();
		// Counted here from now on; who waits for a turn counts as well.
		const entry = this.#known(room.id);
		entry.joining++;
		let leave = () => void entry.joining--;
		let join: AdmittedJoin | undefined;
		let outcome: JoinOutcome = 'failed';
		try {
			const admitted = this.#shards.joins.admit({ roomId: room.id, ...arrival });
			join = admitted instanceof Promise ? await admitted : admitted;
			if (this.#rooms.get(room.id) !== entry) {
				throw this.#over(); // It ended meanwhile, and nothing would ever take its edge away again.
			}
			const session = await this.#seat(room.id, entry, join, offer, packingMs, random, arrival.owner);
			outcome = 'joined';
			this.#joined(entry);
			return session;
		} catch (error) {
			const refusal = this.#rooms.get(room.id) === entry ? mediaError(error) : this.#over();
			outcome = saysNothingOfTheShard(refusal) ? 'refused' : 'failed';
			if (room.maxListeners !== undefined && timedOut(error)) {
				leave = () => void setTimeout(() => entry.joining--, LATE_SEAT_MS).unref();
			}
			throw refusal;
		} finally {
			join?.done(outcome);
			leave();
		}
	}

	async #seat(roomId: string, { programme }: RoomEntry, join: AdmittedJoin, offer: string, packingMs: PackingMs | undefined, random: string, owner: SessionOwner | undefined): Promise<SessionCreated> {
		const shard = this.#supervisor.shard(join.shard);
		if (!shard) {
			throw noCapacity();
		}
		await programme.edges.open(shard, join.shard);
		const sessionId = this.#sessionId(join.shard, random);
		join.asked();
		const { sdp, etag, listeners, roomListeners } = await shard.request('listener.join', {
			roomId,
			sessionId,
			offer,
			...(packingMs === undefined ? {} : { packingMs }),
			...(owner && { owner }),
		});
		join.seated(listeners, roomListeners);
		return { sessionId, sdp, etag };
	}

	async publish(room: Room, participantId: string, offer: string, owner?: SessionOwner): Promise<SessionCreated> {
		return media(async () => {
			const { shard } = await this.#known(room.id).programme.openOrigin();
			const index = shard.assignment?.index ?? 0;
			const sessionId = this.#sessionId(index, randomBytes(16).toString('hex'));
			const { sdp, etag } = await shard.request('speaker.publish', { roomId: room.id, participantId, sessionId, offer, ...(owner && { owner }) });
			return { sessionId, sdp, etag };
		});
	}

	async patchSession(sessionId: string, fragment: string, ifMatch?: string): Promise<SessionPatchResult> {
		const shard = this.#shardOf(sessionId);
		return media(() => shard.request('session.patch', { sessionId, fragment, ...(ifMatch === undefined ? {} : { ifMatch }) }));
	}

	async closeSession(sessionId: string): Promise<void> {
		const shard = this.#shardOf(sessionId);
		await media(() => shard.request('session.close', { sessionId }));
	}

	async endSessions(match: OwnerMatch): Promise<number> {
		const answers = await Promise.allSettled(this.#supervisor.shards().flatMap((shard) => (shard.assignment ? [shard.request('session.endOf', match)] : [])));
		return answers.reduce((sum, answer) => sum + (answer.status === 'fulfilled' ? answer.value.ended : 0), 0);
	}

	async addSpeaker(room: Room, participantId: string, number: number): Promise<{ rtpCapabilities: RtpCapabilities }> {
		return media(async () => {
			const { shard, rtpCapabilities } = await this.#entry(room).programme.openOrigin();
			await shard.request('speaker.add', { roomId: room.id, participantId, number });
			return { rtpCapabilities };
		});
	}

	async removeSpeaker(roomId: string, participantId: string): Promise<void> {
		const shard = this.#rooms.get(roomId)?.programme.originShard;
		if (shard) {
			await media(() => shard.request('speaker.remove', { roomId, participantId }));
		}
	}

	createTransport(roomId: string, participantId: string, direction: 'send' | 'recv'): Promise<TransportParameters> {
		return media(() => this.#origin(roomId).request('speaker.createTransport', { roomId, participantId, direction }));
	}

	async connectTransport(roomId: string, participantId: string, transportId: string, dtlsParameters: DtlsParameters): Promise<void> {
		await media(() => this.#origin(roomId).request('speaker.connectTransport', { roomId, participantId, transportId, dtlsParameters }));
	}

	async restartIce(roomId: string, participantId: string, transportId: string): Promise<IceParameters> {
		const { iceParameters } = await media(() => this.#origin(roomId).request('speaker.restartIce', { roomId, participantId, transportId }));
		return iceParameters;
	}

	produce(roomId: string, participantId: string, transportId: string, rtpParameters: RtpParameters): Promise<{ producerId: string }> {
		return media(() => this.#origin(roomId).request('speaker.produce', { roomId, participantId, transportId, rtpParameters }));
	}

	consume(
		roomId: string,
		participantId: string,
		ofParticipantId: string,
		rtpCapabilities: RtpCapabilities,
	): Promise<{ consumerId: string; producerId: string; rtpParameters: RtpParameters }> {
		return media(() => this.#origin(roomId).request('speaker.consume', { roomId, participantId, ofParticipantId, rtpCapabilities }));
	}

	async setMuted(roomId: string, participantId: string, muted: boolean): Promise<void> {
		await media(() => this.#origin(roomId).request('speaker.setMuted', { roomId, participantId, muted }));
	}

	async roomChanged(room: Room): Promise<void> {
		this.#seats.roomChanged(room);
		if (room.state === 'ended') {
			this.#rooms.get(room.id)?.programme.close('the room ended');
			this.#rooms.delete(room.id);
			this.#counts.delete(room.id);
			return;
		}
		if (this.#closed || (room.state === 'scheduled' && !this.#rooms.has(room.id))) {
			return; // Nothing of it is needed before the doors open.
		}
		const entry = this.#entry(room);
		const { programme } = entry;
		entry.packing = room.packingMs;
		programme.setOnAir(room.state === 'live');
		this.#choosePacking(entry);
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
		const programme = this.#rooms.get(roomId)?.programme;
		if (programme?.originShard) {
			this.emit('originLost', { roomId });
		}
		programme?.stepDown();
	}

	/** The media of a room that is known here. */
	programmeOf(roomId: string): RoomProgramme | undefined {
		return this.#rooms.get(roomId)?.programme;
	}

	get programmes(): readonly RoomProgramme[] {
		return [...this.#rooms.values()].map(({ programme }) => programme);
	}

	/** Makes an edge although nobody listens, for others to link to. Rejects with DomainError `no_capacity`, `room_ended`. */
	async openRelay(roomId: string): Promise<EdgeRef> {
		const { programme } = this.#known(roomId);
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
		const { edges } = this.#known(roomId).programme;
		const shard = index === undefined ? undefined : this.#supervisor.shard(index);
		if (index === undefined || !shard || !this.#shards.isOpen(index)) {
			return (await this.openRelay(roomId)).shard;
		}
		await media(() => edges.open(shard, index));
		return index;
	}

	/** Ahead of the doors; see `Prewarmer`. Rejects with DomainError `not_home`, `room_ended`, `media_unavailable`. */
	async prepareOrigin(room: Room): Promise<void> {
		await media(() => this.#entry(room).programme.openOrigin());
	}

	/** Rejects with DomainError `no_capacity`, `room_ended`, `media_unavailable`. */
	async prepareEdge(room: Room, index: number): Promise<void> {
		const shard = this.#shards.isOpen(index) ? this.#supervisor.shard(index) : undefined;
		if (!shard) {
			throw noCapacity();
		}
		const { edges } = this.#entry(room).programme;
		edges.keep(index);
		await media(() => edges.open(shard, index));
	}

	/** @param shards listener shards of this node whose edges of the room do not go by the linger */
	keepEdges(roomId: string, shards: readonly number[]): void {
		this.#rooms.get(roomId)?.programme.edges.keepOnly(shards);
	}

	edgeShards(roomId: string): readonly number[] {
		return this.#rooms.get(roomId)?.programme.edges.shards ?? [];
	}

	hasOrigin(roomId: string): boolean {
		return this.#rooms.get(roomId)?.programme.originShard !== undefined;
	}

	/** A shard that drains takes no new listeners, a stage shard no new origins. @param shard undefined: all of the node */
	setDraining(shard: number | undefined, draining: boolean): void {
		this.#shards.setDraining(shard, draining);
	}

	/** Rooms whose origin is on that stage shard. */
	originsOn(shard: number): number {
		return [...this.#rooms.values()].filter(({ programme }) => programme.originShard?.assignment?.index === shard).length;
	}

	/** Moves every origin off a stage shard to another one of this node; where there is none, they stay: nobody's sound is broken off for nothing. */
	async moveOriginsOff(shard: number): Promise<void> {
		const others = this.#supervisor.shards('stage').filter(({ assignment }) => assignment !== undefined && assignment.index !== shard && !this.#shards.isDraining(assignment.index));
		if (others.length === 0) {
			this.#log.warn({ shard, origins: this.originsOn(shard) }, 'origins stay where they are: this node has no other stage shard to take them');
			return;
		}
		for (const { programme } of this.#rooms.values()) {
			if (programme.originShard?.assignment?.index === shard) {
				this.emit('originLost', { roomId: programme.roomId });
				await programme.moveOrigin().catch((error: unknown) => this.#log.warn({ err: error, room: programme.roomId }, 'an origin could not be moved'));
			}
		}
	}

	/** Ends what is left on a shard, so that clients that were not told otherwise come back elsewhere. @param shard undefined: all listener shards */
	async endListeners(shard: number | undefined, reason: string): Promise<void> {
		for (const { programme } of this.#rooms.values()) {
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
		const upstreams = new Map<string, UpstreamRef>();
		for (const { programme } of this.#rooms.values()) {
			for (const { linkId, upstream } of roomId === undefined || programme.roomId === roomId ? programme.edges.links() : []) {
				upstreams.set(linkId, upstream);
			}
		}
		return this.#supervisor.slots.flatMap(({ index }) =>
			(this.#supervisor.shard(index)?.stats?.links ?? [])
				.filter((link) => roomId === undefined || link.roomId === roomId)
				.map((link) => ({ ...link, shard: index, upstream: upstreams.get(link.linkId) })),
		);
	}

	/** For the operator: where a room's media is. */
	describe(roomId: string): { originShard: number | undefined; edgeShards: readonly number[]; packingMs: PackingMs } | undefined {
		const programme = this.#rooms.get(roomId)?.programme;
		return (
			programme && {
				originShard: programme.originShard?.assignment?.index,
				edgeShards: programme.edges.shards,
				packingMs: programme.edges.packingMs,
			}
		);
	}

	close(reason: string): void {
		this.#closed = true;
		clearInterval(this.#timer);
		this.#effort.close();
		this.#seats.close();
		this.#shards.joins.close(this.#over());
		for (const { programme } of this.#rooms.values()) {
			programme.close(reason);
		}
		this.#broker.close();
		this.#rooms.clear();
	}

	#admissionOptions(): Omit<JoinQueueOptions, 'shards'> {
		const {
			maxJoinsUnderWayPerShard, maxWaitMs, clock = monotonicClock, now = Date.now, random = Math.random, lagMs = () => this.#effort.lagMs,
		} = this.#options.admission ?? ADMISSION;
		return { maxUnderWayPerShard: maxJoinsUnderWayPerShard, maxWaitMs, clock, now, random, lagMs, others: () => this.#otherNodes() };
	}

	#otherNodes(): FleetPace {
		const { view } = this.#options;
		const fleet = { joinsPerSecond: 0, waiting: 0 };
		for (const node of view.nodes()) {
			if (node.nodeId !== view.nodeId) {
				fleet.joinsPerSecond += node.draining ? 0 : (node.joinsPerSecond ?? 0);
				fleet.waiting += node.waiting ?? 0;
			}
		}
		return fleet;
	}

	/** The room's media, made if need be. The caller vouches that the room has not ended: nothing would ever take it away again. */
	#entry(room: Room): RoomEntry {
		let entry = this.#rooms.get(room.id);
		if (!entry) {
			if (this.#closed || room.state === 'ended') {
				throw this.#over();
			}
			const programme = new RoomProgramme({
				roomId: room.id,
				voices: room.voices,
				onAir: room.state === 'live',
				packingMs: choosePackingMs(room.packingMs, 0, undefined, this.#options.autoPacking),
				maxFanOut: this.#options.maxFanOut,
				regionOf: (nodeId) => this.#options.view.node(nodeId)?.region,
				isLeaving: ({ nodeId, shard }) => this.#isLeaving(nodeId, shard),
				broker: this.#broker,
				onRelink: (edges) => this.#broker.tellRelink(room.id, edges),
				onRehome: (asked) => this.#broker.tellRehome(room.id, asked),
				relinks: this.#relinks,
				pickStageShard: () => this.#pickStageShard(room.id),
				onOrigin: (rtpCapabilities) => this.emit('originReady', { roomId: room.id, rtpCapabilities }),
				log: this.#log,
			});
			entry = { programme, packing: room.packingMs, joining: 0, joined: 0, joinedBefore: 0 };
			this.#rooms.set(room.id, entry);
		}
		return entry;
	}

	/** The media of a room whose doors are open. The caller saw them open; where it is not here, they have closed since. */
	#known(roomId: string): RoomEntry {
		const entry = this.#rooms.get(roomId);
		if (!entry) {
			throw this.#over();
		}
		return entry;
	}

	#over(): DomainError {
		return this.#closed
			? new DomainError('shutting_down', 'This server is shutting down; come back in a moment.', { retryAfterSeconds: 5 })
			: new DomainError('room_ended', 'This room has ended.');
	}

	#sessionId(shard: number, random: string): string {
		return makeSessionId(shard, random, this.#options.namesNode ? this.#broker.nodeId : undefined);
	}

	#isLeaving(nodeId: string, shard: number): boolean {
		if (nodeId === this.#broker.nodeId) {
			return !this.#shards.isOpen(shard);
		}
		const node = this.#options.view.node(nodeId);
		return node === undefined || node.draining || (node.shards.find(({ index }) => index === shard)?.draining ?? true);
	}

	/** Rooms spread over stage shards: the one with the fewest origins, always counted afresh. */
	#pickStageShard(roomId: string): Shard | undefined {
		const origins = new Map<Shard, number>();
		for (const { programme } of this.#rooms.values()) {
			const shard = programme.originShard;
			if (shard && programme.roomId !== roomId) {
				origins.set(shard, (origins.get(shard) ?? 0) + 1);
			}
		}
		const rank = (shard: Shard) => (origins.get(shard) ?? 0) + (this.#shards.isDraining(shard.assignment?.index ?? -1) ? 1e6 : 0);
		return this.#supervisor.shards('stage').toSorted((a, b) => rank(a) - rank(b))[0];
	}

	#origin(roomId: string): Shard {
		const shard = this.#rooms.get(roomId)?.programme.originShard;
		if (!shard) {
			throw new DomainError('media_unavailable', "This room's stage is starting; try again in a moment.", { retryAfterSeconds: 1 });
		}
		return shard;
	}

	#shardOf(sessionId: string): Shard {
		const address = parseSessionId(sessionId);
		const ours = address !== undefined && (address.nodeId === undefined || address.nodeId === this.#broker.nodeId);
		const shard = ours ? this.#supervisor.shard(address.shardIndex) : undefined;
		if (!shard) {
			throw new DomainError('session_not_found', 'There is no such session; it may have ended.');
		}
		return shard;
	}

	#onShardDown(index: number): void {
		this.#shards.died(index);
		this.#pressure.shardDown(index);
		for (const { programme } of this.#rooms.values()) {
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
				const isNews = this.#rooms.get(roomId)?.programme.edges.linkStalled(index, linkId) === true;
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
		for (const entry of this.#rooms.values()) {
			entry.joinedBefore = entry.joined;
			entry.joined = 0;
			this.#choosePacking(entry);
		}
		this.#shards.logTurnedAway();
		this.#seats.tick();
		const nowMs = performance.now();
		for (const { programme } of this.#rooms.values()) {
			const { roomId } = programme;
			programme.edges.closeIdle(nowMs, this.#options.linkLingerMs, (index) => this.#shards.inUse(index, roomId));
			programme.expire(nowMs);
		}
		this.emit('counts');
	}

	/** A surge fills a room between two counts: whoever comes then is not to be sent small packets first. */
	#joined(entry: RoomEntry): void {
		entry.joined++;
		const { thresholdListeners, largeMs } = this.#options.autoPacking;
		if (entry.packing === 'auto' && entry.programme.edges.packingMs !== largeMs && this.#crowd(entry) >= thresholdListeners) {
			this.#choosePacking(entry);
		}
	}

	/** In the whole cluster, with those who joined here since they were counted. */
	#crowd({ programme, joined, joinedBefore }: RoomEntry): number {
		return this.listenersIn(programme.roomId) + joined + joinedBefore;
	}

	#choosePacking(entry: RoomEntry): void {
		const { programme, packing } = entry;
		// Whoever chose a packing has reasons, such as listeners who take no other.
		programme.edges.setPackingFloors(packing === 'auto' ? this.#pressure.floors : undefined);
		programme.setPackingMs(choosePackingMs(packing, this.#crowd(entry), programme.edges.packingMs, this.#options.autoPacking));
	}
}

const timedOut = (error: unknown): boolean => error instanceof SfuError && error.code === 'shard_timeout';
