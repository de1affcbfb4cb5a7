import { SAMPLES_PER_MS } from './opus-packet.ts';
import { addSequence, addTimestamp, sequenceDifference, timestampDifference } from './serial-number.ts';

/** RFC 3550 appendix A.1: a larger step forward is a restart until the next packet confirms it. */
const MAX_DROPOUT = 3000;
/** RFC 3550 appendix A.1: a larger step back is a restart and not reordering. */
const MAX_MISORDER = 100;

/** What changes in a packet's header. Reused by the rewriter: valid until its next call. */
export interface RewrittenHeader {
	readonly sequenceNumber: number;
	readonly timestamp: number;
	/** First packet after a silence, a switch or a source's restart (RFC 7587 §4.2: start of a talk spurt). */
	readonly marker: boolean;
}

export interface StreamRewriterOptions {
	/** Sequence number of the first packet out; random, chosen by the caller (RFC 3550 §5.1). */
	readonly firstSequenceNumber: number;
	/** Timestamp that stands for `startMs`; random, chosen by the caller. */
	readonly firstTimestamp: number;
	/** The clock's reading now, in milliseconds; every `nowMs` is of the same monotonic clock. */
	readonly startMs: number;
	/**
	 * A source's timestamp that would put the stream further than this ahead of both wall clock and what was sent
	 * is a jump, not loss: no packet can come from the future. Default 500.
	 */
	readonly maxAheadMs?: number;
	/** A source whose timestamps fall further than this behind the wall clock is anchored anew. Default 2000. */
	readonly maxBehindMs?: number;
}

/**
 * Makes one continuous RTP stream at 48 kHz out of many sources in turn, with keep-alives between them.
 *
 * Sequence numbers go out without a gap, so a packet lost upstream shows as a hole in the timestamps alone and a
 * decoder conceals just its length. Timestamps follow the source's own pacing while it stays the same; after a switch
 * or a silence they take up the wall clock again, and they never overlap what was sent before.
 */
export class StreamRewriter {
	readonly #startMs: number;
	readonly #startTimestamp: number;
	readonly #maxAheadSamples: number;
	readonly #maxBehindSamples: number;

	#nextSequenceNumber: number;
	/** End of what was sent: the earliest timestamp the next packet may have. */
	#nextTimestamp: number;

	#anchored = false;
	/** Outgoing minus source timestamp, modulo 2^32. */
	#offset = 0;
	#afterInsert = false;
	#sequenceKnown = false;
	#lastSequenceNumber = 0;
	/** The sequence number that would confirm a restart; -1 when none is suspected. */
	#restartSequenceNumber = -1;

	readonly #header = { sequenceNumber: 0, timestamp: 0, marker: false };

	constructor(options: StreamRewriterOptions) {
		this.#startMs = options.startMs;
		this.#startTimestamp = addTimestamp(options.firstTimestamp, 0);
		this.#nextSequenceNumber = addSequence(options.firstSequenceNumber, 0);
		this.#nextTimestamp = this.#startTimestamp;
		this.#maxAheadSamples = (options.maxAheadMs ?? 500) * SAMPLES_PER_MS;
		this.#maxBehindSamples = (options.maxBehindMs ?? 2000) * SAMPLES_PER_MS;
	}

	/** What comes next is of another source, or of the same one after a silence: nothing of its numbers is presumed. */
	switchSource(): void {
		this.#anchored = false;
		this.#sequenceKnown = false;
		this.#restartSequenceNumber = -1;
	}

	/**
	 * Header of the outgoing packet for a packet of the current source.
	 * @param durationSamples - the packet's duration at 48 kHz, positive
	 * @returns undefined when the packet is late or a duplicate: it must not go out
	 */
	rewrite(sequenceNumber: number, timestamp: number, durationSamples: number, nowMs: number): RewrittenHeader | undefined {
		return this.accept(sequenceNumber) ? this.place(timestamp, durationSamples, nowMs) : undefined;
	}

	/**
	 * First half of {@link rewrite}: whether a packet of the current source is newer than those before. Out of turn
	 * are late and duplicate packets, and the first one after a jump in numbering, which the second confirms (RFC 3550 A.1).
	 */
	accept(sequenceNumber: number): boolean {
		if (!this.#sequenceKnown) {
			this.#sequenceKnown = true;
			this.#lastSequenceNumber = sequenceNumber;
			return true;
		}
		const step = sequenceDifference(sequenceNumber, this.#lastSequenceNumber);
		const restarted = step > MAX_DROPOUT || step < -MAX_MISORDER;
		if (restarted && sequenceNumber !== this.#restartSequenceNumber) {
			this.#restartSequenceNumber = addSequence(sequenceNumber, 1);
			return false;
		}
		if (step <= 0 && !restarted) return false;
		this.#restartSequenceNumber = -1;
		this.#lastSequenceNumber = sequenceNumber;
		return true;
	}

	/**
	 * Second half of {@link rewrite}, for a caller that repacks in between: gives an accepted source timestamp its
	 * place in the stream and the next sequence number.
	 */
	place(timestamp: number, durationSamples: number, nowMs: number): RewrittenHeader {
		const next = this.#nextTimestamp;
		const wall = this.#wallTimestamp(nowMs);
		const earliest = timestampDifference(wall, next) > 0 ? wall : next;
		let marker = this.#afterInsert || !this.#anchored;
		let outgoing = addTimestamp(timestamp, this.#offset);
		if (!this.#anchored) {
			outgoing = earliest;
		} else if (timestampDifference(outgoing, next) < 0) {
			// The source overlaps what was sent. A keep-alive in between, or a jump back, means that time has passed.
			const jumped = timestampDifference(outgoing, next) < -this.#maxAheadSamples;
			outgoing = jumped || this.#afterInsert ? earliest : next;
			marker ||= jumped;
		} else if (
			timestampDifference(outgoing, earliest) > this.#maxAheadSamples ||
			timestampDifference(wall, outgoing) > this.#maxBehindSamples
		) {
			outgoing = earliest;
			marker = true;
		}
		this.#anchored = true;
		this.#afterInsert = false;
		this.#offset = (outgoing - timestamp) >>> 0;
		return this.#send(outgoing, durationSamples, marker);
	}

	/**
	 * Takes an accepted packet out of the stream without a trace: what follows moves up by its duration. So a stream
	 * that runs ahead of the wall clock catches up.
	 */
	skip(durationSamples: number): void {
		if (this.#anchored) this.#offset = (this.#offset - durationSamples) >>> 0;
	}

	/** Header of a packet of our own (a keep-alive): at the wall clock, or right behind what was sent. */
	insert(durationSamples: number, nowMs: number): RewrittenHeader {
		const next = this.#nextTimestamp;
		const wall = this.#wallTimestamp(nowMs);
		this.#afterInsert = true;
		return this.#send(timestampDifference(wall, next) > 0 ? wall : next, durationSamples, false);
	}

	/** How far the end of what was sent is ahead of the wall clock, in samples; negative after a silence. */
	leadSamples(nowMs: number): number {
		return timestampDifference(this.#nextTimestamp, this.#wallTimestamp(nowMs));
	}

	#wallTimestamp(nowMs: number): number {
		return addTimestamp(this.#startTimestamp, Math.round((nowMs - this.#startMs) * SAMPLES_PER_MS));
	}

	#send(timestamp: number, durationSamples: number, marker: boolean): RewrittenHeader {
		const header = this.#header;
		header.sequenceNumber = this.#nextSequenceNumber;
		header.timestamp = timestamp;
		header.marker = marker;
		this.#nextSequenceNumber = (this.#nextSequenceNumber + 1) & 0xffff;
		this.#nextTimestamp = (timestamp + durationSamples) >>> 0;
		return header;
	}
}
