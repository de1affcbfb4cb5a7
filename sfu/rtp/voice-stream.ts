import { DEFAULT_TOC, SAMPLES_PER_MS, twentyMsToc } from './opus-packet.ts';
import { RTP_HEADER_BYTES, RTP_HEADER_WITH_CSRC_BYTES, writeRtpHeader } from './rtp-packet.ts';
import { StreamRewriter } from './stream-rewriter.ts';
import type { RewrittenHeader } from './stream-rewriter.ts';

/** Duration that a keep-alive stands for. */
const KEEP_ALIVE_SAMPLES = 20 * SAMPLES_PER_MS;

/** How an outgoing stream is identified. */
export interface VoiceStreamOptions {
	readonly ssrc: number;
	readonly payloadType: number;
	/** The clock's reading now, in milliseconds. */
	readonly nowMs: number;
	/** 0 ≤ x < 1: where sequence numbers and timestamps start (random by RFC 3550 §5.1). */
	readonly random: () => number;
}

/** One outgoing voice on the wire: its identity, its rewriter, and the making of its packets. */
export class VoiceStream {
	readonly rewriter: StreamRewriter;
	/** TOC byte of the last audio sent: keep-alives stay in its mode, so that no decoder has to change. */
	toc = DEFAULT_TOC;
	readonly #ssrc: number;
	readonly #payloadType: number;

	constructor({ ssrc, payloadType, nowMs, random }: VoiceStreamOptions) {
		this.#ssrc = ssrc;
		this.#payloadType = payloadType;
		this.rewriter = new StreamRewriter({
			firstSequenceNumber: Math.floor(random() * 2 ** 16),
			firstTimestamp: Math.floor(random() * 2 ** 32),
			startMs: nowMs,
		});
	}

	/** A packet with a copy of `source[start…end)` as its payload. */
	write(header: RewrittenHeader, marker: boolean, csrc: number | undefined, source: Buffer, start: number, end: number): Buffer {
		const headerBytes = csrc === undefined ? RTP_HEADER_BYTES : RTP_HEADER_WITH_CSRC_BYTES;
		const packet = Buffer.allocUnsafe(headerBytes + end - start);
		source.copy(packet, headerBytes, start, end);
		writeRtpHeader(packet, this.#payloadType, marker, header.sequenceNumber, header.timestamp, this.#ssrc, csrc);
		return packet;
	}

	/** Writes the header into the first 16 bytes of `packet`, whose payload follows them; without a CSRC 4 bytes fall away. */
	finish(header: RewrittenHeader, marker: boolean, csrc: number | undefined, packet: Buffer): Buffer {
		const whole = csrc === undefined ? packet.subarray(RTP_HEADER_WITH_CSRC_BYTES - RTP_HEADER_BYTES) : packet;
		writeRtpHeader(whole, this.#payloadType, marker, header.sequenceNumber, header.timestamp, this.#ssrc, csrc);
		return whole;
	}

	/** Opus DTX, payload the TOC byte alone, no CSRC: says that the voice is alive and silent. */
	keepAlive(nowMs: number): Buffer {
		const header = this.rewriter.insert(KEEP_ALIVE_SAMPLES, nowMs);
		const packet = Buffer.allocUnsafe(RTP_HEADER_BYTES + 1);
		writeRtpHeader(packet, this.#payloadType, false, header.sequenceNumber, header.timestamp, this.#ssrc, undefined);
		packet[RTP_HEADER_BYTES] = twentyMsToc(this.toc) & 0xfc;
		return packet;
	}
}
