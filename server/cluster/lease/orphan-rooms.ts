import type { Clock } from '../../events/clock.ts';
import type { NodeRegistry } from '../registry/node-registry.ts';
import { rendezvousOrder } from './rendezvous.ts';

export interface OrphanRoomsOptions {
	registry: NodeRegistry;
	clock: Pick<Clock, 'nowMs'>;
	/** Rooms known to this node that are not to be without a home. */
	needy: () => Iterable<string>;
	/** Held here, even if not for certain at the moment. */
	isHeld: (roomId: string) => boolean;
	/** Tries to become the room's home; resolves with how long to wait before the next attempt, should it still be needed. */
	take: (roomId: string) => Promise<number>;
}

/** Each further node waits so much longer, so that as a rule one alone tries. */
export const RANK_DELAY_MS = 300;
/** After Redis was away others may still be on their way back to it: their leases have run out, and yet they live. */
export const SETTLED_AFTER_MS = 2_000;
/** A room that was given up here on purpose is left to others for so long. */
const SPARED_MS = 3_000;
/** A claim that fails at once is not repeated at once. */
const MIN_RETRY_MS = 50;

/** Rooms that lost their home, and when this node is to take them. */
export class OrphanRooms {
	readonly #options: OrphanRoomsOptions;
	readonly #due = new Map<string, number>();
	readonly #busy = new Set<string>();
	readonly #spared = new Map<string, number>();

	constructor(options: OrphanRoomsOptions) {
		this.#options = options;
	}

	/** Looks which rooms have no home now: with each beat, and when a node is gone. */
	survey(): void {
		const { registry, clock, needy, isHeld } = this.#options;
		const nowMs = clock.nowMs();
		const orphans = new Set<string>();
		for (const roomId of needy()) if (!isHeld(roomId) && registry.homeOf(roomId) === undefined) orphans.add(roomId);
		for (const roomId of this.#due.keys()) if (!orphans.has(roomId)) this.#due.delete(roomId);
		for (const [roomId, untilMs] of this.#spared) if (untilMs <= nowMs) this.#spared.delete(roomId);
		const fresh = [...orphans].filter((roomId) => !this.#due.has(roomId));
		if (fresh.length === 0) return;
		const takers = registry.nodes().filter((node) => !node.draining);
		for (const roomId of fresh) {
			const order = rendezvousOrder(roomId, takers.map(({ nodeId }) => nodeId));
			const rank = order.indexOf(registry.nodeId);
			if (rank >= 0) this.#due.set(roomId, Math.max(nowMs + rank * RANK_DELAY_MS, this.#spared.get(roomId) ?? 0));
		}
	}

	/** Several times between beats. */
	tick(): void {
		const { registry, clock } = this.#options;
		if (registry.answeredForMs < SETTLED_AFTER_MS || registry.node(registry.nodeId)?.draining) return;
		const nowMs = clock.nowMs();
		for (const [roomId, dueMs] of this.#due) if (dueMs <= nowMs && !this.#busy.has(roomId)) void this.#attempt(roomId);
	}

	/** This node gave the room up: others first. */
	spare(roomId: string): void {
		this.#spared.set(roomId, this.#options.clock.nowMs() + SPARED_MS);
	}

	async #attempt(roomId: string): Promise<void> {
		this.#busy.add(roomId);
		try {
			const retryMs = await this.#options.take(roomId);
			if (this.#due.has(roomId)) this.#due.set(roomId, this.#options.clock.nowMs() + Math.max(MIN_RETRY_MS, retryMs));
		} finally {
			this.#busy.delete(roomId);
		}
	}
}
