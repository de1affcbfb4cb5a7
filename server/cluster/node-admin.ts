import type { Logger } from 'pino';
import type { FanOutTree } from '../placement/fan-out-tree.ts';
import type { ClusterAdmin, RoomLink } from './cluster-admin.ts';
import type { ClusterView } from './cluster-view.ts';
import type { DrainService } from './drain/drain-service.ts';
import { rebalance } from './drain/rebalance.ts';
import type { EndOfLink } from './peer-protocol.ts';

export interface NodeAdminDeps {
	view: ClusterView;
	drain: DrainService;
	/** This node's media; `Programmes` has these. */
	media: {
		linkStats(roomId?: string): EndOfLink[];
		describe(roomId: string): { originShard: number | undefined } | undefined;
		programmeOf(roomId: string): { tree: FanOutTree } | undefined;
	};
	/** Asks another node to give so many listeners away. Resolves with how many it asks to go. */
	shed: (nodeId: string, listeners: number) => Promise<number>;
	/** Receiving ends of a room's links on another node. */
	linksOn: (nodeId: string, roomId: string) => Promise<readonly EndOfLink[]>;
	log: Logger;
}

/** What operators see and do, put together from the parts of this node. */
export function nodeAdmin({ view, drain, media, shed, linksOn, log }: NodeAdminDeps): ClusterAdmin {
	const { nodeId } = view;
	const named = (node: string, links: readonly EndOfLink[]): RoomLink[] => links.map((link) => ({ ...link, node }));
	return {
		nodeId,
		nodes: () => view.nodes(),
		homeOf: (roomId) => view.homeOf(roomId),
		links: () => named(nodeId, media.linkStats()),
		linksOf: async (roomId) => {
			const others = view.nodes().filter((report) => report.nodeId !== nodeId);
			const theirs = await Promise.all(
				others.map(async (report) =>
					named(
						report.nodeId,
						await linksOn(report.nodeId, roomId).catch((error: unknown) => {
							log.warn({ peer: report.nodeId, room: roomId, err: error }, 'a node did not tell of its links');
							return [];
						}),
					),
				),
			);
			return [...named(nodeId, media.linkStats(roomId)), ...theirs.flat()];
		},
		drains: () => drain.progresses(),
		drain: (options) => drain.start(options),
		undrain: (options) => drain.undrain(options),
		rebalance: () => rebalance({ view, shed: async (node, listeners) => (node === nodeId ? drain.shed(listeners) : shed(node, listeners)), log }),
		placement: (roomId) => ({ originShard: media.describe(roomId)?.originShard, tree: media.programmeOf(roomId)?.tree.describe() }),
	};
}
