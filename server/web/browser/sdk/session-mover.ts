import { MovePlan, type MovePortions, type SessionPlace } from './move-plan.ts';

/** Begins a move to another shard when the server wants one and nothing stands against it. */
export class SessionMover {
	readonly #plan: MovePlan;
	readonly #place: () => SessionPlace | undefined;
	readonly #begin: () => void;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#underWay = false;

	/**
	 * @param place where the session is; undefined while it cannot move
	 * @param begin makes the new session
	 */
	constructor(random: () => number, place: () => SessionPlace | undefined, begin: () => void) {
		this.#plan = new MovePlan(random);
		this.#place = place;
		this.#begin = begin;
	}

	/** The session that is being made, or was made last, is because of this. */
	get underWay(): boolean {
		return this.#underWay;
	}

	told(portions: MovePortions): void {
		this.#plan.told(portions);
		this.consider();
	}

	/** Something has changed that may have stood against it. @param retryAfterMs what the server asked for when it could not take the new session */
	consider(retryAfterMs?: number): void {
		clearTimeout(this.#timer);
		const wanted = (): boolean => this.#plan.wants(this.#place());
		if (wanted()) {
			this.#timer = setTimeout(
				() => {
					if (wanted()) {
						this.#plan.begun(performance.now());
						this.#underWay = true;
						this.#begin();
					}
				},
				this.#plan.delayMs(performance.now(), retryAfterMs),
			);
		}
	}

	/** It came about, or will not. */
	over(): void {
		this.#underWay = false;
	}

	cancel(): void {
		clearTimeout(this.#timer);
		this.over();
	}
}
