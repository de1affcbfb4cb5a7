import type { ListenParts } from './listen-parts.ts';
import type { OverflowState } from './overflow-player.ts';
import type { QueueInfo } from './place-in-queue.ts';
import type { ProblemError } from './problem.ts';
import type { Quality } from './quality.ts';
import type { Servers } from './servers.ts';

/**
 * `waiting`: the server answers, but the doors are closed or there is no place; it goes on asking by itself.
 * `overflow`: there is no place, and the room's HLS stream is heard meanwhile; it goes on asking, too.
 */
export type ListenState = 'idle' | 'connecting' | 'playing' | 'overflow' | 'reconnecting' | 'waiting' | 'ended' | 'failed';

export interface ListenEvents {
	/**
	 * `problem` is why, where the server or the network said no; `retryInMs` when it tries again; `queue` who waits
	 * besides, where the server told; `overflow` how the HLS stream does that stands in for a session.
	 */
	state: { state: ListenState; problem: ProblemError | null; retryInMs: number | null; queue: QueueInfo | null; overflow: OverflowState };
	/** The first packet reached a player, or the overflow stream sounds. */
	firstaudio: { sinceStartMs: number; by: 'session' | 'overflow' };
	/** Roster numbers of those who speak now; only when that changes. */
	speakers: { numbers: readonly number[] };
	quality: { quality: Quality };
	/** The browser wants another click: call `resume()` in it. */
	blocked: Record<string, never>;
	/** Sound is back; `gapMs` from the last packet before to the first one after. */
	rejoined: { gapMs: number };
}

export interface ListenOptions {
	room: string;
	/** Of the server; default the page's own origin. */
	baseUrl?: string;
	/** Shared with the room's `EventFeed`, so that it knows of the servers that this one is told of; comes before `baseUrl`. */
	servers?: Servers;
	/** Only rooms that are not public need one. */
	token?: string;
	/** Voices to ask for; a server with fewer refuses the rest. */
	voices?: number;
	/** Asks for packets of this length; default what the server chooses. */
	packingMs?: 20 | 40 | 60 | 120;
	random?: () => number;
	/** Default the browser's. */
	parts?: ListenParts;
}
