import { isDtxPayload, opusDurationSamples, SAMPLES_PER_MS } from '../../../sfu/rtp/opus-packet.ts';
import { parseRtpPacket, RtpPacketView } from '../../../sfu/rtp/rtp-packet.ts';
import { timestampDifference } from '../../../sfu/rtp/serial-number.ts';

export interface HeardAudio {
	csrc: number | undefined;
	durationMs: number;
	/** Audio of the same speaker that should have come in front of it on this stream. */
	missingMs: number;
}

/** Packets of one voice in one session, looked at once and not kept. */
export class VoiceStream {
	readonly #view = new RtpPacketView();
	#csrc: number | undefined;
	#ssrc = 0;
	#timestamp = 0;
	#durationSamples = 0;

	/** @returns 'other' for RTCP and for what cannot be read, 'silence' for packets without audio */
	take(message: Buffer): HeardAudio | 'silence' | 'other' {
		const type = message[1] ?? 0;
		const view = type >= 192 && type <= 223 ? undefined : parseRtpPacket(message, this.#view);
		if (!view) {
			return 'other';
		}
		if (isDtxPayload(view.buffer, view.payloadStart, view.payloadEnd)) {
			return 'silence';
		}
		const durationSamples = opusDurationSamples(view.buffer, view.payloadStart, view.payloadEnd);
		const csrc = view.firstCsrc;
		const skipped = csrc === this.#csrc && view.ssrc === this.#ssrc ? timestampDifference(view.timestamp, this.#timestamp) - this.#durationSamples : 0;
		if (skipped >= 0) {
			this.#timestamp = view.timestamp;
			this.#durationSamples = durationSamples;
		}
		this.#csrc = csrc;
		this.#ssrc = view.ssrc;
		// A packet that was overtaken fills what was counted as missing.
		return { csrc, durationMs: durationSamples / SAMPLES_PER_MS, missingMs: skipped >= 0 ? skipped / SAMPLES_PER_MS : -durationSamples / SAMPLES_PER_MS };
	}
}
