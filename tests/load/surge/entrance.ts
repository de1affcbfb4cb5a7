import { parseRetryAfter } from '../../../server/web/browser/sdk/problem.ts';
import type { HttpAnswer, HttpConnection } from './http-connection.ts';

/** One answer that was not a seat. */
export interface Refusal {
	/** `503 no_capacity (paced)`, `429 too_many_requests`, `network ECONNRESET` …: few, for counting. */
	cause: string;
	/** 0: no answer at all. */
	status: number;
	/** From the request to the answer. */
	answerMs: number;
	/** What the server told to wait, by the problem's exact word or else by the header; undefined: it told nothing. */
	retryAfterMs: number | undefined;
	/** The header alone. */
	retryAfterSeconds: number | undefined;
	/** People in front, when the server says. */
	ahead: number | undefined;
	/** Where the room can be heard meanwhile. */
	hlsUrl: string | undefined;
}

export interface Seat {
	sdp: string;
	sessionUrl: string | undefined;
	/** Whether another node than the one asked has given it. */
	handedOn: boolean;
}

export interface EntranceOptions {
	url: URL;
	token: string | undefined;
	connection: HttpConnection;
	nowMs: () => number;
	/** Rejects when the listener is closed meanwhile. */
	sleep: (ms: number) => Promise<void>;
	random: () => number;
	/** When to give up, on the clock of `nowMs`; asked anew each time, for whoever hears by other means has time. */
	deadlineMs: () => number;
	onRefusal: (refusal: Refusal) => void;
}

/** The end of somebody's patience, or a refusal that no patience helps against. */
export class TurnedAway extends Error {}

const MAX_HOPS = 3;
const NETWORK_BACKOFF_MS = 300;
const BACKOFF_MS = 1_000;
const BACKOFF_CAP_MS = 15_000;

/**
 * Stands at the door of a room with an offer until there is a seat: follows hand-offs to other nodes, waits as long as
 * it is told (then asks with the place in the queue it was given), gives up when patience ends.
 */
export class Entrance {
	readonly #options: EntranceOptions;
	#place: string | undefined;
	#attempt = 0;

	constructor(options: EntranceOptions) {
		this.#options = options;
	}

	/** @throws TurnedAway with the last refusal's cause; whatever `sleep` rejects with */
	async enter(offer: string): Promise<Seat> {
		const { nowMs, sleep, deadlineMs, onRefusal } = this.#options;
		for (;;) {
			const askedAtMs = nowMs();
			const answer = await this.#ask(offer).catch((error: unknown) => error as NodeJS.ErrnoException);
			if (!(answer instanceof Error) && answer.status === 201) {
				const { location } = answer.headers;
				const sessionUrl = location === undefined ? undefined : new URL(location, answer.from);
				return { sdp: answer.body.toString(), sessionUrl: sessionUrl?.href, handedOn: answer.from.origin !== this.#options.url.origin };
			}
			const refusal = answer instanceof Error ? networkRefusal(answer, nowMs() - askedAtMs) : this.#read(answer, nowMs() - askedAtMs);
			onRefusal(refusal);
			if (!mayHelp(refusal)) {
				throw new TurnedAway(refusal.cause);
			}
			const waitMs = refusal.retryAfterMs ?? this.#backoffMs(refusal);
			const leftMs = deadlineMs() - nowMs();
			await sleep(Math.max(0, Math.min(waitMs, leftMs)));
			// Asked again: whoever has begun to hear by other means meanwhile has all the time there is.
			if (nowMs() >= deadlineMs()) {
				throw new TurnedAway(refusal.cause);
			}
		}
	}

	async #ask(offer: string): Promise<HttpAnswer & { from: URL }> {
		const { url, token, connection } = this.#options;
		let target = new URL(url);
		if (this.#place !== undefined) {
			target.searchParams.set('place', this.#place);
		}
		for (let hop = 0; ; hop++) {
			const ownOrigin = target.origin === url.origin;
			const answer = await connection.request('POST', target, {
				headers: { 'content-type': 'application/sdp', accept: 'application/sdp', ...(token !== undefined && ownOrigin ? { authorization: `Bearer ${token}` } : {}) },
				body: offer,
			});
			const { location } = answer.headers;
			if ((answer.status !== 307 && answer.status !== 308) || location === undefined || hop === MAX_HOPS) {
				return { ...answer, from: target };
			}
			target = new URL(location, target);
		}
	}

	#read({ status, headers, body, from }: HttpAnswer & { from: URL }, answerMs: number): Refusal {
		const problem = problemIn(body);
		const { code, reason, retryAfterMs, queue, overflow } = problem;
		if (typeof queue?.place === 'string') {
			this.#place = queue.place;
		}
		const headerMs = parseRetryAfter(headers['retry-after'] ?? null, Date.now());
		return {
			cause: `${status} ${code ?? 'without a problem'}${typeof reason === 'string' ? ` (${reason})` : ''}`,
			status,
			answerMs,
			retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : headerMs,
			retryAfterSeconds: headerMs === undefined ? undefined : headerMs / 1_000,
			ahead: typeof queue?.ahead === 'number' ? queue.ahead : undefined,
			hlsUrl: typeof overflow?.hls === 'string' ? new URL(overflow.hls, from).href : undefined,
		};
	}

	#backoffMs({ status }: Refusal): number {
		const boundMs = Math.min(BACKOFF_CAP_MS, (status === 0 ? NETWORK_BACKOFF_MS : BACKOFF_MS) * 2 ** Math.min(this.#attempt++, 10));
		return this.#options.random() * boundMs;
	}
}

interface ReadProblem {
	code?: string;
	reason?: unknown;
	retryAfterMs?: unknown;
	queue?: { ahead?: unknown; place?: unknown };
	overflow?: { hls?: unknown };
}

function problemIn(body: Buffer): ReadProblem {
	try {
		const parsed: unknown = JSON.parse(body.toString());
		return typeof parsed === 'object' && parsed !== null ? parsed : {};
	} catch {
		return {}; // A proxy's page: the status says enough.
	}
}

function networkRefusal(error: NodeJS.ErrnoException, answerMs: number): Refusal {
	return { cause: `network ${error.code ?? error.message}`, status: 0, answerMs, retryAfterMs: undefined, retryAfterSeconds: undefined, ahead: undefined, hlsUrl: undefined };
}

/** As the page judges it: full, paced, not open yet, a ticket that was not good, or no sense at all from the server. */
const mayHelp = ({ status, cause, retryAfterMs }: Refusal): boolean =>
	status === 0 || status === 429 || status >= 500 || cause.includes('handoff_invalid') || (status === 409 && retryAfterMs !== undefined);
