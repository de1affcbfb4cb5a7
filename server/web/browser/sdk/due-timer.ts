/** setTimeout itself waits 24 days at most, and doors may open later than that. */
const LONGEST_MS = 3_600_000;
/** A timer this late was not just busy: the page was frozen, or the machine asleep. */
const OVERDUE_MS = 1_000;

/** One moment to come, however far away. Setting it again replaces it. */
export class DueTimer {
	readonly #onDue: () => void;
	#timer: ReturnType<typeof setTimeout> | undefined;
	#dueAtMs = 0;

	constructor(onDue: () => void) {
		this.#onDue = onDue;
	}

	get pending(): boolean {
		return this.#timer !== undefined;
	}

	/** Until it is due; null when it is not set. */
	get leftMs(): number | null {
		return this.pending ? Math.max(0, this.#dueAtMs - Date.now()) : null;
	}

	/** Its moment has passed unnoticed: timers of a sleeping machine stand still, the clock does not. */
	get overdue(): boolean {
		return this.pending && Date.now() > this.#dueAtMs + OVERDUE_MS;
	}

	set(delayMs: number): void {
		this.#dueAtMs = Date.now() + delayMs;
		this.#wait(delayMs);
	}

	clear(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#wait(leftMs: number): void {
		this.clear();
		this.#timer = setTimeout(
			() => {
				if (leftMs > LONGEST_MS) {
					this.#wait(leftMs - LONGEST_MS);
				} else {
					this.clear();
					this.#onDue();
				}
			},
			Math.min(leftMs, LONGEST_MS),
		);
	}
}
