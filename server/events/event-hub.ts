import { DomainError } from '../errors.ts';
import type { Invitation } from '../rooms/hand-queue.ts';
import { roomSummary } from '../rooms/room-summary.ts';
import type { Participant, Room } from '../rooms/room.ts';
import type { Clock } from './clock.ts';
import { parseEventId } from './event-id.ts';
import { RoomAudience, type StateKind, type StreamEnd, type Subscriber } from './room-audience.ts';
import { Pacer, TURN_MS } from './pacer.ts';
import { EVENT_KINDS, type EventKind } from './sweep.ts';

/** What the hub needs of the RoomDirectory. */
export interface RoomSource {
	/** @throws DomainError `room_not_found` */
	require(id: string): Room;
	on(event: 'changed' | 'removed', listener: (room: Room) => void): unknown;
	off(event: 'changed' | 'removed', listener: (room: Room) => void): unknown;
}
/** What the hub needs of the StageService. */
export interface StageSource {
	roster(roomId: string): readonly Participant[];
	on(event: 'rosterChanged', listener: (change: { roomId: string }) => void): unknown;
	off(event: 'rosterChanged', listener: (change: { roomId: string }) => void): unknown;
}
/** Who is asked to move: shard → which part (0 to 1) of its listeners; see `placeOf` in the browser SDK for how a shard is named. */
export interface MoveSource {
	moves(): Readonly<Record<string, number>>;
	on(event: 'changed', listener: () => void): unknown;
	off(event: 'changed', listener: () => void): unknown;
}
/** What the hub needs of RoomMedia. */
export interface CountSource {
	listenersIn(roomId: string): number;
	/** How many times less often than usual counts and stages are told, since the node is under pressure; read once a second. Default 1. */
	readonly eventCadence?: number;
	on(event: 'counts', listener: () => void): unknown;
	off(event: 'counts', listener: () => void): unknown;
}

/** What the hub needs of the Audience. */
export interface AudienceSource {
	reactionsIn(roomId: string): { counts: Record<string, number>; total: number };
	captionsIn(roomId: string): { items: readonly unknown[]; version: number };
	/** Somebody here follows the room from now on, or nobody does any more. */
	watch(roomId: string): void;
	unwatch(roomId: string): void;
	on(event: 'reactions' | 'captions', listener: (roomId: string) => void): unknown;
	off(event: 'reactions' | 'captions', listener: (roomId: string) => void): unknown;
}

/** What the hub needs of the StageService besides: who is invited onto a stage, by participant id. */
export interface InvitationSource {
	invitationsIn(roomId: string): ReadonlyMap<string, Invitation>;
	on(event: 'invitationsChanged', listener: (roomId: string) => void): unknown;
	off(event: 'invitationsChanged', listener: (roomId: string) => void): unknown;
}

export interface EventHubOptions {
	rooms: RoomSource;
	stages: StageSource;
	media: CountSource;
	/** Default: nobody is ever asked to move. */
	moves?: MoveSource;
	/** Default: no reactions and no captions. */
	audience?: AudienceSource;
	/** Default: nobody is ever invited. */
	invitations?: InvitationSource;
	clock: Clock;
	/** Names this run of the node, so that event ids of an earlier one are not taken for its own. */
	randomId: () => string;
	/** Events written in any one second over all streams; snapshots for newcomers and the farewell come on top. Default 2,000. */
	maxWritesPerSecond?: number;
	/** Further streams are refused. */
	maxStreams: number;
}

export interface Subscription {
	/** The reader went away. Idempotent. */
	close(): void;
	/** The connection takes data again after `write` had returned false. */
	drained(): void;
}

export interface EventHubMetrics {
	streams: number;
	/** Streams whose connection takes nothing at present. */
	blocked: number;
	/** Chunks written, snapshots included. */
	writesTotal: number;
	snapshotsTotal: number;
	/** Streams given up because their reader was too slow or writing failed. */
	droppedTotal: number;
	/** How long the subscriber who waits longest for news has been waiting; readers who are slow themselves left out. */
	lagMs: number;
}

const HOUSEKEEPING_MS = 1_000;
const COUNT_INTERVAL_MS = 1_000;
/** Under pressure alone: between two states of one stage, for each part of the cadence. */
const STAGE_INTERVAL_MS = 500;
/** Between two states of one room's captions; a first guess that grows by words is not worth more. */
const CAPTION_INTERVAL_MS = 250;
const REACTION_INTERVAL_MS = 1_000;
const STUCK_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_SPREAD_MIN_MS = 2_000;
const GOLDEN_RATIO = 0.618_033_988_75;

/**
 * Server-sent events: room state, stage, listener count, captions and reactions to everybody who follows a room. Events are
 * state, never differences, so a slow stream skips what is outdated. One paced writer serves all streams
 * within a fixed budget; a change costs the same whether ten or ten thousand follow.
 */
export class EventHub {
	readonly #rooms: RoomSource;
	readonly #stages: StageSource;
	readonly #media: CountSource;
	readonly #moves: MoveSource | undefined;
	readonly #audience: AudienceSource | undefined;
	readonly #invitations: InvitationSource | undefined;
	readonly #clock: Clock;
	readonly #instanceId: string;
	readonly #maxWritesPerSecond: number;
	readonly #maxStreams: number;
	readonly #pacer: Pacer;
	readonly #audiences = new Map<string, RoomAudience>();
	/** Of rooms that were removed: their streams are being ended. */
	readonly #leaving = new Set<RoomAudience>();
	/** Audiences whose count has changed while the last one is still going out. */
	readonly #countsWaiting = new Set<RoomAudience>();
	/** Audiences whose stage has changed so soon again that it has to wait. */
	readonly #stagesWaiting = new Set<RoomAudience>();
	/** Audiences whose captions or reactions have changed and were told a moment ago. */
	readonly #captionsWaiting = new Set<RoomAudience>();
	readonly #reactionsWaiting = new Set<RoomAudience>();
	#cadence = 1;
	#seq = 0;
	#housekeepingAtMs = 0;
	#closed = false;
	#streams = 0;
	#blocked = 0;
	#writesTotal = 0;
	#snapshotsTotal = 0;
	#droppedTotal = 0;

	static create(options: EventHubOptions): EventHub {
		return new EventHub(options);
	}

	private constructor(options: EventHubOptions) {
		this.#rooms = options.rooms;
		this.#stages = options.stages;
		this.#media = options.media;
		this.#moves = options.moves;
		this.#audience = options.audience;
		this.#invitations = options.invitations;
		this.#clock = options.clock;
		this.#instanceId = options.randomId().replaceAll(/[^\w-]/g, '').slice(0, 64);
		this.#maxWritesPerSecond = options.maxWritesPerSecond ?? 2_000;
		this.#maxStreams = options.maxStreams;
		this.#pacer = new Pacer({
			clock: this.#clock,
			maxWritesPerSecond: this.#maxWritesPerSecond,
			beforeTurn: (nowMs) => this.#beforeTurn(nowMs),
			deliver: (subscriber, kind, nowMs) => this.#deliver(subscriber, kind, nowMs),
		});
		this.#rooms.on('changed', this.#onRoomChanged);
		this.#rooms.on('removed', this.#onRoomRemoved);
		this.#stages.on('rosterChanged', this.#onRosterChanged);
		this.#media.on('counts', this.#onCounts);
		this.#moves?.on('changed', this.#onMoves);
		this.#audience?.on('captions', this.#onCaptions);
		this.#audience?.on('reactions', this.#onReactions);
		this.#invitations?.on('invitationsChanged', this.#onInvitations);
	}

	get streamCount(): number {
		return this.#streams;
	}

	metrics(): EventHubMetrics {
		return {
			streams: this.#streams,
			blocked: this.#blocked,
			writesTotal: this.#writesTotal,
			snapshotsTotal: this.#snapshotsTotal,
			droppedTotal: this.#droppedTotal,
			lagMs: this.#pacer.lagMs,
		};
	}

	/**
	 * Adds a stream. What it lacks is written before this returns; whoever is refused gets nothing written.
	 * @param write takes a chunk of `text/event-stream`; false: call `drained()` before there can be more
	 * @param lastEventId as the reader sent it
	 * @param ended the hub is done with the stream (its last words, if any, are written): end the response
	 * @param subject whose it is, by their token: what is for them alone is written, too
	 * @throws DomainError `room_not_found`, `no_capacity`, `shutting_down`; and whatever the first `write` throws
	 */
	attach(roomId: string, write: (chunk: string) => boolean, lastEventId?: string, ended?: (reason: StreamEnd) => void, subject?: string): Subscription {
		if (this.#closed) throw new DomainError('shutting_down', 'This server is shutting down; come back in a moment.', { retryAfterSeconds: 5 });
		if (this.#streams >= this.#maxStreams) {
			throw new DomainError('no_capacity', 'This server has as many event streams as it can serve.', { retryAfterSeconds: 10 });
		}
		const room = this.#rooms.require(roomId);
		const nowMs = this.#clock.nowMs();
		const audience = this.#audiences.get(roomId) ?? this.#open(room);
		const seen = audience.recognised(parseEventId(this.#instanceId, lastEventId));
		const place = (this.#snapshotsTotal * GOLDEN_RATIO) % 1;
		const subscriber: Subscriber = { audience, write, ended, seen, lastWriteMs: nowMs, blockedSinceMs: undefined, index: -1, subject, participantId: undefined };
		const flowing = write(`retry: ${this.#retryMs(place)}\n${audience.snapshotFor(seen) + audience.invitees.newsFor(subscriber) || '\n'}`);
		if (!flowing) subscriber.blockedSinceMs = nowMs;
		audience.add(subscriber);
		if (this.#audiences.get(roomId) !== audience) {
			this.#audiences.set(roomId, audience);
			this.#audience?.watch(roomId);
		}
		this.#streams++;
		if (!flowing) this.#blocked++;
		this.#writesTotal++;
		this.#snapshotsTotal++;
		this.#pacer.chargeSnapshot();
		this.#pacer.wake(HOUSEKEEPING_MS);
		return { close: () => this.#detach(subscriber), drained: () => this.#drained(subscriber) };
	}

	/** Says farewell to every stream at once, outside the budget, and only then ends them. Idempotent. */
	close(reason = 'shutting_down'): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#pacer.close();
		this.#rooms.off('changed', this.#onRoomChanged);
		this.#rooms.off('removed', this.#onRoomRemoved);
		this.#stages.off('rosterChanged', this.#onRosterChanged);
		this.#media.off('counts', this.#onCounts);
		this.#moves?.off('changed', this.#onMoves);
		this.#audience?.off('captions', this.#onCaptions);
		this.#audience?.off('reactions', this.#onReactions);
		this.#invitations?.off('invitationsChanged', this.#onInvitations);
		const everybody = [...this.#subscribers()];
		for (const [index, subscriber] of everybody.entries()) {
			// Everybody comes back to another node, or to this one in a moment: evenly spread.
			this.#write(subscriber, byeChunk(reason, this.#retryMs(index / everybody.length)), this.#clock.nowMs());
		}
		for (const subscriber of everybody) this.#end(subscriber, 'shutting_down');
	}

	readonly #onRoomChanged = (room: Room): void => {
		const audience = this.#audiences.get(room.id);
		if (audience !== undefined) this.#publish(audience, 'room', 'room', roomSummary(room));
	};

	readonly #onRoomRemoved = (room: Room): void => {
		const audience = this.#audiences.get(room.id);
		if (audience === undefined) return;
		// A room made anew under this id gets an audience of its own.
		this.#audiences.delete(room.id);
		this.#audience?.unwatch(room.id);
		this.#leaving.add(audience);
		this.#stopWaiting(audience);
		audience.setBye(byeChunk('room_removed'));
		this.#pacer.start(audience.sweeps.bye);
	};

	readonly #onRosterChanged = ({ roomId }: { roomId: string }): void => {
		const audience = this.#audiences.get(roomId);
		if (audience === undefined) return;
		if (this.#stageRests(audience, this.#clock.nowMs())) {
			this.#stagesWaiting.add(audience);
			this.#pacer.wake();
		} else this.#publishStage(audience);
	};

	readonly #onCounts = (): void => {
		this.#cadence = this.#media.eventCadence ?? 1;
		for (const audience of this.#audiences.values()) {
			if (this.#media.listenersIn(audience.roomId) !== audience.count) this.#countsWaiting.add(audience);
		}
		if (this.#countsWaiting.size > 0) this.#pacer.wake();
	};

	readonly #onCaptions = (roomId: string): void => {
		const audience = this.#audiences.get(roomId);
		if (audience === undefined) return;
		this.#captionsWaiting.add(audience);
		this.#pacer.wake();
	};

	readonly #onReactions = (roomId: string): void => {
		const audience = this.#audiences.get(roomId);
		if (audience === undefined) return;
		this.#reactionsWaiting.add(audience);
		this.#pacer.wake();
	};

	/** Between a host and one person: written to that person's streams alone, at once, and charged to what comes in later. */
	readonly #onInvitations = (roomId: string): void => {
		const audience = this.#audiences.get(roomId);
		if (audience === undefined || this.#invitations === undefined) return;
		const nowMs = this.#clock.nowMs();
		for (const [subscriber, news] of audience.invitees.change(this.#invitations.invitationsIn(roomId), audience.subscribers)) {
			this.#pacer.chargeSnapshot();
			this.#write(subscriber, news, nowMs);
		}
	};

	/** The same for every room of the node: whoever listens elsewhere sees that nothing of it is meant for them. */
	readonly #onMoves = (): void => {
		const moves = this.#moves?.moves() ?? {};
		for (const audience of this.#audiences.values()) this.#publish(audience, 'move', 'move', moves, isEmpty(moves));
	};

	#open(room: Room): RoomAudience {
		const audience = new RoomAudience(room.id, this.#instanceId);
		audience.count = this.#media.listenersIn(room.id);
		audience.countAtMs = this.#clock.nowMs();
		const nextSeq = (): number => ++this.#seq;
		audience.setState('room', 'room', roomSummary(room), nextSeq);
		audience.setState('stage', 'stage', this.#stage(room.id), nextSeq);
		audience.setState('count', 'listeners', { count: audience.count }, nextSeq);
		const moves = this.#moves?.moves() ?? {};
		audience.setState('move', 'move', moves, nextSeq, isEmpty(moves));
		const captions = this.#audience?.captionsIn(room.id);
		audience.setState('caption', 'captions', captions, nextSeq, captions === undefined || captions.items.length === 0);
		const reactions = this.#audience?.reactionsIn(room.id);
		audience.setState('reaction', 'reactions', reactions, nextSeq, reactions === undefined || isEmpty(reactions.counts));
		if (this.#invitations) audience.invitees.start(this.#invitations.invitationsIn(room.id));
		return audience;
	}

	/** Listeners see no ids and no subjects. */
	#stage(roomId: string): { speakers: { number: number; name: string; role: string; muted: boolean; connected: boolean }[] } {
		const speakers = this.#stages
			.roster(roomId)
			.map(({ number, name, role, muted, connection }) => ({ number, name, role, muted, connected: connection === 'connected' }));
		return { speakers };
	}

	#publish(audience: RoomAudience, kind: StateKind, event: string, data: unknown, usual = false): void {
		if (audience.setState(kind, event, data, () => ++this.#seq, usual)) this.#pacer.start(audience.sweeps[kind]);
	}

	/**
	 * A count goes out when the one before has reached everybody and a second has passed. Sweeps of counts
	 * have half the budget, so with many streams they take longer and counts become rarer by themselves.
	 */
	#publishCounts(nowMs: number): void {
		for (const audience of this.#countsWaiting) {
			if (audience.sweeps.count.pending || nowMs - audience.countAtMs < COUNT_INTERVAL_MS * this.#cadence) continue;
			this.#countsWaiting.delete(audience);
			const count = this.#media.listenersIn(audience.roomId);
			if (count === audience.count) continue;
			audience.count = count;
			audience.countAtMs = nowMs;
			this.#publish(audience, 'count', 'listeners', { count });
		}
	}

	/** Whether this stage was told a moment ago; only under pressure, for otherwise it is told at once. */
	#stageRests(audience: RoomAudience, nowMs: number): boolean {
		return this.#cadence > 1 && nowMs - audience.stageAtMs < STAGE_INTERVAL_MS * this.#cadence;
	}

	#publishStage(audience: RoomAudience): void {
		audience.stageAtMs = this.#clock.nowMs();
		this.#publish(audience, 'stage', 'stage', this.#stage(audience.roomId));
	}

	#publishStages(nowMs: number): void {
		for (const audience of this.#stagesWaiting) {
			if (this.#stageRests(audience, nowMs)) continue;
			this.#stagesWaiting.delete(audience);
			this.#publishStage(audience);
		}
	}

	/** Words are read as they are spoken: a newer state takes the place of one that is still going out. */
	#publishCaptions(nowMs: number): void {
		for (const audience of this.#captionsWaiting) {
			if (nowMs - audience.captionsAtMs < CAPTION_INTERVAL_MS * this.#cadence) continue;
			this.#captionsWaiting.delete(audience);
			audience.captionsAtMs = nowMs;
			const captions = this.#audience?.captionsIn(audience.roomId);
			this.#publish(audience, 'caption', 'captions', captions, captions === undefined || captions.items.length === 0);
		}
	}

	/** Like counts: the next sums go out when those before have reached everybody. */
	#publishReactions(nowMs: number): void {
		for (const audience of this.#reactionsWaiting) {
			if (audience.sweeps.reaction.pending || nowMs - audience.reactionsAtMs < REACTION_INTERVAL_MS * this.#cadence) continue;
			this.#reactionsWaiting.delete(audience);
			audience.reactionsAtMs = nowMs;
			this.#publish(audience, 'reaction', 'reactions', this.#audience?.reactionsIn(audience.roomId));
		}
	}

	#stopWaiting(audience: RoomAudience): void {
		for (const waiting of [this.#countsWaiting, this.#stagesWaiting, this.#captionsWaiting, this.#reactionsWaiting]) waiting.delete(audience);
	}

	#beforeTurn(nowMs: number): number | undefined {
		if (nowMs >= this.#housekeepingAtMs) this.#housekeeping(nowMs);
		this.#publishCounts(nowMs);
		this.#publishStages(nowMs);
		this.#publishCaptions(nowMs);
		this.#publishReactions(nowMs);
		if (this.#countsWaiting.size + this.#stagesWaiting.size + this.#captionsWaiting.size + this.#reactionsWaiting.size > 0) return TURN_MS;
		return this.#streams > 0 ? this.#housekeepingAtMs - nowMs : undefined;
	}

	#deliver(subscriber: Subscriber, kind: EventKind, nowMs: number): void {
		this.#write(subscriber, subscriber.audience.chunkFor(subscriber, kind), nowMs);
		if (kind === 'bye') this.#end(subscriber, 'room_removed');
	}

	#write(subscriber: Subscriber, chunk: string, nowMs: number): void {
		subscriber.lastWriteMs = nowMs;
		this.#writesTotal++;
		try {
			const flowing = subscriber.write(chunk);
			if (flowing || subscriber.index === -1 || subscriber.blockedSinceMs !== undefined) return;
			subscriber.blockedSinceMs = nowMs;
			this.#blocked++;
		} catch {
			this.#drop(subscriber, 'failed');
		}
	}

	/** The subscriber may have missed any kind of news meanwhile. */
	#drained(subscriber: Subscriber): void {
		if (subscriber.index === -1 || subscriber.blockedSinceMs === undefined) return;
		subscriber.blockedSinceMs = undefined;
		this.#blocked--;
		const nowMs = this.#clock.nowMs();
		const { audience } = subscriber;
		for (const kind of EVENT_KINDS) {
			const due = kind === 'bye' ? this.#leaving.has(audience) : audience.isDue(subscriber, kind, nowMs);
			if (due) this.#pacer.revisit(audience.sweeps[kind]);
		}
	}

	#housekeeping(nowMs: number): void {
		this.#housekeepingAtMs = nowMs + HOUSEKEEPING_MS;
		const quiet = new Set<RoomAudience>();
		const stuck: Subscriber[] = [];
		for (const subscriber of this.#subscribers()) {
			if (subscriber.blockedSinceMs !== undefined) {
				if (nowMs - subscriber.blockedSinceMs >= STUCK_MS) stuck.push(subscriber);
			} else if (subscriber.audience.isDue(subscriber, 'heartbeat', nowMs)) quiet.add(subscriber.audience);
		}
		for (const subscriber of stuck) this.#drop(subscriber, 'slow');
		for (const audience of quiet) this.#pacer.start(audience.sweeps.heartbeat);
	}

	#drop(subscriber: Subscriber, reason: StreamEnd): void {
		if (subscriber.index !== -1) this.#droppedTotal++;
		this.#end(subscriber, reason);
	}

	#end(subscriber: Subscriber, reason: StreamEnd): void {
		if (this.#detach(subscriber)) subscriber.ended?.(reason);
	}

	/** @returns false: it had left already */
	#detach(subscriber: Subscriber): boolean {
		if (subscriber.index === -1) return false;
		const { audience } = subscriber;
		for (const sweep of audience.remove(subscriber, this.#clock.nowMs())) this.#pacer.revisit(sweep);
		this.#streams--;
		if (subscriber.blockedSinceMs !== undefined) this.#blocked--;
		if (audience.subscribers.length === 0) {
			this.#stopWaiting(audience);
			this.#leaving.delete(audience);
			if (this.#audiences.get(audience.roomId) === audience) {
				this.#audiences.delete(audience.roomId);
				this.#audience?.unwatch(audience.roomId);
			}
		}
		return true;
	}

	*#subscribers(): Generator<Subscriber> {
		for (const audience of this.#audiences.values()) yield* audience.subscribers;
		for (const audience of this.#leaving) yield* audience.subscribers;
	}

	/** When to come back, so that all streams of this node do so at a rate it can take. @param place between 0 and 1 */
	#retryMs(place: number): number {
		const spreadMs = Math.max(RETRY_SPREAD_MIN_MS, (this.#streams / this.#maxWritesPerSecond) * 1_000);
		return Math.floor(RETRY_MIN_MS + place * spreadMs);
	}
}

function isEmpty(record: object): boolean {
	return Object.keys(record).length === 0;
}

/** The last words of a stream. @param retryMs left out: there is nothing to come back to */
export function byeChunk(reason: string, retryMs?: number): string {
	const data = JSON.stringify({ reason, reconnect: retryMs !== undefined, retryMs: retryMs ?? 0 });
	return `${retryMs === undefined ? '' : `retry: ${retryMs}\n`}event: bye\ndata: ${data}\n\n`;
}
