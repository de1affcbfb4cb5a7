import { parseTrusted, trusted } from '../sdk/boundary.ts';
import { asProblem, problemOf } from '../sdk/problem.ts';

export interface AdminApiOptions {
	token: string;
	fetch?: typeof fetch;
}

interface Known {
	etag: string;
	answer: unknown;
}

/** Answers kept for comparison; a console shows far fewer resources than this at a time. */
const MAX_KNOWN = 64;

/**
 * Calls of the admin API. What is polled is asked for by its entity tag: while nothing has changed, nothing is sent, and
 * the same object is given again, so that pages draw nothing anew. Kept in memory only: it is nobody else's.
 */
export class AdminApi {
	readonly #token: string;
	readonly #fetch: typeof fetch;
	readonly #known = new Map<string, Known>();

	constructor({ token, fetch: fetchFrom = (...args) => fetch(...args) }: AdminApiOptions) {
		this.#token = token;
		this.#fetch = fetchFrom;
	}

	/** @throws ProblemError */
	async read<T>(url: string): Promise<T> {
		const known = this.#known.get(url);
		const response = await this.#request('GET', url, undefined, known === undefined ? {} : { 'if-none-match': known.etag });
		if (response.status === 304 && known !== undefined) {
			return trusted<T>(known.answer);
		}
		const answer: unknown = parseTrusted(await textOf(response));
		const etag = response.headers.get('etag');
		this.#known.delete(url);
		if (etag !== null) {
			this.#known.set(url, { etag, answer });
			for (const oldest of this.#known.keys()) {
				if (this.#known.size <= MAX_KNOWN) {
					break;
				}
				this.#known.delete(oldest);
			}
		}
		return trusted<T>(answer);
	}

	/**
	 * A change. What answers with nothing gives null.
	 * @throws ProblemError
	 */
	async send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: object): Promise<T> {
		const text = await textOf(await this.#request(method, url, body, {}));
		return parseTrusted<T>(text === '' ? 'null' : text);
	}

	async #request(method: string, url: string, body: object | undefined, more: Record<string, string>): Promise<Response> {
		let response: Response;
		try {
			response = await this.#fetch(url, {
				method,
				headers: {
					accept: 'application/json',
					authorization: `Bearer ${this.#token}`,
					...(body === undefined ? {} : { 'content-type': 'application/json' }),
					...more,
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				cache: 'no-store',
			});
		} catch (error) {
			throw asProblem(error);
		}
		if (!response.ok && response.status !== 304) {
			throw await problemOf(response);
		}
		return response;
	}
}

const textOf = async (response: Response): Promise<string> => {
	try {
		return await response.text();
	} catch (error) {
		// Cut off in the middle of the answer.
		throw asProblem(error);
	}
};

/** One segment of a path, whatever stands in it. */
export const segment = (text: string): string => encodeURIComponent(text);
