import type { ShardReport } from '../node-report.ts';
import { type DrainWaiting, type MoveFigures, type MovePlan, planMoves, queueOf, startMoving } from './move-plan.ts';

/** What is emptied: all of the node, one shard, or a share of the listeners on all listener shards. */
export type DrainScope = 'node' | 'shed' | number;

export interface DrainRunOptions {
	scope: DrainScope;
	/** Shards of it. */
	shards: readonly ShardReport[];
	/** Part of their listeners that is to go; 1 except for a shed. */
	target?: number;
	startedAtMs: number;
	deadlineMs: number;
	maxMovesPerSecond?: number;
}

/** Everybody should have been asked by this part of the time there is. */
const ASKED_BY = 0.6;

/** One request to empty something, from its start to its end. */
export class DrainRun {
	readonly scope: DrainScope;
	readonly shards: ReadonlySet<number>;
	readonly startedAtMs: number;
	readonly listenersAtStart: number;
	readonly #maxMovesPerSecond: number | undefined;
	#plan: MovePlan;
	#deadlineMs: number;
	#stepMs: number;
	/** Listener shards whose remaining sessions were ended at the deadline. */
	readonly ended = new Set<number>();

	constructor({ scope, shards, target = 1, startedAtMs, deadlineMs, maxMovesPerSecond }: DrainRunOptions) {
		this.scope = scope;
		this.shards = new Set(shards.map(({ index }) => index));
		this.startedAtMs = startedAtMs;
		this.listenersAtStart = this.listenersOn(shards);
		this.#maxMovesPerSecond = maxMovesPerSecond;
		this.#plan = startMoving(this.listenersAtStart, target);
		this.#deadlineMs = deadlineMs;
		this.#stepMs = startedAtMs;
	}

	/** Part of the listeners that has been asked to move; never falls. */
	get part(): number {
		return this.#plan.part;
	}

	get waiting(): DrainWaiting | undefined {
		return this.#plan.waiting;
	}

	/** On the same clock as `startedAtMs`. */
	get deadlineAtMs(): number {
		return this.startedAtMs + this.#deadlineMs;
	}

	/** @param deadlineMs after the start */
	setDeadline(deadlineMs: number): void {
		this.#deadlineMs = deadlineMs;
	}

	/** Listeners on the shards of this run, joins under way included. */
	listenersOn(shards: readonly ShardReport[]): number {
		return shards.reduce((sum, { index, role, listeners, joining }) => sum + (role === 'listener' && this.shards.has(index) ? listeners + joining : 0), 0);
	}

	/** Asks a few more. @returns whether more have been asked now */
	step(nowMs: number, figures: Omit<MoveFigures, 'nowMs' | 'sinceMs' | 'askedByMs'>): boolean {
		const before = this.#plan.part;
		const askedByMs = this.startedAtMs + ASKED_BY * this.#deadlineMs;
		this.#plan = planMoves(this.#plan, { ...figures, nowMs, sinceMs: nowMs - this.#stepMs, askedByMs }, this.#maxMovesPerSecond);
		this.#stepMs = nowMs;
		return this.#plan.part > before;
	}

	/** Everybody was asked, and who could go has gone. */
	settled(nowMs: number, listenersNow: number): boolean {
		return this.#plan.part >= this.#plan.target && queueOf(this.#plan, { nowMs, listenersNow }) < 1;
	}
}
