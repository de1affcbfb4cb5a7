import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type {
	StageEvent,
	StageEventName,
	StageMethod,
	StageParams,
	StageResults,
	StageServerFrame,
} from '../../server/stage/protocol.ts';

/** The handshake was answered with a problem and not with a WebSocket. */
export class HandshakeRefused extends Error {
	readonly status: number;
	readonly contentType: string;
	readonly body: string;

	constructor(status: number, contentType: string, body: string) {
		super(`the handshake was refused with ${status}: ${body}`);
		this.status = status;
		this.contentType = contentType;
		this.body = body;
	}

	get code(): unknown {
		const problem: unknown = JSON.parse(this.body);
		return typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : undefined;
	}
}

/** A request was answered with an error frame. */
export class RequestRefused extends Error {
	readonly code: string;
	readonly retryable: boolean;
	readonly title: string;

	constructor({ code, title, detail, retryable }: { code: string; title: string; detail: string; retryable: boolean }) {
		super(detail);
		this.code = code;
		this.title = title;
		this.retryable = retryable;
	}
}

type EventFrame = Extract<StageServerFrame, { event: string }>;
interface Waiter {
	takes: (frame: EventFrame) => boolean;
	resolve: (frame: EventFrame) => void;
	reject: (error: Error) => void;
}

export interface StageClientOptions {
	/** Sent as `?access_token=`. */
	token?: string;
	headers?: Record<string, string>;
	protocols?: string[];
	/** Whether pings are answered, as browsers always do. */
	autoPong?: boolean;
}

/**
 * The stage's protocol from the client's side, without any media: for tests that speak it as a browser
 * does, and for tests that do not.
 */
export class StageClient {
	readonly socket: WebSocket;
	/** Settles when the socket is closed, whoever did it. */
	readonly closed: Promise<{ code: number; reason: string }>;
	/** Every event so far, taken by `next` or not. */
	readonly events: EventFrame[] = [];
	readonly #untaken: EventFrame[] = [];
	readonly #waiters: Waiter[] = [];
	readonly #answers = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
	#lastId = 0;

	private constructor(socket: WebSocket) {
		this.socket = socket;
		const closed = Promise.withResolvers<{ code: number; reason: string }>();
		this.closed = closed.promise;
		socket.on('message', (data: Buffer) => this.#take(JSON.parse(data.toString('utf8')) as StageServerFrame));
		// A socket that was destroyed under us closes as well, with 1006.
		socket.on('error', () => {});
		socket.on('close', (code, reason) => {
			closed.resolve({ code, reason: reason.toString('utf8') });
			const error = new Error(`the socket was closed with ${code}`);
			for (const { reject } of [...this.#answers.values(), ...this.#waiters]) reject(error);
			this.#answers.clear();
			this.#waiters.length = 0;
		});
	}

	/** Resolves when the socket is open; rejects with HandshakeRefused. `origin` is `http://host:port`. */
	static async connect(origin: string, roomId: string, { token, headers = {}, protocols = [], autoPong = true }: StageClientOptions = {}): Promise<StageClient> {
		const url = new URL(`/v1/rooms/${roomId}/stage`, origin.replace(/^http/, 'ws'));
		if (token !== undefined) url.searchParams.set('access_token', token);
		const socket = new WebSocket(url, protocols, { headers, autoPong });
		const client = new StageClient(socket);
		const refused = Promise.withResolvers<never>();
		socket.once('unexpected-response', (_request, response) => void bodyOf(response).then((body) => refused.reject(body)));
		await Promise.race([once(socket, 'open'), refused.promise]);
		return client;
	}

	/** The first frame of every stage socket. */
	welcome(): Promise<StageEvent<'welcome'>> {
		return this.next('welcome');
	}

	/** The oldest event of this name that was not taken yet and that `fits`, or the next one to come. */
	async next<E extends StageEventName>(event: E, fits: (data: StageEvent<E>) => boolean = () => true): Promise<StageEvent<E>> {
		// `event` says which data it is; the frame's type ties the two, generics lose the tie.
		const dataOf = (frame: EventFrame) => frame.data as StageEvent<E>;
		const takes = (frame: EventFrame): boolean => frame.event === event && fits(dataOf(frame));
		const index = this.#untaken.findIndex(takes);
		if (index >= 0) return dataOf(this.#untaken.splice(index, 1)[0]!);
		const { promise, resolve, reject } = Promise.withResolvers<EventFrame>();
		this.#waiters.push({ takes, resolve, reject });
		return dataOf(await promise);
	}

	/** Rejects with RequestRefused, or with a plain Error when the socket closes before the answer. */
	request<M extends StageMethod>(method: M, params: StageParams<M>): Promise<StageResults[M]> {
		return this.requestAnything(method, params) as Promise<StageResults[M]>;
	}

	/** The same without the types, for requests that no honest client makes. */
	requestAnything(method: unknown, params: unknown): Promise<unknown> {
		const id = ++this.#lastId;
		const { promise, resolve, reject } = Promise.withResolvers<unknown>();
		this.#answers.set(id, { resolve, reject });
		this.sendRaw(JSON.stringify({ id, method, params }));
		return promise;
	}

	sendRaw(frame: string | Buffer): void {
		this.socket.send(frame);
	}

	/** Politely. */
	async close(code = 1000): Promise<void> {
		this.socket.close(code);
		await this.closed;
	}

	/** As when the network goes. */
	async vanish(): Promise<void> {
		this.socket.terminate();
		await this.closed;
	}

	#take(frame: StageServerFrame): void {
		if ('event' in frame) {
			this.events.push(frame);
			const index = this.#waiters.findIndex(({ takes }) => takes(frame));
			if (index >= 0) this.#waiters.splice(index, 1)[0]?.resolve(frame);
			else this.#untaken.push(frame);
			return;
		}
		const answer = this.#answers.get(frame.id);
		this.#answers.delete(frame.id);
		if ('error' in frame) answer?.reject(new RequestRefused(frame.error));
		else answer?.resolve(frame.result);
	}
}

async function bodyOf(response: IncomingMessage): Promise<HandshakeRefused> {
	const chunks: Buffer[] = [];
	for await (const chunk of response) chunks.push(Buffer.from(chunk));
	return new HandshakeRefused(response.statusCode ?? 0, response.headers['content-type'] ?? '', Buffer.concat(chunks).toString('utf8'));
}
