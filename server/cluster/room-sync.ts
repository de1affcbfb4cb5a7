import type { Logger } from 'pino';
import type { ClusterView } from './cluster-view.ts';
import type { HomeReport } from './node-report.ts';
import type { Peers, RoomState } from './peer-protocol.ts';

export interface RoomSyncOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf'>;
	peers: Peers;
	/** Versions of what this node has of a room; zeros when it has nothing. */
	known: (roomId: string) => HomeReport;
	/** Takes what the home has; older parts are to be ignored. */
	take: (state: RoomState) => Promise<void>;
	log: Logger;
}

/** Messages of changes usually come within this time; a question to the home is only for those that were lost. */
const PATIENCE_BEATS = 2;
const CONCURRENT = 4;
const TIMEOUT_MS = 2_000;

/**
 * Brings a node up to date with rooms that live elsewhere. Changes are told by messages, and messages get lost (Redis
 * away, a subscription that was renewed): each home says in its heartbeats how far its rooms have come, and whoever
 * lags behind asks it.
 */
export class RoomSync {
	readonly #options: RoomSyncOptions;
	/** Room → beats for which this node has been behind. */
	readonly #behind = new Map<string, number>();
	readonly #asking = new Set<string>();

	constructor(options: RoomSyncOptions) {
		this.#options = options;
	}

	/** After each round of heartbeats. */
	compare(): void {
		const { view } = this.#options;
		const seen = new Set<string>();
		for (const { nodeId, homes } of view.nodes()) {
			if (nodeId === view.nodeId) {
				continue;
			}
			for (const [roomId, theirs] of Object.entries(homes)) {
				if (!this.#lags(roomId, theirs) || view.homeOf(roomId)?.nodeId !== nodeId) {
					continue;
				}
				seen.add(roomId);
				const beats = (this.#behind.get(roomId) ?? 0) + 1;
				this.#behind.set(roomId, beats);
				if (beats >= PATIENCE_BEATS && !this.#asking.has(roomId) && this.#asking.size < CONCURRENT) {
					void this.#ask(nodeId, roomId);
				}
			}
		}
		for (const roomId of this.#behind.keys()) {
			if (!seen.has(roomId)) {
				this.#behind.delete(roomId);
			}
		}
	}

	#lags(roomId: string, theirs: HomeReport): boolean {
		const ours = this.#options.known(roomId);
		return theirs.roomVersion > ours.roomVersion || theirs.epoch > ours.epoch || (theirs.epoch === ours.epoch && theirs.stageVersion > ours.stageVersion);
	}

	async #ask(nodeId: string, roomId: string): Promise<void> {
		const { peers, take, log } = this.#options;
		this.#asking.add(roomId);
		try {
			await take(await peers.request(nodeId, 'roomState', { roomId }, { timeoutMs: TIMEOUT_MS }));
		} catch (error) {
			log.debug({ err: error, room: roomId, peer: nodeId }, 'the home of a room could not be asked for its state');
		} finally {
			this.#asking.delete(roomId);
		}
	}
}
