import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { HandOffTickets } from '../../auth/hand-off-ticket.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Homes } from '../cluster/homes.ts';
import type { PeerConnections } from '../cluster/peers/peer-connections.ts';
import type { SocketRelayLimits } from '../cluster/peers/socket-relay.ts';
import { SocketRelays } from '../cluster/peers/socket-relays.ts';
import type { AppCluster } from './deps.ts';
import { forwardRequest } from './plugins/forward.ts';

export interface ClusterHttpOptions {
	view: Pick<ClusterView, 'nodeId' | 'node' | 'nodes' | 'on' | 'off'>;
	homes: Pick<Homes, 'ensure'>;
	tickets: Pick<HandOffTickets, 'issue' | 'redeem'>;
	/** Those of the `PeerClient`. */
	connections: Pick<PeerConnections, 'send' | 'urlOf'>;
	tokens: { current(): Promise<string> };
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'info'>;
	/** Until another node must have begun its answer. Default: 8 s. */
	forwardTimeoutMs?: number;
	relayLimits?: Partial<SocketRelayLimits>;
}

/** Puts the other nodes behind this node's HTTP API. */
export class ClusterHttp implements AppCluster {
	readonly view: ClusterHttpOptions['view'];
	readonly homes: ClusterHttpOptions['homes'];
	readonly tickets: ClusterHttpOptions['tickets'];
	readonly sockets: SocketRelays;
	readonly #options: ClusterHttpOptions;
	#answered = 0;
	#unreachable = 0;

	constructor(options: ClusterHttpOptions) {
		this.#options = options;
		this.view = options.view;
		this.homes = options.homes;
		this.tickets = options.tickets;
		this.sockets = new SocketRelays({ ...options, ...(options.relayLimits ? { limits: options.relayLimits } : {}) });
	}

	/** Requests passed on so far, by whether the other node answered, and stage sockets that go through here at present. */
	get forwards(): { answered: number; unreachable: number; sockets: number } {
		return { answered: this.#answered, unreachable: this.#unreachable, sockets: this.sockets.size };
	}

	async forward(request: FastifyRequest, reply: FastifyReply, nodeId: string): Promise<void> {
		const { connections, tokens, forwardTimeoutMs } = this.#options;
		try {
			await forwardRequest({ connections, tokens, ...(forwardTimeoutMs === undefined ? {} : { timeoutMs: forwardTimeoutMs }) }, request, reply, nodeId);
			this.#answered++;
		} catch (error) {
			this.#unreachable++;
			throw error;
		}
	}
}
