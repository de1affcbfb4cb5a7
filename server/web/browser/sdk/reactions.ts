import type { GuestPass } from './guest.ts';
import { asProblem, problemOf } from './problem.ts';
import { Servers } from './servers.ts';

/** Reactions so far, as the server tells them: what may be given, in the order in which it is offered, and how often it was. */
export interface ReactionCounts {
	counts: Readonly<Record<string, number>>;
	total: number;
}

export interface ReactionSenderOptions {
	room: string;
	baseUrl?: string;
	/** Shared with the page's other connections; comes before `baseUrl`. */
	servers?: Servers;
	guest: Pick<GuestPass, 'token' | 'personal' | 'drop'>;
}

/** Gives reactions, as the page's guest. Nothing is repeated: a reaction that is late is none. */
export class ReactionSender {
	readonly #options: ReactionSenderOptions;
	readonly #servers: Servers;
	#restUntilMs = 0;

	constructor(options: ReactionSenderOptions) {
		this.#options = options;
		this.#servers = options.servers ?? new Servers(options.baseUrl);
	}

	/** Rejects with ProblemError. After `too_many_requests` nothing is sent for as long as the server said. */
	async send(reaction: string): Promise<void> {
		if (performance.now() < this.#restUntilMs) {
			return;
		}
		const { guest } = this.#options;
		try {
			await this.#post(reaction, await guest.token());
		} catch (error) {
			const problem = asProblem(error);
			if (problem.status === 401 && !guest.personal) {
				// A pass that is over, e.g. because the server has other keys by now.
				guest.drop();
				await this.#post(reaction, await guest.token());
				return;
			}
			if (problem.status === 429) {
				this.#restUntilMs = performance.now() + (problem.retryAfterMs ?? 1_000);
			}
			throw problem;
		}
	}

	async #post(reaction: string, token: string): Promise<void> {
		const url = new URL(`/v1/rooms/${encodeURIComponent(this.#options.room)}/reactions`, this.#servers.cursor().url);
		const response = await fetch(url, {
			method: 'POST',
			headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
			body: JSON.stringify({ reaction }),
			cache: 'no-store',
		});
		if (!response.ok) {
			throw await problemOf(response);
		}
	}
}

/** Which reactions have come since, at most so many: for showing that they come. */
export const freshReactions = (before: ReactionCounts | null, now: ReactionCounts, most: number): string[] => {
	if (before === null) {
		return [];
	}
	const fresh = Object.entries(now.counts).map(([reaction, count]) => ({ reaction, more: Math.max(0, count - (before.counts[reaction] ?? 0)) }));
	const total = fresh.reduce((sum, { more }) => sum + more, 0);
	const share = total > most ? most / total : 1;
	return fresh.flatMap(({ reaction, more }) => Array.from({ length: Math.min(more, Math.ceil(more * share)) }, () => reaction)).slice(0, most);
};
