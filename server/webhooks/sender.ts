import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';

export interface SenderOptions {
	/** Whether receivers at private, loopback and link-local addresses, and without TLS, are reached. */
	allowPrivateAddresses: boolean;
	/** From the first packet to the head of the answer. */
	timeoutMs: number;
}

/** What came of one attempt: a status, or why there is none. */
export interface Sent {
	status?: number;
	error?: string;
	/** `Retry-After`, in seconds. */
	retryAfterSeconds?: number;
}

const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Posts messages to addresses that an operator has typed in and that somebody else's DNS resolves. Each address is judged
 * when the connection is made, on the very answer of the lookup that it is made with, so a name that resolves to something
 * else the second time wins nothing; redirects are not followed; and of the answer nothing but its status is kept.
 */
export class Sender {
	readonly #options: SenderOptions;
	readonly #http: RequestFilteringHttpAgent;
	readonly #https: RequestFilteringHttpsAgent;

	constructor(options: SenderOptions) {
		this.#options = options;
		const allowed = { allowPrivateIPAddress: options.allowPrivateAddresses, keepAlive: false };
		this.#http = new RequestFilteringHttpAgent(allowed);
		this.#https = new RequestFilteringHttpsAgent(allowed);
	}

	/** Never rejects. */
	async post(url: string, headers: Record<string, string>, payload: string): Promise<Sent> {
		const { timeoutMs, allowPrivateAddresses } = this.#options;
		const isSecure = url.startsWith('https://');
		// It may have been taken when the configuration allowed it.
		if (!isSecure && !allowPrivateAddresses) return { error: 'not_https' };
		const { promise, resolve } = Promise.withResolvers<Sent>();
		const signal = AbortSignal.timeout(timeoutMs);
		try {
			const call = (isSecure ? httpsRequest : httpRequest)(url, {
				method: 'POST',
				agent: isSecure ? this.#https : this.#http,
				headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload), 'user-agent': 'Rostrum-Webhooks/1' },
				signal,
			});
			call.once('response', (answer) => {
				const status = answer.statusCode ?? 0;
				const retryAfterSeconds = Number(answer.headers['retry-after'] ?? 'none');
				resolve({ status, ...(status >= 300 && status < 400 ? { error: 'redirect' } : {}), ...(Number.isFinite(retryAfterSeconds) ? { retryAfterSeconds } : {}) });
				let bytes = 0;
				answer.on('data', (chunk: Buffer) => {
					bytes += chunk.length;
					if (bytes > MAX_ANSWER_BYTES) answer.destroy();
				});
				answer.on('error', () => undefined);
			});
			call.on('error', (error) => resolve({ error: signal.aborted ? 'timeout' : reasonOf(error) }));
			call.end(payload);
		} catch (error) {
			resolve({ error: reasonOf(error) });
		}
		return await promise;
	}

	/** Idempotent. */
	close(): void {
		this.#http.destroy();
		this.#https.destroy();
	}
}

/** In a word or code, without the address that was found. */
function reasonOf(error: unknown): string {
	if (!(error instanceof Error)) return 'failed';
	if (error.message.includes('is not allowed')) return 'address_not_allowed';
	return 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
}
