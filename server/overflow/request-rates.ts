import { PART_MS, SEGMENT_MS } from './segments.ts';

const WINDOW_MS = 10_000;
const SLOT_MS = 1_000;

/**
 * How many players there may be, by how often playlists are asked for: each asks once a part when it waits for parts, else about once
 * a segment. What a CDN answers is not seen here.
 */
export class RequestRates {
	/** Requests by second: [of players that wait for parts, of others]. */
	readonly #slots = new Map<number, [waiting: number, plain: number]>();

	count(waiting: boolean, nowMs: number): void {
		const slot = Math.floor(nowMs / SLOT_MS);
		let counts = this.#slots.get(slot);
		if (!counts) {
			counts = [0, 0];
			this.#slots.set(slot, counts);
			this.#forget(slot);
		}
		counts[waiting ? 0 : 1]++;
	}

	players(nowMs: number): number {
		this.#forget(Math.floor(nowMs / SLOT_MS));
		let waiting = 0;
		let plain = 0;
		for (const [ofParts, ofSegments] of this.#slots.values()) {
			waiting += ofParts;
			plain += ofSegments;
		}
		return Math.round((waiting * PART_MS + plain * SEGMENT_MS) / WINDOW_MS);
	}

	#forget(slot: number): void {
		for (const known of this.#slots.keys()) {
			if (known <= slot - WINDOW_MS / SLOT_MS) {
				this.#slots.delete(known);
			}
		}
	}
}
