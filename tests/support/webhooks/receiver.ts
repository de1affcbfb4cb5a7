import { createHmac, timingSafeEqual } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
	id: string;
	type: string;
	data: Record<string, unknown>;
	headers: IncomingHttpHeaders;
	body: string;
	path: string;
	/** What it was answered with. */
	status: number;
}

const TOLERANCE_S = 300;

/**
 * What a Standard Webhooks signature must be, written from the specification and not with the sender's package:
 * base64 HMAC-SHA256 over `id.timestamp.body`, one of several `v1,…` in the header, and a time that is near.
 */
export function isSigned(secret: string, headers: IncomingHttpHeaders, body: string, nowMs = Date.now()): boolean {
	const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
	if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return false;
	if (!secret.startsWith('whsec_') || Math.abs(nowMs / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
	const expected = createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(`${id}.${timestamp}.${body}`).digest();
	return signatures.split(' ').some((each) => {
		const [version, value = ''] = each.split(',');
		const given = Buffer.from(value, 'base64');
		return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
	});
}

/** A program that is told of events: takes whatever comes, and answers as the test wants. */
export class Receiver extends EventEmitter<{ received: [Received] }> {
	readonly #server: Server;
	readonly received: Received[] = [];
	/** Called for each request; the status to answer with, and further headers. */
	answer: (request: Received) => number | { status: number; headers: Record<string, string> } = () => 204;

	static async start(port = 0): Promise<Receiver> {
		const receiver = new Receiver();
		receiver.#server.listen(port, '127.0.0.1');
		await once(receiver.#server, 'listening');
		return receiver;
	}

	private constructor() {
		super();
		this.#server = createServer((request, response) => {
			const chunks: Buffer[] = [];
			request.on('data', (chunk: Buffer) => chunks.push(chunk));
			request.on('end', () => {
				const body = Buffer.concat(chunks).toString('utf8');
				const { type = '', data = {} } = JSON.parse(body === '' ? '{}' : body) as { type?: string; data?: Record<string, unknown> };
				const received: Received = { id: String(request.headers['webhook-id']), type, data, headers: request.headers, body, path: request.url ?? '', status: 0 };
				const answer = this.answer(received);
				received.status = typeof answer === 'number' ? answer : answer.status;
				response.writeHead(received.status, typeof answer === 'number' ? {} : answer.headers);
				response.end();
				this.received.push(received);
				this.emit('received', received);
			});
		});
	}

	get url(): string {
		return `http://127.0.0.1:${this.port}/events`;
	}
	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	/** The first one that fits, come already or to come. */
	async next(fits: (received: Received) => boolean): Promise<Received> {
		for (;;) {
			const found = this.received.find(fits);
			if (found) return found;
			await once(this, 'received');
		}
	}

	async stop(): Promise<void> {
		const closed = once(this.#server, 'close');
		this.#server.close();
		this.#server.closeAllConnections();
		await closed;
	}
}
