import type { ClusterAdmin, RoomLink, RoomPlacement } from '../../../server/cluster/cluster-admin.ts';
import type { RoomHome } from '../../../server/cluster/cluster-view.ts';
import type { DrainProgress } from '../../../server/cluster/drain/drain-progress.ts';
import type { RebalanceResult } from '../../../server/cluster/drain/rebalance.ts';
import type { NodeReport } from '../../../server/cluster/node-report.ts';
import { DomainError } from '../../../server/errors.ts';

/** A node with one stage shard and one listener shard; what else there is, tests put in. */
export class FakeClusterAdmin implements ClusterAdmin {
	readonly nodeId: string;
	readonly reports: NodeReport[];
	readonly homes = new Map<string, RoomHome>();
	readonly roomLinks: RoomLink[] = [];
	readonly calls: [name: string, options: unknown][] = [];
	tree: RoomPlacement = { originShard: undefined, tree: undefined };
	progress: DrainProgress = { state: 'active', listenersAtStart: 3, listenersNow: 3, homesLeft: 1, moving: 0 };
	rebalanced: RebalanceResult = { meanFill: 0, moves: [] };

	constructor(nodeId = 'node-1') {
		this.nodeId = nodeId;
		this.reports = [reportOf(nodeId)];
	}

	nodes(): readonly NodeReport[] {
		return this.reports;
	}
	homeOf(roomId: string): RoomHome | undefined {
		return this.homes.get(roomId);
	}
	links(): readonly RoomLink[] {
		return this.roomLinks.filter(({ node }) => node === this.nodeId);
	}
	async linksOf(roomId: string): Promise<readonly RoomLink[]> {
		return this.roomLinks.filter((link) => link.roomId === roomId);
	}
	drains(): readonly DrainProgress[] {
		return [this.progress];
	}
	drain(options: { shard?: number; deadlineMs?: number }): DrainProgress {
		this.calls.push(['drain', options]);
		if (options.shard === 99) throw new DomainError('not_found', 'This node has no such shard');
		this.progress = { ...this.progress, state: 'draining', startedAt: '2026-05-24T20:00:00.000Z', deadlineAt: '2026-05-24T20:05:00.000Z', waiting: 'no room elsewhere' };
		return this.progress;
	}
	undrain(options: { shard?: number }): DrainProgress {
		this.calls.push(['undrain', options]);
		this.progress = { ...this.progress, state: 'active' };
		return this.progress;
	}
	async rebalance(): Promise<RebalanceResult> {
		this.calls.push(['rebalance', {}]);
		return this.rebalanced;
	}
	placement(): RoomPlacement {
		return this.tree;
	}
}

export function reportOf(nodeId: string, more: Partial<NodeReport> = {}): NodeReport {
	const shard = { alive: true, draining: false, joining: 1, cpuRatio: 0.25, eventLoopLagMs: 1.5, packetsPerSecond: 120.5 };
	return {
		nodeId, incarnation: 'first-start', beat: 7, startedAt: '2026-05-24T19:00:00.000Z', internalUrl: 'http://10.0.0.1:3100', draining: false, redis: true,
		shards: [{ index: 0, role: 'stage', listeners: 0, maxListeners: 0, ...shard }, { index: 1, role: 'listener', listeners: 49, maxListeners: 100, ...shard }],
		rooms: { hall: 49 }, homes: { hall: { epoch: 3, roomVersion: 5, stageVersion: 9 } }, moving: { 1: 0.5 }, ...more,
	};
}
