import { parseTrusted } from '../sdk/boundary.ts';
import { asProblem, problemOf } from '../sdk/problem.ts';

/** A recording as the HTTP API lists it. */
export interface RecordingSummary {
	id: string;
	state: 'recording' | 'processing' | 'ready' | 'failed';
	title: string;
	startedAt: string;
	durationMs: number;
	incomplete: boolean;
}

export interface ReplayChapter {
	startMs: number;
	endMs: number;
	number: number;
	name: string;
}

export interface Replay extends RecordingSummary {
	speakers: readonly { number: number; name: string; spokeMs: number; turns: readonly (readonly [fromMs: number, toMs: number])[] }[];
	chapters: readonly ReplayChapter[];
	audio: readonly { url: string; type: string; bytes: number }[];
	captions: { url: string } | null;
}

/** A room's recordings. Every call may throw a ProblemError. */
export class RecordingsApi {
	readonly #base: string;
	readonly #token: string | undefined;

	constructor(roomId: string, token: string | undefined) {
		this.#base = `/v1/rooms/${encodeURIComponent(roomId)}/recordings`;
		this.#token = token;
	}

	async list(): Promise<readonly RecordingSummary[]> {
		return (await this.#call<{ recordings: RecordingSummary[] }>('GET', this.#base)).recordings;
	}
	read(id: string): Promise<Replay> {
		return this.#call('GET', `${this.#base}/${encodeURIComponent(id)}`);
	}
	async start(): Promise<void> {
		await this.#call('POST', this.#base);
	}
	/** Whichever runs. */
	async stop(): Promise<void> {
		const running = (await this.list()).find(({ state }) => state === 'recording');
		if (running) {
			await this.#call('POST', `${this.#base}/${encodeURIComponent(running.id)}/stop`);
		}
	}

	/** For elements that fetch by themselves and cannot say who asks. */
	withToken(url: string): string {
		return this.#token === undefined ? url : `${url}?access_token=${encodeURIComponent(this.#token)}`;
	}

	async #call<T>(method: string, url: string): Promise<T> {
		try {
			const headers = { accept: 'application/json', ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }) };
			const response = await fetch(url, { method, headers, cache: 'no-store' });
			if (!response.ok) {
				throw await problemOf(response);
			}
			return parseTrusted<T>(await response.text());
		} catch (error) {
			throw asProblem(error);
		}
	}
}
