import { isDtxPayload, opusDurationSamples, SAMPLES_PER_MS } from '../../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket, RtpPacketView } from '../../../sfu/rtp/rtp-packet.ts';
import { timestampDifference } from '../../../sfu/rtp/serial-number.ts';

const REORDERED_AT_MOST = 100;

/**
 * Listens to one voice of one session: what was lost, and gaps. A gap is the time between two packets less the talker's
 * pause between them. A pause begins with packets of silence, and the stream's own clock (RTP timestamps) says how much
 * of it was left out behind them; what the clock skips right behind a packet with audio is audio that never came. At
 * 60 ms packing an undisturbed stream has gaps of 60 ms. Pure: times come in.
 */
export class VoiceMeter {
	packets = 0;
	audioPackets = 0;
	/** Sequence numbers that never came (so far). */
	lost = 0;
	/** Whether the last packet had audio, and whose. */
	hasAudio = false;
	csrc: number | undefined;
	lastAtMs = 0;
	readonly #view = new RtpPacketView();
	#ssrc = -1;
	#sequenceNumber = 0;
	#timestamp = 0;
	#durationMs = 0;

	/** @returns the gap in front of this packet, in ms; 0 for the first one and for those that were overtaken; undefined for what is no voice packet */
	take(packet: Buffer, atMs: number): number | undefined {
		const view = parseRtpPacket(packet, this.#view);
		if (!view) {
			return undefined;
		}
		const { ssrc, sequenceNumber, timestamp } = view;
		const known = ssrc === this.#ssrc;
		const step = known ? (sequenceNumber - this.#sequenceNumber) & 0xffff : 1;
		if (known && (step === 0 || step >= 0x8000)) {
			// Overtaken: it was counted as lost when the later one came. Farther back it is a repetition.
			this.lost -= step > 0x1_0000 - REORDERED_AT_MOST && this.lost > 0 ? 1 : 0;
			return 0;
		}
		this.packets++;
		const inPause = !this.hasAudio;
		this.hasAudio = !isDtxPayload(view.buffer, view.payloadStart, view.payloadEnd);
		this.csrc = view.firstCsrc;
		this.audioPackets += this.hasAudio ? 1 : 0;
		let gapMs = 0;
		if (known) {
			this.lost += step - 1;
			const skippedMs = timestampDifference(timestamp, this.#timestamp) / SAMPLES_PER_MS - step * this.#durationMs;
			gapMs = Math.max(0, atMs - this.lastAtMs - (inPause ? Math.max(0, skippedMs) : 0));
		}
		this.#ssrc = ssrc;
		this.#sequenceNumber = sequenceNumber;
		this.#timestamp = timestamp;
		this.#durationMs = opusDurationSamples(view.buffer, view.payloadStart, view.payloadEnd) / SAMPLES_PER_MS;
		this.lastAtMs = atMs;
		return gapMs;
	}

	/** Counts from now on; the last packet stays known, so that a gap may begin there. */
	mark(): void {
		this.packets = 0;
		this.audioPackets = 0;
		this.lost = 0;
	}
}
