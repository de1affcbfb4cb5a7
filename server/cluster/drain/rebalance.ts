import type { Logger } from 'pino';
import type { ClusterView } from '../cluster-view.ts';
import { planRebalance } from './rebalance-plan.ts';

export interface RebalanceOptions {
	view: Pick<ClusterView, 'nodeId' | 'nodes'>;
	/** Asks a node, this one or another, to give so many listeners away. Resolves with how many it asks to go. */
	shed: (nodeId: string, listeners: number) => Promise<number>;
	log: Logger;
}

export interface RebalanceResult {
	/** Filled part of the fleet's capacity, 0 to 1. */
	meanFill: number;
	/** `asked` is 0 where the node drains, does so already, or could not be reached. */
	moves: { node: string; listeners: number; asked: number }[];
}

/**
 * Evens the fleet out once, because somebody asked for it: nodes above the mean give the rest away. Newcomers need no such thing: placement
 * sends them to the emptiest nodes.
 */
export async function rebalance({ view, shed, log }: RebalanceOptions): Promise<RebalanceResult> {
	const { meanFill, moves } = planRebalance(view.nodes());
	return {
		meanFill,
		moves: await Promise.all(
			moves.map(async ({ nodeId, listeners }) => {
				const asked = await shed(nodeId, listeners).catch((error: unknown) => {
					log.warn({ peer: nodeId, err: error }, 'a node could not be asked to give listeners away');
					return 0;
				});
				return { node: nodeId, listeners, asked };
			}),
		),
	};
}
