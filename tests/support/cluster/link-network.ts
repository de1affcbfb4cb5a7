import { DomainError } from '../../../server/errors.ts';
import type { PeerHandlers, PeerParams, PeerRequestName, PeerResult, Peers } from '../../../server/cluster/peer-protocol.ts';

/** What becomes of a message between nodes. `lost` never arrives, `unanswered` arrives and its answer does not, `doubled` arrives again after a while. */
export interface Passage {
	afterMs: number;
	outcome: 'arrives' | 'lost' | 'unanswered' | 'doubled';
}

const TIMEOUT_MS = 1_000;

/** Nodes in one process that ask each other as they do over HTTP: messages take their time, get lost, come twice, and meet cut cables. */
export class LinkNetwork {
	/** Requests by name, as they were sent. */
	readonly sent = new Map<PeerRequestName, number>();
	readonly #nodes = new Map<string, Partial<PeerHandlers>>();
	readonly #cuts = new Set<string>();
	readonly #passage: (name: PeerRequestName) => Passage;

	constructor(passage: (name: PeerRequestName) => Passage) {
		this.#passage = passage;
	}

	attach(nodeId: string, handlers: Partial<PeerHandlers>): void {
		this.#nodes.set(nodeId, handlers);
	}
	/** Its process is gone, and its host refuses connections. */
	detach(nodeId: string): void {
		this.#nodes.delete(nodeId);
	}
	/** Nothing passes between the two, in either direction. */
	cut(a: string, b: string): void {
		this.#cuts.add(cable(a, b));
	}
	heal(): void {
		this.#cuts.clear();
	}
	isCut(a: string, b: string): boolean {
		return a !== b && this.#cuts.has(cable(a, b));
	}
	count(...names: PeerRequestName[]): number {
		return names.reduce((sum, name) => sum + (this.sent.get(name) ?? 0), 0);
	}

	/** As one node asks; `sender` is an object of that node's own life, so that one that was restarted is another. */
	peersOf(nodeId: string, sender: Partial<PeerHandlers>): Peers {
		return {
			request: <N extends PeerRequestName>(to: string, name: N, params: PeerParams<N>, { timeoutMs = TIMEOUT_MS } = {}) =>
				new Promise<PeerResult<N>>((resolve, reject) => {
					if (this.#nodes.get(nodeId) !== sender) {
						reject(unreachable(to));
						return;
					}
					this.sent.set(name, (this.sent.get(name) ?? 0) + 1);
					const text = JSON.stringify(params);
					const { afterMs, outcome } = this.#passage(name);
					const timer = setTimeout(() => reject(unreachable(to)), timeoutMs);
					const settle = (end: () => void) => {
						clearTimeout(timer);
						end();
					};
					const arrive = (answered: boolean) => {
						const handlers = this.#nodes.get(to);
						if (this.isCut(nodeId, to) || this.#nodes.get(nodeId) !== sender) {
							return;
						}
						if (!handlers) {
							settle(() => reject(unreachable(to)));
							return;
						}
						const handler = handlers[name];
						if (!handler) {
							throw new Error(`no node here answers ${name}`);
						}
						handler(JSON.parse(text) as PeerParams<N>, nodeId).then(
							(result) => this.#answer(answered && this.#nodes.get(to) === handlers, nodeId, to, afterMs, () => settle(() => resolve(JSON.parse(JSON.stringify(result)) as PeerResult<N>))),
							(error: unknown) => this.#answer(answered, nodeId, to, afterMs, () => settle(() => reject(carried(error)))),
						);
					};
					if (outcome !== 'lost') {
						setTimeout(() => arrive(outcome !== 'unanswered'), afterMs);
					}
					if (outcome === 'doubled') {
						setTimeout(() => arrive(false), 3 * afterMs + 20);
					}
				}),
		};
	}

	#answer(answered: boolean, from: string, to: string, afterMs: number, end: () => void): void {
		setTimeout(() => {
			if (answered && !this.isCut(from, to)) {
				end();
			}
		}, afterMs);
	}
}

const cable = (a: string, b: string) => [a, b].toSorted((x, y) => x.localeCompare(y)).join('|');
const unreachable = (nodeId: string) => new DomainError('peer_unreachable', 'Another node of this cluster does not answer', { extra: { node: nodeId } });

/** What the internal port makes of an error: whatever is no refusal is that node's own trouble. */
const carried = (error: unknown) => (error instanceof DomainError ? new DomainError(error.code, error.message) : new DomainError('internal_error', String(error)));
