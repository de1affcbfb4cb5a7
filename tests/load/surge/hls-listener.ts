import { type HttpAnswer, HttpConnection } from './http-connection.ts';
import { type HlsPiece, type HlsPlaylist, parsePlaylist, startIndex } from './hls-playlist.ts';

export interface HlsListenerOptions {
	url: URL;
	token: string | undefined;
	nowMs: () => number;
	/** Rejects when the listener is closed meanwhile. */
	sleep: (ms: number) => Promise<void>;
	onFirstMedia?: () => void;
}

export interface HlsFigures {
	beganAtMs: number;
	/** When the first media were there whole; undefined while there were none. */
	firstMediaAtMs: number | undefined;
	/** Times the buffer ran dry, and how long that lasted in all. */
	stalls: number;
	stalledMs: number;
	/** Answers other than 200, and requests without any. */
	errors: number;
	requests: number;
	bytes: number;
	pieces: number;
}

const RETRY_MS = 500;

/**
 * Listens as an HLS player does: playlists (with blocking reload where it is offered), then each part or segment that
 * follows, and a playback clock which says when the buffer was dry. Decodes nothing.
 */
export class HlsListener {
	readonly figures: HlsFigures;
	readonly #options: HlsListenerOptions;
	readonly #connection = new HttpConnection(2);
	readonly #abort = new AbortController();
	#playlistUrl: URL;
	#last: { sequence: number; part: number } | undefined;
	#mapUri: string | undefined;
	/** When what is buffered will have been played. */
	#playedAtMs = 0;
	#closed = false;

	constructor(options: HlsListenerOptions) {
		this.#options = options;
		this.#playlistUrl = options.url;
		this.figures = { beganAtMs: options.nowMs(), firstMediaAtMs: undefined, stalls: 0, stalledMs: 0, errors: 0, requests: 0, bytes: 0, pieces: 0 };
	}

	get connections(): number {
		return this.#connection.opened;
	}
	get hears(): boolean {
		return !this.#closed && this.figures.firstMediaAtMs !== undefined && this.#options.nowMs() < this.#playedAtMs;
	}

	/** Resolves when closed, or when the stream has ended; never rejects. */
	async run(): Promise<void> {
		let known: HlsPlaylist | undefined;
		while (!this.#closed) {
			try {
				const playlist = await this.#reload(known);
				const fresh = await this.#take(playlist);
				if (playlist.ended) {
					return;
				}
				if (fresh === 0 && !playlist.canBlock) {
					await this.#options.sleep((playlist.partTargetMs ?? playlist.targetMs) / 2 || RETRY_MS);
				}
				known = playlist;
			} catch {
				if (this.#closed) {
					return;
				}
				this.figures.errors++;
				known = undefined;
				await this.#options.sleep(RETRY_MS).catch(() => this.close());
			}
		}
	}

	close(): void {
		if (this.#closed) {
			return;
		}
		this.#stall(this.#options.nowMs());
		this.#closed = true;
		this.#abort.abort();
		this.#connection.close();
	}

	async #reload(known: HlsPlaylist | undefined): Promise<HlsPlaylist> {
		const url = new URL(this.#playlistUrl);
		if (known?.canBlock === true) {
			url.searchParams.set('_HLS_msn', String(known.next.sequence));
			if (known.partTargetMs !== undefined) {
				url.searchParams.set('_HLS_part', String(known.next.part));
			}
		}
		const playlist = parsePlaylist((await this.#get(url)).body.toString());
		if (playlist.variantUri === undefined) {
			return playlist;
		}
		this.#playlistUrl = new URL(playlist.variantUri, url);
		return await this.#reload(undefined);
	}

	/** @returns how many pieces were new */
	async #take(playlist: HlsPlaylist): Promise<number> {
		if (playlist.mapUri !== undefined && playlist.mapUri !== this.#mapUri) {
			await this.#get(new URL(playlist.mapUri, this.#playlistUrl));
			this.#mapUri = playlist.mapUri;
		}
		const from = this.#last;
		const fresh = from === undefined ? playlist.pieces.slice(startIndex(playlist)) : playlist.pieces.filter((piece) => isAfter(piece, from));
		for (const piece of fresh) {
			await this.#get(new URL(piece.uri, this.#playlistUrl));
			this.#last = { sequence: piece.sequence, part: piece.part ?? Number.POSITIVE_INFINITY };
			this.#arrived(piece);
		}
		return fresh.length;
	}

	#arrived({ durationMs }: HlsPiece): void {
		const nowMs = this.#options.nowMs();
		this.figures.pieces++;
		if (this.figures.firstMediaAtMs === undefined) {
			this.figures.firstMediaAtMs = nowMs;
			this.#playedAtMs = nowMs;
			this.#options.onFirstMedia?.();
		}
		this.#stall(nowMs);
		this.#playedAtMs += durationMs;
	}

	#stall(nowMs: number): void {
		if (this.figures.firstMediaAtMs !== undefined && nowMs > this.#playedAtMs) {
			if (this.#playedAtMs > this.figures.firstMediaAtMs) {
				this.figures.stalls++;
				this.figures.stalledMs += nowMs - this.#playedAtMs;
			}
			this.#playedAtMs = nowMs;
		}
	}

	async #get(url: URL): Promise<HttpAnswer> {
		const { token, url: room } = this.#options;
		this.figures.requests++;
		const answer = await this.#connection.request('GET', url, {
			...(token !== undefined && url.origin === room.origin ? { headers: { authorization: `Bearer ${token}` } } : {}),
			signal: this.#abort.signal,
		});
		if (answer.status !== 200) {
			throw new Error(`${answer.status} for ${url.pathname}`);
		}
		this.figures.bytes += answer.body.length;
		return answer;
	}
}

const isAfter = ({ sequence, part = Number.POSITIVE_INFINITY }: HlsPiece, last: { sequence: number; part: number }): boolean =>
	sequence > last.sequence || (sequence === last.sequence && part > last.part);
