import type { ClusterView } from '../cluster/cluster-view.ts';
import { rendezvousOrder } from '../cluster/lease/rendezvous.ts';

/**
 * Rooms of which this node keeps a copy although nobody here follows them: it is the one that would take them over.
 * So what was said and felt outlives a home that nobody else has listened to.
 */
export class StandBy {
	readonly #view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf'>;
	#nodes = '';
	/** Room → the home for which it was decided, and what. */
	#decided = new Map<string, { home: string; mine: boolean }>();

	constructor(view: Pick<ClusterView, 'nodeId' | 'nodes' | 'homeOf'>) {
		this.#view = view;
	}

	/** Out of these. Decided anew only when nodes have come or gone, or the home has moved. */
	rooms(roomIds: Iterable<string>): string[] {
		const takers = this.#view.nodes().filter(({ draining }) => !draining).map(({ nodeId }) => nodeId);
		const nodes = takers.toSorted().join(' ');
		const before = nodes === this.#nodes ? this.#decided : new Map<string, { home: string; mine: boolean }>();
		this.#nodes = nodes;
		this.#decided = new Map();
		for (const roomId of roomIds) {
			const home = this.#view.homeOf(roomId)?.nodeId;
			if (home === undefined || home === this.#view.nodeId) continue;
			const known = before.get(roomId);
			const mine = known?.home === home ? known.mine : rendezvousOrder(roomId, takers.filter((nodeId) => nodeId !== home))[0] === this.#view.nodeId;
			this.#decided.set(roomId, { home, mine });
		}
		return [...this.#decided].filter(([, { mine }]) => mine).map(([roomId]) => roomId);
	}
}
