import type { Logger } from 'pino';
import type { ClusterView } from '../../cluster/cluster-view.ts';
import type { Homes } from '../../cluster/homes.ts';
import type { Peers } from '../../cluster/peer-protocol.ts';
import { DomainError } from '../../errors.ts';
import type { Clock } from '../../events/clock.ts';
import type { Room } from '../../rooms/room.ts';
import { SeatBook } from './seat-book.ts';

export interface SeatBooksOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'node'>;
	homes: Pick<Homes, 'epochOf'>;
	peers: Pick<Peers, 'request'>;
	/** As this node knows it. */
	room: (roomId: string) => Pick<Room, 'maxListeners' | 'version'> | undefined;
	/** A new word of this node's own: what it holds of a room. @param giveBack after it has given back what nobody has taken */
	own: (roomId: string, giveBack: boolean) => { incarnation: string; seq: number; holds: number };
	clock: Clock;
	log: Logger;
}

/** A home waits for so long for nodes that have not said yet what they hold. */
const COMPLETE_MS = 1_000;
const HELD_TIMEOUT_MS = 500;
const HELD_RETRY_MS = 200;
/** Between two rounds in which unused seats are called back. */
const CALL_BACK_EVERY_MS = 500;

/** The home's part of `RoomSeats`: a book for each room that lives here, filled by what nodes say. */
export class SeatBooks {
	readonly #options: SeatBooksOptions;
	readonly #log: Logger;
	readonly #books = new Map<string, SeatBook>();
	readonly #completing = new Map<SeatBook, Promise<void>>();
	readonly #callingBack = new Map<SeatBook, Promise<void>>();
	readonly #calledBackMs = new WeakMap<SeatBook, number>();

	constructor(options: SeatBooksOptions) {
		this.#options = options;
		this.#log = options.log;
	}

	/** The book of a room that lives here, begun if need be. */
	bookOf(roomId: string): SeatBook | undefined {
		const { homes, view } = this.#options;
		const epoch = homes.epochOf(roomId);
		if (epoch === undefined) {
			this.#books.delete(roomId);
			return undefined;
		}
		let book = this.#books.get(roomId);
		if (book?.epoch !== epoch) {
			book = new SeatBook(roomId, epoch, view.nodes().flatMap(({ nodeId }) => (nodeId === view.nodeId ? [] : [nodeId])));
			this.#books.set(roomId, book);
			this.tellHere(book);
		}
		return book;
	}

	/** @param giveBack what nobody has taken here */
	tellHere(book: SeatBook, giveBack = false): void {
		const { incarnation, seq, holds } = this.#options.own(book.roomId, giveBack);
		book.heard(this.#options.view.nodeId, incarnation, seq, holds);
	}

	close(roomId: string): void {
		this.#books.delete(roomId);
	}

	closeAll(): void {
		this.#books.clear();
	}

	nodeUp(nodeId: string): void {
		for (const book of this.#books.values()) {
			book.nodeUp(nodeId);
		}
	}

	nodeDown(nodeId: string): void {
		for (const book of this.#books.values()) {
			book.nodeDown(nodeId);
		}
	}

	/** Answers a node that needs seats: with how many it holds then. */
	async grant(book: SeatBook, nodeId: string, incarnation: string, seq: number, { waiting, extra }: { waiting: number; extra: number }): Promise<number> {
		const { roomId, epoch } = book;
		const held = book.holds(nodeId);
		const done = book.asks(nodeId);
		/** While it was waited, the book may have been closed, or the node may have asked anew. */
		const grant = (needs: { waiting: number; extra: number }): number => {
			if (this.#books.get(roomId) !== book || this.#options.homes.epochOf(roomId) !== epoch || !book.isComplete || !book.isLatest(nodeId, incarnation, seq)) {
				throw notHome();
			}
			return book.grant(nodeId, { ...needs, seats: this.seatsOf(roomId) });
		};
		try {
			if (!book.isComplete) {
				await Promise.race([this.#complete(book), this.#pause(COMPLETE_MS)]);
			}
			const granted = grant({ waiting, extra });
			const missing = waiting - (granted - held);
			if (missing <= 0) {
				return granted;
			}
			await this.callBack(book, nodeId);
			return grant({ waiting: missing, extra: 0 });
		} finally {
			done();
		}
	}

	/** Asks every node of which it is not known what it holds, until all have said it or are gone. Never rejects. */
	#complete(book: SeatBook): Promise<void> {
		let work = this.#completing.get(book);
		if (!work) {
			work = this.#hearAll(book).finally(() => this.#completing.delete(book));
			this.#completing.set(book, work);
		}
		return work;
	}

	async #hearAll(book: SeatBook): Promise<void> {
		while (this.#books.get(book.roomId) === book && !book.isComplete) {
			const heard = await Promise.all(
				book.unknown.map(async (nodeId) => {
					if (!this.#options.view.node(nodeId)) {
						book.nodeDown(nodeId);
						return true;
					}
					return this.#hear(book, nodeId, false);
				}),
			);
			if (heard.includes(false)) {
				await this.#pause(HELD_RETRY_MS);
			}
		}
	}

	/** Asks those who have seats left for them. One round at a time, and not often: a full room is asked for all the time. Never rejects. */
	callBack(book: SeatBook, forNodeId: string): Promise<void> {
		const running = this.#callingBack.get(book);
		if (running) {
			return running;
		}
		const nowMs = this.#options.clock.nowMs();
		if (nowMs - (this.#calledBackMs.get(book) ?? Number.NEGATIVE_INFINITY) < CALL_BACK_EVERY_MS) {
			return Promise.resolve();
		}
		this.#calledBackMs.set(book, nowMs);
		const { view } = this.#options;
		const work = Promise.all(
			book.others(forNodeId).map(async (nodeId) => {
				if (nodeId === view.nodeId) {
					this.tellHere(book, true);
					return true;
				}
				// Where listeners sit on all of them there is nothing to be had.
				return (view.node(nodeId)?.rooms[book.roomId] ?? 0) >= book.holds(nodeId) || this.#hear(book, nodeId, true);
			}),
		)
			.then(() => undefined)
			.finally(() => this.#callingBack.delete(book));
		this.#callingBack.set(book, work);
		return work;
	}

	/** What a node holds, by its own word. @returns whether it answered */
	async #hear(book: SeatBook, nodeId: string, giveBack: boolean): Promise<boolean> {
		const { peers, view, room } = this.#options;
		const { roomId, epoch } = book;
		try {
			const roomVersion = room(roomId)?.version ?? 0;
			const { incarnation, seq, holds } = await peers.request(nodeId, 'heldSeats', { roomId, epoch, roomVersion, giveBack, over: this.isOver(book) }, { timeoutMs: HELD_TIMEOUT_MS });
			if (view.node(nodeId)?.incarnation !== incarnation) {
				return false; // It was restarted, which has not been heard of yet.
			}
			book.answered(nodeId, incarnation, seq, holds);
			return true;
		} catch (error) {
			this.#log.debug({ err: error, room: roomId, peer: nodeId }, 'a node did not say which seats it holds');
			return false;
		}
	}

	/** Of a room that has a limit no more, as many as anybody wants. */
	seatsOf(roomId: string): number {
		return this.#options.room(roomId)?.maxListeners ?? Number.MAX_SAFE_INTEGER;
	}

	/** Nodes hold more than there are: the limit was lowered. */
	isOver({ roomId, granted }: SeatBook): boolean {
		return granted > this.seatsOf(roomId);
	}

	#pause(durationMs: number): Promise<void> {
		return new Promise((resolve) => this.#options.clock.schedule(resolve, durationMs));
	}
}

export const notHome = () => new DomainError('not_home', 'This room does not live on this node (any more).', { retryAfterSeconds: 1 });
