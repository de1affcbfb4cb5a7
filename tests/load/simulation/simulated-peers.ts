import { DomainError } from '../../../server/errors.ts';
import type { PeerHandlers, PeerParams, PeerRequestName, PeerResult, Peers } from '../../../server/cluster/peer-protocol.ts';
import type { VirtualTime } from './virtual-time.ts';

const ONE_WAY_MS = 1;
const TIMEOUT_MS = 1_000;

interface Peer {
	readonly nodeId: string;
	readonly alive: boolean;
	readonly handlers: Partial<PeerHandlers>;
}

/** Requests from node to node within one host: what `PeerClient` carries over HTTP. A dead host does not answer at all. */
export class SimulatedPeers {
	/** Node → requests that reached it. */
	readonly received = new Map<string, number>();
	readonly #time: VirtualTime;
	readonly #nodes = new Map<string, Peer>();

	constructor(time: VirtualTime) {
		this.#time = time;
	}

	/** Takes the place of an earlier run of the same node. */
	attach(node: Peer): void {
		this.#nodes.set(node.nodeId, node);
	}

	/** As one run of one node asks. */
	of(sender: Pick<Peer, 'nodeId' | 'alive'>): Peers {
		return {
			request: <N extends PeerRequestName>(to: string, name: N, params: PeerParams<N>, { timeoutMs = TIMEOUT_MS } = {}) =>
				new Promise<PeerResult<N>>((resolve, reject) => {
					const later = (delayMs: number, then: () => void) => this.#time.at(this.#time.nowMs() + delayMs, () => (sender.alive ? then() : undefined));
					later(timeoutMs, () => reject(unreachable(to)));
					later(ONE_WAY_MS, () => {
						const peer = this.#nodes.get(to);
						const handler = peer?.handlers[name];
						if (!peer?.alive || !handler) {
							return;
						}
						this.received.set(to, (this.received.get(to) ?? 0) + 1);
						handler(params, sender.nodeId).then(
							(result) => later(ONE_WAY_MS, () => (peer.alive ? resolve(result) : undefined)),
							// Whatever is no refusal is that node's own trouble.
							(error: unknown) => later(ONE_WAY_MS, () => (peer.alive ? reject(error instanceof DomainError ? error : new DomainError('internal_error', String(error))) : undefined)),
						);
					});
				}),
		};
	}
}

const unreachable = (nodeId: string) => new DomainError('peer_unreachable', 'Another node of this cluster does not answer', { extra: { node: nodeId } });
