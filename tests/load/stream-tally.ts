/** RTP payloads of this length say that a voice is there and silent: the TOC byte alone. */
const SILENCE_BYTES = 1;

/** What one listener heard over all streams: just enough to know that it heard, and what was lost. */
export class Tally {
	packets = 0;
	audioPackets = 0;
	lost = 0;
	largestGapMs = 0;
	/** `performance.now()` of the first packet with audio ever; 0 before it. */
	firstAudioAtMs = 0;
	#lastAudioMs = 0;

	/** Counts from now on. */
	mark(): void {
		this.packets = 0;
		this.audioPackets = 0;
		this.lost = 0;
		this.largestGapMs = 0;
	}

	onAudio(nowMs: number): void {
		this.firstAudioAtMs ||= nowMs;
		if (this.audioPackets++ > 0) {
			this.largestGapMs = Math.max(this.largestGapMs, nowMs - this.#lastAudioMs);
		}
		this.#lastAudioMs = nowMs;
	}
}

/** One stream among a listener's. */
export class StreamTally {
	lastSequenceNumber = -1;
	ssrc = 0;
	readonly #tally: Tally;

	constructor(tally: Tally) {
		this.#tally = tally;
	}

	/** An RTP packet as it came. */
	onRtp(packet: Buffer): void {
		const tally = this.#tally;
		tally.packets++;
		this.ssrc = packet.readUInt32BE(8);
		const sequenceNumber = packet.readUInt16BE(2);
		const step = (sequenceNumber - this.lastSequenceNumber) & 0xffff;
		if (this.lastSequenceNumber >= 0 && step > 1 && step < 0x8000) {
			tally.lost += step - 1;
		}
		this.lastSequenceNumber = sequenceNumber;
		if (packet.length - headerBytes(packet) > SILENCE_BYTES) {
			tally.onAudio(performance.now());
		}
	}
}

/** RFC 5761 §4. */
export const isRtcp = (packet: Buffer): boolean => {
	const type = packet[1] ?? 0;
	return type >= 192 && type <= 223;
};

/** RFC 3550 §5.1, §5.3.1; mediasoup adds a header extension (MID) to whatever it sends. */
function headerBytes(packet: Buffer): number {
	const first = packet[0] ?? 0;
	const fixed = 12 + (first & 0x0f) * 4;
	return (first & 0x10) === 0 ? fixed : fixed + 4 + packet.readUInt16BE(fixed + 2) * 4;
}
