import { EventEmitter } from 'node:events';
import type { ClusterView } from '../cluster-view.ts';

export interface MoveBoardOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	/** Whether session ids name their node. */
	namesNode: boolean;
	/** This node's own, fresher than its report: shard index → part of its listeners. */
	own: () => Readonly<Record<string, number>>;
}

/** Who in the cluster is asked to move, for the event streams: a listener's stream may come from another node than the sound. */
export class MoveBoard extends EventEmitter<{ changed: [] }> {
	readonly #options: MoveBoardOptions;
	#moves: Readonly<Record<string, number>> = {};
	#text = '{}';

	constructor(options: MoveBoardOptions) {
		super();
		this.#options = options;
	}

	/** `<node>.<shard>` as session ids begin (`<shard>` where they name no node) → part, 0 to 1; empty while nobody is asked. */
	moves(): Readonly<Record<string, number>> {
		return this.#moves;
	}

	/** After each round of heartbeats, and when this node's own change. */
	refresh(): void {
		const { view, own, namesNode } = this.#options;
		const moves: Record<string, number> = {};
		for (const { nodeId, moving } of view.nodes()) {
			for (const [shard, part] of Object.entries(nodeId === view.nodeId ? own() : moving)) {
				if (part > 0) {
					moves[namesNode ? `${nodeId}.${shard}` : shard] = part;
				}
			}
		}
		const text = JSON.stringify(moves);
		if (text !== this.#text) {
			this.#text = text;
			this.#moves = moves;
			this.emit('changed');
		}
	}
}
