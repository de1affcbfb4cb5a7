import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { WebSocket } from 'ws';
import type { ClusterView } from '../cluster-view.ts';
import { CLIENT_HEADER, FORWARD_PREFIX, NODE_HEADER } from './forwarded.ts';
import { handshakeHeaders } from './hop-headers.ts';
import { type PeerConnections, unreachable } from './peer-connections.ts';
import { SocketRelay, type SocketRelayLimits } from './socket-relay.ts';

const HANDSHAKE_TIMEOUT_MS = 8_000;
/** Frames towards a browser, such as the roster of the largest stage. */
const MAX_FRAME_BYTES = 8 * 1024 * 1024;

/** The other node took the socket, or refused the handshake with an ordinary answer. */
export type Opened = { home: WebSocket; nodeId: string; refusal?: never } | { refusal: IncomingMessage; home?: never };

export interface SocketRelaysOptions {
	view: Pick<ClusterView, 'on' | 'off'>;
	connections: Pick<PeerConnections, 'urlOf'>;
	tokens: { current(): Promise<string> };
	schedule: (ms: number, task: () => void) => () => void;
	log: Pick<Logger, 'info'>;
	limits?: Partial<SocketRelayLimits>;
}

/** WebSockets whose other end is on another node: opened there before the client's is accepted, then joined frame by frame. */
export class SocketRelays {
	readonly #options: SocketRelaysOptions;
	readonly #limits: SocketRelayLimits;
	readonly #relays = new Map<SocketRelay, string>();
	/** Open, and not joined yet to a client whose handshake is under way. */
	readonly #waiting = new Set<WebSocket>();
	#closed = false;

	constructor(options: SocketRelaysOptions) {
		this.#options = options;
		this.#limits = { maxBufferedBytes: 1024 * 1024, pingEveryMs: 1_000, missedPings: 3, closeTimeoutMs: 2_000, ...options.limits };
		options.view.on('nodeDown', this.#nodeDown);
	}

	/** Those open at present. */
	get size(): number {
		return this.#relays.size;
	}

	/**
	 * Opens the same socket on another node. All checks happen there, on the very handshake that is used: nothing can
	 * change between being told "you may" and coming in. Rejects with DomainError `peer_unreachable`.
	 */
	async open(request: FastifyRequest, nodeId: string, protocols: string[]): Promise<Opened> {
		const { connections, tokens } = this.#options;
		const url = connections.urlOf(nodeId);
		if (url === undefined || this.#closed) throw unreachable(nodeId);
		const headers = { ...handshakeHeaders(request.headers), 'x-request-id': request.id, [CLIENT_HEADER]: request.ip, [NODE_HEADER]: await tokens.current() };
		const home = new WebSocket(`${url.replace(/^http/, 'ws')}${FORWARD_PREFIX}${request.url}`, protocols, {
			headers,
			perMessageDeflate: false,
			// Pings are for the client at the far end: answering them here would keep a dead one on stage.
			autoPong: false,
			handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
			maxPayload: MAX_FRAME_BYTES,
		});
		const { promise, resolve, reject } = Promise.withResolvers<Opened>();
		home.once('open', () => {
			// Until the client's own handshake is done nobody would hear the welcome.
			home.pause();
			resolve({ home, nodeId });
		});
		home.on('unexpected-response', (_request, refusal) => resolve({ refusal }));
		// Afterwards `close` follows and says all.
		home.on('error', (error) => reject(unreachable(nodeId, error)));
		const opened = await promise;
		if (opened.home === undefined) return opened;
		this.#waiting.add(home);
		// The client may leave, or be refused for a bad handshake of its own: then nobody will join this.
		const gone = () => {
			if (this.#waiting.delete(home)) home.terminate();
		};
		if (request.raw.socket.destroyed) gone();
		else request.raw.socket.once('close', gone);
		return opened;
	}

	/** Call in the same turn in which the client's socket opened, or its first frames are missed. */
	join(client: WebSocket, { home, nodeId }: Extract<Opened, { home: WebSocket }>, ids: { roomId: string }): void {
		const { schedule, log } = this.#options;
		this.#waiting.delete(home);
		const relay = SocketRelay.join({ client, home, limits: this.#limits, schedule });
		this.#relays.set(relay, nodeId);
		relay.once('closed', (why) => {
			this.#relays.delete(relay);
			if (why !== 'closed') log.info({ room: ids.roomId, peer: nodeId, why }, 'relayed stage socket lost');
		});
		home.resume();
	}

	/** Tells every client to come again, to another node. Idempotent. */
	close(bye: string): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#options.view.off('nodeDown', this.#nodeDown);
		for (const relay of this.#relays.keys()) relay.end(bye);
		for (const home of this.#waiting) home.terminate();
		this.#waiting.clear();
	}

	readonly #nodeDown = (nodeId: string): void => {
		for (const [relay, home] of this.#relays) if (home === nodeId) relay.homeLost('node down');
	};
}
