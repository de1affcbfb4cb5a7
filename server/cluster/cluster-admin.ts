import type { FanOutDescription } from '../placement/fan-out-tree.ts';
import type { RoomHome } from './cluster-view.ts';
import type { DrainProgress } from './drain/drain-progress.ts';
import type { RebalanceResult } from './drain/rebalance.ts';
import type { NodeReport } from './node-report.ts';
import type { EndOfLink } from './peer-protocol.ts';

/** Where a room's media is, as its home knows it. */
export interface RoomPlacement {
	/** Stage shard; undefined while there is no origin. */
	originShard: number | undefined;
	/** Undefined where no edge has asked for an upstream yet. */
	tree: FanOutDescription | undefined;
}

/** The receiving end of a link: on which shard of which node. */
export type RoomLink = EndOfLink & { node: string };

/** What operators see and do; the composition root puts it together. `nodes`, `homeOf` are of the whole cluster, the rest is this node's. */
export interface ClusterAdmin {
	readonly nodeId: string;
	/** Living nodes, this one first. */
	nodes(): readonly NodeReport[];
	homeOf(roomId: string): RoomHome | undefined;
	/** Receiving ends on this node. */
	links(): readonly RoomLink[];
	/** Receiving ends of one room's links on all nodes that answer. */
	linksOf(roomId: string): Promise<readonly RoomLink[]>;
	/** The node's, and each shard's that is drained by itself. */
	drains(): readonly DrainProgress[];
	/** Throws DomainError `not_found` for a shard there is not. */
	drain(options: { shard?: number; deadlineMs?: number }): DrainProgress;
	/** Throws DomainError `invalid_request` for one shard of a node that drains as a whole. */
	undrain(options: { shard?: number }): DrainProgress;
	rebalance(): Promise<RebalanceResult>;
	/** Of a room that lives here. */
	placement(roomId: string): RoomPlacement;
}
