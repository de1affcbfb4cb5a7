/** A voice speaks until nothing with audio has come for this long; packets carry 120 ms at the most. */
const SPEAKING_MS = 200;

/**
 * Who takes a programme, all its voices or solo alone, tells a dead way from a silent room by packets that stop coming.
 * So something comes to each at the pulse: speech, or the silence of the first voice, or of solo. A voice that is silent
 * beside these says so more seldom: at the pulse it would be a quarter of all packets. Pure: time comes in.
 */
export class Pulse {
	readonly #voices: number;
	/** When a voice beside the first last spoke: whoever takes the first takes these too. */
	#othersSpokeAtMs = -Infinity;

	/** @param voices without solo, which is the stream after them */
	constructor(voices: number) {
		this.#voices = voices;
	}

	/** Told of each packet of the programme. @param dtx carries no audio */
	onPacket(index: number, dtx: boolean, nowMs: number): void {
		if (!dtx && index > 0 && index < this.#voices) {
			this.#othersSpokeAtMs = nowMs;
		}
	}

	/** Whether the silence of this stream must come at the pulse now. */
	carries(index: number, nowMs: number): boolean {
		return index === this.#voices || (index === 0 && nowMs - this.#othersSpokeAtMs >= SPEAKING_MS);
	}
}
