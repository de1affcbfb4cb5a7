import { isDtxPayload, opusDurationSamples, splitOpusPacket } from './opus-packet.ts';
import { parseRtpPacket } from './rtp-packet.ts';
import type { RtpPacketView } from './rtp-packet.ts';

/** A packet of a voice as it arrives at an edge: parsed once, shared by every {@link EdgeVoice} that sends it on. */
export class VoicePacket {
	readonly sequenceNumber: number;
	readonly timestamp: number;
	readonly marker: boolean;
	/** The speaker's number, or undefined for a keep-alive. */
	readonly csrc: number | undefined;
	readonly toc: number;
	/** The Opus packet without RTP padding. */
	readonly payload: Buffer;
	readonly durationSamples: number;
	/** Carries no audio. */
	readonly dtx: boolean;
	#frames: Buffer[] | undefined;

	constructor(view: RtpPacketView, durationSamples: number) {
		this.sequenceNumber = view.sequenceNumber;
		this.timestamp = view.timestamp;
		this.marker = view.marker;
		this.csrc = view.firstCsrc;
		this.payload = view.payload;
		this.toc = this.payload[0]!;
		this.durationSamples = durationSamples;
		this.dtx = isDtxPayload(view.buffer, view.payloadStart, view.payloadEnd);
	}

	/** Its compressed frames; split at the first call, for an edge that passes 20 ms through never needs them. */
	get frames(): readonly Buffer[] {
		this.#frames ??= splitOpusPacket(this.payload)?.frames ?? [];
		return this.#frames;
	}
}

/**
 * Parses a packet of a voice for all edges that send it.
 * @returns undefined when it is not RTP or its payload is not a valid Opus packet (RFC 6716 §3.4). Never throws.
 */
export const parseVoicePacket = (buffer: Buffer): VoicePacket | undefined => {
	const view = parseRtpPacket(buffer);
	if (view === undefined) return undefined;
	const durationSamples = opusDurationSamples(buffer, view.payloadStart, view.payloadEnd);
	return durationSamples === 0 ? undefined : new VoicePacket(view, durationSamples);
};
