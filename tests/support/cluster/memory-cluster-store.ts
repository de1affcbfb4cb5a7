import type { NodeReport } from '../../../server/cluster/node-report.ts';
import { type HeartbeatRound, type HeartbeatStore, REPORT_TTL_MS } from '../../../server/cluster/registry/heartbeat-store.ts';
import {
	type Claim,
	type ClaimResult,
	LEASE_TTL_MS,
	type LeaseHolder,
	type LeaseStore,
	type Renewal,
	type RenewResult,
	type StoredVersions,
} from '../../../server/cluster/lease/lease-store.ts';

interface StoredHome extends LeaseHolder {
	epoch: number;
	untilMs: number;
}

const EPOCH_ZERO_MS = Date.parse('2025-01-01T00:00:00Z');

/** The twin of what the scripts do in Redis: one step a call, timed by a clock that is given. */
export class MemoryClusterStore implements HeartbeatStore, LeaseStore {
	readonly ttlMs: number;
	readonly homes = new Map<string, StoredHome>();
	readonly versions = new Map<string, StoredVersions>();
	readonly #nowMs: () => number;
	readonly #reports = new Map<string, { atMs: number; incarnation: string; beat: number; report: NodeReport | undefined }>();
	#generation: string | undefined;
	#generations = 0;

	/** @param nowMs of the day, as Redis tells it */
	constructor(nowMs: () => number, ttlMs = LEASE_TTL_MS) {
		this.#nowMs = nowMs;
		this.ttlMs = ttlMs;
	}

	/** Everything is gone. */
	flush(): void {
		this.homes.clear();
		this.versions.clear();
		this.#reports.clear();
		this.#generation = undefined;
	}

	/** Whether the scripts that change a room would let a write through that carries this epoch. */
	admits(nodeId: string, roomId: string, epoch: number): boolean {
		const home = this.homes.get(roomId);
		return home === undefined || home.epoch < epoch || (home.epoch === epoch && home.nodeId === nodeId);
	}

	async claim({ nodeId, incarnation }: LeaseHolder, { roomId, knownEpoch, notAfterMs }: Claim): Promise<ClaimResult> {
		const nowMs = this.#nowMs();
		if (nowMs > notAfterMs) return 'late';
		const home = this.homes.get(roomId);
		const live = home !== undefined && home.untilMs > nowMs;
		if (live && home.nodeId !== nodeId) return { taken: false, nodeId: home.nodeId, epoch: home.epoch, remainingMs: home.untilMs - nowMs };
		const ours = home?.nodeId === nodeId && home.incarnation === incarnation;
		let epoch = Math.max(knownEpoch + 1, nowMs - EPOCH_ZERO_MS);
		if (home) epoch = live && ours && home.epoch >= knownEpoch ? home.epoch : Math.max(home.epoch, knownEpoch) + 1;
		const untilMs = nowMs + this.ttlMs;
		this.homes.set(roomId, { nodeId, incarnation, epoch, untilMs });
		return { taken: true, epoch, untilMs, previous: ours ? undefined : home?.nodeId };
	}

	async renew({ nodeId, incarnation }: LeaseHolder, { roomId, epoch, reclaimUntilMs }: Renewal): Promise<RenewResult> {
		const nowMs = this.#nowMs();
		const home = this.homes.get(roomId);
		if (home) {
			const ours = home.nodeId === nodeId && home.incarnation === incarnation && home.untilMs !== 0;
			if (home.epoch > epoch || (home.epoch === epoch && !ours)) return { state: 'lost', epoch: home.epoch };
		} else if (nowMs >= reclaimUntilMs) {
			return { state: 'missing', nowMs };
		}
		const untilMs = nowMs + this.ttlMs;
		this.homes.set(roomId, { nodeId, incarnation, epoch, untilMs });
		return { state: 'held', untilMs, stored: this.versions.get(roomId) ?? { roomVersion: undefined, stageVersion: undefined } };
	}

	async release({ nodeId, incarnation }: LeaseHolder, roomId: string, epoch: number): Promise<boolean> {
		const home = this.homes.get(roomId);
		if (home?.nodeId !== nodeId || home.incarnation !== incarnation || home.epoch !== epoch || home.untilMs === 0) return false;
		home.untilMs = 0;
		return true;
	}

	async beat(report: NodeReport): Promise<HeartbeatRound> {
		const nowMs = this.#nowMs();
		const fresh = this.#generation === undefined;
		this.#generation ??= `generation-${++this.#generations}`;
		for (const [nodeId, entry] of this.#reports) if (Math.abs(nowMs - entry.atMs) > REPORT_TTL_MS) this.#reports.delete(nodeId);
		const mine = this.#reports.get(report.nodeId);
		const sameRun = mine?.incarnation === report.incarnation;
		const rival = mine && !sameRun && mine.report ? mine.incarnation : undefined;
		if (!mine || !sameRun || (mine.report !== undefined && mine.beat < report.beat)) {
			this.#reports.set(report.nodeId, { atMs: nowMs, incarnation: report.incarnation, beat: report.beat, report: structuredClone(report) });
		}
		const round: HeartbeatRound = { reports: [], left: [], generation: this.#generation, nowMs, fresh, rival };
		for (const [nodeId, { incarnation, report: other }] of this.#reports) {
			if (nodeId === report.nodeId) continue;
			if (other) round.reports.push(structuredClone(other));
			else round.left.push({ nodeId, incarnation });
		}
		return round;
	}

	async leave(nodeId: string, incarnation: string): Promise<void> {
		const mine = this.#reports.get(nodeId);
		if (mine && mine.incarnation !== incarnation) return;
		this.#reports.set(nodeId, { atMs: this.#nowMs(), incarnation, beat: 0, report: undefined });
	}
}
