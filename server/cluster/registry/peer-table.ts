import type { NodeReport } from '../node-report.ts';

interface Peer {
	report: NodeReport;
	alive: boolean;
	left: boolean;
	/** When its beat was seen to grow, by this node's clock. */
	grownMs: number;
	/** Looks since then that found nothing new. */
	looks: number;
	/** Other incarnations that were taken for older ones → their last beat. */
	replaced: Map<string, number>;
}

export type Heard = 'up' | 'restarted' | 'grown' | 'nothing new';

const REMEMBERED_INCARNATIONS = 8;

/**
 * The other nodes as this one sees them. A node lives while its beat grows before our eyes: no clock but our own counts,
 * and only looks that could have shown something do.
 */
export class PeerTable {
	readonly #peers = new Map<string, Peer>();

	/** Takes in a report, wherever it comes from; old and doubled ones change nothing. */
	hear(report: NodeReport, nowMs: number): Heard {
		const peer = this.#peers.get(report.nodeId);
		if (peer === undefined) {
			this.#peers.set(report.nodeId, { report, alive: true, left: false, grownMs: nowMs, looks: 0, replaced: new Map() });
			return 'up';
		}
		const before = peer.report;
		if (before.incarnation === report.incarnation) {
			if (peer.left || report.beat <= before.beat) return 'nothing new';
			const { alive } = peer;
			Object.assign(peer, { report, alive: true, grownMs: nowMs, looks: 0 });
			return alive ? 'grown' : 'up';
		}
		const { alive, replaced } = peer;
		// Reports of the run before may still be on their way. The node's own clock says which run is older; should it have
		// been set back meanwhile, the newer one is believed as soon as the other is silent.
		const older = Date.parse(report.startedAt) <= Date.parse(before.startedAt);
		if ((alive && older) || report.beat <= (replaced.get(report.incarnation) ?? -1)) return 'nothing new';
		replaced.delete(report.incarnation);
		replaced.set(before.incarnation, before.beat);
		if (replaced.size > REMEMBERED_INCARNATIONS) replaced.delete(replaced.keys().next().value!);
		Object.assign(peer, { report, alive: true, left: false, grownMs: nowMs, looks: 0 });
		return alive ? 'restarted' : 'up';
	}

	/** It said goodbye. Returns whether that is news of a living node. */
	leave(nodeId: string, incarnation: string): boolean {
		const peer = this.#peers.get(nodeId);
		if (peer === undefined || peer.left || peer.report.incarnation !== incarnation) return false;
		const { alive } = peer;
		Object.assign(peer, { alive: false, left: true });
		return alive;
	}

	/** There was a way to see each of these nodes' beats; those that were not seen to grow are one look nearer to their end. */
	look(nodeIds: Iterable<string> = this.#peers.keys()): void {
		for (const nodeId of nodeIds) {
			const peer = this.#peers.get(nodeId);
			if (peer) peer.looks += 1;
		}
	}

	/** Those whose silence is now taken for death. */
	expire(nowMs: number, silenceMs: number, looks: number): string[] {
		const dead = [...this.#peers.values()].filter((peer) => peer.alive && nowMs - peer.grownMs >= silenceMs && peer.looks >= looks);
		for (const peer of dead) peer.alive = false;
		return dead.map((peer) => peer.report.nodeId);
	}

	/** For that long this node did not look at anybody: nobody was silent. */
	excuse(stallMs: number): void {
		for (const peer of this.#peers.values()) peer.grownMs += stallMs;
	}

	get living(): NodeReport[] {
		return [...this.#peers.values()].filter(({ alive }) => alive).map(({ report }) => report);
	}
	alive(nodeId: string): NodeReport | undefined {
		const peer = this.#peers.get(nodeId);
		return peer?.alive ? peer.report : undefined;
	}
	/** Its latest report, living or dead. */
	lastOf(nodeId: string): NodeReport | undefined {
		return this.#peers.get(nodeId)?.report;
	}
	/** Whether it said goodbye, so that nobody need ask whether it is there. */
	hasLeft(nodeId: string): boolean {
		return this.#peers.get(nodeId)?.left ?? false;
	}
	/** Dead ones that did not say goodbye, in case they are only cut off. */
	missing(nowMs: number, forgetMs: number): string[] {
		const missing = [...this.#peers.values()].filter((peer) => !peer.alive && !peer.left && nowMs - peer.grownMs < forgetMs);
		return missing.map(({ report }) => report.nodeId);
	}
}
