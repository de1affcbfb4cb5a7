import { DomainError } from '../errors.ts';

export interface PersonLimitOptions {
	/** So many at once, and so many more in each window. */
	max: number;
	windowMs: number;
	/** Monotonic. */
	nowMs: () => number;
	/** For the message: what is too much. */
	what: string;
	/** Persons remembered at once; default 20,000. */
	remembered?: number;
}

interface Bucket {
	tokens: number;
	atMs: number;
}

/** How often one person may do something. Whoever stays below never notices, and forgetting somebody only helps them. */
export class PersonLimit {
	readonly #options: PersonLimitOptions;
	/** The one seen last stands last. */
	readonly #buckets = new Map<string, Bucket>();

	constructor(options: PersonLimitOptions) {
		this.#options = options;
	}

	/** @param person a subject or an address @throws DomainError `too_many_requests` */
	take(person: string): void {
		const { max, windowMs, nowMs, what, remembered = 20_000 } = this.#options;
		const atMs = nowMs();
		const { tokens: left, atMs: sinceMs } = this.#buckets.get(person) ?? { tokens: max, atMs };
		const tokens = Math.min(max, left + ((atMs - sinceMs) / windowMs) * max);
		this.#buckets.delete(person);
		this.#buckets.set(person, { tokens: tokens < 1 ? tokens : tokens - 1, atMs });
		for (const oldest of this.#buckets.keys()) {
			if (this.#buckets.size <= remembered) break;
			this.#buckets.delete(oldest);
		}
		if (tokens >= 1) return;
		throw new DomainError('too_many_requests', `More ${what} than one person may send`, { retryAfterSeconds: Math.ceil((((1 - tokens) / max) * windowMs) / 1_000) });
	}
}
