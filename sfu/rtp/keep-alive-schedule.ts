/** Keep-alives sent at the pace of speech when a silence begins: decoders learn at once that this is silence and not loss. */
const TRAIN = 5;
const TRAIN_EVERY_MS = 20;
const SILENCE_EVERY_MS = 400;
/** A timer that comes this much early is on time: else one that jitters around 20 ms would miss every other one. */
const TIMER_SLACK_MS = 4;
/** A talker whose packets have stopped for this long is covered by keep-alives. */
const STALLED_MS = 100;

/**
 * When a voice's next keep-alive is due: at the beginning of a silence five at 20 ms, then one every 400 ms, as Opus
 * encoders in discontinuous transmission do (measured: no concealment in Chromium).
 */
export class KeepAliveSchedule {
	#dueMs: number;
	#trainLeft = TRAIN;

	/** The first one is due at once. */
	constructor(nowMs: number) {
		this.#dueMs = nowMs;
	}

	get dueMs(): number {
		return this.#dueMs;
	}

	/** Audio has gone out: nothing is due until it stops. */
	hold(nowMs: number): void {
		this.#dueMs = nowMs + STALLED_MS;
		this.#trainLeft = TRAIN;
	}

	/** A silence begins: the first keep-alive is due now. */
	begin(nowMs: number): void {
		this.#dueMs = nowMs;
		this.#trainLeft = TRAIN;
	}

	/** A keep-alive has gone out. */
	sent(nowMs: number): void {
		this.#trainLeft--;
		this.#dueMs = nowMs + (this.#trainLeft > 0 ? TRAIN_EVERY_MS : SILENCE_EVERY_MS) - TIMER_SLACK_MS;
	}
}
