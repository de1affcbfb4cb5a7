import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { Compile } from 'typebox/compile';
import type { Logger } from 'pino';
import { AuthError } from '../../../auth/auth-error.ts';
import { DomainError } from '../../errors.ts';
import { pathOf, PROBLEM_TYPE, refuseBrokenHttp } from '../../http/plugins/problems.ts';
import { problemOf } from '../../http/problem.ts';
import { answering } from '../../tracing/spans.ts';
import { PEER_REQUESTS, type PeerHandlers, type PeerRequestName } from '../peer-protocol.ts';
import { CLIENT_HEADER, FORWARD_PREFIX, markForwarded, NODE_HEADER } from './forwarded.ts';

export interface PeerServerOptions {
	host: string;
	/** 0: any that is free. */
	port: number;
	tokens: { verify(token: string): Promise<string> };
	handlers: PeerHandlers;
	/** The public application, ready; requests that other nodes pass on go through all of it. */
	app: Pick<FastifyInstance, 'routing' | 'server'>;
	log: Pick<Logger, 'error' | 'warn' | 'debug'>;
}

const API_PREFIX = '/internal/v1/';
/** Heartbeats of a node with many rooms are the largest. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the pause between two heartbeats past Redis, so that connections between nodes stay. */
const KEEP_ALIVE_MS = 72_000;
/** Kept for requests that are being answered when the server closes. */
const ANSWERS_MS = 250;

const VALIDATORS = new Map(Object.entries(PEER_REQUESTS).map(([name, schema]) => [name, Compile(schema)] as const));

/**
 * A node's internal port: `POST /internal/v1/<name>` for what nodes ask each other, and `/forward/<path>` for whole
 * public requests, WebSockets too, that another node passes on. Nothing is answered without a cluster token but 401.
 */
export class PeerServer {
	readonly #options: PeerServerOptions;
	readonly #server: Server;
	/** Connections that were upgraded: the HTTP server knows them no more. */
	readonly #upgraded = new Set<Duplex>();
	#closing: Promise<void> | undefined;

	/** Rejects when the port is taken. */
	static async listen(options: PeerServerOptions): Promise<PeerServer> {
		const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS });
		const peerServer = new PeerServer(options, server);
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		server.once('error', reject);
		server.listen({ host: options.host, port: options.port }, resolve);
		await promise;
		server.off('error', reject);
		server.on('error', (err) => options.log.error({ err }, 'internal port failed'));
		return peerServer;
	}

	private constructor(options: PeerServerOptions, server: Server) {
		this.#options = options;
		this.#server = server;
		server.on('request', (request, response) => {
			this.#serve(request, response).catch((error: unknown) => this.#refuse(error, request, response));
		});
		server.on('upgrade', (request, socket, head) => {
			// Node has taken its own listener away by now; a socket that breaks must not end the process.
			socket.on('error', destroy);
			this.#upgrade(request, socket, head).catch((error: unknown) => this.#refuseUpgrade(error, request, socket));
		});
		server.on('clientError', refuseBrokenHttp);
	}

	get port(): number {
		// It listens on TCP, so the address has a port.
		return (this.#server.address() as AddressInfo).port;
	}

	/** Lets answers under way go out, then cuts what is left. Idempotent. */
	close(): Promise<void> {
		return (this.#closing ??= this.#close());
	}

	async #close(): Promise<void> {
		const { promise, resolve } = Promise.withResolvers<void>();
		this.#server.close(() => resolve());
		const cut = setTimeout(() => {
			this.#server.closeAllConnections();
			for (const socket of this.#upgraded) socket.destroy();
		}, ANSWERS_MS);
		await promise;
		clearTimeout(cut);
	}

	async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const from = await this.#sender(request);
		if (this.#admitForward(request, from)) {
			this.#options.app.routing(request, response);
			return;
		}
		const result = await this.#answer(request, from);
		respond(response, 200, 'application/json', JSON.stringify(result));
	}

	async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
		const from = await this.#sender(request);
		if (!this.#admitForward(request, from)) throw new DomainError('not_found', 'No resource has this path');
		const { server } = this.#options.app;
		if (server.listenerCount('upgrade') === 0) throw new DomainError('invalid_request', 'Nothing here takes an upgrade');
		this.#upgraded.add(socket);
		socket.once('close', () => this.#upgraded.delete(socket));
		socket.off('error', destroy);
		server.emit('upgrade', request, socket, head);
	}

	async #sender(request: IncomingMessage): Promise<string> {
		const token = request.headers[NODE_HEADER];
		if (typeof token !== 'string') throw new DomainError('token_required', 'This port is for nodes of the cluster');
		return await this.#options.tokens.verify(token);
	}

	/** Makes a forwarded request look as it did where it came in; false when it is none. */
	#admitForward(request: IncomingMessage, from: string): boolean {
		const url = request.url ?? '';
		if (!url.startsWith(`${FORWARD_PREFIX}/`)) return false;
		const client = request.headers[CLIENT_HEADER];
		markForwarded(request, { from, client: typeof client === 'string' ? client : undefined });
		request.url = url.slice(FORWARD_PREFIX.length);
		delete request.headers[NODE_HEADER];
		delete request.headers[CLIENT_HEADER];
		return true;
	}

	async #answer(request: IncomingMessage, from: string): Promise<unknown> {
		const path = pathOf(request.url ?? '');
		const name = path.startsWith(API_PREFIX) ? path.slice(API_PREFIX.length) : '';
		const validator = VALIDATORS.get(name);
		if (validator === undefined) throw new DomainError('not_found', 'Nodes of this version do not know that request');
		if (request.method !== 'POST') throw new DomainError('method_not_allowed', 'This resource takes POST');
		const params = await readJson(request);
		if (!validator.Check(params)) {
			const first = validator.Errors(params)[0];
			throw new DomainError('invalid_request', `body${first?.instancePath ?? ''}: ${first?.message ?? 'does not fit its schema'}`);
		}
		// The validator of the same name has just passed these; the compiler cannot follow that through the table.
		const handler = this.#options.handlers[name as PeerRequestName] as (params: unknown, from: string) => Promise<unknown>;
		return await answering(request.headers, `answer ${name}`, { 'rostrum.from': from }, () => handler(params, from));
	}

	#refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
		if (response.headersSent || response.destroyed) {
			response.destroy();
			return;
		}
		const { status, headers, body } = this.#problem(error, request);
		// What is left of a body that nobody will read would stand before the next request.
		const unread: Record<string, string> = request.readableEnded ? {} : { connection: 'close' };
		respond(response, status, PROBLEM_TYPE, body, { ...headers, ...unread });
	}

	#refuseUpgrade(error: unknown, request: IncomingMessage, socket: Duplex): void {
		if (!socket.writable) {
			socket.destroy();
			return;
		}
		const { status, headers, body } = this.#problem(error, request);
		const lines = Object.entries({ ...headers, 'content-type': PROBLEM_TYPE, 'content-length': String(Buffer.byteLength(body)), connection: 'close' });
		socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`);
	}

	#problem(error: unknown, request: IncomingMessage): { status: number; headers: Record<string, string>; body: string } {
		const { problem, headers, unexpected } = problemOf(error, pathOf(request.url ?? '').slice(0, 200));
		const path = problem.instance;
		if (unexpected) this.#options.log.error({ err: error, path }, 'request of another node failed unexpectedly');
		else if (error instanceof AuthError) this.#options.log.warn({ reason: error.code, path }, 'request on the internal port without a good cluster token');
		return { status: problem.status, headers, body: JSON.stringify(problem) };
	}
}

function destroy(this: Duplex): void {
	this.destroy();
}

async function readJson(request: IncomingMessage): Promise<unknown> {
	const tooLarge = () => new DomainError('payload_too_large', 'The body is larger than any node sends');
	if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
	const chunks: Buffer[] = [];
	let bytes = 0;
	for await (const chunk of request) {
		const part = chunk as Buffer;
		bytes += part.length;
		if (bytes > MAX_BODY_BYTES) throw tooLarge();
		chunks.push(part);
	}
	try {
		return JSON.parse(Buffer.concat(chunks).toString('utf8'));
	} catch (error) {
		throw new DomainError('invalid_request', 'The body is not valid JSON', { cause: error });
	}
}

function respond(response: ServerResponse, status: number, type: string, body: string, headers: Record<string, string> = {}): void {
	response.writeHead(status, { ...headers, 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
	response.end(body);
}
