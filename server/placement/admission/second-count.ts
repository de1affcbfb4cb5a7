/** How often something happens in a second: the present one and the one before it. */
export class SecondCount {
	#second = 0;
	#count = 0;
	#before = 0;

	/** @param nowMs never going back */
	add(nowMs: number): void {
		this.#turn(nowMs);
		this.#count++;
	}

	/** Over the last second: what is left of the one before counts in proportion. */
	perSecond(nowMs: number): number {
		this.#turn(nowMs);
		return Math.round(this.#before * (1 - (nowMs % 1000) / 1000) + this.#count);
	}

	#turn(nowMs: number): void {
		const second = Math.floor(nowMs / 1000);
		if (second !== this.#second) {
			this.#before = second === this.#second + 1 ? this.#count : 0;
			this.#count = 0;
			this.#second = second;
		}
	}
}
