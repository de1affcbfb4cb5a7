import type { ShardReport } from '../node-report.ts';
import type { DrainWaiting } from './move-plan.ts';

/** What a drain does to the node's media. `Programmes` has these. */
export interface DrainMedia {
	shardReports(): readonly ShardReport[];
	/** @param shard undefined: all of the node */
	setDraining(shard: number | undefined, draining: boolean): void;
	/** Ends what is left on a listener shard. */
	endListeners(shard: number | undefined, reason: string): Promise<void>;
	/** Makes the origins on a stage shard anew on another one of this node, where there is one. */
	moveOriginsOff(shard: number): Promise<void>;
	/** Rooms whose origin is on that stage shard. */
	originsOn(shard: number): number;
}

export type DrainState = 'active' | 'draining' | 'drained';

export interface DrainProgress {
	state: DrainState;
	/** One shard; absent: the whole node. */
	shard?: number;
	listenersAtStart: number;
	listenersNow: number;
	homesLeft: number;
	/** Part of the listeners at the start that has been asked to move. */
	moving: number;
	/** Absent while active. */
	startedAt?: string;
	deadlineAt?: string;
	/** Why nobody more is asked at present. */
	waiting?: DrainWaiting;
}
