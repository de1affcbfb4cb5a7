import type { Logger } from 'pino';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Peers } from '../cluster/peer-protocol.ts';
import type { Clock } from '../events/clock.ts';
import type { EchoCopy, FollowEchoes } from './echo-protocol.ts';

export interface EchoFollowerOptions {
	view: Pick<ClusterView, 'nodeId' | 'homeOf'>;
	peers: Peers;
	/** Of this run of the node. */
	sender: string;
	/** Rooms whose news are wanted here. */
	wanted: () => Iterable<string>;
	/** What is here already, and what the home is to be told with it. */
	question: (roomId: string) => FollowEchoes['rooms'][number];
	/** The home has what it was told. */
	delivered: (roomId: string, seq: number) => void;
	apply: (copy: EchoCopy) => void;
	clock: Clock;
	log: Logger;
}

interface Line {
	/** The question under way; an older one's answer is of use too, and no more than that. */
	asked: number;
	rooms: Set<string>;
	cancel: (() => void) | undefined;
	dueMs: number;
	failed: boolean;
}

const WAIT_MS = 4_000;
const TIMEOUT_MS = 6_000;
/** News that come in a bunch come together. */
const NEWS_PAUSE_MS = 100;
const RETRY_MS = 300;
const SOON_MS = 20;
const MAX_ROOMS = 10_000;

/** Keeps what is known here of rooms that live elsewhere: one question under way to each of their homes, whatever their number. */
export class EchoFollower {
	readonly #options: EchoFollowerOptions;
	readonly #lines = new Map<string, Line>();
	#closed = false;

	constructor(options: EchoFollowerOptions) {
		this.#options = options;
	}

	/** Rooms are wanted that were not, or live elsewhere now. Costs nothing while nothing has changed. */
	look(): void {
		if (this.#closed) return;
		const { view, wanted } = this.#options;
		const byHome = new Map<string, Set<string>>();
		for (const roomId of wanted()) {
			const home = view.homeOf(roomId)?.nodeId;
			if (home === undefined || home === view.nodeId) continue;
			const rooms = byHome.get(home) ?? new Set();
			if (rooms.size < MAX_ROOMS) rooms.add(roomId);
			byHome.set(home, rooms);
		}
		for (const [nodeId, line] of this.#lines) {
			if (byHome.has(nodeId)) continue;
			line.cancel?.();
			this.#lines.delete(nodeId);
		}
		for (const [nodeId, rooms] of byHome) {
			const line = this.#lines.get(nodeId) ?? { asked: 0, rooms: new Set(), cancel: undefined, dueMs: 0, failed: false };
			const more = [...rooms].some((roomId) => !line.rooms.has(roomId));
			line.rooms = rooms;
			this.#lines.set(nodeId, line);
			if (more) this.#due(nodeId, line, SOON_MS);
		}
	}

	/** The home of this room is to be told something. */
	tell(roomId: string, withinMs: number): void {
		const home = this.#options.view.homeOf(roomId)?.nodeId;
		if (home === undefined) return;
		if (this.#lines.get(home)?.rooms.has(roomId) !== true) this.look();
		const line = this.#lines.get(home);
		if (line) this.#due(home, line, withinMs);
	}

	/** Idempotent. */
	close(): void {
		this.#closed = true;
		for (const { cancel } of this.#lines.values()) cancel?.();
		this.#lines.clear();
	}

	#due(nodeId: string, line: Line, withinMs: number): void {
		const { clock } = this.#options;
		const dueMs = clock.nowMs() + withinMs;
		if (line.cancel !== undefined) {
			if (line.dueMs <= dueMs) return;
			line.cancel();
		}
		line.dueMs = dueMs;
		line.cancel = clock.schedule(() => {
			line.cancel = undefined;
			void this.#ask(nodeId, line);
		}, withinMs);
	}

	async #ask(nodeId: string, line: Line): Promise<void> {
		const { peers, sender, question, apply, delivered, log } = this.#options;
		const asked = ++line.asked;
		const rooms = [...line.rooms].map(question);
		let pauseMs = RETRY_MS;
		try {
			const answer = await peers.request(nodeId, 'followEchoes', { sender, waitMs: WAIT_MS, rooms }, { timeoutMs: TIMEOUT_MS });
			for (const { roomId, parcel } of rooms) if (parcel && !answer.lost.includes(roomId)) delivered(roomId, parcel.seq);
			for (const copy of answer.rooms) apply(copy);
			line.failed = false;
			if (answer.lost.length === 0) pauseMs = answer.rooms.length > 0 ? NEWS_PAUSE_MS : SOON_MS;
		} catch (error) {
			log[line.failed ? 'debug' : 'info']({ err: error, peer: nodeId }, 'reactions and captions cannot be had from the home of their rooms right now');
			line.failed = true;
		}
		// Another question has taken its place, or nobody wants to know any more.
		if (this.#closed || this.#lines.get(nodeId) !== line || line.asked !== asked) return;
		this.#due(nodeId, line, pauseMs);
	}
}
