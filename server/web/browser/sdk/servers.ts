import { trusted } from './boundary.ts';
import type { ProblemError } from './problem.ts';

/** Refusals of a server that speaks for all the others: asking those would only double the load. */
const SAID_FOR_ALL: ReadonlySet<string> = new Set(['no_capacity', 'stage_full']);
const GATEWAY_STATUS: ReadonlySet<number> = new Set([0, 502, 503, 504]);

/** Whether another server may do better: no answer, or one that says that this one cannot. */
export const elsewhereMayHelp = ({ status, code }: ProblemError): boolean => GATEWAY_STATUS.has(status) && !SAID_FOR_ALL.has(code);

/** Of the page, where there is one. */
const ownOrigin = (): string => trusted<{ location: { origin: string } }>(globalThis).location.origin;

/** The servers that lead to one room: the first one, and others that it has told of. Shared by all that a page connects. */
export class Servers {
	readonly #first: string;
	readonly #random: () => number;
	#others: readonly string[] = [];

	/** @param baseUrl default the page's own origin */
	constructor(baseUrl: string = ownOrigin(), random: () => number = Math.random) {
		this.#first = new URL(baseUrl).origin;
		this.#random = random;
	}

	get all(): readonly string[] {
		return [this.#first, ...this.#others];
	}

	/**
	 * In an order of this page's own, so that a crowd whose server went does not go to the same next one.
	 * @param baseUrls all others, as a server sees them
	 * @param saidBy that server
	 */
	learn(baseUrls: readonly string[], saidBy: string): void {
		const secure = this.#first.startsWith('https:');
		const origins = new Set([saidBy, ...baseUrls].filter((url) => URL.canParse(url)).map((url) => new URL(url).origin));
		origins.delete(this.#first);
		const usable = [...origins].filter((origin) => origin.startsWith('https:') || (!secure && origin.startsWith('http:')));
		const known = new Set(this.#others);
		if (usable.length === known.size && usable.every((origin) => known.has(origin))) {
			return;
		}
		this.#others = usable
			.map((origin) => ({ origin, place: this.#random() }))
			.toSorted((a, b) => a.place - b.place)
			.map(({ origin }) => origin);
	}

	cursor(): ServerCursor {
		return new ServerCursor(this);
	}
}

/** Where one of the page's connections is at: stays with what works, and goes round when it does not. */
export class ServerCursor {
	readonly #servers: Servers;
	#url: string;
	#failed = 0;

	constructor(servers: Servers) {
		this.#servers = servers;
		[this.#url = ''] = servers.all;
	}

	get url(): string {
		return this.#url;
	}

	/** Whether there is anywhere else to go. */
	get alone(): boolean {
		return this.#servers.all.length === 1;
	}

	reached(): void {
		this.#failed = 0;
	}

	/** Goes on to the next. @returns whether every server has failed by now, so that there is no hurry */
	unreachable(): boolean {
		const { all } = this.#servers;
		this.#url = all[(all.indexOf(this.#url) + 1) % all.length] ?? this.#url;
		this.#failed++;
		if (this.#failed < all.length) {
			return false;
		}
		this.#failed = 0;
		return true;
	}
}
