import { SAMPLES_PER_MS } from '../rtp/opus-packet.ts';
import { timestampDifference } from '../rtp/serial-number.ts';
import { StreamRewriter } from '../rtp/stream-rewriter.ts';
import type { VoicePacket } from '../rtp/voice-packet.ts';
import type { TrackPacket } from './ogg-opus-writer.ts';
import { GRID_SAMPLES, opusSilence } from './opus-silence.ts';

/** Nothing can be told from sequence numbers after so long without a packet. */
const FORGOTTEN_MS = 2_000;

interface Placed extends TrackPacket {
	/** First sample, counted from the track's beginning. */
	readonly at: number;
}

/**
 * One voice as a track without holes: packets stand where the clock puts them, and silence stands between. Every track read
 * up to the same moment is equally long, so that a mixer of several never waits for one. What was read can be read again
 * until it is forgotten.
 */
export class VoiceTrack {
	readonly #rewriter: StreamRewriter;
	#packets: Placed[] = [];
	/** Where the next packet can stand at the earliest. */
	#end = 0;
	#cursor = 0;
	/** Of the packet placed last, to count on beyond 32 bits. */
	#timestamp = 0;
	#position = 0;
	#heardAtMs = -Infinity;
	#upstream: unknown;

	/** @param startMs the moment of sample 0; every `nowMs` is of the same monotonic clock */
	constructor(startMs: number) {
		this.#rewriter = new StreamRewriter({ firstSequenceNumber: 0, firstTimestamp: 0, startMs });
	}

	/** Another link brings the voice: its numbers are others. */
	setUpstream(key: unknown): void {
		if (key !== this.#upstream) {
			this.#upstream = key;
			this.#rewriter.switchSource();
		}
	}

	onPacket(packet: VoicePacket, nowMs: number): void {
		if (nowMs - this.#heardAtMs > FORGOTTEN_MS) {
			this.#rewriter.switchSource();
		}
		this.#heardAtMs = nowMs;
		if (!this.#rewriter.accept(packet.sequenceNumber)) {
			return;
		}
		if (packet.dtx) {
			this.#rewriter.switchSource(); // What is said next takes up the clock again, whatever delay there was before.
			return;
		}
		let at = this.#place(packet, nowMs);
		if (at < this.#cursor) {
			// Its time has been read as silence: it and all that follow move to where they can be heard.
			this.#rewriter.switchSource();
			this.#rewriter.accept(packet.sequenceNumber);
			at = this.#place(packet, nowMs);
		}
		const snapped = Math.max(this.#end, this.#cursor, Math.round(at / GRID_SAMPLES) * GRID_SAMPLES);
		this.#packets.push({ at: snapped, samples: packet.durationSamples, payload: Buffer.from(packet.payload) });
		this.#end = snapped + packet.durationSamples;
	}

	/** What is to be heard from where reading stopped up to about `until` (a packet is never cut); a whole number of 2.5 ms. */
	read(until: number): TrackPacket[] {
		const packets: TrackPacket[] = [];
		for (const packet of this.#packets) {
			if (packet.at >= until) {
				break;
			}
			if (packet.at >= this.#cursor) {
				packets.push(...opusSilence(packet.at - this.#cursor), packet);
				this.#cursor = packet.at + packet.samples;
			}
		}
		const left = Math.floor((until - this.#cursor) / GRID_SAMPLES) * GRID_SAMPLES;
		if (left > 0) {
			packets.push(...opusSilence(left));
			this.#cursor += left;
		}
		return packets;
	}

	/** Reading begins here again. A packet that reaches over the place is left out. @param at a whole number of 2.5 ms */
	rewind(at: number): void {
		this.#cursor = at;
	}

	/** What ends before this will not be read again. */
	forget(before: number): void {
		const kept = this.#packets.findIndex(({ at, samples }) => at + samples > before);
		this.#packets = kept < 0 ? [] : this.#packets.slice(kept);
	}

	#place({ timestamp, durationSamples }: VoicePacket, nowMs: number): number {
		const placed = this.#rewriter.place(timestamp, durationSamples, nowMs).timestamp;
		this.#position += timestampDifference(placed, this.#timestamp);
		this.#timestamp = placed;
		return this.#position;
	}
}

export const samplesOf = (ms: number): number => Math.round(ms * SAMPLES_PER_MS);
