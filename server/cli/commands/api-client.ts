/** Why a command did not do what was asked: in one line, for people. */
export class CliFailure extends Error {
	/** The problem's, where the server refused. */
	readonly code: string | undefined;

	constructor(message: string, code?: string, cause?: unknown) {
		super(message, cause === undefined ? undefined : { cause });
		this.name = 'CliFailure';
		this.code = code;
	}
}

export interface ApiClientOptions {
	/** Where any node is reached. */
	url: string;
	token: string;
	fetch: typeof fetch;
}

const TIMEOUT_MS = 30_000;

/** Calls of the HTTP API; what the server refuses becomes a plain sentence. */
export class ApiClient {
	readonly url: string;
	readonly #token: string;
	readonly #fetch: typeof fetch;

	constructor({ url, token, fetch: fetchFrom }: ApiClientOptions) {
		this.url = url.replace(/\/+$/, '');
		this.#token = token;
		this.#fetch = fetchFrom;
	}

	get<T>(path: string): Promise<T> {
		return this.send<T>('GET', path);
	}

	/**
	 * An answer without a body gives undefined, as its type must say.
	 * @throws CliFailure
	 */
	async send<T>(method: string, path: string, body?: object, timeoutMs = TIMEOUT_MS): Promise<T> {
		let response: Response;
		let text: string;
		try {
			response = await this.#fetch(`${this.url}${path}`, {
				method,
				headers: {
					accept: 'application/json',
					authorization: `Bearer ${this.#token}`,
					...(body === undefined ? {} : { 'content-type': 'application/json' }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
				signal: AbortSignal.timeout(timeoutMs),
			});
			text = await response.text();
		} catch (error) {
			throw new CliFailure(`${this.url} does not answer: ${reasonOf(error)}`, undefined, error);
		}
		const answer = parsed(text);
		if (!response.ok) {
			throw refusal(response, answer);
		}
		// The server validates what it sends by the same shapes.
		return answer as T;
	}
}

/** One segment of a path. */
export const segment = (text: string): string => encodeURIComponent(text);

function parsed(text: string): unknown {
	if (text === '') return undefined;
	try {
		return JSON.parse(text);
	} catch {
		// A proxy's page.
		return undefined;
	}
}

function reasonOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message;
}

/** RFC 9457, or whatever stands between here and the server. */
function refusal(response: Response, answer: unknown): CliFailure {
	const problem = (typeof answer === 'object' && answer !== null ? answer : {}) as { code?: unknown; title?: unknown; detail?: unknown; errors?: unknown };
	const code = typeof problem.code === 'string' ? problem.code : undefined;
	const said = [problem.detail, problem.title].find((text): text is string => typeof text === 'string' && text !== '') ?? response.statusText;
	const more = Array.isArray(problem.errors) ? problem.errors.slice(1).map((each: { in?: string; member?: string; message?: string }) => `; ${each.in ?? ''}${each.member ?? ''}: ${each.message ?? ''}`) : [];
	const wait = response.headers.get('retry-after');
	return new CliFailure(`${said}${more.join('')} (${code ?? response.status})${wait === null ? '' : `; try again in ${wait} s`}`, code);
}
