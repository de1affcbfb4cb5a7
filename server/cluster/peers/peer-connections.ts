import { Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request as httpRequest } from 'node:http';
import { SpanKind } from '@opentelemetry/api';
import { DomainError } from '../../errors.ts';
import { inChildSpan, tracedHeaders } from '../../tracing/spans.ts';
import type { ClusterView } from '../cluster-view.ts';

export interface PeerCall {
	method: string;
	/** On the internal port. */
	path: string;
	headers: OutgoingHttpHeaders;
	body?: string | undefined;
	/** Until the answer begins. */
	timeoutMs: number;
}

interface Peer {
	url: string;
	agent: Agent;
}

/** Nodes that are gone are remembered, for one that was taken for dead is asked before its rooms are taken over. */
const MAX_REMEMBERED = 1024;
/** A forwarded surge must not open a socket for each listener. */
const MAX_SOCKETS_PER_PEER = 256;

export function unreachable(nodeId: string, cause?: unknown): DomainError {
	return new DomainError('peer_unreachable', 'Another node of this cluster does not answer', { cause, extra: { node: nodeId }, retryAfterSeconds: 1 });
}

/** Kept-alive HTTP connections to the other nodes. Plain `node:http`: headers and bodies pass as they are, in both directions. */
export class PeerConnections {
	readonly #view: Pick<ClusterView, 'node' | 'on' | 'off'>;
	readonly #peers = new Map<string, Peer>();
	#closed = false;

	constructor(view: Pick<ClusterView, 'node' | 'on' | 'off'>) {
		this.#view = view;
		view.on('nodeDown', this.#nodeDown);
	}

	/** Where a node's internal port is, e.g. `http://10.0.0.1:3100`; undefined for one never heard of. */
	urlOf(nodeId: string): string | undefined {
		return this.#peer(nodeId)?.url;
	}

	/**
	 * The answer, as soon as it begins; its body is the caller's to read.
	 * Rejects with DomainError `peer_unreachable`.
	 */
	async send(nodeId: string, call: PeerCall): Promise<IncomingMessage> {
		return await inChildSpan(spanName(call.path), { 'rostrum.peer': nodeId }, () => this.#send(nodeId, { ...call, headers: tracedHeaders(call.headers) }), SpanKind.CLIENT);
	}

	async #send(nodeId: string, call: PeerCall): Promise<IncomingMessage> {
		const peer = this.#peer(nodeId);
		if (peer === undefined || this.#closed) throw unreachable(nodeId);
		const { agent } = peer;
		try {
			return await attempt(peer, call);
		} catch (error) {
			// The other side may close an idle connection just when it is used again; then nothing was read there.
			if (!(error instanceof StaleConnection) || peer.agent !== agent || this.#closed) throw unreachable(nodeId, error);
		}
		return await attempt(peer, call).catch((error: unknown) => {
			throw unreachable(nodeId, error);
		});
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#view.off('nodeDown', this.#nodeDown);
		for (const { agent } of this.#peers.values()) agent.destroy();
		this.#peers.clear();
	}

	readonly #nodeDown = (nodeId: string): void => {
		const peer = this.#peers.get(nodeId);
		if (peer === undefined) return;
		// Whoever waits for an answer is told at once, and may ask elsewhere.
		peer.agent.destroy();
		peer.agent = newAgent();
	};

	#peer(nodeId: string): Peer | undefined {
		const url = this.#view.node(nodeId)?.internalUrl;
		const known = this.#peers.get(nodeId);
		if (url === undefined || known?.url === url) return known;
		known?.agent.destroy();
		const peer = { url, agent: newAgent() };
		this.#peers.delete(nodeId);
		this.#peers.set(nodeId, peer);
		for (const [oldest, { agent }] of this.#peers) {
			if (this.#peers.size <= MAX_REMEMBERED) break;
			agent.destroy();
			this.#peers.delete(oldest);
		}
		return peer;
	}
}

/** `ask findUpstream`, or `forward`: paths of public requests may hold a session's id. */
const spanName = (path: string): string => (path.startsWith('/internal/') ? `ask ${path.slice(path.lastIndexOf('/') + 1)}` : 'forward');

class StaleConnection extends Error {}

const newAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS_PER_PEER, scheduling: 'lifo' });

function attempt({ url, agent }: Peer, { method, path, headers, body, timeoutMs }: PeerCall): Promise<IncomingMessage> {
	const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
	const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
	const { hostname, port } = new URL(url);
	// Not as one address: the path of a public request must arrive as it is, dots and all.
	const to = { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 80 : Number(port), path };
	const request: ClientRequest = httpRequest({ ...to, method, agent, headers: { ...headers, ...length } });
	const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
	request.on('response', (response) => {
		clearTimeout(timer);
		resolve(response);
	});
	request.on('error', (error: NodeJS.ErrnoException) => {
		clearTimeout(timer);
		const stale = request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
		reject(stale ? new StaleConnection('the connection was closed meanwhile', { cause: error }) : error);
	});
	request.end(body);
	return promise;
}
