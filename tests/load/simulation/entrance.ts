import { parseSessionId } from '../../../sfu/contract/session-id.ts';
import { DomainError } from '../../../server/errors.ts';
import { NODE_MS, type SimulatedNode } from './simulated-node.ts';
import type { VirtualTime } from './virtual-time.ts';

/** A request to listen, as it stands at a node's door. */
export interface ListenRequest {
	readonly listener: number;
	/** Tells it from the listener's earlier requests. */
	readonly attempt: number;
	/** From the page to a node and back. */
	readonly rttMs: number;
	/** When the listener first asked, as the place that a refusal gave it says; in ms of the day. */
	readonly firstArrivalMs: number | undefined;
}

/** The pages, as far as the servers have to do with them. */
export interface Pages {
	/** Whether the page still waits for the answer to this request. */
	isOpen(request: ListenRequest): boolean;
	/** 307: the page turns to that node, with a ticket of the other. */
	sentOn(request: ListenRequest, to: number, by: number): void;
	/** 201. */
	answered(request: ListenRequest, node: SimulatedNode, shard: number): void;
	refused(request: ListenRequest, problem: DomainError): void;
}

export interface EntranceOptions {
	time: VirtualTime;
	/** As they are now: a node that was started again is another object. */
	nodes: readonly SimulatedNode[];
	pages: Pages;
}

const ONE_WAY_WITHIN_MS = 1;
/** A host that is gone refuses nobody: the node that passes a request on waits for a connection so long. */
const CONNECT_PEER_MS = 1_000;
const NOWHERE = -1;

/** A request's way through the nodes, as in server/http/routes/listen.ts: refused by its head, seated, sent on with a 307, or forwarded. */
export class Entrance {
	readonly #options: EntranceOptions;
	readonly #time: VirtualTime;
	/** Of those whose joins may be waiting: tells the server that the page has gone. */
	readonly #gone = new Map<number, () => void>();
	#handedOn = 0;

	constructor(options: EntranceOptions) {
		this.#options = options;
		this.#time = options.time;
	}

	/** Listeners who were sent to another node, since the last look. */
	takeHandedOn(): number {
		const count = this.#handedOn;
		this.#handedOn = 0;
		return count;
	}

	/** A request arrives at a node. @param sentBy index of the node whose ticket it has, or -1 */
	reach(request: ListenRequest, to: number, sentBy: number): void {
		const node = this.#options.nodes[to];
		// A host that is gone says nothing.
		if (node?.alive) {
			node.main.add(NODE_MS.refuse, () => this.#open(request, node, sentBy));
		}
	}

	/** The page has gone, and its connection with it. */
	leave(listener: number): void {
		this.#gone.get(listener)?.();
		this.#gone.delete(listener);
	}

	#open(request: ListenRequest, node: SimulatedNode, sentBy: number): void {
		const { pages } = this.#options;
		if (!pages.isOpen(request)) {
			// The page has given this request up, and its connection is closed.
			return;
		}
		const reason = node.foresee(request.firstArrivalMs);
		if (sentBy !== NOWHERE) {
			if (reason !== undefined) {
				this.#refuse(request, node.refuse(reason, request.firstArrivalMs));
				return;
			}
			this.#seat(request, node, `node-${sentBy}`, (answer) => answer());
			return;
		}
		const seat = node.decide();
		if (seat === 'here' && reason !== undefined) {
			this.#refuse(request, node.refuse(reason, request.firstArrivalMs));
			return;
		}
		if (seat === 'here') {
			this.#seat(request, node, undefined, (answer) => answer());
			return;
		}
		this.#handedOn++;
		const to = Number(seat.nodeId.slice('node-'.length));
		if (seat.publicUrl !== undefined) {
			node.main.add(NODE_MS.handOn - NODE_MS.refuse, () => {
				if (pages.isOpen(request)) {
					pages.sentOn(request, to, node.index);
				}
			});
			return;
		}
		node.main.add(NODE_MS.forward / 2, () => this.#forward(request, node, to));
	}

	#forward(request: ListenRequest, node: SimulatedNode, to: number): void {
		const other = this.#options.nodes[to]!;
		if (!other.alive) {
			this.#after(CONNECT_PEER_MS, () => {
				if (node.alive) {
					node.handOff.refused(other.nodeId);
					this.#seat(request, node, undefined, (answer) => answer());
				}
			});
			return;
		}
		this.#after(ONE_WAY_WITHIN_MS, () =>
			other.main.add(NODE_MS.refuse, () =>
				this.#seat(request, other, node.nodeId, (answer, error) => {
					if (error?.status === 503) {
						node.handOff.refused(other.nodeId);
					}
					this.#after(ONE_WAY_WITHIN_MS, () => node.main.add(NODE_MS.forward / 2, answer));
				}),
			),
		);
	}

	/** @param back takes the answer to where the client's connection ends */
	#seat(request: ListenRequest, node: SimulatedNode, from: string | undefined, back: (answer: () => void, error?: DomainError) => void): void {
		if (!node.alive) {
			return;
		}
		const { listener, firstArrivalMs, rttMs } = request;
		const onGone = (gone: () => void): void => void this.#gone.set(listener, gone);
		node.listen(from, { firstArrivalMs, onGone }).then(
			({ sessionId }) => {
				const shard = parseSessionId(sessionId)?.shardIndex ?? NOWHERE;
				node.main.add(NODE_MS.join - NODE_MS.refuse, () => back(() => this.#after(rttMs / 2, () => this.#answer(request, node, shard))));
			},
			(error: unknown) => {
				const problem = error instanceof DomainError ? error : new DomainError('internal_error', String(error));
				if (node.alive) {
					back(() => this.#refuse(request, problem), problem);
				}
			},
		);
	}

	#answer(request: ListenRequest, node: SimulatedNode, shard: number): void {
		this.#gone.delete(request.listener);
		this.#options.pages.answered(request, node, shard);
	}

	#refuse(request: ListenRequest, problem: DomainError): void {
		const { pages } = this.#options;
		this.#after(request.rttMs / 2, () => {
			if (pages.isOpen(request)) {
				this.#gone.delete(request.listener);
				pages.refused(request, problem);
			}
		});
	}

	#after(delayMs: number, then: () => void): void {
		this.#time.at(this.#time.nowMs() + delayMs, then);
	}
}
