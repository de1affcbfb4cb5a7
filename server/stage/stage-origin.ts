import type { RtpCapabilities } from '../../sfu/contract/media-types.ts';
import { DomainError } from '../errors.ts';

/** What a stage knows of its room's origin: whether there is one, and how many it has had. */
export class StageOrigin {
	#rtpCapabilities: RtpCapabilities | null = null;
	#lost = false;
	#generation = 0;

	/** Null while there is none. */
	get rtpCapabilities(): RtpCapabilities | null {
		return this.#rtpCapabilities;
	}

	/** Counts the origins that were lost: what was begun in one generation and ends in another has met a dead origin. */
	get generation(): number {
		return this.#generation;
	}

	lose(): void {
		this.#generation += 1;
		this.#lost = true;
		this.#rtpCapabilities = null;
	}

	/** Whether it had been lost. */
	found(rtpCapabilities: RtpCapabilities): boolean {
		const wasLost = this.#lost;
		this.#lost = false;
		this.#rtpCapabilities = rtpCapabilities;
		return wasLost;
	}

	/** Whether the failure of something begun in `generation` only says that the origin went away, and is made good when one is found. */
	willHeal(error: unknown, generation: number): boolean {
		if (!(error instanceof DomainError) || error.code !== 'media_unavailable') return false;
		return this.#lost || generation !== this.#generation;
	}
}
