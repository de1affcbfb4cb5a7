import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CLIENT_HEADER, FORWARD_PREFIX, NODE_HEADER, PROBLEM_HEADER } from '../../cluster/peers/forwarded.ts';
import { endToEndHeaders } from '../../cluster/peers/hop-headers.ts';
import type { PeerConnections } from '../../cluster/peers/peer-connections.ts';
import { noteForwardedProblem } from '../answered-problem.ts';

/** Opening a room's media anew is the longest a request may take on the other node. */
const TIMEOUT_MS = 8_000;

/** Requests that another node answers: what they do is that node's doing. */
export const answeredElsewhere = new WeakSet<FastifyRequest>();

export interface ForwardDeps {
	connections: Pick<PeerConnections, 'send'>;
	tokens: { current(): Promise<string> };
	/** Default: 8 s. */
	timeoutMs?: number;
}

/**
 * Lets another node answer a request, and passes its answer back as it comes: status, headers (Location as it is) and
 * body. Not with @fastify/reply-from: a handful of lines over `node:http` give the connections that peers use anyway,
 * with the same deadline and the same end when a node dies.
 *
 * The body goes as this node has read it, which is within its limits and valid: a client that sends slowly holds no
 * connection between nodes, and a request that met a closing connection can be sent again.
 *
 * Resolves when the client has been answered. Rejects with DomainError `peer_unreachable`, with nothing sent yet.
 */
export async function forwardRequest(deps: ForwardDeps, request: FastifyRequest, reply: FastifyReply, nodeId: string): Promise<void> {
	const { 'content-length': _length, ...headers } = endToEndHeaders(request.headers);
	const answer = await deps.connections.send(nodeId, {
		method: request.method,
		path: FORWARD_PREFIX + request.url,
		headers: { ...headers, 'x-request-id': request.id, [CLIENT_HEADER]: request.ip, [NODE_HEADER]: await deps.tokens.current() },
		body: bodyOf(request.body),
		timeoutMs: deps.timeoutMs ?? TIMEOUT_MS,
	});
	answeredElsewhere.add(request);
	noteForwardedProblem(request, answer.headers[PROBLEM_HEADER]);
	// A reply is a promise of its own end, so this resolves when the client has everything.
	await passBack(answer, request, reply);
}

/** An answer of another node's becomes this node's answer. */
export function passBack(answer: IncomingMessage, request: FastifyRequest, reply: FastifyReply): FastifyReply {
	const status = answer.statusCode ?? 502;
	for (const [name, value] of Object.entries(endToEndHeaders(answer.headers))) if (value !== undefined) void reply.header(name, value);
	void reply.code(status);
	if (request.method === 'HEAD' || status === 204 || status === 304) {
		answer.resume();
		return reply.send();
	}
	return reply.send(answer);
}

function bodyOf(body: unknown): string | undefined {
	if (body === undefined || body === null) return undefined;
	return typeof body === 'string' ? body : JSON.stringify(body);
}
