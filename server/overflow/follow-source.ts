import type { Logger } from 'pino';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerResult, Peers } from '../cluster/peer-protocol.ts';
import { DomainError } from '../errors.ts';
import type { RoomStream, StreamSource } from './room-stream.ts';
import type { Generation } from './segments.ts';
import type { Position, StreamWindow } from './stream-window.ts';

export interface FollowSourceOptions {
	roomId: string;
	window: StreamWindow;
	view: Pick<ClusterView, 'nodeId' | 'homeOf'>;
	peers: Peers;
	/** The home cannot give it, and says why. */
	onRefused: (error: DomainError) => void;
	/** Parts came from the home. */
	onParts: (count: number) => void;
	schedule: (ms: number, task: () => void) => () => void;
	log: Logger;
}

/** The home answers when there is something new, or after `FOLLOW_WAIT_MS`. */
const TIMEOUT_MS = 4_000;
const RETRY_MS = 200;
/** What the home refuses it will refuse again for a while. */
const REFUSED_RETRY_MS = 2_000;
export const FOLLOW_WAIT_MS = 2_000;

/**
 * A copy of a room's overflow stream at a node that is not its home: asks the home for what came since, one request at a time,
 * however many listen here. When the home moves, it goes on at the next one, which goes on where the copy stands.
 */
export class FollowSource implements StreamSource {
	readonly kind = 'follower';
	readonly #options: FollowSourceOptions;
	#cancelWait: (() => void) | undefined;
	#failed = false;
	#closed = false;

	constructor(options: FollowSourceOptions) {
		this.#options = options;
		void this.#ask();
	}

	look(): void {}

	/** Idempotent. */
	close(): void {
		this.#closed = true;
		this.#cancelWait?.();
	}

	async #ask(): Promise<void> {
		const { roomId, window, view, peers, onRefused, log } = this.#options;
		const home = view.homeOf(roomId);
		if (!home || home.nodeId === view.nodeId) {
			this.#again(RETRY_MS); // It is on its way: elsewhere, or here, and then this source is replaced.
			return;
		}
		try {
			const news = await peers.request(home.nodeId, 'followOverflow', { roomId, ...(window.position ? { after: window.position } : {}) }, { timeoutMs: TIMEOUT_MS });
			this.#failed = false;
			if (!this.#closed) {
				this.#take(news);
			}
		} catch (error) {
			if (this.#closed) {
				return;
			}
			const refused = error instanceof DomainError && (error.code === 'overflow_unavailable' || error.code === 'room_ended' || error.code === 'room_not_open');
			if (refused) {
				onRefused(error);
			}
			log[this.#failed || refused ? 'debug' : 'info']({ err: error, peer: home.nodeId }, 'an overflow stream cannot be had from the home of its room right now');
			this.#failed = true;
			this.#again(refused ? REFUSED_RETRY_MS : RETRY_MS);
		}
	}

	#take({ generations, parts, ended }: PeerResult<'followOverflow'>): void {
		const { window, onParts } = this.#options;
		const known = new Map<string, Generation>(generations.map(({ init, ...generation }) => [generation.id, { ...generation, init: Buffer.from(init, 'base64') }]));
		for (const { data, ...part } of parts) {
			const generation = known.get(part.generation) ?? window.generation(part.generation);
			if (generation) {
				window.add(generation, { ...part, data: Buffer.from(data, 'base64') });
			}
		}
		onParts(parts.length);
		if (ended) {
			window.end();
		} else {
			this.#again(0);
		}
	}

	#again(ms: number): void {
		if (this.#closed) {
			return;
		}
		if (ms === 0) {
			void this.#ask();
		} else {
			this.#cancelWait = this.#options.schedule(ms, () => void this.#ask());
		}
	}
}

/** What the home answers a follower that stands there. */
export async function answerFollower(stream: RoomStream, after: Position | undefined): Promise<PeerResult<'followOverflow'>> {
	const { window } = stream;
	if (after) {
		window.resume(after);
	}
	const news = () => window.after(after);
	await stream.when(() => news().parts.length > 0 || window.isEnded, FOLLOW_WAIT_MS);
	const { generations, parts } = news();
	return {
		generations: generations.map(({ init, ...generation }) => ({ ...generation, init: init.toString('base64') })),
		parts: parts.map(({ data, ...part }) => ({ ...part, data: data.toString('base64') })),
		ended: window.isEnded,
	};
}
