import { SAMPLES_PER_MS } from '../rtp/opus-packet.ts';
import { timestampDifference } from '../rtp/serial-number.ts';

/** The fastest packet is that of this much time at least, and of twice as much at most. */
const HALF_WINDOW_MS = 30_000;
/** Timestamps that part from the clock by more than this have jumped: nothing is that late and still comes. */
const JUMP_MS = 5_000;
/** What is told is of about so long. Silent voices send less often: of them it is the last packet's. */
const SMOOTHING_MS = 160;

/**
 * How much later than the fastest packet of the last minute the packets of one stream come: what queues up on the way.
 * Arrival is compared with the timestamps, so silence does not count. A few additions a packet. Pure: time comes in.
 */
export class LinkLag {
	#started = false;
	#startMs = 0;
	#timestamp = 0;
	/** From the first timestamp to this one, unwrapped. */
	#samples = 0;
	#halfSinceMs = 0;
	/** Earliest arrivals of this half window and of the one before, as {@link LinkLag.onPacket} computes them. */
	#fastestMs = 0;
	#fastestBeforeMs = 0;
	#lagMs = 0;

	/** Of the latest packets, the last one weighing most. 0 before the second. */
	get lagMs(): number {
		return this.#lagMs;
	}

	/** @param timestamp RTP, 48 kHz */
	onPacket(timestamp: number, nowMs: number): void {
		if (!this.#started) {
			this.#start(timestamp, nowMs);
			return;
		}
		const step = timestampDifference(timestamp, this.#timestamp);
		this.#samples += step;
		this.#timestamp = timestamp;
		const lateMs = nowMs - this.#startMs - this.#samples / SAMPLES_PER_MS;
		if (Math.abs(lateMs - Math.min(this.#fastestMs, this.#fastestBeforeMs)) > JUMP_MS) {
			this.#start(timestamp, nowMs);
			return;
		}
		if (nowMs - this.#halfSinceMs >= HALF_WINDOW_MS) {
			// After more than a whole window without a packet nothing is left of the older half.
			this.#fastestBeforeMs = nowMs - this.#halfSinceMs >= 2 * HALF_WINDOW_MS ? lateMs : this.#fastestMs;
			this.#fastestMs = lateMs;
			this.#halfSinceMs = nowMs;
		} else if (lateMs < this.#fastestMs) {
			this.#fastestMs = lateMs;
		}
		const weight = Math.max(0, Math.min(1, step / SAMPLES_PER_MS / SMOOTHING_MS));
		this.#lagMs += (lateMs - Math.min(this.#fastestMs, this.#fastestBeforeMs) - this.#lagMs) * weight;
	}

	#start(timestamp: number, nowMs: number): void {
		this.#started = true;
		this.#startMs = nowMs;
		this.#timestamp = timestamp;
		this.#samples = 0;
		this.#halfSinceMs = nowMs;
		this.#fastestMs = 0;
		this.#fastestBeforeMs = 0;
		this.#lagMs = 0;
	}
}
