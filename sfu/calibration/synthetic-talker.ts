import { randomBytes } from 'node:crypto';
import { parseVoicePacket, type VoicePacket } from '../rtp/voice-packet.ts';
import { writeRtpPacket } from '../rtp/rtp-packet.ts';
import { randomSsrc, STAGE_PAYLOAD_TYPE } from '../rtp/opus-codec.ts';
import { SYNTHETIC_FRAME_BYTES, SYNTHETIC_TOC } from './synthetic-frame.ts';

const FRAME_MS = 20;
const FRAME_SAMPLES = 960;

/** Somebody who never pauses: a packet every 20 ms, as they come over a link. What is said is noise; nobody decodes it. */
export class SyntheticTalker {
	readonly #onPacket: (packet: VoicePacket, nowMs: number) => void;
	readonly #ssrc = randomSsrc();
	readonly #frame = Buffer.concat([Buffer.of(SYNTHETIC_TOC), randomBytes(SYNTHETIC_FRAME_BYTES)]);
	readonly #startedMs = performance.now();
	readonly #timer: NodeJS.Timeout;
	#spoken = 0;

	constructor(onPacket: (packet: VoicePacket, nowMs: number) => void) {
		this.#onPacket = onPacket;
		this.#timer = setInterval(() => this.#speak(), FRAME_MS);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	/** By the clock, so that a busy machine hears as much as an idle one. */
	#speak(): void {
		const nowMs = performance.now();
		for (const due = Math.floor((nowMs - this.#startedMs) / FRAME_MS); this.#spoken < due; this.#spoken++) {
			const packet = parseVoicePacket(
				writeRtpPacket({
					payloadType: STAGE_PAYLOAD_TYPE,
					marker: this.#spoken === 0,
					sequenceNumber: this.#spoken & 0xffff,
					timestamp: (this.#spoken * FRAME_SAMPLES) >>> 0,
					ssrc: this.#ssrc,
					csrc: 1,
					payload: this.#frame,
				}),
			);
			if (packet) {
				this.#onPacket(packet, nowMs);
			}
		}
	}
}
