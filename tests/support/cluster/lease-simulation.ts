import pino from 'pino';
import { HomeLeases } from '../../../server/cluster/lease/home-leases.ts';
import type { LeaseStore } from '../../../server/cluster/lease/lease-store.ts';
import type { PeerParams, PeerRequestName, PeerResult, Peers } from '../../../server/cluster/peer-protocol.ts';
import type { HeartbeatStore } from '../../../server/cluster/registry/heartbeat-store.ts';
import { NodeRegistry } from '../../../server/cluster/registry/node-registry.ts';
import { DomainError } from '../../../server/errors.ts';
import type { Clock } from '../../../server/events/clock.ts';
import { MemoryClusterStore } from './memory-cluster-store.ts';
import { anOwnReport } from './reports.ts';

const START_MS = Date.parse('2027-01-01T00:00:00Z');
const CONNECTION_TIMEOUT_MS = 1_000;
const WRITE_EVERY_MS = 70;
const silent = pino({ level: 'silent' });

/** Promise chains in the code under test are shorter than that. */
async function settle(): Promise<void> {
	for (let turn = 0; turn < 40; turn++) await Promise.resolve();
}

export interface AcceptedWrite {
	atMs: number;
	roomId: string;
	nodeId: string;
	incarnation: string;
	epoch: number;
}

export interface SimulationOptions {
	nodes: number;
	rooms: readonly string[];
	/** In [0, 1). */
	random: () => number;
	/** Of all messages: those that take 0.3 to 5 s instead of 0 to 20 ms. */
	slowShare?: number;
	/** Of all messages to Redis: those that arrive twice, the second time up to 5 s later. */
	doubledShare?: number;
	/** The same of writes to rooms. */
	doubledWriteShare?: number;
}

/** A cluster of registries and leases on one virtual clock, with everything between them made of messages that can be late, doubled or lost. */
export class LeaseSimulation {
	readonly options: SimulationOptions;
	readonly store: MemoryClusterStore;
	readonly nodes: SimulatedNode[] = [];
	readonly accepted: AcceptedWrite[] = [];
	readonly violations: string[] = [];
	/** Two homes that are both certain at one time are wrong too: so it is as long as Redis and the network are there. */
	onlyOneMayBeCertain = false;
	redisAway: 'refuses' | 'hangs' | undefined;
	nowMs = 0;
	readonly #timers: { atMs: number; callback: () => void }[] = [];

	constructor(options: SimulationOptions) {
		this.options = options;
		this.store = new MemoryClusterStore(() => this.storeNowMs);
		for (let index = 0; index < options.nodes; index++) this.nodes.push(new SimulatedNode(this, `n${index}`));
	}

	/** As the store tells it: whole milliseconds of the day. */
	get storeNowMs(): number {
		return START_MS + Math.floor(this.nowMs);
	}

	schedule(callback: () => void, delayMs: number): void {
		this.#timers.push({ atMs: this.nowMs + Math.max(0, delayMs), callback });
	}

	async run(durationMs: number): Promise<void> {
		const endMs = this.nowMs + durationMs;
		for (;;) {
			let first = -1;
			for (let index = 0; index < this.#timers.length; index++) {
				const { atMs } = this.#timers[index]!;
				if (atMs <= endMs && (first < 0 || atMs < this.#timers[first]!.atMs)) first = index;
			}
			if (first < 0) break;
			const [timer] = this.#timers.splice(first, 1);
			this.nowMs = timer!.atMs;
			timer!.callback();
			await settle();
		}
		this.nowMs = endMs;
	}

	/** Runs until it holds; returns how long that took, or undefined when it never does. */
	async until(holds: () => boolean, withinMs: number): Promise<number | undefined> {
		const startMs = this.nowMs;
		while (this.nowMs - startMs < withinMs) {
			if (holds()) return this.nowMs - startMs;
			await this.run(10);
		}
		return undefined;
	}

	get running(): SimulatedNode[] {
		return this.nodes.filter(({ state }) => state === 'running');
	}
	homesOf(roomId: string): SimulatedNode[] {
		return this.running.filter((node) => node.leases.epochOf(roomId) !== undefined);
	}
	/** One node is home of each room, and everybody knows which. */
	get agreed(): boolean {
		return this.options.rooms.every((roomId) => {
			const [home, ...others] = this.homesOf(roomId);
			return home !== undefined && others.length === 0 && this.running.every((node) => node.registry.homeOf(roomId)?.nodeId === home.nodeId);
		});
	}

	delayMs(): number {
		const { random, slowShare = 0 } = this.options;
		return random() < slowShare ? 300 + random() * 4_700 : random() * 20;
	}

	/** A room's home writes; Redis looks at the epoch. */
	write(node: SimulatedNode, roomId: string, epoch: number): void {
		const { nodeId, incarnation } = node;
		if (this.onlyOneMayBeCertain && this.homesOf(roomId).length > 1) {
			this.violations.push(`${this.nowMs}: ${this.homesOf(roomId).map((home) => home.nodeId).join(' and ')} are both certain to be home of ${roomId}`);
		}
		const arrive = (): void => {
			if (this.redisAway || node.cutOffFromRedis || !this.store.admits(nodeId, roomId, epoch)) return;
			const earlier = this.accepted.filter((write) => write.roomId === roomId);
			const sameEpoch = earlier.find((write) => write.epoch === epoch);
			if (sameEpoch && (sameEpoch.nodeId !== nodeId || sameEpoch.incarnation !== incarnation)) {
				this.violations.push(`${this.nowMs}: ${nodeId} and ${sameEpoch.nodeId} both wrote to ${roomId} in epoch ${epoch}`);
			}
			const last = earlier.at(-1);
			if (last && last.epoch > epoch) this.violations.push(`${this.nowMs}: ${nodeId} wrote to ${roomId} in epoch ${epoch} after ${last.nodeId} in ${last.epoch}`);
			if (last?.epoch === epoch) last.atMs = this.nowMs;
			else this.accepted.push({ atMs: this.nowMs, roomId, nodeId, incarnation, epoch });
		};
		this.schedule(arrive, this.delayMs());
		if (this.options.random() < (this.options.doubledWriteShare ?? 0)) this.schedule(arrive, this.options.random() * 5_000);
	}

	/** One command to Redis and its answer. */
	async command<T>(node: SimulatedNode, work: () => Promise<T>): Promise<T> {
		const { promise, resolve, reject } = Promise.withResolvers<T>();
		const away = (): boolean => this.redisAway !== undefined || node.cutOffFromRedis;
		const fail = (): void => reject(new DomainError('store_unavailable', 'Redis is away.'));
		const execute = (): void => {
			if (away()) {
				// It may be carried out after all when Redis wakes up again.
				if (this.redisAway === 'hangs' && this.options.random() < 0.5) this.schedule(() => (away() ? undefined : void work()), 500 + this.options.random() * 3_000);
				if (this.redisAway === 'refuses') this.schedule(() => node.enter(fail), 5);
				return;
			}
			work().then(
				(result) => this.schedule(() => node.enter(() => resolve(result)), this.delayMs()),
				reject,
			);
		};
		node.clock.schedule(fail, CONNECTION_TIMEOUT_MS);
		this.schedule(execute, this.delayMs());
		if (this.options.random() < (this.options.doubledShare ?? 0)) this.schedule(() => (away() ? undefined : void work()), this.options.random() * 5_000);
		return promise;
	}

	/** One request from node to node. */
	async request<N extends PeerRequestName>(from: SimulatedNode, toId: string, name: N, params: PeerParams<N>, timeoutMs: number): Promise<PeerResult<N>> {
		const { promise, resolve, reject } = Promise.withResolvers<PeerResult<N>>();
		const fail = (): void => reject(new DomainError('peer_unreachable', 'It does not answer.'));
		const to = this.nodes.find(({ nodeId }) => nodeId === toId);
		from.clock.schedule(fail, timeoutMs);
		const reach = (): void => {
			if (!to || from.isolated || to.isolated) return;
			if (to.state === 'dead') {
				this.schedule(() => from.enter(fail), 2);
				return;
			}
			to.enter(() => {
				to.answer(name, params, from.nodeId).then(
					(result) => this.schedule(() => (from.isolated || to.isolated ? undefined : from.enter(() => resolve(result as PeerResult<N>))), this.delayMs()),
					(error: unknown) => this.schedule(() => from.enter(() => reject(error)), this.delayMs()),
				);
			});
		};
		this.schedule(reach, this.delayMs());
		return promise;
	}
}

/** One node: a process that can be stopped, go on, die and be started again, with a clock of its own. */
export class SimulatedNode {
	readonly nodeId: string;
	readonly clock: Clock;
	readonly log: string[] = [];
	state: 'running' | 'paused' | 'dead' = 'dead';
	cutOffFromRedis = false;
	/** From all other nodes. */
	isolated = false;
	draining = false;
	/** What was added to the time of day. */
	wallOffsetMs = 0;
	incarnation = '';
	registry!: NodeRegistry;
	leases!: HomeLeases;
	readonly #simulation: LeaseSimulation;
	readonly #skewMs: number;
	#runs = 0;
	#waiting: (() => void)[] = [];

	constructor(simulation: LeaseSimulation, nodeId: string) {
		this.#simulation = simulation;
		this.nodeId = nodeId;
		this.#skewMs = simulation.options.random() * 1e6;
		this.clock = {
			nowMs: () => simulation.nowMs + this.#skewMs,
			schedule: (callback, delayMs) => {
				let due = true;
				const run = this.#runs;
				simulation.schedule(() => this.#enter(run, () => (due ? callback() : undefined)), delayMs);
				return () => void (due = false);
			},
		};
	}

	start(): void {
		if (this.state !== 'dead') return;
		this.state = 'running';
		this.incarnation = `${this.nodeId}-run-${++this.#runs}`;
		const { nodeId, incarnation, clock } = this;
		const startedAt = new Date(this.#simulation.storeNowMs).toISOString();
		const simulation = this.#simulation;
		const { store } = simulation;
		const send = <T>(work: () => Promise<T>): Promise<T> => simulation.command(this, work);
		const heartbeats: HeartbeatStore = {
			beat: (report) => {
				const sent = structuredClone(report);
				return send(() => store.beat(sent));
			},
			leave: (...args) => send(() => store.leave(...args)),
		};
		const leases: LeaseStore = {
			ttlMs: store.ttlMs,
			claim: (...args) => send(() => store.claim(...args)),
			renew: (...args) => send(() => store.renew(...args)),
			release: (...args) => send(() => store.release(...args)),
		};
		const peers: Peers = { request: (to, name, params, options) => simulation.request(this, to, name, structuredClone(params), options?.timeoutMs ?? 1_000) };
		this.registry = NodeRegistry.create({
			nodeId,
			incarnation,
			report: () => anOwnReport(nodeId, { startedAt, homes: this.#homes(), draining: this.draining }),
			store: heartbeats,
			peers,
			clock,
			wallMs: () => START_MS + simulation.nowMs + this.wallOffsetMs,
			log: silent,
		});
		this.leases = HomeLeases.create({
			registry: this.registry,
			store: leases,
			peers,
			clock,
			rooms: () => simulation.options.rooms,
			needsHome: () => true,
			behind: () => undefined,
			log: silent,
		});
		this.leases.on('gained', (roomId, _, takenOver) => this.#note(`gained ${roomId}${takenOver ? ' of another' : ''}`));
		this.leases.on('lost', (roomId, _, reason) => this.#note(`lost ${roomId}: ${reason}`));
		this.registry.on('redis', (redis) => this.#note(`redis ${redis}`));
		this.registry.on('nodeUp', (report) => this.#note(`up ${report.nodeId}`));
		this.registry.on('nodeDown', (down, reason) => this.#note(`down ${down}: ${reason}`));
		void this.registry.start();
		this.#write();
	}

	pause(): void {
		if (this.state === 'running') this.state = 'paused';
	}

	/** What waited is done now, in any order. */
	resume(): void {
		if (this.state !== 'paused') return;
		this.state = 'running';
		const waiting = this.#waiting;
		this.#waiting = [];
		const shuffled = waiting.map((work) => ({ work, place: this.#simulation.options.random() })).toSorted((a, b) => a.place - b.place);
		for (const { work } of shuffled) this.#simulation.schedule(work, 0);
	}

	die(): void {
		this.state = 'dead';
		this.#waiting = [];
	}

	/** Leaves politely, as on SIGTERM. */
	async close(): Promise<void> {
		await this.leases.close();
		await this.registry.close();
		this.die();
	}

	/** Something happens in this process: now, or when it goes on. */
	enter(work: () => void): void {
		this.#enter(this.#runs, work);
	}

	async answer(name: PeerRequestName, params: unknown, from: string): Promise<unknown> {
		if (name === 'ping') return { nodeId: this.nodeId, incarnation: this.incarnation, homes: this.leases.epochs };
		if (name === 'heartbeat') return this.registry.onPeerHeartbeat((params as PeerParams<'heartbeat'>).report, from);
		if (name === 'takeHome') return { epoch: await this.leases.takeHome((params as PeerParams<'takeHome'>).roomId, from) };
		throw new DomainError('not_found', 'no such request');
	}

	#enter(run: number, work: () => void): void {
		if (this.state === 'dead' || run !== this.#runs) return;
		if (this.state === 'paused') this.#waiting.push(() => this.#enter(run, work));
		else work();
	}

	#note(event: string): void {
		this.log.push(`${Math.round(this.#simulation.nowMs)} ${event}`);
	}

	#homes(): Record<string, { epoch: number; roomVersion: number; stageVersion: number }> {
		const epochs = Object.entries(this.leases?.epochs ?? {});
		return Object.fromEntries(epochs.map(([roomId, epoch]) => [roomId, { epoch, roomVersion: 1, stageVersion: 0 }]));
	}

	#write(): void {
		this.clock.schedule(() => this.#write(), WRITE_EVERY_MS);
		for (const roomId of this.#simulation.options.rooms) {
			const epoch = this.leases.epochOf(roomId);
			if (epoch !== undefined) this.#simulation.write(this, roomId, epoch);
		}
	}
}
