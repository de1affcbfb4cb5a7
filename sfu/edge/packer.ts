import { SAMPLES_PER_MS, frameSamplesOf, packOpusFrames, sameCoding } from '../rtp/opus-packet.ts';
import { addTimestamp, timestampDifference } from '../rtp/serial-number.ts';

const MIN_PACKING_MS = 10;
const MAX_PACKING_MS = 120;
/** Frames that wait longer than the packing and this are sent: the upstream has stopped in mid-packet. */
const FLUSH_SLACK_MS = 20;
/** So many DTX packets follow speech at the packing's pace; after them silence needs fewer. */
const SILENCE_TRAIN = 5;
/** A packet of silence that comes this much early is on time. */
const SILENCE_SLACK_MS = 100;

/** What the packer takes in: one packet of a voice in order, as {@link parseVoicePacket} gives it. */
export interface VoiceFrames {
	readonly timestamp: number;
	readonly marker: boolean;
	readonly csrc: number | undefined;
	readonly toc: number;
	/** The Opus packet as it came. */
	readonly payload: Buffer;
	readonly frames: readonly Buffer[];
	readonly durationSamples: number;
	readonly dtx: boolean;
}

/** An Opus packet ready to be sent. One object serves all calls: valid during the callback only. */
export interface PackedPayload {
	/** Owned by the receiver: `headroomBytes` unwritten bytes, then the Opus packet. */
	readonly buffer: Buffer;
	/** Timestamp of its first frame, on the clock of what came in. */
	readonly timestamp: number;
	readonly csrc: number | undefined;
	readonly durationSamples: number;
	/** The marker of the packet its first frame came in. */
	readonly marker: boolean;
	/** Carries no audio. */
	readonly dtx: boolean;
}

export interface PackerOptions {
	/** Audio per packet: 10…120 ms. */
	readonly packingMs: number;
	/** Bytes left free in front of every payload, for a header written in place. Default 0. */
	readonly headroomBytes?: number;
	/** In a silence that lasts, at most one packet in this time goes out; asked at each of them. Default 400. */
	readonly silenceEveryMs?: () => number;
}

const packingSamplesOf = (packingMs: number): number => {
	if (!Number.isInteger(packingMs) || packingMs < MIN_PACKING_MS || packingMs > MAX_PACKING_MS) {
		throw new RangeError(`packing must be a whole number of ms from ${MIN_PACKING_MS} to ${MAX_PACKING_MS}, not ${packingMs}`);
	}
	return packingMs * SAMPLES_PER_MS;
};

/**
 * Repacks the Opus frames of one voice into packets of `packingMs` without touching the audio (RFC 6716 §3.2).
 *
 * Only frames that follow each other without a gap, of one speaker and one coding, share a packet. A packet that
 * comes in longer than the packing is split, because a client that says `maxptime` cannot take it whole
 * (RFC 7587 §6.1); a single frame that is longer (a SILK frame of 40 or 60 ms) cannot be, and goes out alone.
 */
export class Packer {
	readonly #emit: (packed: PackedPayload) => void;
	readonly #headroomBytes: number;
	#packingSamples: number;
	#dueAfterMs: number;

	#frames: Buffer[] = [];
	#toc = 0;
	#timestamp = 0;
	#csrc: number | undefined = undefined;
	#marker = false;
	#waitingSamples = 0;
	#waitingSinceMs = 0;

	readonly #silenceEveryMs: () => number;
	/** DTX packets since speech. */
	#dtxSent = 0;
	#dtxTimestamp = 0;
	#dtxCsrc: number | undefined = undefined;

	readonly #packed: { -readonly [Key in keyof PackedPayload]: PackedPayload[Key] } = {
		buffer: Buffer.alloc(0),
		timestamp: 0,
		csrc: undefined,
		durationSamples: 0,
		marker: false,
		dtx: false,
	};

	/** @throws RangeError when `packingMs` is not 10…120 */
	constructor(options: PackerOptions, emit: (packed: PackedPayload) => void) {
		this.#emit = emit;
		this.#headroomBytes = options.headroomBytes ?? 0;
		this.#packingSamples = packingSamplesOf(options.packingMs);
		this.#dueAfterMs = options.packingMs + FLUSH_SLACK_MS;
		this.#silenceEveryMs = options.silenceEveryMs ?? (() => 400);
	}

	/** When {@link flushIfDue} will have something to do, or Infinity. */
	get dueMs(): number {
		return this.#waitingSamples === 0 ? Infinity : this.#waitingSinceMs + this.#dueAfterMs;
	}

	/** Takes one packet of the voice, newer than all before; whatever is complete goes out before this returns. */
	add(packet: VoiceFrames, nowMs: number): void {
		if (packet.dtx) {
			this.flush();
			this.#addDtx(packet);
			return;
		}
		this.#dtxSent = 0;
		if (this.#waitingSamples > 0 && !this.#continues(packet)) this.flush();

		const { toc, durationSamples } = packet;
		const frameSamples = frameSamplesOf(toc);
		if (this.#waitingSamples === 0) {
			this.#toc = toc;
			this.#timestamp = packet.timestamp;
			this.#csrc = packet.csrc;
			this.#marker = packet.marker;
			this.#waitingSinceMs = nowMs;
			// Already the right size (20 ms at a packing of 20): no need to take it apart. Padding is not worth carrying.
			if (durationSamples <= this.#packingSamples && durationSamples + frameSamples > this.#packingSamples && !isPadded(packet.payload)) {
				const buffer = Buffer.allocUnsafe(this.#headroomBytes + packet.payload.length);
				packet.payload.copy(buffer, this.#headroomBytes);
				this.#send(buffer, packet.timestamp, packet.csrc, durationSamples, packet.marker, false);
				return;
			}
		}
		this.#fill(packet.frames, frameSamples, nowMs);
	}

	/** Sends what is waiting, if anything. */
	flush(): void {
		const durationSamples = this.#waitingSamples;
		if (durationSamples === 0) return;
		const timestamp = this.#timestamp;
		const marker = this.#marker;
		const buffer = packOpusFrames(this.#toc, this.#frames, this.#headroomBytes);
		this.#frames.length = 0;
		this.#waitingSamples = 0;
		this.#timestamp = addTimestamp(timestamp, durationSamples);
		this.#marker = false;
		this.#send(buffer, timestamp, this.#csrc, durationSamples, marker, false);
	}

	/** Sends frames that have waited longer than the packing and 20 ms for company. */
	flushIfDue(nowMs: number): void {
		if (nowMs > this.dueMs) this.flush();
	}

	/**
	 * Changes the packing at once. Frames that wait already go out in packets of the new size.
	 * @throws RangeError when `packingMs` is not 10…120
	 */
	setPackingMs(packingMs: number): void {
		this.#packingSamples = packingSamplesOf(packingMs);
		this.#dueAfterMs = packingMs + FLUSH_SLACK_MS;
		if (this.#waitingSamples === 0) return;
		const frames = this.#frames;
		this.#frames = [];
		this.#waitingSamples = 0;
		this.#fill(frames, frameSamplesOf(this.#toc), this.#waitingSinceMs);
	}

	/** Whether `packet` may share a packet with what is waiting. A marker begins a talk spurt, so it begins a packet. */
	#continues(packet: VoiceFrames): boolean {
		return (
			!packet.marker &&
			packet.csrc === this.#csrc &&
			sameCoding(packet.toc, this.#toc) &&
			packet.timestamp === addTimestamp(this.#timestamp, this.#waitingSamples)
		);
	}

	/** Adds frames one by one, sending whenever no further one would fit. */
	#fill(frames: readonly Buffer[], frameSamples: number, nowMs: number): void {
		for (const frame of frames) {
			if (this.#waitingSamples === 0) this.#waitingSinceMs = nowMs;
			this.#frames.push(frame);
			this.#waitingSamples += frameSamples;
			if (this.#waitingSamples + frameSamples > this.#packingSamples) this.flush();
		}
	}

	/**
	 * DTX goes out alone and at once: it says that speech has ended. Of a train at 20 ms only one packet per packing
	 * follows, for a receiver needs no more of silence than of speech; in a silence that lasts they thin out further.
	 */
	#addDtx(packet: VoiceFrames): void {
		const { timestamp, csrc } = packet;
		if (this.#dtxSent > 0 && csrc === this.#dtxCsrc && !packet.marker) {
			const elapsed = timestampDifference(timestamp, this.#dtxTimestamp);
			const spacing = this.#dtxSent < SILENCE_TRAIN ? this.#packingSamples : (this.#silenceEveryMs() - SILENCE_SLACK_MS) * SAMPLES_PER_MS;
			if (elapsed > 0 && elapsed < spacing) return;
		}
		this.#dtxSent++;
		this.#dtxTimestamp = timestamp;
		this.#dtxCsrc = csrc;
		// The TOC byte alone in place of whatever form of nothing came: one frame of silence (RFC 6716 §3.2.1).
		const buffer = Buffer.allocUnsafe(this.#headroomBytes + 1);
		buffer[this.#headroomBytes] = packet.toc & 0xfc;
		this.#send(buffer, timestamp, csrc, frameSamplesOf(packet.toc), packet.marker, true);
	}

	#send(buffer: Buffer, timestamp: number, csrc: number | undefined, durationSamples: number, marker: boolean, dtx: boolean): void {
		const packed = this.#packed;
		packed.buffer = buffer;
		packed.timestamp = timestamp;
		packed.csrc = csrc;
		packed.durationSamples = durationSamples;
		packed.marker = marker;
		packed.dtx = dtx;
		this.#emit(packed);
	}
}

/** Code 3 with the padding flag (RFC 6716 §3.2.5). */
const isPadded = (payload: Buffer): boolean => (payload[0]! & 3) === 3 && payload.length > 1 && (payload[1]! & 0x40) !== 0;
