import { trusted } from './boundary.ts';

/** A refusal of the server (RFC 9457), or the lack of any answer (`status` 0, code `network`). */
export class ProblemError extends Error {
	/** 0: no answer came. */
	readonly status: number;
	/** Stable; what a program decides by. */
	readonly code: string;
	readonly title: string;
	readonly retryAfterMs: number | undefined;
	/** Further members of the problem document, e.g. `overflow`. */
	readonly extra: Readonly<Record<string, unknown>>;

	constructor(options: {
		status: number;
		code: string;
		title: string;
		detail?: string;
		retryAfterMs?: number;
		extra?: Record<string, unknown>;
		cause?: unknown;
	}) {
		super(options.detail ?? options.title, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = 'ProblemError';
		this.status = options.status;
		this.code = options.code;
		this.title = options.title;
		this.retryAfterMs = options.retryAfterMs;
		this.extra = options.extra ?? {};
	}
}

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds: delay seconds or a date. */
export const parseRetryAfter = (header: string | null, nowMs: number): number | undefined => {
	if (header === null) {
		return undefined;
	}
	if (/^\d+$/.test(header.trim())) {
		return Number(header) * 1_000;
	}
	const atMs = Date.parse(header);
	return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs);
};

/** Turns a response that is not ok into a ProblemError; never throws itself. */
export const problemOf = async (response: Response): Promise<ProblemError> => {
	let body: Record<string, unknown> = {};
	try {
		const parsed: unknown = await response.json();
		if (typeof parsed === 'object' && parsed !== null) {
			body = trusted<Record<string, unknown>>(parsed);
		}
	} catch {
		// A proxy's HTML error page: the status says enough.
	}
	const { code, title, detail, ...extra } = body;
	// The header knows whole seconds only.
	const retryAfterMs = typeof extra['retryAfterMs'] === 'number' ? extra['retryAfterMs'] : parseRetryAfter(response.headers.get('retry-after'), Date.now());
	return new ProblemError({
		status: response.status,
		code: typeof code === 'string' ? code : `http_${response.status}`,
		title: typeof title === 'string' ? title : response.statusText,
		...(typeof detail === 'string' ? { detail } : {}),
		...(retryAfterMs === undefined ? {} : { retryAfterMs }),
		extra,
	});
};

/** Whatever a request failed with, as a ProblemError. */
export const asProblem = (error: unknown): ProblemError =>
	error instanceof ProblemError
		? error
		: new ProblemError({ status: 0, code: 'network', title: 'No answer from the server', cause: error });
