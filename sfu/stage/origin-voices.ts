import type { PackingMs } from '../contract/media-types.ts';
import { EdgeVoice, parseVoicePacket, PULSE, type SilenceTimes } from '../edge/edge-voice.ts';
import { Pulse } from '../edge/pulse.ts';
import { STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';

/**
 * Of voices that do not carry the pulse: each packet wakes up every edge, and tells it how late what comes over its link is
 * whoever speaks (see `LinkLag`).
 */
const SILENCE: SilenceTimes = { ...PULSE, everyMs: 1_200 };

export interface OriginVoicesOptions {
	/** One for each voice, and then solo's. */
	ssrcs: readonly number[];
	/** Of the voices on links. */
	packingMs: PackingMs;
	nowMs: number;
	/** Receives every outgoing RTP packet; owns it. */
	emit: (index: number, packet: Buffer) => void;
}

/** A room's programme as it leaves the origin: packed, and its silence thinned out, once rather than at every edge. */
export class OriginVoices {
	readonly #pulse: Pulse;
	/** The K voices, then the solo voice. */
	readonly #voices: readonly EdgeVoice[];

	constructor({ ssrcs, packingMs, nowMs, emit }: OriginVoicesOptions) {
		const pulse = new Pulse(ssrcs.length - 1);
		this.#pulse = pulse;
		this.#voices = ssrcs.map(
			(ssrc, index) =>
				new EdgeVoice({
					ssrc,
					payloadType: STAGE_PAYLOAD_TYPE,
					packingMs,
					silence: (atMs) => (pulse.carries(index, atMs) ? PULSE : SILENCE),
					nowMs,
					emit: (packet) => emit(index, packet),
				}),
		);
	}

	/** At once, without loss, and within the same streams. */
	setPackingMs(packingMs: PackingMs): void {
		for (const voice of this.#voices) {
			voice.setPackingMs(packingMs);
		}
	}

	/** A packet of the director's, whose silence comes every 400 ms on each voice. */
	onPacket(index: number, packet: Buffer, nowMs: number): void {
		const parsed = parseVoicePacket(packet);
		if (parsed) {
			this.#pulse.onPacket(index, parsed.dtx, nowMs);
			this.#voices[index]?.onUpstreamPacket(parsed, nowMs);
		}
	}

	tick(nowMs: number): void {
		for (const voice of this.#voices) {
			voice.tick(nowMs);
		}
	}
}
