import pino from 'pino';
import type { NodeReport } from '../../server/cluster/node-report.ts';
import type { PeerHandlers, PeerParams, PeerRequestName, PeerResult, Peers } from '../../server/cluster/peer-protocol.ts';
import { DomainError } from '../../server/errors.ts';
import type { Room } from '../../server/rooms/room.ts';
import { RoomSeats } from '../../server/programme/seats/room-seats.ts';
import { aRoom } from './rooms.ts';
import { VirtualClock } from './virtual-clock.ts';

export interface SeatsFleetOptions {
	nodes: number;
	seats: number;
	random: () => number;
	/** Part of the messages that are lost, doubled, or late by seconds. */
	faults: number;
}

const ROOM = 'hall';
const DEAD_AFTER_MS = 1_750;
const STEP_MS = 5;

interface FleetNode {
	readonly nodeId: string;
	incarnation: number;
	alive: boolean;
	seats: RoomSeats;
	listeners: number;
	joining: number;
	/** As it knows the room, and its home. */
	room: Room;
	home: { nodeId: string; epoch: number } | undefined;
	/** Others that it takes for alive, with the incarnation it knows. */
	readonly others: Map<string, string>;
}

/** The seats of one room on several nodes, on a network that does what networks do. Redis is what it comes to: one lease, heard of a little later. */
export class SeatsFleet {
	readonly clock = new VirtualClock();
	readonly nodes: FleetNode[];
	readonly #options: SeatsFleetOptions;
	/** Who has the lease for certain. */
	#lease: { index: number; epoch: number } | undefined;
	#epoch = 0;
	faults: number;
	messages = 0;
	/** Most that ever sat there at once. */
	most = 0;
	refused: unknown[] = [];

	constructor(options: SeatsFleetOptions) {
		this.#options = options;
		this.faults = options.faults;
		this.nodes = Array.from({ length: options.nodes }, (_, index) => this.#makeNode(index, aRoom({ id: ROOM, state: 'live', maxListeners: options.seats })));
		for (const node of this.nodes) {
			for (const other of this.nodes) {
				if (other !== node) {
					node.others.set(other.nodeId, incarnationOf(other));
				}
			}
		}
		this.moveHome(0, 0);
		const tick = () => {
			for (const node of this.nodes) {
				if (node.alive) {
					node.seats.tick();
				}
			}
			this.clock.schedule(tick, 1_000);
		};
		tick();
	}

	get seated(): number {
		return this.nodes.reduce((sum, { alive, listeners, joining }) => sum + (alive ? listeners + joining : 0), 0);
	}
	get homeIndex(): number {
		return this.#lease?.index ?? -1;
	}

	/** Somebody comes to that node. @returns whether they have a seat in the end */
	async join(index: number): Promise<boolean> {
		const node = this.nodes[index]!;
		const { incarnation } = node;
		const gone = () => !node.alive || node.incarnation !== incarnation;
		if (gone()) {
			return false;
		}
		try {
			const seat = await node.seats.take(node.room);
			seat.release();
		} catch (error) {
			this.refused.push(error);
			return false;
		}
		if (gone()) {
			return false;
		}
		node.joining++;
		this.#count();
		await this.#pause(20 + this.#options.random() * 200);
		if (gone()) {
			return false;
		}
		node.joining--;
		node.listeners++;
		return true;
	}

	leave(index: number): void {
		const node = this.nodes[index]!;
		node.listeners = Math.max(0, node.listeners - 1);
	}

	/** The lease goes over in one moment, or after a while in which nobody has it; each node hears of it when it hears. */
	moveHome(index: number, afterMs: number): void {
		const former = this.#lease;
		this.#lease = undefined;
		if (former && former.index !== index) {
			this.nodes[former.index]!.seats.homeLost(ROOM);
		}
		this.clock.schedule(() => {
			if (!this.nodes[index]?.alive || this.#lease) {
				return;
			}
			const epoch = ++this.#epoch;
			this.#lease = { index, epoch };
			for (const node of this.nodes) {
				this.clock.schedule(() => {
					if ((node.home?.epoch ?? 0) < epoch) {
						node.home = { nodeId: `n${index}`, epoch };
					}
				}, node === this.nodes[index] ? 0 : this.#options.random() * 500);
			}
		}, afterMs);
	}

	kill(index: number): void {
		const node = this.nodes[index]!;
		node.alive = false;
		node.listeners = 0;
		node.joining = 0;
		node.seats.close();
		const { incarnation } = node;
		if (this.#lease?.index === index) {
			this.#lease = undefined;
			this.clock.schedule(() => this.#lease ?? this.moveHome(this.nodes.findIndex(({ alive }) => alive), 0), 2_500);
		}
		for (const other of this.nodes) {
			this.clock.schedule(() => {
				if (node.incarnation === incarnation && other.alive && other.others.delete(node.nodeId)) {
					other.seats.nodeDown(node.nodeId);
				}
			}, DEAD_AFTER_MS + this.#options.random() * 300);
		}
	}

	/** With nothing of what it knew. */
	restart(index: number): void {
		const before = this.nodes[index]!;
		if (before.alive) {
			return;
		}
		before.incarnation++;
		before.alive = true;
		before.seats = this.#makeSeats(before);
		before.home = this.#lease && { nodeId: `n${this.#lease.index}`, epoch: this.#lease.epoch };
		before.others.clear();
		for (const other of this.nodes) {
			if (other !== before && other.alive) {
				before.others.set(other.nodeId, incarnationOf(other));
				const incarnation = incarnationOf(before);
				this.clock.schedule(() => {
					if (!other.alive || incarnationOf(before) !== incarnation) {
						return;
					}
					if (other.others.delete(before.nodeId)) {
						other.seats.nodeDown(before.nodeId);
					}
					other.others.set(before.nodeId, incarnation);
					other.seats.nodeUp(before.nodeId);
				}, this.#options.random() * 500);
			}
		}
	}

	/** Changed at the home; the others hear of it within half a second. */
	setLimit(maxListeners: number | undefined): void {
		const { version, maxListeners: _, ...room } = this.nodes[Math.max(0, this.homeIndex)]!.room;
		const changed: Room = { ...room, version: version + 1, ...(maxListeners === undefined ? {} : { maxListeners }) };
		for (const [index, node] of this.nodes.entries()) {
			this.clock.schedule(() => {
				if (node.room.version < changed.version) {
					node.room = changed;
					if (node.alive) {
						node.seats.roomChanged(changed);
					}
				}
			}, index === this.homeIndex ? 0 : this.#options.random() * 500);
		}
	}

	async run(durationMs: number, each?: () => void): Promise<void> {
		for (const endMs = this.clock.nowMs() + durationMs; this.clock.nowMs() < endMs; ) {
			each?.();
			this.clock.advance(STEP_MS);
			await new Promise(setImmediate);
		}
	}

	#count(): void {
		this.most = Math.max(this.most, this.seated);
	}

	#makeNode(index: number, room: Room): FleetNode {
		const node: FleetNode = {
			nodeId: `n${index}`, incarnation: 1, alive: true, seats: undefined as unknown as RoomSeats, listeners: 0, joining: 0, room, home: undefined, others: new Map(),
		};
		node.seats = this.#makeSeats(node);
		return node;
	}

	#makeSeats(node: FleetNode): RoomSeats {
		const incarnation = incarnationOf(node);
		const isCurrent = () => node.alive && incarnationOf(node) === incarnation;
		const report = (nodeId: string, of: string): NodeReport => ({
			nodeId, incarnation: of, beat: 1, startedAt: '', internalUrl: '', draining: false, shards: [], rooms: {}, homes: {}, moving: {}, redis: true,
		});
		return new RoomSeats({
			view: {
				nodeId: node.nodeId,
				nodes: () => [report(node.nodeId, incarnation), ...[...node.others].map(([nodeId, of]) => report(nodeId, of))],
				node: (nodeId) => (nodeId === node.nodeId ? report(nodeId, incarnation) : node.others.has(nodeId) ? report(nodeId, node.others.get(nodeId)!) : undefined),
			},
			homes: {
				epochOf: () => (isCurrent() && this.#lease && `n${this.#lease.index}` === node.nodeId ? this.#lease.epoch : undefined),
				ensure: async () => {
					if (!node.home) {
						throw new DomainError('home_unavailable', 'none yet');
					}
					return node.home;
				},
			},
			peers: this.#peers(node.nodeId, isCurrent),
			room: () => node.room,
			inUse: () => (isCurrent() ? node.listeners + node.joining : 0),
			clock: this.clock,
			log: pino({ level: 'silent' }),
		});
	}

	#peers(from: string, isCurrent: () => boolean): Peers {
		return {
			request: <N extends PeerRequestName>(nodeId: string, name: N, params: PeerParams<N>, { timeoutMs = 5_000 } = {}) => {
				const { promise, resolve, reject } = Promise.withResolvers<PeerResult<N>>();
				this.clock.schedule(() => reject(new DomainError('peer_unreachable', 'no answer')), timeoutMs);
				const deliver = () => {
					const target = this.nodes.find((node) => node.nodeId === nodeId);
					if (!target?.alive) {
						return;
					}
					this.messages++;
					// The table ties names to handlers; one type for all of them is not to be had.
					const handler = (target.seats.handlers as Partial<PeerHandlers>)[name] as unknown as (params: PeerParams<N>, from: string) => Promise<PeerResult<N>>;
					void handler(structuredClone(params), from).then(
						(result) => this.#travel(() => isCurrent() && resolve(result)),
						(error: unknown) => this.#travel(() => isCurrent() && reject(error)),
					);
				};
				if (isCurrent()) {
					this.#travel(deliver);
				}
				return promise;
			},
		};
	}

	#travel(arrive: () => void): void {
		const { random } = this.#options;
		const fault = random() < this.faults ? random() : undefined;
		if (fault !== undefined && fault < 0.4) {
			return; // Lost.
		}
		if (fault !== undefined && fault < 0.7) {
			this.clock.schedule(arrive, random() * 6_000); // Again, or late.
		}
		if (fault === undefined || fault < 0.55 || fault >= 0.7) {
			this.clock.schedule(arrive, 1 + random() * 40);
		}
	}

	#pause(durationMs: number): Promise<void> {
		return new Promise((resolve) => this.clock.schedule(resolve, durationMs));
	}
}

const incarnationOf = ({ nodeId, incarnation }: Pick<FleetNode, 'nodeId' | 'incarnation'>): string => `${nodeId}-start-${incarnation}`;
