import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import type { ClusterView, ClusterViewEvents, RoomHome } from '../cluster-view.ts';
import type { NodeReport } from '../node-report.ts';
import type { PeerResult, Peers } from '../peer-protocol.ts';
import type { HeartbeatRound, HeartbeatStore } from './heartbeat-store.ts';
import { KnownHomes } from './known-homes.ts';
import { Mesh } from './mesh.ts';
import { PeerTable } from './peer-table.ts';
import { readReport, senderOf } from './read-report.ts';
import { StallWatch } from './stall-watch.ts';

/** What the node says of itself; the registry adds the rest. */
export type OwnReport = Omit<NodeReport, 'nodeId' | 'incarnation' | 'beat' | 'redis'>;

/** What goes with the heartbeats: `HomeLeases`. */
export interface BeatCompanion {
	/** This node's epoch if it is the room's home for certain. */
	epochOf(roomId: string): number | undefined;
	/** Several times between two beats. */
	tick(): void;
	/** A beat goes out with this report. */
	beat(report: NodeReport): void;
	/** A peer's report came in. */
	heard(report: NodeReport): void;
	/** The peer cannot reach Redis: renew its leases for it. Rejects when that cannot be done here either. */
	renewFor(report: NodeReport): Promise<void>;
}

export interface NodeRegistryOptions {
	nodeId: string;
	/** Differs for each start: 8 to 64 characters. */
	incarnation: string;
	/** Called for each beat; what it throws is logged, and the last report goes out again. */
	report: () => OwnReport;
	store: HeartbeatStore;
	peers: Pick<Peers, 'request'>;
	/** Monotonic. */
	clock: Clock;
	/** Time of day; tells when the machine was asleep. Default `Date.now`. */
	wallMs?: () => number;
	log: Logger;
}

/** Between two beats of a node. */
export const HEARTBEAT_MS = 500;
/** Silence of a node that is taken for its death. */
export const DEAD_AFTER_MS = 1_750;
const DEAD_AFTER_LOOKS = 3;
const TICK_MS = 100;
/** Redis has not answered by then: beats go from node to node as well. */
const MESH_AFTER_MS = 250;
/** Redis has not answered by then: it does not. Below a lease's length less one beat. */
const ANSWER_WITHIN_MS = 900;
/** Dead peers are looked for that often, for that long. */
const SEEK_EVERY_BEATS = 4;
const SEEK_FOR_MS = 15 * 60_000;
const RIVAL_BEATS = 8;

/** The nodes of a cluster, known by their heartbeats. Redis carries those, and where it does not answer, the nodes themselves do. */
export class NodeRegistry extends EventEmitter<ClusterViewEvents> implements ClusterView {
	readonly nodeId: string;
	readonly incarnation: string;
	readonly watch: StallWatch;
	readonly homes = new KnownHomes();
	readonly #options: NodeRegistryOptions;
	readonly #log: Logger;
	readonly #peers = new PeerTable();
	readonly #mesh: Mesh;
	readonly #badReports = new Set<string>();
	readonly #passing = new Set<string>();
	#companion: BeatCompanion | undefined;
	#own: NodeReport;
	#cancelTick: (() => void) | undefined;
	#nextBeatMs: number;
	#asked: { atMs: number; meshed: boolean } | undefined;
	/** Undefined until the first beat is through. */
	#answers: boolean | undefined;
	/** Since when Redis has answered every beat, and when it did last. */
	#answersSinceMs: number | undefined;
	#answeredMs = Number.NEGATIVE_INFINITY;
	#generation: string | undefined;
	/** Of the store's clock to this node's, at most. */
	#storeAheadMs = 0;
	#rivalBeats = 0;
	#closed = false;
	/** Living nodes and their homes, until something changes. */
	#view: { nodes: NodeReport[]; homes: Map<string, RoomHome> } | undefined;

	/** Silent until `start()`. */
	static create(options: NodeRegistryOptions): NodeRegistry {
		return new NodeRegistry(options);
	}

	private constructor(options: NodeRegistryOptions) {
		super();
		this.#options = options;
		this.nodeId = options.nodeId;
		this.incarnation = options.incarnation;
		this.#log = options.log.child({ part: 'registry' });
		this.watch = new StallWatch(options.clock, options.wallMs ?? Date.now);
		this.watch.onStall((lengthMs, asleep) => this.#excuse(lengthMs, asleep));
		this.#nextBeatMs = options.clock.nowMs();
		this.#own = { ...options.report(), nodeId: this.nodeId, incarnation: this.incarnation, beat: 0, redis: false };
		this.#mesh = new Mesh({
			peers: options.peers,
			log: this.#log,
			answered: (report, from) => {
				this.#peers.look([from]);
				this.#hear(report, from);
				this.emit('beat');
			},
			silent: (nodeId) => this.#peers.look([nodeId]),
		});
	}

	/** Once, before `start()`. */
	attach(companion: BeatCompanion): void {
		this.#companion = companion;
	}

	/** Beats from now on. Resolves after the first answer of Redis, or without it when there is none. */
	async start(): Promise<void> {
		if (this.#cancelTick !== undefined || this.#closed) return;
		this.watch.begin();
		const { promise, resolve } = Promise.withResolvers<void>();
		this.once('redis', () => resolve());
		const giveUp = this.#options.clock.schedule(resolve, ANSWER_WITHIN_MS + 2 * TICK_MS);
		this.#tick();
		await promise;
		giveUp();
	}

	nodes(): readonly NodeReport[] {
		return this.#seen().nodes;
	}
	node(nodeId: string): NodeReport | undefined {
		return nodeId === this.nodeId ? this.#own : this.#peers.alive(nodeId);
	}
	homeOf(roomId: string): RoomHome | undefined {
		const epoch = this.#companion?.epochOf(roomId);
		const home = this.#seen().homes.get(roomId);
		if (epoch !== undefined && epoch >= (home?.epoch ?? 0)) return { nodeId: this.nodeId, epoch };
		return home !== undefined && home.epoch >= (this.homes.last(roomId)?.epoch ?? 0) ? home : undefined;
	}
	listenersIn(roomId: string): number {
		return this.nodes().reduce((sum, { rooms }) => sum + (Object.hasOwn(rooms, roomId) ? rooms[roomId]! : 0), 0);
	}
	get redisAnswers(): boolean {
		return this.#answers === true;
	}
	/** For how long Redis has answered without a break, in ms; -1 when it does not, or may just have ceased to. */
	get answeredForMs(): number {
		const nowMs = this.#options.clock.nowMs();
		if (this.#answersSinceMs === undefined || nowMs - this.#answeredMs > ANSWER_WITHIN_MS + TICK_MS) return -1;
		return nowMs - this.#answersSinceMs;
	}
	/** What the store's clock shows, or up to a round trip more. */
	get storeNowMs(): number {
		return Math.ceil(this.#options.clock.nowMs() + this.#storeAheadMs);
	}
	/** Latest report of a node, even of a dead one: where to ask whether it really is. */
	lastReportOf(nodeId: string): NodeReport | undefined {
		return nodeId === this.nodeId ? this.#own : this.#peers.lastOf(nodeId);
	}
	hasLeft(nodeId: string): boolean {
		return this.#peers.hasLeft(nodeId);
	}

	/** Answers the peers' request `heartbeat`. Rejects a report that is not the sender's with DomainError `forbidden`. */
	async onPeerHeartbeat(report: NodeReport, from: string): Promise<PeerResult<'heartbeat'>> {
		this.watch.look();
		if (report.nodeId !== from) throw new DomainError('forbidden', 'A heartbeat must be the sending node’s own.');
		if (this.#closed) throw new DomainError('shutting_down', 'This node is leaving the cluster.');
		const known = this.#hear(report, from) !== undefined;
		return { report: this.#own, passedOn: known && (await this.#passOn(report)) };
	}

	/** Says goodbye, so that others need not wait. Idempotent; never rejects. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#cancelTick?.();
		const { promise, resolve } = Promise.withResolvers<void>();
		const giveUp = this.#options.clock.schedule(resolve, ANSWER_WITHIN_MS);
		const leave = this.#options.store.leave(this.nodeId, this.incarnation).catch((error: unknown) => {
			this.#log.debug({ err: error }, 'could not say goodbye');
		});
		await Promise.race([leave, promise]);
		giveUp();
	}

	/** The loop that must never end: whatever fails in it, it is called again. */
	#tick(): void {
		if (this.#closed) return;
		this.#cancelTick = this.#options.clock.schedule(() => this.#tick(), TICK_MS);
		try {
			this.watch.look();
			const nowMs = this.#options.clock.nowMs();
			if (nowMs >= this.#nextBeatMs) this.#beat(nowMs);
			this.#awaitAnswer(nowMs);
			for (const nodeId of this.#peers.expire(nowMs, DEAD_AFTER_MS, DEAD_AFTER_LOOKS)) this.#down(nodeId, 'no heartbeat');
			this.#companion?.tick();
		} catch (error) {
			this.#log.error({ err: error }, 'a heartbeat failed');
		}
	}

	#beat(nowMs: number): void {
		// On a grid, so that the ticks' own delays do not add up; after a stall from now on.
		this.#nextBeatMs = nowMs - this.#nextBeatMs > HEARTBEAT_MS ? nowMs + HEARTBEAT_MS : this.#nextBeatMs + HEARTBEAT_MS;
		let report: OwnReport = this.#own;
		try {
			report = this.#options.report();
		} catch (error) {
			this.#log.error({ err: error }, 'the report of this node could not be made');
		}
		this.#own = { ...report, nodeId: this.nodeId, incarnation: this.incarnation, beat: this.#own.beat + 1, redis: this.redisAnswers };
		this.#view = undefined;
		if (this.#asked === undefined) void this.#ask(nowMs);
		else this.#meshOut();
		this.#companion?.beat(this.#own);
	}

	async #ask(nowMs: number): Promise<void> {
		const asked = { atMs: nowMs, meshed: false };
		this.#asked = asked;
		const [round, error] = await this.#options.store.beat(this.#own).then(
			(answer) => [answer, undefined] as const,
			(failure: unknown) => [undefined, failure] as const,
		);
		if (this.#closed) return;
		this.watch.look();
		// It was given up: what it says is old.
		if (this.#asked !== asked) return;
		this.#asked = undefined;
		try {
			if (round === undefined) this.#away(error, !asked.meshed);
			else this.#answered(round, asked.atMs);
		} catch (failure) {
			this.#log.error({ err: failure }, 'a heartbeat failed');
		}
	}

	/** Gives a beat up that is under way for too long, and goes past Redis before. */
	#awaitAnswer(nowMs: number): void {
		const asked = this.#asked;
		if (asked === undefined) return;
		if (nowMs - asked.atMs >= MESH_AFTER_MS && !asked.meshed) {
			asked.meshed = true;
			this.#meshOut();
		}
		if (nowMs - asked.atMs < ANSWER_WITHIN_MS) return;
		this.#asked = undefined;
		// While this process stood still nobody could answer it.
		if (asked.atMs < this.watch.endedMs) this.#nextBeatMs = nowMs;
		else this.#away(new Error(`no answer within ${ANSWER_WITHIN_MS} ms`), false);
	}

	#away(error: unknown, mesh: boolean): void {
		this.#answersSinceMs = undefined;
		if (mesh) this.#meshOut();
		if (this.#answers === false) return;
		this.#answers = false;
		this.#log.warn({ err: error }, 'Redis does not answer heartbeats');
		this.emit('redis', 'down');
	}

	#answered(round: HeartbeatRound, askedMs: number): void {
		this.#storeAheadMs = round.nowMs - askedMs;
		const before = this.#generation;
		const lost = before === undefined ? round.fresh : before !== round.generation;
		const back = this.#answers !== true;
		this.#generation = round.generation;
		this.#answers = true;
		this.#answeredMs = this.#options.clock.nowMs();
		this.#answersSinceMs ??= this.#answeredMs;
		this.#peers.look();
		this.#takeIn(round);
		this.#minds(round.rival);
		if (lost && before === undefined) this.#log.info('Redis is empty: this is the first node, or it has lost what it had');
		else if (lost) this.#log.warn('Redis does not have what it had');
		else if (back) this.#log.info('Redis answers heartbeats');
		if (lost || back) this.emit('redis', lost ? 'lost' : 'up');
		this.emit('beat');
	}

	#takeIn(round: HeartbeatRound): void {
		for (const report of round.reports) this.#hear(report);
		for (const { nodeId, incarnation } of round.left) if (this.#peers.leave(nodeId, incarnation)) this.#down(nodeId, 'it left');
	}

	#hear(value: unknown, from?: string): NodeReport | undefined {
		const report = readReport(value);
		if (typeof report === 'string') {
			const sender = from ?? senderOf(value);
			if (!this.#badReports.has(sender)) this.#log.warn({ peer: sender, reason: report }, 'a report of a node cannot be read');
			this.#badReports.add(sender);
			return undefined;
		}
		if (report.nodeId === this.nodeId) return undefined;
		const news = this.#peers.hear(report, this.#options.clock.nowMs());
		if (news === 'nothing new') return report;
		this.#view = undefined;
		this.homes.noteAll(report);
		if (news === 'restarted') this.#down(report.nodeId, 'it was restarted');
		if (news !== 'grown') {
			this.#log.info({ peer: report.nodeId }, 'a node is there');
			this.emit('nodeUp', report);
		}
		this.#companion?.heard(report);
		return report;
	}

	#down(nodeId: string, reason: string): void {
		this.#view = undefined;
		this.#log.warn({ peer: nodeId, reason }, 'a node is gone');
		this.emit('nodeDown', nodeId, reason);
	}

	#meshOut(): void {
		const seek = this.#own.beat % SEEK_EVERY_BEATS === 0 ? this.#peers.missing(this.#options.clock.nowMs(), SEEK_FOR_MS) : [];
		this.#mesh.send(this.#own, [...this.#peers.living.map(({ nodeId }) => nodeId), ...seek]);
	}

	/** To Redis in the sender's name; one at a time for each. */
	async #passOn(report: NodeReport): Promise<boolean> {
		if (!this.redisAnswers || this.#passing.has(report.nodeId)) return false;
		this.#passing.add(report.nodeId);
		try {
			const [round] = await Promise.all([this.#options.store.beat(report), this.#companion?.renewFor(report)]);
			if (!this.#closed) this.#takeIn(round);
			return true;
		} catch (error) {
			this.#log.debug({ peer: report.nodeId, err: error }, 'a heartbeat could not be passed on');
			return false;
		} finally {
			this.#passing.delete(report.nodeId);
		}
	}

	#excuse(lengthMs: number, asleep: boolean): void {
		this.#log.warn({ stalledMs: Math.round(lengthMs), asleep }, 'this process stood still');
		this.#peers.excuse(lengthMs);
		// What happened meanwhile was not observed.
		if (asleep || lengthMs > DEAD_AFTER_MS) this.#answersSinceMs = undefined;
		this.#nextBeatMs = Math.min(this.#nextBeatMs, this.#options.clock.nowMs());
	}

	#minds(rival: string | undefined): void {
		this.#rivalBeats = rival === undefined ? 0 : this.#rivalBeats + 1;
		if (this.#rivalBeats === RIVAL_BEATS) this.#log.error('another process runs under the name of this node; give each its own (ROSTRUM_NODE_ID)');
	}

	#seen(): { nodes: NodeReport[]; homes: Map<string, RoomHome> } {
		if (this.#view) return this.#view;
		const { living } = this.#peers;
		const homes = new Map<string, RoomHome>();
		for (const { nodeId, homes: claimed } of living) {
			for (const [roomId, { epoch }] of Object.entries(claimed)) {
				if (epoch > (homes.get(roomId)?.epoch ?? -1)) homes.set(roomId, { nodeId, epoch });
			}
		}
		return (this.#view = { nodes: [this.#own, ...living], homes });
	}
}
