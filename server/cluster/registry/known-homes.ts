import type { RoomHome } from '../cluster-view.ts';
import type { NodeReport } from '../node-report.ts';

const REMEMBERED = 50_000;

/**
 * Where rooms live, by the highest epoch ever heard of. A claim below that is one by a node that does not know yet that it
 * was replaced. The memory outlives the homes: a new claim must be above every old one even when Redis has forgotten them.
 */
export class KnownHomes {
	readonly #highest = new Map<string, RoomHome>();

	note(roomId: string, nodeId: string, epoch: number): void {
		const known = this.#highest.get(roomId);
		if (known !== undefined && known.epoch >= epoch) return;
		this.correct(roomId, nodeId, epoch);
	}

	noteAll({ nodeId, homes }: NodeReport): void {
		for (const [roomId, { epoch }] of Object.entries(homes)) this.note(roomId, nodeId, epoch);
	}

	/** The store itself says so, whatever was heard before. */
	correct(roomId: string, nodeId: string, epoch: number): void {
		// Those heard of last stand last, so that the oldest is forgotten first.
		this.#highest.delete(roomId);
		this.#highest.set(roomId, { nodeId, epoch });
		if (this.#highest.size > REMEMBERED) this.#highest.delete(this.#highest.keys().next().value!);
	}

	last(roomId: string): RoomHome | undefined {
		return this.#highest.get(roomId);
	}
}
