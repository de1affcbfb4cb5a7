/** Whoever has fallen behind plays at up to 1.1 times the pace … */
const FASTEST = 1.25;
/** … and positions are not told to the millisecond. */
const SLACK_SECONDS = 0.5;

/** `heard`: it went on as sound does. `jumped`: to the live edge, say, and nothing of what lies between sounded. */
export type Progress = 'heard' | 'jumped' | 'still';

/** Whether something plays, from its position alone: events differ from browser to browser. */
export class PlayProgress {
	#position: number;
	#lookedAtMs: number;

	/** @param position of an element, in seconds @param nowMs of any steady clock */
	constructor(position: number, nowMs: number) {
		this.#position = position;
		this.#lookedAtMs = nowMs;
	}

	/** What has happened since the last look, however long ago that was: looks come late where a page is hidden or busy. */
	look(position: number, nowMs: number): Progress {
		const step = position - this.#position;
		const heardAtMost = ((nowMs - this.#lookedAtMs) / 1_000) * FASTEST + SLACK_SECONDS;
		this.#position = position;
		this.#lookedAtMs = nowMs;
		return step === 0 ? 'still' : step > 0 && step <= heardAtMost ? 'heard' : 'jumped';
	}
}
