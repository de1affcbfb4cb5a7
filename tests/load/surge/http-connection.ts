import http from 'node:http';
import https from 'node:https';

export interface HttpAnswer {
	status: number;
	headers: http.IncomingHttpHeaders;
	body: Buffer;
}

export interface HttpRequest {
	headers?: Record<string, string>;
	body?: string;
	/** Without an answer for so long: an error. Default 20 s. */
	timeoutMs?: number;
	signal?: AbortSignal;
}

const TIMEOUT_MS = 20_000;

/**
 * One person's connections: kept alive, and shared with nobody, so that the server pays for a thousand of them when a
 * thousand people come. Follows nothing, retries nothing but a kept connection that turns out to be dead.
 */
export class HttpConnection {
	/** TCP connections made so far. */
	opened = 0;
	readonly #agents: { http: http.Agent; https: https.Agent };

	/** @param sockets at once to one server; browsers have up to 6 */
	constructor(sockets = 1) {
		const options = { keepAlive: true, maxSockets: sockets };
		this.#agents = { http: new http.Agent(options), https: new https.Agent(options) };
	}

	/** @throws Error with a `code` of Node's (ECONNREFUSED, ECONNRESET …), `ETIMEDOUT` when no answer came in time, `ABORT_ERR` */
	async request(method: string, url: URL, request: HttpRequest = {}): Promise<HttpAnswer> {
		try {
			return await this.#once(method, url, request);
		} catch (error) {
			if (error instanceof StaleConnection) {
				return await this.#once(method, url, request);
			}
			throw error;
		}
	}

	close(): void {
		this.#agents.http.destroy();
		this.#agents.https.destroy();
	}

	#once(method: string, url: URL, { headers = {}, body, timeoutMs = TIMEOUT_MS, signal }: HttpRequest): Promise<HttpAnswer> {
		const secure = url.protocol === 'https:';
		const options: https.RequestOptions = {
			method,
			headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
			agent: secure ? this.#agents.https : this.#agents.http,
			...(signal === undefined ? {} : { signal }),
		};
		return new Promise((resolve, reject) => {
			const request = (secure ? https : http).request(url, options, (response) => {
				const chunks: Buffer[] = [];
				response.on('data', (chunk: Buffer) => chunks.push(chunk));
				response.once('end', () => {
					clearTimeout(timer);
					resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
				});
				response.once('error', fail);
			});
			const timer = setTimeout(() => request.destroy(Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' })), timeoutMs);
			const fail = (error: NodeJS.ErrnoException): void => {
				clearTimeout(timer);
				reject(request.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection('the kept connection was dead', { cause: error }) : error);
			};
			request.once('error', fail);
			request.once('socket', (socket) => {
				this.opened += socket.connecting ? 1 : 0;
			});
			request.end(body);
		});
	}
}

class StaleConnection extends Error {
	readonly code = 'ECONNRESET';
}
