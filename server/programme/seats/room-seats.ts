import type { Logger } from 'pino';
import type { ClusterView } from '../../cluster/cluster-view.ts';
import type { Homes } from '../../cluster/homes.ts';
import type { PeerHandlers, Peers } from '../../cluster/peer-protocol.ts';
import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import type { Room } from '../../rooms/room.ts';
import { FREE_SEAT, type Seat, SeatBlock } from './seat-block.ts';
import { notHome, SeatBooks } from './seat-books.ts';
import { type InUse, roomFull, type Seating } from './seating.ts';

export interface RoomSeatsOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node'>;
	homes: Pick<Homes, 'epochOf' | 'ensure'>;
	peers: Pick<Peers, 'request'>;
	/** As this node knows it. */
	room: (roomId: string) => Pick<Room, 'maxListeners' | 'version'> | undefined;
	inUse: InUse;
	clock: Clock;
	log: Logger;
}

/** A join waits for a seat for so long. */
const WAIT_MS = 3_000;
/** Less than a join waits, so that one answer that is lost is not the end. */
const ASK_TIMEOUT_MS = 1_300;
/** Nobody is asked again so soon after the room was found full, or after something failed. */
const FULL_MS = 1_000;
const RETRY_MS = 100;
const FORGET_SECONDS = 60;
/** No number of seats: the home may have another one in its book than this node has told it. */
const UNSURE = -1;

/**
 * Keeps rooms within `maxListeners`, whatever nodes listeners come to. The room's home writes down which node may fill
 * how many seats; nodes ask it for blocks of them, ahead where many come, and give back what they do not need. So a
 * listener costs no message, and the limit holds while homes move, nodes die and messages are lost: then some seats may be
 * nobody's for a moment, but none is anybody's twice. Where the room lives, nothing waits while there are seats left.
 */
export class RoomSeats implements Seating {
	readonly #options: RoomSeatsOptions;
	readonly #log: Logger;
	readonly #blocks = new Map<string, SeatBlock>();
	/** Of rooms that live here. */
	readonly #books: SeatBooks;
	/** Of this node's words to homes, over all rooms. */
	#seq = 0;

	constructor(options: RoomSeatsOptions) {
		this.#options = options;
		this.#log = options.log;
		this.#books = new SeatBooks({
			...options,
			own: (roomId, giveBack) => {
				const block = this.#block(roomId);
				block.epoch = Math.max(block.epoch, options.homes.epochOf(roomId) ?? 0);
				if (giveBack) {
					block.shrink();
				}
				return this.#say(block);
			},
		});
	}

	/** What other nodes ask of this one. */
	readonly handlers: Pick<PeerHandlers, 'seats' | 'heldSeats'> = {
		seats: async ({ roomId, epoch, incarnation, seq, holds, waiting, extra }, from) => {
			if (this.#options.room(roomId)?.maxListeners === undefined && this.#options.homes.epochOf(roomId) === epoch) {
				return { granted: holds + waiting, over: false }; // The limit is gone, which has not been heard of there yet.
			}
			const book = this.#books.bookOf(roomId);
			if (book?.epoch !== epoch || this.#options.view.node(from)?.incarnation !== incarnation || !book.heard(from, incarnation, seq, holds)) {
				throw notHome();
			}
			const granted = waiting + extra === 0 ? holds : await this.#books.grant(book, from, incarnation, seq, { waiting, extra });
			return { granted, over: this.#books.isOver(book) };
		},
		heldSeats: async ({ roomId, epoch, roomVersion, giveBack, over }) => {
			const block = this.#block(roomId);
			if (epoch < block.epoch) {
				throw notHome();
			}
			block.epoch = epoch;
			block.limitedSince = Math.max(block.limitedSince, roomVersion);
			block.idleSeconds = 0;
			block.over ||= over;
			if (giveBack) {
				block.shrink();
			}
			// What a home has granted and is still on its way here counts no more: this word is newer.
			const answer = this.#say(block);
			block.told = UNSURE; // Should the answer be lost, it is said again.
			return answer;
		},
	};

	take(room: Room): Seat | Promise<Seat> {
		const known = this.#blocks.get(room.id);
		if (room.maxListeners === undefined && !(known && known.limitedSince > room.version)) {
			return FREE_SEAT;
		}
		const block = known ?? this.#block(room.id);
		this.#noteLimit(block, room.maxListeners);
		if (block.over) {
			block.shrink();
		}
		if (block.free <= 0 && !block.asking) {
			this.#askHere(block);
		}
		if (block.free <= 0) {
			return this.#wait(block);
		}
		const seat = block.seat();
		if (block.free < block.wanted / 4 && !block.asking && this.#options.clock.nowMs() >= block.fullUntilMs && this.#books.bookOf(room.id) === undefined) {
			void this.#ask(block); // Before anybody has to wait for it.
		}
		return seat;
	}

	tick(): void {
		for (const block of this.#blocks.values()) {
			if (block.asking) {
				continue;
			}
			block.tick();
			if (block.over) {
				block.shrink();
			}
			if (block.holds !== block.told) {
				void this.#ask(block);
			} else if (block.holds === 0 && block.waiting === 0 && block.idleSeconds > FORGET_SECONDS) {
				this.#blocks.delete(block.roomId);
			}
		}
	}

	/** Its limit may be another one. */
	roomChanged({ id, state, maxListeners, version }: Pick<Room, 'id' | 'state' | 'maxListeners' | 'version'>): void {
		const block = this.#blocks.get(id);
		if (state === 'ended' || (maxListeners === undefined && version >= (block?.limitedSince ?? 0))) {
			this.#blocks.delete(id);
			this.#books.close(id);
		} else if (block) {
			this.#noteLimit(block, maxListeners);
		}
	}

	/** The room lives elsewhere from now on. */
	homeLost(roomId: string): void {
		this.#books.close(roomId);
	}

	nodeUp(nodeId: string): void {
		this.#books.nodeUp(nodeId);
	}

	nodeDown(nodeId: string): void {
		this.#books.nodeDown(nodeId);
	}

	close(): void {
		this.#blocks.clear();
		this.#books.closeAll();
	}

	get #nodeId(): string {
		return this.#options.view.nodeId;
	}

	#block(roomId: string): SeatBlock {
		let block = this.#blocks.get(roomId);
		if (!block) {
			block = new SeatBlock(roomId, this.#options.inUse);
			// Who listens already need not ask.
			block.settle();
			this.#blocks.set(roomId, block);
		}
		return block;
	}

	#noteLimit(block: SeatBlock, limit: number | undefined): void {
		if (limit === undefined || limit === block.limit) {
			return;
		}
		const lowered = block.limit !== undefined && limit < block.limit;
		block.limit = limit;
		block.fullUntilMs = Number.NEGATIVE_INFINITY;
		if (!lowered) {
			return;
		}
		// What nobody sits on may be too much now: the home gives out again what is left.
		block.over = true;
		block.shrink();
		const book = this.#books.bookOf(block.roomId);
		if (book) {
			this.#askHere(block);
			void this.#books.callBack(book, this.#nodeId);
		} else if (!block.asking) {
			void this.#ask(block);
		}
	}

	/** A new word to whoever is the home: what this node holds. */
	#say(block: SeatBlock): { incarnation: string; seq: number; holds: number } {
		block.seq = ++this.#seq;
		block.told = block.settle();
		return { incarnation: this.#options.view.node(this.#nodeId)?.incarnation ?? '', seq: block.seq, holds: block.told };
	}

	/** Where this node is the home and knows all: without waiting for anything, and no more than is needed now. */
	#askHere(block: SeatBlock): void {
		const book = this.#books.bookOf(block.roomId);
		if (book?.isComplete) {
			this.#books.tellHere(book);
			block.holds = book.grant(this.#nodeId, { waiting: Math.max(0, 1 - block.free), extra: 0, seats: this.#books.seatsOf(block.roomId) });
			block.told = block.holds;
			block.over = this.#books.isOver(book);
		}
	}

	async #wait(block: SeatBlock): Promise<Seat> {
		const { clock } = this.#options;
		const giveUpMs = clock.nowMs() + WAIT_MS;
		block.waiting++;
		try {
			for (;;) {
				if (this.#blocks.get(block.roomId) !== block) {
					return FREE_SEAT; // The limit is gone, or the room is: then the join fails by itself.
				}
				if (block.free > 0) {
					return block.seat();
				}
				const nowMs = clock.nowMs();
				if (nowMs < block.fullUntilMs) {
					throw roomFull();
				}
				if (nowMs >= giveUpMs) {
					throw new DomainError('no_capacity', 'Whether this room has a free seat cannot be told right now; try again in a moment.', {
						retryAfterSeconds: 1, extra: { reason: 'seats_unknown' },
					});
				}
				// One for all who wait.
				await (block.asking ?? this.#ask(block));
			}
		} finally {
			block.waiting--;
		}
	}

	/** Tells the home what this node holds, and asks for what it needs. Never rejects; single-flight for each room. */
	#ask(block: SeatBlock): Promise<void> {
		return (block.asking = this.#askHome(block)
			.catch((error: unknown) => {
				block.told = UNSURE;
				this.#log.debug({ err: error, room: block.roomId }, 'the home of a room could not be asked for seats');
				return this.#pause(RETRY_MS);
			})
			.finally(() => (block.asking = undefined)));
	}

	async #askHome(block: SeatBlock): Promise<void> {
		const { homes, peers, clock } = this.#options;
		const { roomId } = block;
		const home = await homes.ensure(roomId);
		const needs = { waiting: Math.max(0, block.waiting - Math.max(0, block.free)), extra: block.waiting > 0 || block.free < block.wanted ? block.wanted : 0 };
		const { incarnation, seq, holds: held } = this.#say(block);
		let granted: number;
		let over: boolean;
		if (home.nodeId === this.#nodeId) {
			const book = this.#books.bookOf(roomId);
			if (!book?.heard(this.#nodeId, incarnation, seq, held)) {
				throw notHome();
			}
			block.epoch = book.epoch;
			granted = await this.#books.grant(book, this.#nodeId, incarnation, seq, { ...needs, extra: 0 });
			over = this.#books.isOver(book);
		} else {
			({ granted, over } = await peers.request(home.nodeId, 'seats', { roomId, epoch: home.epoch, incarnation, seq, holds: held, ...needs }, { timeoutMs: ASK_TIMEOUT_MS }));
		}
		if (block.epoch > home.epoch) {
			throw notHome(); // Granted by a home that was one no more.
		}
		if (block.seq !== seq) {
			return; // This node has said something else meanwhile: what was granted went back with that.
		}
		block.epoch = home.epoch;
		block.holds = Math.max(granted, held);
		block.told = granted;
		block.over = over;
		if (needs.waiting > 0 && granted - held < needs.waiting) {
			block.fullUntilMs = clock.nowMs() + FULL_MS;
		}
	}

	#pause(durationMs: number): Promise<void> {
		return new Promise((resolve) => this.#options.clock.schedule(resolve, durationMs));
	}
}
