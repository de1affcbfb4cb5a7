export interface StepControlOptions {
	/**
	 * What each step makes of the load, as a divisor: of a load that is all packets, packets of 40 ms leave half of what packets
	 * of 20 ms make. The first is the usual one. A step never relieves by more than these say; that is what keeps it steady.
	 */
	steps: readonly number[];
	/** Effort from which on the next step is taken: 0 to 1; asked for at each look. */
	riseAt: () => number;
}

export interface Effort {
	/** 0 to 1, of the last second. */
	value: number;
	/** It is at its end, and no figure that comes and goes: one look is enough. */
	urgent: boolean;
}

export type StepChange = 'rise' | 'calm' | 'trial';

/** So many figures in a row above the mark, since one may be chance. */
const PRESSED_LOOKS = 2;
/** What comes in so soon after a change speaks of the time before it, too. */
const SETTLE_MS = 1_500;
/** Calm for so long before a step is taken back. */
const CALM_MS = 10_000;
/** A step down that is certain to be held leaves this part below the mark. */
const MARGIN = 0.9;
/** Below this part of the mark it may be possible to go back although it is not certain: then that is tried, seldom. */
const EASY = 0.8;
const TRIAL_MS = 60_000;
/**
 * A step down was right if it holds so many times as long as was waited for it. A rise before that shows that it was a mistake:
 * both waits double. Close to the mark it is only chance that makes two looks in a row, and that may take minutes.
 */
const HOLDS = 10;
const MAX_REGRETS = 5;
/** So long after the last mistake one of them is forgiven, and the next after as long again. */
const FORGIVEN_MS = 900_000;

/**
 * A controller with few steps whose own doing lowers the load that it looks at. It rises within two looks. It goes back
 * one step at a time: after ten calm seconds where even the worst case stays below the mark (so that going back cannot itself
 * be what brings it up again), and on trial after a minute where that cannot be told; each mistake doubles these waits.
 */
export class StepControl {
	readonly #options: StepControlOptions;
	#step = 0;
	#changedMs = Number.NEGATIVE_INFINITY;
	#pressedLooks = 0;
	#calmSinceMs: number | undefined;
	#easySinceMs: number | undefined;
	/** A rise before this time shows that the last step down was a mistake. */
	#regretUntilMs = Number.NEGATIVE_INFINITY;
	#regrets = 0;
	#regretMs = 0;
	#atItsEnd = false;

	constructor(options: StepControlOptions) {
		this.#options = options;
	}

	get step(): number {
		return this.#step;
	}
	/** Pressed, and nothing is left to give. */
	get atItsEnd(): boolean {
		return this.#atItsEnd;
	}

	/**
	 * One figure of the last second.
	 * @param gives whether a higher step would change anything at present
	 * @returns what was done, if anything
	 */
	look({ value, urgent }: Effort, nowMs: number, gives: (step: number) => boolean): StepChange | undefined {
		if (nowMs - this.#changedMs < SETTLE_MS) {
			return undefined;
		}
		const { steps } = this.#options;
		const riseAt = this.#options.riseAt();
		this.#pressedLooks = value >= riseAt ? this.#pressedLooks + 1 : 0;
		const change = this.#pressedLooks > 0 ? this.#pressed(urgent, nowMs, gives) : undefined;
		const relief = this.#step === 0 ? 1 : steps[this.#step - 1]! / steps[this.#step]!;
		this.#calmSinceMs = value < riseAt * relief * MARGIN ? (this.#calmSinceMs ?? nowMs) : undefined;
		this.#easySinceMs = value < riseAt * EASY ? (this.#easySinceMs ?? nowMs) : undefined;
		this.#atItsEnd &&= value >= riseAt * EASY;
		return change ?? this.#fall(nowMs);
	}

	#pressed(urgent: boolean, nowMs: number, gives: (step: number) => boolean): StepChange | undefined {
		if (this.#pressedLooks < PRESSED_LOOKS && !urgent) {
			return undefined;
		}
		const higher = this.#options.steps.flatMap((_, step) => (step > this.#step && gives(step) ? [step] : []));
		const next = (urgent ? higher[1] : undefined) ?? higher[0];
		if (next === undefined) {
			this.#atItsEnd ||= this.#pressedLooks >= PRESSED_LOOKS;
			return undefined;
		}
		if (nowMs < this.#regretUntilMs) {
			this.#regrets = Math.min(MAX_REGRETS, this.#regrets + 1);
			this.#regretMs = nowMs;
			// One step down is one mistake, however many steps up an audience that grows takes after it.
			this.#regretUntilMs = Number.NEGATIVE_INFINITY;
		}
		this.#change(next, nowMs);
		return 'rise';
	}

	#fall(nowMs: number): StepChange | undefined {
		if (this.#step === 0) {
			return undefined;
		}
		if (this.#regrets > 0 && nowMs - this.#regretMs > FORGIVEN_MS) {
			this.#regrets--;
			this.#regretMs = nowMs;
		}
		const patience = 2 ** this.#regrets;
		const calmMs = CALM_MS * patience;
		const trialMs = TRIAL_MS * patience;
		const isDue = (sinceMs: number | undefined, waitMs: number) => sinceMs !== undefined && nowMs - sinceMs >= waitMs;
		const why = isDue(this.#calmSinceMs, calmMs) ? 'calm' : isDue(this.#easySinceMs, trialMs) ? 'trial' : undefined;
		if (why) {
			this.#regretUntilMs = nowMs + HOLDS * (why === 'calm' ? calmMs : trialMs);
			this.#change(this.#step - 1, nowMs);
		}
		return why;
	}

	#change(step: number, nowMs: number): void {
		this.#step = step;
		this.#changedMs = nowMs;
		this.#pressedLooks = 0;
		this.#calmSinceMs = undefined;
		this.#easySinceMs = undefined;
		this.#atItsEnd = false;
	}
}
