import type { IncomingMessage } from 'node:http';
import { DOMAIN_ERRORS, DomainError, type DomainErrorCode } from '../../errors.ts';
import type { ClusterView } from '../cluster-view.ts';
import type { PeerHandlers, PeerParams, PeerRequestName, PeerResult, Peers } from '../peer-protocol.ts';
import { NODE_HEADER } from './forwarded.ts';
import { PeerConnections, unreachable } from './peer-connections.ts';

const TIMEOUT_MS = 1_000;
/** The state of the largest stage has some hundred kilobytes. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface PeerClientOptions {
	view: Pick<ClusterView, 'nodeId' | 'node' | 'on' | 'off'>;
	tokens: { current(): Promise<string> };
	/** What this node answers itself: a request to it needs no network. */
	handlers?: PeerHandlers;
	/** Default: 1 s. */
	timeoutMs?: number;
}

/** Asks other nodes, over the internal port of each. */
export class PeerClient implements Peers {
	readonly connections: PeerConnections;
	readonly #options: PeerClientOptions;

	constructor(options: PeerClientOptions) {
		this.#options = options;
		this.connections = new PeerConnections(options.view);
	}

	async request<N extends PeerRequestName>(nodeId: string, name: N, params: PeerParams<N>, options: { timeoutMs?: number } = {}): Promise<PeerResult<N>> {
		const { view, tokens, handlers } = this.#options;
		if (nodeId === view.nodeId && handlers !== undefined) return await handlers[name](params, nodeId);
		const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? TIMEOUT_MS;
		const startedAt = performance.now();
		const answer = await this.connections.send(nodeId, {
			method: 'POST',
			path: `/internal/v1/${name}`,
			headers: { 'content-type': 'application/json', [NODE_HEADER]: await tokens.current() },
			body: JSON.stringify(params),
			timeoutMs,
		});
		const body = await readJson(answer, Math.max(1, timeoutMs - (performance.now() - startedAt))).catch((error: unknown) => {
			throw unreachable(nodeId, error);
		});
		if (answer.statusCode === 200) {
			// What comes back is the peer's own typed answer: nodes of one cluster believe each other.
			return body as PeerResult<N>;
		}
		throw refusalOf(body, answer, nodeId);
	}

	/** Idempotent. */
	close(): void {
		this.connections.close();
	}
}

async function readJson(answer: IncomingMessage, timeoutMs: number): Promise<unknown> {
	const timer = setTimeout(() => answer.destroy(new Error('the answer stopped in its middle')), timeoutMs);
	try {
		const chunks: Buffer[] = [];
		let bytes = 0;
		for await (const chunk of answer) {
			const part = chunk as Buffer;
			bytes += part.length;
			if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
			chunks.push(part);
		}
		return JSON.parse(Buffer.concat(chunks).toString('utf8'));
	} finally {
		clearTimeout(timer);
	}
}

/** The peer's own DomainError again; what is not one of ours is that node's trouble. */
function refusalOf(body: unknown, answer: IncomingMessage, nodeId: string): DomainError {
	const { code, detail, type: _type, title: _title, status: _status, instance: _instance, retryable: _retryable, ...extra } = asRecord(body);
	const retryAfter = Number(answer.headers['retry-after'] ?? 'none');
	return new DomainError(isKnown(code) ? code : 'internal_error', typeof detail === 'string' ? detail : 'Another node of this cluster failed', {
		extra: { ...extra, node: nodeId },
		...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
	});
}

const isKnown = (code: unknown): code is DomainErrorCode => typeof code === 'string' && Object.hasOwn(DOMAIN_ERRORS, code);

const asRecord = (body: unknown): Record<string, unknown> => (typeof body === 'object' && body !== null ? { ...body } : {});
