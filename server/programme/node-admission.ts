import type { ClusterView } from '../cluster/cluster-view.ts';
import { monotonicClock } from '../events/clock.ts';
import type { JoinQueueOptions } from '../placement/admission/join-queue.ts';
import type { FleetPace } from '../placement/admission/refusals.ts';

export interface AdmissionOptions extends Partial<Pick<JoinQueueOptions, 'clock' | 'now' | 'random'>> {
	maxJoinsUnderWayPerShard: number;
	maxWaitMs: number;
	/** How late this node's own event loop is. Default: measured. */
	lagMs?: () => number;
}

const DEFAULTS: AdmissionOptions = { maxJoinsUnderWayPerShard: 32, maxWaitMs: 1_500 };

/** How this node lets listeners in. @param lagMs of this node's own event loop, as measured */
export function joinQueueOptions(admission: AdmissionOptions = DEFAULTS, view: Pick<ClusterView, 'nodeId' | 'nodes'>, lagMs: () => number): Omit<JoinQueueOptions, 'shards'> {
	const { maxJoinsUnderWayPerShard, maxWaitMs, clock = monotonicClock, now = Date.now, random = Math.random } = admission;
	return { maxUnderWayPerShard: maxJoinsUnderWayPerShard, maxWaitMs, clock, now, random, lagMs: admission.lagMs ?? lagMs, others: () => otherNodes(view) };
}

function otherNodes(view: Pick<ClusterView, 'nodeId' | 'nodes'>): FleetPace {
	const fleet = { joinsPerSecond: 0, waiting: 0 };
	for (const node of view.nodes()) {
		if (node.nodeId !== view.nodeId) {
			fleet.joinsPerSecond += node.draining ? 0 : (node.joinsPerSecond ?? 0);
			fleet.waiting += node.waiting ?? 0;
		}
	}
	return fleet;
}
